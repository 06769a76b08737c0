// Tests of weights computed from other weights (docs/spec.md section 2).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Recipes.h"

#include "SyntheticExperts.h"
#include "weights/ExpertFactors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

using namespace moec::weights;
using namespace moec::weights::testing;

namespace {

using Floats = std::vector<float>;
using Table = std::vector<int32_t>;

/// Values in memory, and how often entries were read.
class CountedMatrices final : public MatrixSource {
public:
  CountedMatrices(const MatrixShape &shape, Floats values)
      : MatrixSource("counted", shape), values(std::move(values)) {}

  mutable std::atomic<int> reads = 0;

private:
  Status doRead(int64_t entry, std::span<float> result) const override {
    ++reads;
    // Long enough for others to ask meanwhile.
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::copy_n(values.begin() + entry * int64_t(result.size()), result.size(),
                result.begin());
    return success();
  }

  Floats values;
};

/// Entries that cannot be read.
class BrokenMatrices final : public MatrixSource {
public:
  explicit BrokenMatrices(const MatrixShape &shape)
      : MatrixSource("broken", shape) {}

private:
  Status doRead(int64_t entry, std::span<float>) const override {
    return Error{"broken: cannot read entry " + std::to_string(entry)};
  }
};

MatrixSourcePtr source(const MatrixShape &shape, Floats values) {
  return matricesOf("w", shape, std::move(values));
}

Floats all(const Result<MatrixSourcePtr> &matrices) {
  if (!matrices) {
    ADD_FAILURE() << matrices.error();
    return {};
  }
  Result<Floats> values = readAll(**matrices);
  EXPECT_TRUE(values) << values.error();
  return values ? *values : Floats();
}

/// A source gives the same values in its own order as long as that order is one
/// for all: here sorted per entry.
void expectAnyOrderAgrees(const MatrixSource &matrices) {
  size_t size = size_t(matrices.shape().rows * matrices.shape().cols);
  for (int64_t entry = 0; entry < matrices.shape().entries; ++entry) {
    Floats rows(size), order(size);
    ASSERT_TRUE(matrices.read(entry, rows));
    size_t half = size / 2;
    ASSERT_TRUE(matrices.readAnyOrder(entry, 0, std::span(order).first(half)));
    ASSERT_TRUE(matrices.readAnyOrder(entry, int64_t(half),
                                      std::span(order).subspan(half)));
    std::sort(rows.begin(), rows.end());
    std::sort(order.begin(), order.end());
    EXPECT_EQ(rows, order);
  }
}

//===----------------------------------------------------------------------===//
// Means
//===----------------------------------------------------------------------===//

TEST(Recipes, meanOfEachTargetsEntries) {
  // Target 1 has no entry.
  auto of = source({3, 1, 2}, {1, 2, 3, 6, 10, 20});
  Result<MatrixSourcePtr> mean = meanMatrices("m", of, {0, 0, 2}, 3);
  EXPECT_EQ(all(mean), (Floats{2, 4, 0, 0, 10, 20}));
  EXPECT_EQ((*mean)->name(), "m");
  EXPECT_EQ((*mean)->shape(), (MatrixShape{3, 1, 2}));
  expectAnyOrderAgrees(**mean);
}

TEST(Recipes, meanSumsInDouble) {
  auto of = source({3, 1, 1}, {1e8f, 4, -1e8f});
  EXPECT_EQ(all(meanMatrices("m", of, {0, 0, 0}, 1))[0], float(4.0 / 3.0));
}

TEST(Recipes, meanInTheOrderOfStoredMatrices) {
  // Stored OUT x IN, read without turning them.
  auto owner = std::make_shared<Floats>(Floats{1, 2, 3, 4, 5, 6, 7, 8});
  auto bytes = [&](size_t first) {
    return std::span(reinterpret_cast<const uint8_t *>(owner->data() + first),
                     16);
  };
  auto of = storedMatrices(
      "w", {2, 2, 2},
      {{bytes(0), ElementType::F32}, {bytes(4), ElementType::F32}}, true,
      owner);
  ASSERT_TRUE(of) << of.error();
  auto mean = meanMatrices("m", *of, {0, 0}, 1);
  EXPECT_EQ(all(mean), (Floats{3, 5, 4, 6}));
  expectAnyOrderAgrees(**mean);
  Floats stored(2);
  ASSERT_TRUE((*mean)->readAnyOrder(0, 1, stored));
  EXPECT_EQ(stored, (Floats{4, 5}));
}

TEST(Recipes, weightedMean) {
  auto of = source({4, 1, 1}, {1, 5, 7, 9});
  EXPECT_EQ(all(meanMatrices("m", of, {0, 0, 1, 1}, 2, {3, 1, 0, 2})),
            (Floats{2, 9}));
  // All-zero weights say nothing: the plain mean. A target may be empty.
  EXPECT_EQ(all(meanMatrices("m", of, {0, 0, 2, 2}, 3, {0, 0, 1, 3})),
            (Floats{3, 0, 8.5}));
  // Weights whose sum is not finite.
  EXPECT_EQ(all(meanMatrices("m", of, {0, 0, 1, 1}, 2,
                             {1.5e308, 1.5e308, 1e-300, 1e-300})),
            (Floats{3, 8}));
}

TEST(Recipes, membersOfNoWeightAreNotRead) {
  auto counted =
      std::make_shared<CountedMatrices>(MatrixShape{2, 1, 1}, Floats{1, 2});
  EXPECT_EQ(all(meanMatrices("m", counted, {0, 0}, 1, {1, 0})), Floats{1});
  EXPECT_EQ(counted->reads, 1);
}

TEST(Recipes, meanRefuses) {
  auto of = source({2, 1, 2}, Floats(4));
  EXPECT_EQ(meanMatrices("m", of, {0}, 1).error(),
            "m: expected a table of 2 entries, found 1");
  EXPECT_EQ(meanMatrices("m", of, {0, 3}, 3).error(),
            "m: expected targets from 0 to 2 in the table, found 3 at entry 1");
  EXPECT_EQ(
      meanMatrices("m", of, {-1, 0}, 3).error(),
      "m: expected targets from 0 to 2 in the table, found -1 at entry 0");
  EXPECT_EQ(meanMatrices("m", of, {0, 0}, 0).error(),
            "m: expected at least one target of the table, found 0");
  EXPECT_EQ(meanMatrices("m", of, {0, 0}, 1, {1}).error(),
            "m: expected a weight for each of 2 entries, found 1");
  for (double weight : {-1.0, double(INFINITY), double(NAN)})
    EXPECT_EQ(meanMatrices("m", of, {0, 0}, 1, {1, weight}).error(),
              "m: expected finite weights of at least 0, found " +
                  std::to_string(weight) + " at entry 1");
  auto broken = std::make_shared<BrokenMatrices>(MatrixShape{2, 1, 1});
  EXPECT_EQ(readAll(**meanMatrices("m", broken, {0, 0}, 1)).error(),
            "broken: cannot read entry 0");
}

//===----------------------------------------------------------------------===//
// Permutations
//===----------------------------------------------------------------------===//

TEST(Recipes, permutesRowsOrColumns) {
  Floats values = {1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16};
  auto of = source({2, 2, 3}, values);
  auto rows = permutedMatrices("p", of, {1, 0, 0, 1}, MatrixSide::Input);
  EXPECT_EQ(all(rows), (Floats{4, 5, 6, 1, 2, 3, 11, 12, 13, 14, 15, 16}));
  // Result column f is column perm[f]: no round trip could tell the inverse.
  auto cols = permutedMatrices("p", of, {2, 0, 1, 0, 1, 2}, MatrixSide::Output);
  EXPECT_EQ(all(cols), (Floats{3, 1, 2, 6, 4, 5, 11, 12, 13, 14, 15, 16}));
  expectAnyOrderAgrees(**cols);
}

TEST(Recipes, permutationsAndTheirInversesCancel) {
  MatrixShape shape{3, 7, 5};
  Floats values = seededValues(1, 3 * 35);
  for (MatrixSide side : {MatrixSide::Input, MatrixSide::Output}) {
    int64_t count = side == MatrixSide::Input ? 7 : 5;
    Table order, inverse(size_t(3 * count));
    for (int64_t entry = 0; entry < 3; ++entry)
      for (int64_t i = 0; i < count; ++i) {
        order.push_back(int32_t((i * 3 + entry) % count));
        inverse[size_t(entry * count + order.back())] = int32_t(i);
      }
    auto there = permutedMatrices("p", source(shape, values), order, side);
    ASSERT_TRUE(there);
    EXPECT_NE(all(there), values);
    EXPECT_EQ(all(permutedMatrices("q", *there, inverse, side)), values);
  }
}

TEST(Recipes, permutationsAreChecked) {
  auto of = source({2, 2, 3}, Floats(12));
  EXPECT_EQ(permutedMatrices("p", of, {0, 1}, MatrixSide::Input).error(),
            "p: expected 2 permutations of 2 indices, found 2 indices");
  EXPECT_EQ(
      permutedMatrices("p", of, {0, 1, 1, 2}, MatrixSide::Input).error(),
      "p: expected indices from 0 to 1 in the permutation of entry 1, found 2 "
      "at 1");
  EXPECT_EQ(
      permutedMatrices("p", of, {0, 1, -1, 0}, MatrixSide::Input).error(),
      "p: expected indices from 0 to 1 in the permutation of entry 1, found -1 "
      "at 0");
  EXPECT_EQ(
      permutedMatrices("p", of, {0, 1, 2, 0, 1, 1}, MatrixSide::Output).error(),
      "p: expected each index once in the permutation of entry 1, found "
      "1 again at 2");
  auto broken = std::make_shared<BrokenMatrices>(MatrixShape{1, 1, 1});
  EXPECT_EQ(
      readAll(**permutedMatrices("p", broken, {0}, MatrixSide::Input)).error(),
      "broken: cannot read entry 0");
}

//===----------------------------------------------------------------------===//
// Encodings and caches
//===----------------------------------------------------------------------===//

TEST(Recipes, encodesEachEntry) {
  // int8 without a group has one scale an entry.
  for (Encoding encoding : {Encoding{Format::Int8}, Encoding{Format::BF16},
                            Encoding{Format::Int4, 4}}) {
    MatrixShape shape{3, 4, 2};
    Floats values = seededValues(1, 24);
    values[0] = 100;
    auto encoded = encodedMatrices("e", source(shape, values), encoding);
    EXPECT_EQ(all(encoded), *roundTrip(encoding, shape, values));
    expectAnyOrderAgrees(**encoded);
  }
}

TEST(Recipes, encodingNamesThePlace) {
  Floats values(16, 1.0f);
  values[13] = INFINITY;
  auto encoded = encodedMatrices("e", source({2, 4, 2}, values),
                                 Encoding{Format::Int8, 2});
  ASSERT_TRUE(encoded);
  Floats entry(8);
  EXPECT_TRUE((*encoded)->read(0, entry));
  EXPECT_EQ((*encoded)->read(1, entry).error(),
            "e: expected finite values for int8 group 2, found inf at [1, 2, "
            "1]");
  EXPECT_EQ(encodedMatrices("e", source({2, 3, 2}, Floats(12)),
                            Encoding{Format::Int8, 2})
                .error(),
            "e: " +
                verifyEncoding(Encoding{Format::Int8, 2}, {2, 3, 2}).error());
  auto broken = std::make_shared<BrokenMatrices>(MatrixShape{1, 1, 1});
  EXPECT_EQ(readAll(**encodedMatrices("e", broken, Encoding{})).error(),
            "broken: cannot read entry 0");
}

TEST(Recipes, cacheKeepsWhatWasReadLast) {
  auto counted = std::make_shared<CountedMatrices>(MatrixShape{3, 1, 2},
                                                   Floats{1, 2, 3, 4, 5, 6});
  MatrixSourcePtr cached = cachedMatrices(counted, 2);
  EXPECT_EQ(cached->name(), "counted");
  Floats entry(2);
  auto readsAfter = [&](int64_t index) {
    EXPECT_TRUE(cached->read(index, entry));
    EXPECT_EQ(entry, (Floats{float(2 * index + 1), float(2 * index + 2)}));
    return counted->reads.load();
  };
  EXPECT_EQ(readsAfter(0), 1);
  EXPECT_EQ(readsAfter(1), 2);
  EXPECT_EQ(readsAfter(0), 2);
  EXPECT_EQ(readsAfter(2), 3); // 1 was asked for longest ago
  EXPECT_EQ(readsAfter(0), 3);
  EXPECT_EQ(readsAfter(1), 4);
  Floats part(1);
  EXPECT_TRUE(cached->readAnyOrder(1, 1, part));
  EXPECT_EQ(part, Floats{4});
  EXPECT_EQ(counted->reads, 4);
  MatrixSourcePtr broken =
      cachedMatrices(std::make_shared<BrokenMatrices>(MatrixShape{1, 1, 2}), 0);
  EXPECT_EQ(broken->read(0, entry).error(), "broken: cannot read entry 0");
}

TEST(Recipes, cacheReadsOnceForManyThreads) {
  auto counted = std::make_shared<CountedMatrices>(MatrixShape{2, 1, 2},
                                                   Floats{1, 2, 3, 4});
  MatrixSourcePtr cached = cachedMatrices(counted, 2);
  EXPECT_TRUE(parallelFor(16, {8, {}}, [&](int64_t i) -> Status {
    Floats entry(2);
    Status status = cached->read(i % 2, entry);
    EXPECT_EQ(entry[0], i % 2 == 0 ? 1 : 3);
    return status;
  }));
  EXPECT_EQ(counted->reads, 2);
}

//===----------------------------------------------------------------------===//
// Residuals
//===----------------------------------------------------------------------===//

ResidualOptions withRank(int64_t rank) {
  ResidualOptions options;
  options.factorization.rank = rank;
  return options;
}

TEST(Recipes, residualOfADiagonal) {
  // diag(3, -4) minus zero: the first pair is 4, with U = e1 and V = -e1.
  Result<LowRankSources> factors =
      residualFactors("r", source({1, 2, 2}, {3, 0, 0, -4}),
                      splatMatrices("z", {1, 2, 2}, 0), {0}, withRank(2));
  ASSERT_TRUE(factors) << factors.error();
  EXPECT_EQ(factors->input->name(), "r.input");
  EXPECT_EQ(factors->output->name(), "r.output");
  float root = std::sqrt(3.0f);
  const float input[] = {0, root, 2, 0}, output[] = {0, -2, root, 0};
  Floats left = *readAll(*factors->input), right = *readAll(*factors->output);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(left[i], input[i], 1e-6f);
    EXPECT_NEAR(right[i], output[i], 1e-6f);
  }
}

