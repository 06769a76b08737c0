// Tests of mixes of bases: against what is known in closed form of one basis
// and of as many as experts, and against mixes that were planted.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/BasisMix.h"

#include "weights/ExpertFactors.h"
#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace moec::weights;

namespace {

using Floats = std::vector<float>;

/// Row-major rows x inner times inner x cols.
Floats product(const float *left, const float *right, int64_t rows,
               int64_t inner, int64_t cols) {
  Floats result(size_t(rows * cols), 0.f);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t k = 0; k < inner; ++k)
      for (int64_t j = 0; j < cols; ++j)
        result[size_t(i * cols + j)] +=
            left[i * inner + k] * right[k * cols + j];
  return result;
}

double norm(const Floats &values) {
  double sum = 0;
  for (float value : values)
    sum += double(value) * double(value);
  return std::sqrt(sum);
}

/// Without the preference for small factors, which closed forms do not have.
BasisMixOptions exactly(int64_t bases, int64_t rank, MatrixSide side) {
  BasisMixOptions options{bases, rank, side};
  options.noise = 0;
  options.steps = 2000;
  return options;
}

BasisMix fit(const MatrixShape &shape, const Floats &values,
             const BasisMixOptions &options,
             const ParallelOptions &parallel = {}) {
  auto mix = fitBasisMix(*matricesOf("w", shape, values), options, parallel);
  EXPECT_TRUE(bool(mix)) << mix.error();
  return mix ? *mix : BasisMix();
}

/// Mixes and factors of all experts, as sources of bases and coefficients give
/// them.
std::pair<Floats, Floats> mixesAndFactors(const BasisMix &mix,
                                          const MatrixShape &shape,
                                          const Floats &values,
                                          const BasisMixOptions &options) {
  auto parts = basisMixSources("mix", shape, options,
                               [&]() -> Result<BasisMix> { return mix; });
  auto mixed =
      *mixedMatrices("mixed", parts.bases, parts.coefficients, options.map);
  auto factors = *leastSquaresFactors("own", matricesOf("w", shape, values),
                                      mixed, options.side, options.noise);
  return {*readAll(*mixed), *readAll(*factors)};
}

/// What they stand for.
Floats expand(const BasisMix &mix, const MatrixShape &shape,
              const Floats &values, const BasisMixOptions &options) {
  auto [left, right] = mixesAndFactors(mix, shape, values, options);
  Floats result;
  if (options.side == MatrixSide::Output)
    std::swap(left, right);
  for (int64_t i = 0; i < shape.entries; ++i) {
    Floats one = product(left.data() + i * shape.rows * options.rank,
                         right.data() + i * options.rank * shape.cols,
                         shape.rows, options.rank, shape.cols);
    result.insert(result.end(), one.begin(), one.end());
  }
  return result;
}

/// Squared error of all experts together.
double squaredError(const MatrixShape &shape, const Floats &values,
                    const BasisMixOptions &options) {
  Floats found = expand(fit(shape, values, options), shape, values, options);
  for (size_t i = 0; i < found.size(); ++i)
    found[i] -= values[i];
  return std::pow(norm(found), 2);
}

/// What the best products of a rank leave of each matrix, squared, together.
double errorOfProducts(const MatrixShape &shape, const Floats &values,
                       int64_t rank) {
  ResidualOptions options;
  options.factorization.rank = rank;
  options.factorization.method = SvdMethod::Exact;
  auto spectra = residualSpectra(
      matricesOf("w", shape, values),
      splatMatrices("zero", {1, shape.rows, shape.cols}, 0),
      std::vector<int32_t>(size_t(shape.entries), 0), 0, options);
  EXPECT_TRUE(bool(spectra)) << spectra.error();
  double sum = 0;
  for (const Spectrum &spectrum : *spectra)
    sum += spectrum.squaredError(rank);
  return sum;
}

class BasisMixOn : public ::testing::TestWithParam<MatrixSide> {};

