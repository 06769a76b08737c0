// Tests of similarity: against cosines worked out one by one in f64, and every
// refusal with its message.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Similarity.h"

#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>

using namespace moec::weights;

namespace {

using Sources = std::vector<std::shared_ptr<const MatrixSource>>;

/// vec(W_i) of each expert, in f64.
std::vector<std::vector<double>> vectorsOf(const Sources &sources) {
  std::vector<std::vector<double>> vectors(size_t(sources[0]->shape().entries));
  for (const auto &source : sources) {
    std::vector<float> all = *readAll(*source);
    size_t size = all.size() / vectors.size();
    for (size_t i = 0; i < vectors.size(); ++i)
      vectors[i].insert(vectors[i].end(), all.begin() + long(i * size),
                        all.begin() + long((i + 1) * size));
  }
  return vectors;
}

void removeMean(std::vector<std::vector<double>> &vectors) {
  for (size_t k = 0; k < vectors[0].size(); ++k) {
    double sum = 0;
    for (const auto &vector : vectors)
      sum += vector[k];
    for (auto &vector : vectors)
      vector[k] -= sum / double(vectors.size());
  }
}

double dot(const std::vector<double> &a, const std::vector<double> &b) {
  double sum = 0;
  for (size_t k = 0; k < a.size(); ++k)
    sum += a[k] * b[k];
  return sum;
}

void expectCosines(const Similarity &found,
                   const std::vector<std::vector<double>> &vectors,
                   double tolerance) {
  size_t count = vectors.size();
  ASSERT_EQ(size_t(found.experts), count);
  ASSERT_EQ(found.cosines.size(), count * count);
  ASSERT_EQ(found.squaredNorms.size(), count);
  for (size_t i = 0; i < count; ++i) {
    double square = dot(vectors[i], vectors[i]);
    EXPECT_NEAR(found.squaredNorms[i], square, tolerance * square);
    EXPECT_EQ(found.cosines[i * count + i], 1.0);
    for (size_t j = 0; j < i; ++j) {
      EXPECT_NEAR(found.cosines[i * count + j],
                  dot(vectors[i], vectors[j]) /
                      std::sqrt(square * dot(vectors[j], vectors[j])),
                  tolerance)
          << i << ", " << j;
      EXPECT_EQ(found.cosines[i * count + j], found.cosines[j * count + i]);
    }
  }
}

/// Gate, up and down of a layer whose experts have something in common.
Sources layer(uint32_t seed, int64_t experts, int64_t width, int64_t inner) {
  Sources sources;
  for (const char *name : {"gate", "up", "down"}) {
    bool down = name[0] == 'd';
    MatrixShape shape{experts, down ? inner : width, down ? width : inner};
    int64_t size = shape.rows * shape.cols;
    std::vector<float> values = seededValues(++seed, experts * size);
    std::vector<float> shared = seededValues(++seed, size, 2.0);
    for (size_t n = 0; n < values.size(); ++n)
      values[n] += shared[n % size_t(size)];
    sources.push_back(matricesOf(name, shape, values));
  }
  return sources;
}

SimilarityOptions withThreads(int64_t threads, bool removeMean = false) {
  SimilarityOptions options;
  options.removeMean = removeMean;
  options.parallel.threads = threads;
  return options;
}

TEST(Similarity, ofSmallVectors) {
  // Worked out by hand: (1,0), (1,1), (0,-2).
  Sources sources{matricesOf("w", {3, 1, 2}, {1, 0, 1, 1, 0, -2})};
  Result<Similarity> found = similarityOfWeights(sources);
  ASSERT_TRUE(found) << found.error();
  double half = std::sqrt(0.5);
  std::vector<double> expected{1, half, 0, half, 1, -half, 0, -half, 1};
  for (size_t n = 0; n < 9; ++n)
    EXPECT_NEAR(found->cosines[n], expected[n], 1e-12);
  EXPECT_EQ(found->squaredNorms, (std::vector<double>{1, 2, 4}));
  EXPECT_TRUE(found->withoutDirection.empty());
}

TEST(Similarity, isTheCosineOfConcatenatedWeights) {
  uint32_t seed = 100;
  for (int64_t experts : {1, 2, 3, 5, 8, 16, 17, 33})
    for (bool without : {false, true}) {
      if (experts == 1 && without)
        continue;
      Sources sources = layer(seed += 10, experts, 24, 10);
      Result<Similarity> found =
          similarityOfWeights(sources, withThreads(1, without));
      ASSERT_TRUE(found) << found.error();
      std::vector<std::vector<double>> vectors = vectorsOf(sources);
      if (without)
        removeMean(vectors);
      expectCosines(*found, vectors, 1e-5);
    }
}

TEST(Similarity, doesNotDependOnThreads) {
  // Several blocks: of three experts one has 2^18 / 3 values.
  Sources sources{seededMatrices("a", {3, 1024, 1024}, 1, 1.0),
                  seededMatrices("b", {3, 1000, 1025}, 2, 0.5)};
  for (bool without : {false, true}) {
    Result<Similarity> one =
        similarityOfWeights(sources, withThreads(1, without));
    Result<Similarity> three =
        similarityOfWeights(sources, withThreads(3, without));
    ASSERT_TRUE(one && three);
    EXPECT_EQ(one->cosines, three->cosines);
    EXPECT_EQ(one->squaredNorms, three->squaredNorms);
    std::vector<std::vector<double>> vectors = vectorsOf(sources);
    if (without)
      removeMean(vectors);
    expectCosines(*one, vectors, 1e-6);
  }
}

TEST(Similarity, readsStoredMatricesInTheirOwnOrder) {
  // The order of values does not change a cosine.
  std::vector<float> rows = seededValues(9, 4 * 6 * 5);
  std::vector<std::vector<float>> columns(4, std::vector<float>(30));
  std::vector<StoredMatrix> stored;
  for (size_t i = 0; i < 4; ++i) {
    for (size_t r = 0; r < 6; ++r)
      for (size_t c = 0; c < 5; ++c)
        columns[i][c * 6 + r] = rows[i * 30 + r * 5 + c];
    stored.push_back(
        {{reinterpret_cast<const uint8_t *>(columns[i].data()), 120},
         ElementType::F32});
  }
  Sources sources{*storedMatrices("t", {4, 6, 5}, stored, true, nullptr)};
  Result<Similarity> found = similarityOfWeights(sources);
  ASSERT_TRUE(found) << found.error();
  expectCosines(*found, vectorsOf({matricesOf("w", {4, 6, 5}, rows)}), 1e-6);
}

TEST(Similarity, smallDifferencesBehindALargeMean) {
  // Experts differ from their mean by a ten-thousandth. Taken from the Gram
  // matrix of f32 products the mean would leave noise only; taken from the
  // weights themselves it leaves their rounding.
  std::vector<float> shared = seededValues(1, 4096),
                     own = seededValues(2, 6 * 4096);
  std::vector<float> values(6 * 4096);
  for (size_t n = 0; n < values.size(); ++n)
    values[n] = shared[n % 4096] + 1e-4f * own[n];
  Sources sources{matricesOf("w", {6, 64, 64}, values)};
  Result<Similarity> found = similarityOfWeights(sources, withThreads(1, true));
  ASSERT_TRUE(found) << found.error();
  std::vector<std::vector<double>> vectors = vectorsOf(sources);
  removeMean(vectors);
  expectCosines(*found, vectors, 1e-4);
}

TEST(Similarity, expertsWithoutDirection) {
  Sources sources{matricesOf("w", {3, 1, 2}, {1, 2, 0, 0, 3, 4})};
  Result<Similarity> found = similarityOfWeights(sources);
  ASSERT_TRUE(found) << found.error();
  EXPECT_EQ(found->withoutDirection, (std::vector<int32_t>{1}));
  EXPECT_EQ(found->cosines[1], 0.0);
  EXPECT_EQ(found->cosines[4], 1.0);
  EXPECT_EQ(found->cosines[7], 0.0);
  EXPECT_EQ(found->squaredNorms[1], 0.0);
  // Equal experts have nothing beside their mean, whatever their number.
  Sources equal{splatMatrices("w", {7, 3, 5}, 0.1f)};
  found = similarityOfWeights(equal, withThreads(1, true));
  ASSERT_TRUE(found) << found.error();
  EXPECT_EQ(found->withoutDirection.size(), 7u);
  // With their mean they are all alike.
  found = similarityOfWeights(equal);
  ASSERT_TRUE(found) << found.error();
  for (double cosine : found->cosines)
    EXPECT_NEAR(cosine, 1.0, 1e-12);
  for (double cosine : found->cosines)
    EXPECT_LE(cosine, 1.0);
}

TEST(Similarity, reportsProgress) {
  Sources sources{seededMatrices("a", {4, 256, 512}, 1, 1.0),
                  seededMatrices("b", {4, 4, 4}, 2, 0.5)};
  std::vector<std::pair<int64_t, int64_t>> calls;
  SimilarityOptions options = withThreads(2);
  options.parallel.progress = [&](int64_t done, int64_t total) {
    calls.emplace_back(done, total);
  };
  ASSERT_TRUE(similarityOfWeights(sources, options));
  EXPECT_EQ(calls, (std::vector<std::pair<int64_t, int64_t>>{
                       {1, 4}, {2, 4}, {3, 4}, {4, 4}}));
}

std::string refusal(const Sources &sources, bool removeMean = false) {
  Result<Similarity> found =
      similarityOfWeights(sources, withThreads(2, removeMean));
  EXPECT_FALSE(found);
  return found.error();
}

TEST(Similarity, refusesWhatIsNotFinite) {
  for (bool without : {false, true}) {
    std::vector<float> values = seededValues(1, 4 * 30);
    values[2 * 30 + 7] = NAN;
    EXPECT_EQ(refusal({splatMatrices("m::gate", {4, 5, 6}, 1),
                       matricesOf("m::up", {4, 5, 6}, values)},
                      without),
              "m::up: expected finite values, found a NaN in expert 2");
    values[2 * 30 + 7] = -std::numeric_limits<float>::infinity();
    EXPECT_EQ(refusal({matricesOf("m::up", {4, 5, 6}, values)}, without),
              "m::up: expected finite values, found an infinity in expert 2");
    values[2 * 30 + 7] = 3e30f;
    EXPECT_EQ(refusal({matricesOf("m::up", {4, 5, 6}, values)}, without),
              "m::up: expected values whose squares are finite in f32, found "
              "larger ones");
  }
}

TEST(Similarity, refusesTheFirstOfSeveral) {
  // Of two bad blocks the earlier one is named, whichever thread is faster.
  std::vector<float> large(2 * 1500000, 1.0f), small(2 * 4, 1.0f);
  large[1500000 + 1400000] = NAN;
  small[5] = INFINITY;
  for (int round = 0; round < 5; ++round)
    EXPECT_EQ(refusal({matricesOf("first", {2, 1500, 1000}, large),
                       matricesOf("second", {2, 2, 2}, small)}),
              "first: expected finite values, found a NaN in expert 1");
}

/// A source that cannot be read.
class Unreadable final : public MatrixSource {
public:
  Unreadable() : MatrixSource("gone", {2, 2, 2}) {}

private:
  Status doRead(int64_t entry, std::span<float>) const override {
    return Error{"gone: cannot read " + std::to_string(entry)};
  }
};

TEST(Similarity, refusesSourcesThatDoNotFit) {
  EXPECT_EQ(refusal({}), "expected at least one weight to compare, found none");
  EXPECT_EQ(refusal({splatMatrices("w", {0, 2, 2}, 1)}),
            "w: expected from 1 to 4096 experts, found 0");
  EXPECT_EQ(refusal({splatMatrices("w", {4097, 2, 2}, 1)}),
            "w: expected from 1 to 4096 experts, found 4097");
  EXPECT_EQ(refusal({splatMatrices("a", {3, 2, 2}, 1),
                     splatMatrices("b", {4, 2, 2}, 1)}),
            "b: expected 3 experts, as a has, found 4");
  EXPECT_EQ(refusal({std::make_shared<Unreadable>()}), "gone: cannot read 0");
}

TEST(Similarity, manyExperts) {
  // More than one block, since 1 MiB is 64 values of each expert.
  Sources sources{seededMatrices("w", {4096, 5, 300}, 3, 1.0)};
  Result<Similarity> found = similarityOfWeights(sources, withThreads(1));
  ASSERT_TRUE(found) << found.error();
  std::vector<std::vector<double>> vectors = vectorsOf(sources);
  for (size_t i : {0, 1, 1000, 4095})
    for (size_t j : {2, 77, 4094})
      EXPECT_NEAR(found->cosines[i * 4096 + j],
                  dot(vectors[i], vectors[j]) /
                      std::sqrt(dot(vectors[i], vectors[i]) *
                                dot(vectors[j], vectors[j])),
                  1e-6);
}

TEST(Similarity, ofCentroids) {
  for (int64_t experts : {1, 2, 7, 20}) {
    std::vector<float> values = seededValues(uint32_t(experts), experts * 11);
    std::vector<std::vector<double>> vectors;
    for (int64_t i = 0; i < experts; ++i)
      vectors.emplace_back(values.begin() + i * 11,
                           values.begin() + (i + 1) * 11);
    Result<Similarity> found =
        similarityOfCentroids(experts, std::span<const float>(values));
    ASSERT_TRUE(found) << found.error();
    expectCosines(*found, vectors, 1e-12);
    EXPECT_TRUE(found->withoutDirection.empty());
    std::vector<double> wide(values.begin(), values.end());
    Result<Similarity> same =
        similarityOfCentroids(experts, std::span<const double>(wide));
    ASSERT_TRUE(same) << same.error();
    EXPECT_EQ(found->cosines, same->cosines);
  }
}

TEST(Similarity, centroidsNeverSeen) {
  std::vector<double> values{1, 0, 0, 0, 1, 0, 0, 0};
  Result<Similarity> found =
      similarityOfCentroids(4, std::span<const double>(values));
  ASSERT_TRUE(found) << found.error();
  EXPECT_EQ(found->withoutDirection, (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(found->cosines, (std::vector<double>{1, 0, 1, 0, 0, 1, 0, 0, 1, 0,
                                                 1, 0, 0, 0, 0, 1}));
  // Neither large nor small values are lost on the way.
  std::vector<double> extreme{1e300, 0, 1e-300, 1e-300};
  found = similarityOfCentroids(2, std::span<const double>(extreme));
  ASSERT_TRUE(found) << found.error();
  EXPECT_NEAR(found->cosines[1], std::sqrt(0.5), 1e-12);
}

TEST(Similarity, refusesCentroidsThatDoNotFit) {
  auto refuse = [](int64_t experts, std::vector<double> values) {
    Result<Similarity> found =
        similarityOfCentroids(experts, std::span<const double>(values));
    EXPECT_FALSE(found);
    return found.error();
  };
  EXPECT_EQ(refuse(0, {}), "expected from 1 to 4096 experts, found 0");
  EXPECT_EQ(refuse(2, {}), "expected centroids of 2 experts, found 0 values");
  EXPECT_EQ(refuse(2, {1, 2, 3}),
            "expected centroids of 2 experts, found 3 values");
  EXPECT_EQ(refuse(2, {1, 2, 3, NAN}),
            "expected finite centroids, found one of expert 1 that is not");
}

TEST(Similarity, combined) {
  Similarity weights{2, {1, 0.5, 0.5, 1}, {1, 1}, {}};
  Similarity centroids{2, {1, -0.25, -0.25, 1}, {1, 1}, {}};
  EXPECT_EQ(*combineSimilarities(1, weights, centroids), weights.cosines);
  EXPECT_EQ(*combineSimilarities(0, weights, centroids), centroids.cosines);
  EXPECT_EQ(*combineSimilarities(0.75, weights, centroids),
            (std::vector<double>{1, 0.3125, 0.3125, 1}));
  Similarity three{3, std::vector<double>(9, 1.0), {1, 1, 1}, {}};
  auto refuse = [&](double alpha, const Similarity &other) {
    Result<std::vector<double>> found =
        combineSimilarities(alpha, weights, other);
    EXPECT_FALSE(found);
    return found.error();
  };
  EXPECT_EQ(refuse(-0.5, centroids),
            "expected alpha from 0 to 1, found -0.500000");
  EXPECT_EQ(refuse(1.5, centroids),
            "expected alpha from 0 to 1, found 1.500000");
  EXPECT_EQ(refuse(NAN, centroids), "expected alpha from 0 to 1, found nan");
  EXPECT_EQ(refuse(0.5, three),
            "expected centroids of 2 experts, as the weights have, found 3");
}

} // namespace