TEST(Recipes, residualTakesTheBaseOfTheEntrysTarget) {
  MatrixShape shape{3, 6, 5};
  Floats values = seededValues(1, 3 * 30), base = seededValues(2, 2 * 30);
  Table table = {1, 0, 1};
  Result<LowRankSources> factors = residualFactors(
      "r", source(shape, values), source({2, 6, 5}, base), table, withRank(5));
  ASSERT_TRUE(factors);
  EXPECT_EQ(factors->input->shape(), (MatrixShape{3, 6, 5}));
  EXPECT_EQ(factors->output->shape(), (MatrixShape{3, 5, 5}));
  for (int64_t e = 0; e < 3; ++e) {
    Floats left(30), right(25);
    ASSERT_TRUE(factors->input->read(e, left));
    ASSERT_TRUE(factors->output->read(e, right));
    std::vector<double> rebuilt = product(left, right, 6, 5, 5);
    for (size_t i = 0; i < 30; ++i)
      EXPECT_NEAR(rebuilt[i],
                  values[size_t(e) * 30 + i] -
                      base[size_t(table[size_t(e)]) * 30 + i],
                  1e-5f);
  }
  expectAnyOrderAgrees(*factors->input);
  expectAnyOrderAgrees(*factors->output);
}

TEST(Recipes, residualComputesOnceForBothFactors) {
  SyntheticExperts experts(6, 1, 8, 6, 2, 1, 0);
  auto counted =
      std::make_shared<CountedMatrices>(MatrixShape{6, 8, 6}, experts.weights);
  auto base = source({1, 8, 6}, experts.bases);
  LowRankSources factors =
      *residualFactors("r", counted, base, experts.table, withRank(2));
  Floats left(16), right(12);
  for (int64_t entry = 0; entry < 6; ++entry) {
    EXPECT_TRUE(factors.input->read(entry, left));
    EXPECT_TRUE(factors.output->read(entry, right));
  }
  EXPECT_EQ(counted->reads, 6);
  // The last four are there, the others no more.
  EXPECT_TRUE(factors.input->read(2, left));
  EXPECT_EQ(counted->reads, 6);
  EXPECT_TRUE(factors.input->read(0, left));
  EXPECT_EQ(counted->reads, 7);
  // With room for all, one factor may be read after the other.
  factors = *residualFactors("r", counted, base, experts.table, withRank(2), 6);
  counted->reads = 0;
  EXPECT_TRUE(readAll(*factors.output));
  EXPECT_TRUE(readAll(*factors.input));
  EXPECT_EQ(counted->reads, 6);
  // Threads that read both factors of an entry compute it once.
  counted->reads = 0;
  factors = *residualFactors("r", counted, base, experts.table, withRank(2), 6);
  EXPECT_TRUE(parallelFor(12, {4, {}}, [&](int64_t i) -> Status {
    Floats half(size_t(i % 2 ? 12 : 16));
    return (i % 2 ? *factors.output : *factors.input).read(i / 2, half);
  }));
  EXPECT_EQ(counted->reads, 6);
}