TEST_P(BasisMixOn, asManyBasesAsExpertsAreTheBestProducts) {
  MatrixShape shape{5, 9, 7};
  Floats values = seededValues(3, 5 * 9 * 7);
  double best = errorOfProducts(shape, values, 3);
  EXPECT_NEAR(squaredError(shape, values, exactly(5, 3, GetParam())), best,
              1e-4 * best);
}

TEST_P(BasisMixOn, oneBasisIsTheBestCommonSide) {
  // Experts beside one another share their left factor; on top of one another,
  // their right one: one SVD of all tells what it leaves.
  bool isInput = GetParam() == MatrixSide::Input;
  MatrixShape shape{4, 8, 6};
  Floats values = seededValues(4, 4 * 8 * 6);
  MatrixShape joined = isInput ? MatrixShape{1, 8, 24} : MatrixShape{1, 32, 6};
  Floats together(values.size());
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t r = 0; r < 8; ++r)
      for (int64_t c = 0; c < 6; ++c)
        together[size_t(isInput ? r * 24 + i * 6 + c : (i * 8 + r) * 6 + c)] =
            values[size_t((i * 8 + r) * 6 + c)];
  double best = errorOfProducts(joined, together, 3);
  EXPECT_NEAR(squaredError(shape, values, exactly(1, 3, GetParam())), best,
              1e-4 * best);
}

/// Experts that are such mixes.
Floats plant(const MatrixShape &shape, const BasisMixOptions &options) {
  bool isInput = options.side == MatrixSide::Input;
  int64_t ofBases = options.rank * (isInput ? shape.rows : shape.cols);
  int64_t ofFactors = options.rank * (isInput ? shape.cols : shape.rows);
  BasisMix planted;
  planted.bases = seededValues(5, options.bases * ofBases);
  planted.coefficients = seededValues(6, shape.entries * options.bases);
  auto parts = basisMixSources("mix", shape, options,
                               [&]() -> Result<BasisMix> { return planted; });
  auto source =
      *mixedMatrices("mixed", parts.bases, parts.coefficients, options.map);
  Floats mixed = *readAll(*source);
  Floats factors = seededValues(7, shape.entries * ofFactors), result;
  for (int64_t i = 0; i < shape.entries; ++i) {
    const float *left = mixed.data() + i * ofBases;
    const float *right = factors.data() + i * ofFactors;
    if (!isInput)
      std::swap(left, right);
    Floats one = product(left, right, shape.rows, options.rank, shape.cols);
    result.insert(result.end(), one.begin(), one.end());
  }
  return result;
}

TEST_P(BasisMixOn, comesNearAPlantedMix) {
  MatrixShape shape{12, 10, 8};
  for (MixMap map : {MixMap::Identity, MixMap::Silu, MixMap::Tanh}) {
    BasisMixOptions options = exactly(3, 4, GetParam());
    options.map = map;
    Floats values = plant(shape, options);
    // A local optimum: nothing else is promised. One basis leaves much more.
    double error = squaredError(shape, values, options);
    EXPECT_LT(std::sqrt(error), 0.25 * norm(values));
    BasisMixOptions one = options;
    one.bases = 1;
    EXPECT_LT(error, 0.75 * squaredError(shape, values, one));
  }
}

TEST_P(BasisMixOn, moreBasesLeaveLess) {
  MatrixShape shape{8, 12, 9};
  Floats values = seededValues(8, 8 * 12 * 9);
  double last = std::numeric_limits<double>::infinity();
  for (int64_t bases : {1, 2, 4, 8}) {
    double error = squaredError(shape, values, exactly(bases, 4, GetParam()));
    EXPECT_LT(error, last);
    last = error;
  }
}