TEST(Recipes, ranksOfSingleEntries) {
  SyntheticExperts experts(3, 1, 8, 6, 6, 1, 0);
  ResidualOptions options = withRank(4);
  options.factorization.paddedRank = 5;
  options.ranks = {4, 0, 2};
  auto of = source({3, 8, 6}, experts.weights);
  auto base = source({1, 8, 6}, experts.bases);
  LowRankSources factors =
      *residualFactors("r", of, base, experts.table, options);
  EXPECT_EQ(factors.input->shape(), (MatrixShape{3, 8, 5}));
  Floats left = *readAll(*factors.input);
  for (size_t entry = 0; entry < 3; ++entry)
    for (size_t row = 0; row < 8; ++row)
      for (size_t r = 0; r < 5; ++r)
        EXPECT_EQ(left[(entry * 8 + row) * 5 + r] != 0,
                  int64_t(r) < options.ranks[entry]);
}

TEST(Recipes, residualFitsTheQuantisedBase) {
  // The residual of what int4 leaves of the base takes up some of the loss.
  SyntheticExperts experts(8, 2, 64, 48, 4, 0.3, 0.01);
  auto of = source({8, 64, 48}, experts.weights);
  MatrixSourcePtr mean = *meanMatrices("m", of, experts.table, 2);
  MatrixSourcePtr coded =
      *encodedMatrices("c", mean, Encoding{Format::Int4, 32});
  double refitted = 0, unaware = 0;
  LowRankSources aware =
      *residualFactors("r", of, coded, experts.table, withRank(12));
  LowRankSources blind =
      *residualFactors("r", of, mean, experts.table, withRank(12));
  refitted = measureExperts(of, coded, experts.table, aware)->meanRelative();
  unaware = measureExperts(of, coded, experts.table, blind)->meanRelative();
  EXPECT_LT(refitted, 0.9 * unaware);
}