/// What a fit minimises.
double objective(const BasisMix &mix, const MatrixShape &shape,
                 const Floats &values, const BasisMixOptions &options) {
  auto [left, right] = mixesAndFactors(mix, shape, values, options);
  size_t ofMix = left.size() / size_t(shape.entries);
  size_t ofFactor = right.size() / size_t(shape.entries);
  Floats all = expand(mix, shape, values, options);
  double sum = 0;
  for (size_t i = 0; i < size_t(shape.entries); ++i) {
    Floats one(left.begin() + int64_t(i * ofMix),
               left.begin() + int64_t((i + 1) * ofMix));
    Floats other(right.begin() + int64_t(i * ofFactor),
                 right.begin() + int64_t((i + 1) * ofFactor));
    sum += 2 * std::pow(options.noise * norm(one) * norm(other), 2) /
           double(options.rank);
  }
  for (size_t n = 0; n < all.size(); ++n)
    sum += std::pow(double(all[n]) - double(values[n]), 2);
  return sum;
}

TEST_P(BasisMixOn, nothingNearIsBetter) {
  MatrixShape shape{5, 8, 6};
  Floats values = seededValues(14, 5 * 8 * 6);
  for (MixMap map : {MixMap::Identity, MixMap::Silu, MixMap::Tanh}) {
    BasisMixOptions options = exactly(2, 3, GetParam());
    options.map = map;
    options.noise = 0.3;
    BasisMix found = fit(shape, values, options);
    double least = objective(found, shape, values, options);
    for (uint32_t seed = 0; seed < 40; ++seed) {
      BasisMix near = found;
      Floats ofBases = seededValues(seed, int64_t(near.bases.size()), 0.01);
      for (size_t n = 0; n < ofBases.size(); ++n)
        near.bases[n] += ofBases[n];
      for (float &coefficient : near.coefficients)
        coefficient *= 1 + (seed % 2 ? 0.01f : -0.01f);
      EXPECT_GT(objective(near, shape, values, options), least * (1 - 1e-6));
    }
  }
}

TEST_P(BasisMixOn, saysItsErrorsWhateverTheThreads) {
  MatrixShape shape{6, 7, 11};
  Floats values = seededValues(9, 6 * 7 * 11);
  BasisMixOptions options{2, 3, GetParam()};
  BasisMix mix = fit(shape, values, options);
  Floats expanded = expand(mix, shape, values, options);
  for (size_t i = 0; i < 6; ++i) {
    Floats expert(values.begin() + int64_t(i) * 77,
                  values.begin() + int64_t(i + 1) * 77);
    Floats difference = expert;
    for (size_t n = 0; n < 77; ++n)
      difference[n] -= expanded[i * 77 + n];
    EXPECT_NEAR(mix.relativeErrors[i], norm(difference) / norm(expert), 1e-5);
  }
  for (int64_t threads : {1, 3}) {
    BasisMix again = fit(shape, values, options, {threads, {}});
    EXPECT_EQ(again.bases, mix.bases);
    EXPECT_EQ(again.coefficients, mix.coefficients);
  }
}

TEST_P(BasisMixOn, basesAreOrthonormalUpToTheirSize) {
  MatrixShape shape{6, 8, 8};
  BasisMix mix =
      fit(shape, seededValues(12, 6 * 64), BasisMixOptions{3, 4, GetParam()});
  for (size_t m = 0; m < 3; ++m)
    for (size_t n = 0; n < 3; ++n) {
      double sum = 0;
      for (size_t j = 0; j < 32; ++j)
        sum += double(mix.bases[m * 32 + j]) * double(mix.bases[n * 32 + j]);
      EXPECT_NEAR(sum / 32, m == n, 1e-4);
    }
}

TEST_P(BasisMixOn, noiseKeepsRoundedPartsWorthWhatTheyWere) {
  bool isInput = GetParam() == MatrixSide::Input;
  MatrixShape shape{12, isInput ? 48 : 32, isInput ? 32 : 48};
  BasisMixOptions options = exactly(3, 32, GetParam());
  Floats values = seededValues(13, 12 * 48 * 32);
  // What is left when all is stored in few bits.
  auto stored = [&](double noise) {
    options.noise = noise;
    BasisMix mix = fit(shape, values, options);
    Encoding bits;
    bits.format = Format::Int4;
    bits.group = 16;
    auto parts = basisMixSources("mix", shape, options,
                                 [&]() -> Result<BasisMix> { return mix; });
    auto bases = *encodedMatrices("bases", parts.bases, bits);
    auto mixed =
        *mixedMatrices("mixed", bases, parts.coefficients, options.map);
    auto of = matricesOf("w", shape, values);
    auto factors = *encodedMatrices(
        "own", *leastSquaresFactors("own", of, mixed, options.side, noise),
        bits);
    LowRankSources product{mixed, factors};
    if (options.side == MatrixSide::Output)
      std::swap(product.input, product.output);
    return measureExperts(of,
                          splatMatrices("zero", {1, shape.rows, shape.cols}, 0),
                          std::vector<int32_t>(12, 0), product)
        ->meanRelative();
  };
  EXPECT_LT(stored(0.07), 0.9 * stored(0));
}