TEST(Recipes, residualWhitensWithMoments) {
  // One diagonal for all, and a full matrix for each.
  SyntheticExperts experts(2, 1, 6, 5, 5, 1, 0);
  auto of = source({2, 6, 5}, experts.weights);
  auto base = source({1, 6, 5}, experts.bases);
  ResidualOptions options = withRank(2);
  Floats diagonal = {9, 9, 1, 1, 0.01f, 0.01f}, full(72);
  for (size_t i = 0; i < 6; ++i) {
    full[i * 7] = diagonal[i];
    full[36 + i * 7] = diagonal[5 - i];
  }
  auto leftOf = [&](MatrixShape shape, Floats moments) {
    options.inputs.moments = matricesOf("moments", shape, std::move(moments));
    return *readAll(
        *residualFactors("r", of, base, experts.table, options)->input);
  };
  options.inputs = {};
  Floats plain =
      *readAll(*residualFactors("r", of, base, experts.table, options)->input);
  Floats common = leftOf({1, 1, 6}, diagonal);
  Floats own = leftOf({2, 6, 6}, full);
  double first = 0, second = 0, apart = 0;
  for (size_t i = 0; i < 12; ++i) {
    first += std::abs(common[i] - own[i]);
    second += std::abs(common[12 + i] - own[12 + i]);
    apart += std::abs(common[i] - plain[i]);
  }
  EXPECT_LT(first, 1e-5);
  EXPECT_GT(second, 0.1);
  EXPECT_GT(apart, 0.1);
}

TEST(Recipes, residualRefuses) {
  auto of = source({2, 3, 2}, Floats(12));
  auto base = matricesOf("b", {1, 3, 2}, Floats(6));
  auto error = [&](Table table, const ResidualOptions &options) {
    return residualFactors("r", of, base, table, options).error();
  };
  EXPECT_EQ(error({0, 0}, withRank(3)),
            "w: expected a rank from 1 to 2, found 3");
  EXPECT_EQ(error({0, 0}, withRank(0)),
            "w: expected a rank from 1 to 2, found 0");
  EXPECT_EQ(error({0, 1}, withRank(1)),
            "w: expected targets from 0 to 0 in the table, found 1 at entry 1");
  EXPECT_EQ(error({0}, withRank(1)),
            "w: expected a table of 2 entries, found 1");
  ResidualOptions options = withRank(2);
  options.ranks = {1};
  EXPECT_EQ(error({0, 0}, options),
            "w: expected a rank for each of 2 entries, found 1");
  options.ranks = {1, 3};
  EXPECT_EQ(error({0, 0}, options),
            "w: expected ranks from 0 to 2, found 3 at entry 1");
  options.ranks = {-1, 1};
  EXPECT_EQ(error({0, 0}, options),
            "w: expected ranks from 0 to 2, found -1 at entry 0");
  options.ranks.clear();
  for (MatrixShape shape :
       {MatrixShape{3, 1, 3}, MatrixShape{1, 2, 3}, MatrixShape{1, 1, 2}}) {
    options.inputs.moments = splatMatrices("m", shape, 1);
    EXPECT_EQ(error({0, 0}, options),
              "m: expected second moments [1 or 2, 1 or 3, 3] for w, found [" +
                  std::to_string(shape.entries) + ", " +
                  std::to_string(shape.rows) + ", " +
                  std::to_string(shape.cols) + "]");
  }
  EXPECT_EQ(residualFactors("r", of, splatMatrices("b", {1, 2, 3}, 0), {0, 0},
                            withRank(1))
                .error(),
            "b: expected a base of 3 x 2 for w, found 2 x 3");
}