INSTANTIATE_TEST_SUITE_P(Sides, BasisMixOn,
                         ::testing::Values(MatrixSide::Input,
                                           MatrixSide::Output));

TEST(BasisMix, zerosAreFittedByZeros) {
  MatrixShape shape{3, 4, 5};
  Floats zeros(60, 0.f);
  BasisMix mix = fit(shape, zeros, {2, 2});
  for (float value : expand(mix, shape, zeros, {2, 2}))
    EXPECT_EQ(value, 0);
  EXPECT_EQ(mix.relativeErrors, std::vector<double>(3, 0.0));
}

TEST(BasisMix, sourcesAreWhatTheFitSaysAndItIsMadeOnce) {
  MatrixShape shape{4, 6, 5};
  Floats values = seededValues(10, 4 * 6 * 5);
  for (MatrixSide side : {MatrixSide::Input, MatrixSide::Output}) {
    BasisMixOptions options{2, 3, side};
    BasisMix mix = fit(shape, values, options);
    int made = 0;
    auto sources =
        basisMixSources("mix", shape, options, [&]() -> Result<BasisMix> {
          ++made;
          return mix;
        });
    bool isInput = side == MatrixSide::Input;
    EXPECT_EQ(sources.bases->shape(),
              (isInput ? MatrixShape{2, 6, 3} : MatrixShape{2, 3, 5}));
    EXPECT_EQ(sources.coefficients->shape(), (MatrixShape{4, 1, 2}));
    EXPECT_EQ(sources.bases->name(), "mix.bases");
    EXPECT_EQ(made, 0);
    EXPECT_EQ(*readAll(*sources.coefficients), mix.coefficients);
    EXPECT_EQ(*readAll(*sources.bases), mix.bases);
    EXPECT_EQ(made, 1);
  }
}

TEST(BasisMix, refusesWhatDoesNotFit) {
  Floats values = seededValues(11, 4 * 6 * 5);
  auto of = matricesOf("w", {4, 6, 5}, values);
  EXPECT_EQ(fitBasisMix(*of, {0, 2}).error(),
            "w: expected 1 to 4 bases, found 0");
  EXPECT_EQ(fitBasisMix(*of, {5, 2}).error(),
            "w: expected 1 to 4 bases, found 5");
  EXPECT_EQ(fitBasisMix(*of, {2, 6}).error(),
            "w: expected bases of rank 1 to 5, found 6");
  EXPECT_EQ(mixedMatrices("m", of, of, MixMap::Identity).error(),
            "w: expected 1 x 4 coefficients, found 6 x 5");
  auto other = splatMatrices("left", {3, 5, 2}, 1);
  EXPECT_EQ(leastSquaresFactors("f", of, other, MatrixSide::Input).error(),
            "left: expected 4 factors with 6 rows, found 3 of 5 x 2");
  EXPECT_EQ(leastSquaresFactors("f", of, other, MatrixSide::Output).error(),
            "left: expected 4 factors with 5 columns, found 3 of 5 x 2");
  values[37] = std::numeric_limits<float>::quiet_NaN();
  auto broken = fitBasisMix(*matricesOf("w", {4, 6, 5}, values), {2, 2});
  EXPECT_EQ(broken.error(),
            "w: expected finite values, found nan at [1, 1, 2]");
}

} // namespace