TEST(Recipes, residualNamesWhatItCannotRead) {
  Floats values(12);
  values[9] = NAN;
  auto of = matricesOf("model::gate", {2, 3, 2}, values);
  auto base = matricesOf("b", {1, 3, 2}, Floats(6));
  LowRankSources factors = *residualFactors("r", of, base, {0, 0}, withRank(1));
  Floats left(3), right(2);
  EXPECT_TRUE(factors.input->read(0, left));
  EXPECT_EQ(factors.output->read(1, right).error(),
            "model::gate: expected finite values, found nan at [1, 1, 1]");
  factors = *residualFactors("r", base, of, {1}, withRank(1));
  EXPECT_EQ(factors.output->read(0, right).error(),
            "model::gate: expected finite values, found nan at [1, 1, 1]");
  auto broken = std::make_shared<BrokenMatrices>(MatrixShape{1, 3, 2});
  factors = *residualFactors("r", broken, base, {0}, withRank(1));
  EXPECT_EQ(factors.input->read(0, left).error(),
            "broken: cannot read entry 0");
  factors = *residualFactors("r", base, broken, {0}, withRank(1));
  EXPECT_EQ(factors.input->read(0, left).error(),
            "broken: cannot read entry 0");
  ResidualOptions options = withRank(1);
  options.inputs.moments =
      std::make_shared<BrokenMatrices>(MatrixShape{1, 1, 3});
  factors = *residualFactors("r", base, base, {0}, options);
  EXPECT_EQ(factors.input->read(0, left).error(),
            "broken: cannot read entry 0");
  // Moments of each entry are named by it.
  options.inputs.moments = matricesOf("m", {2, 1, 3}, {1, 1, 1, 1, 1, -1});
  factors = *residualFactors("r", of, base, {0, 0}, options);
  EXPECT_EQ(factors.input->read(1, left).error(),
            "m entry 1: expected second moments of at least 0, found -1.000000 "
            "of feature 2");
}

} // namespace
