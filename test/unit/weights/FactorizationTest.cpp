// Tests of truncated SVDs, whitening and errors. Numbers marked NumPy were
// computed apart, in f64, from the same seeded values.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Factorization.h"

#include "SyntheticExperts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace moec::weights;
using namespace moec::weights::testing;

namespace {

using Floats = std::vector<float>;

Difference plain(int64_t rows, int64_t cols, const Floats &weight,
                 const Floats &base = {}) {
  return {rows, cols, weight, base, "w", "b", 0, 0};
}

FactorizationOptions withRank(int64_t rank,
                              SvdMethod method = SvdMethod::Automatic) {
  FactorizationOptions options;
  options.rank = rank;
  options.method = method;
  return options;
}

double errorOf(const Floats &weight, const LowRankFactors &factors,
               int64_t rows, int64_t cols) {
  return squaredError(weight, factors.input, factors.output, rows, cols);
}

//===----------------------------------------------------------------------===//
// Plain
//===----------------------------------------------------------------------===//

TEST(Factorization, singularValuesOfNumPy) {
  const double expected[] = {3.19029356, 2.64341602, 2.08236006,
                             1.95404483, 1.5652122,  1.50176821,
                             1.35358089, 1.05029397, 0.753336108};
  Floats weight = seededValues(4, 12 * 9);
  Result<LowRankFactors> factors =
      factorize(plain(12, 9, weight), withRank(9, SvdMethod::Exact));
  ASSERT_TRUE(factors) << factors.error();
  Result<LowRankFactors> sketched =
      factorize(plain(12, 9, weight), withRank(9, SvdMethod::Randomized));
  ASSERT_TRUE(sketched) << sketched.error();
  Result<Spectrum> all = spectrumOf(plain(12, 9, weight));
  ASSERT_TRUE(all) << all.error();
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_NEAR(factors->spectrum.values[i], expected[i], 1e-8);
    // The sketch has all columns, so only f32 is between.
    EXPECT_NEAR(sketched->spectrum.values[i], expected[i], 3e-6);
    EXPECT_NEAR(all->values[i], expected[i], 1e-8);
  }
}

TEST(Factorization, errorIsThatOfEckartYoung) {
  // Measured on the factors, and told by the singular values.
  constexpr int64_t rows = 60, cols = 45;
  Floats weight = seededValues(5, rows * cols);
  Spectrum all = *spectrumOf(plain(rows, cols, weight));
  EXPECT_NEAR(all.squaredNorm, squaredNorm(weight), 1e-9);
  EXPECT_NEAR(all.weightSquaredNorm, all.squaredNorm, 1e-9);
  EXPECT_EQ(all.values.size(), 45u);
  for (int64_t rank : {1, 7, 44, 45}) {
    Result<LowRankFactors> factors =
        factorize(plain(rows, cols, weight), withRank(rank, SvdMethod::Exact));
    ASSERT_TRUE(factors);
    double measured = errorOf(weight, *factors, rows, cols);
    // Factors are rounded to f32: relative to the squared norm of about 900.
    EXPECT_NEAR(measured, factors->spectrum.squaredError(rank), 1e-6) << rank;
    EXPECT_NEAR(measured, all.squaredError(rank), 1e-6) << rank;
    EXPECT_NEAR(all.relativeError(rank), std::sqrt(measured / all.squaredNorm),
                1e-4);
  }
  EXPECT_EQ(all.squaredError(45), 0);
  EXPECT_NEAR(all.squaredError(0), all.squaredNorm, 1e-9);
}

TEST(Factorization, sketchComesCloseToTheBest) {
  // Wide and tall; a flat spectrum is the hard case, a decaying one the easy.
  // Tolerances are of squared errors.
  struct Case {
    int64_t rows, cols;
    double decay, tolerance;
  };
  for (const Case &c : {Case{300, 160, 0.9, 1e-4}, Case{160, 300, 0.9, 1e-4},
                        Case{300, 160, 1, 0.02}, Case{160, 300, 1, 0.02}}) {
    Floats weight = decaying(c.rows, c.cols, c.decay, 3);
    Result<LowRankFactors> best = factorize(plain(c.rows, c.cols, weight),
                                            withRank(12, SvdMethod::Exact));
    Result<LowRankFactors> sketched = factorize(
        plain(c.rows, c.cols, weight), withRank(12, SvdMethod::Randomized));
    ASSERT_TRUE(best && sketched);
    EXPECT_EQ(best->method, SvdMethod::Exact);
    EXPECT_EQ(sketched->method, SvdMethod::Randomized);
    double least = errorOf(weight, *best, c.rows, c.cols);
    double found = errorOf(weight, *sketched, c.rows, c.cols);
    EXPECT_GE(found, least * (1 - 1e-5));
    EXPECT_LE(found, least * (1 + c.tolerance)) << c.rows << " " << c.decay;
    // The singular values found tell the error of what was found.
    EXPECT_NEAR(found, sketched->spectrum.squaredError(12),
                1e-5 * sketched->spectrum.squaredNorm);
    for (size_t i = 0; i < 12; ++i)
      EXPECT_LE(sketched->spectrum.values[i],
                best->spectrum.values[i] * (1 + 1e-5));
  }
}

TEST(Factorization, powerIterationsAndOversamplingHelp) {
  constexpr int64_t rows = 200, cols = 150;
  Floats weight = seededValues(9, rows * cols);
  FactorizationOptions options = withRank(8, SvdMethod::Randomized);
  double last = squaredNorm(weight);
  for (int64_t iterations : {0, 1, 4}) {
    options.powerIterations = iterations;
    double error = errorOf(
        weight, *factorize(plain(rows, cols, weight), options), rows, cols);
    EXPECT_LT(error, last * (1 - 1e-3)) << iterations;
    last = error;
  }
  options.powerIterations = 0;
  options.oversampling = 0;
  double narrow = errorOf(
      weight, *factorize(plain(rows, cols, weight), options), rows, cols);
  options.oversampling = 60;
  double wide = errorOf(weight, *factorize(plain(rows, cols, weight), options),
                        rows, cols);
  EXPECT_LT(wide, narrow * (1 - 1e-3));
  // More than there are columns is all columns.
  options.oversampling = std::numeric_limits<int64_t>::max();
  Result<LowRankFactors> all = factorize(plain(rows, cols, weight), options);
  ASSERT_TRUE(all);
  EXPECT_NEAR(errorOf(weight, *all, rows, cols),
              spectrumOf(plain(rows, cols, weight))->squaredError(8),
              1e-5 * squaredNorm(weight));
}

TEST(Factorization, powerIterationsKeepSmallDirections) {
  // The last is 1e-5 of the first: nothing larger may drown it in f32.
  constexpr int64_t rows = 150, cols = 140;
  Floats weight = decaying(rows, cols, 0.4, 7);
  FactorizationOptions options = withRank(12, SvdMethod::Randomized);
  options.powerIterations = 6;
  options.oversampling = 2;
  double best = spectrumOf(plain(rows, cols, weight))->squaredError(12);
  double found = errorOf(weight, *factorize(plain(rows, cols, weight), options),
                         rows, cols);
  EXPECT_LT(found, 1.1 * best);
}

TEST(Factorization, findsTheRankThatIsThere) {
  constexpr int64_t rows = 170, cols = 140;
  Floats weight = lowRank(rows, cols, 5, 1);
  for (SvdMethod method : {SvdMethod::Exact, SvdMethod::Randomized}) {
    Result<LowRankFactors> factors =
        factorize(plain(rows, cols, weight), withRank(9, method));
    ASSERT_TRUE(factors);
    EXPECT_LT(errorOf(weight, *factors, rows, cols),
              1e-11 * squaredNorm(weight));
    EXPECT_GT(factors->spectrum.values[4], 1);
    EXPECT_LT(factors->spectrum.values[5], 1e-5 * factors->spectrum.values[0]);
  }
}

TEST(Factorization, takesTheBaseAway) {
  constexpr int64_t rows = 150, cols = 140;
  Floats weight = seededValues(1, rows * cols);
  Floats base = seededValues(2, rows * cols), difference;
  for (size_t i = 0; i < weight.size(); ++i)
    difference.push_back(weight[i] - base[i]);
  for (SvdMethod method : {SvdMethod::Exact, SvdMethod::Randomized}) {
    Result<LowRankFactors> factors =
        factorize(plain(rows, cols, weight, base), withRank(4, method));
    Result<LowRankFactors> direct =
        factorize(plain(rows, cols, difference), withRank(4, method));
    ASSERT_TRUE(factors && direct);
    for (size_t i = 0; i < factors->input.size(); ++i)
      EXPECT_NEAR(factors->input[i], direct->input[i], 2e-4);
    EXPECT_NEAR(factors->spectrum.weightSquaredNorm, squaredNorm(weight), 1e-6);
    EXPECT_NEAR(factors->spectrum.squaredNorm, squaredNorm(difference), 1e-2);
  }
}

TEST(Factorization, signsAndRootsAreFixed) {
  constexpr int64_t rows = 150, cols = 130, rank = 6;
  Floats weight = decaying(rows, cols, 0.8, 7);
  for (SvdMethod method : {SvdMethod::Exact, SvdMethod::Randomized}) {
    LowRankFactors factors =
        *factorize(plain(rows, cols, weight), withRank(rank, method));
    for (int64_t r = 0; r < rank; ++r) {
      double left = 0, right = 0;
      float largest = 0;
      for (int64_t row = 0; row < rows; ++row) {
        float value = factors.input[size_t(row * rank + r)];
        left += double(value) * value;
        if (std::abs(value) > std::abs(largest))
          largest = value;
      }
      for (int64_t col = 0; col < cols; ++col)
        right += std::pow(factors.output[size_t(r * cols + col)], 2);
      EXPECT_GT(largest, 0) << r;
      double value = factors.spectrum.values[size_t(r)];
      EXPECT_NEAR(left, value, 1e-5 * value);
      EXPECT_NEAR(right, value, 1e-5 * value);
    }
  }
}

TEST(Factorization, padsWithZeros) {
  Floats weight = seededValues(3, 20 * 10);
  FactorizationOptions options = withRank(3);
  LowRankFactors tight = *factorize(plain(20, 10, weight), options);
  EXPECT_EQ(tight.columns, 3);
  // Padding may go beyond the dimensions.
  options.paddedRank = 16;
  LowRankFactors padded = *factorize(plain(20, 10, weight), options);
  EXPECT_EQ(padded.columns, 16);
  ASSERT_EQ(padded.input.size(), 20u * 16);
  ASSERT_EQ(padded.output.size(), 16u * 10);
  for (size_t r = 0; r < 16; ++r) {
    for (size_t row = 0; row < 20; ++row)
      EXPECT_EQ(padded.input[row * 16 + r],
                r < 3 ? tight.input[row * 3 + r] : 0);
    for (size_t col = 0; col < 10; ++col)
      EXPECT_EQ(padded.output[r * 10 + col],
                r < 3 ? tight.output[r * 10 + col] : 0);
  }
  // Nothing but padding: the base alone.
  options.rank = 0;
  Result<LowRankFactors> none = factorize(plain(20, 10, weight), options);
  ASSERT_TRUE(none) << none.error();
  EXPECT_EQ(none->input, Floats(20 * 16, 0.0f));
  EXPECT_EQ(none->output, Floats(16 * 10, 0.0f));
  EXPECT_NEAR(none->spectrum.relativeError(0), 1, 1e-9);
}

TEST(Factorization, nothingLeavesZeros) {
  Floats weight = seededValues(3, 140 * 130);
  for (SvdMethod method : {SvdMethod::Exact, SvdMethod::Randomized}) {
    LowRankFactors factors =
        *factorize(plain(140, 130, weight, weight), withRank(4, method));
    EXPECT_EQ(factors.input, Floats(140 * 4, 0.0f));
    EXPECT_EQ(factors.output, Floats(4 * 130, 0.0f));
    EXPECT_EQ(factors.spectrum.squaredNorm, 0);
  }
}

TEST(Factorization, smallAndLargeNumbersKeepTheirDigits) {
  // Squares of these are outside f32.
  constexpr int64_t rows = 150, cols = 140;
  Floats weight = decaying(rows, cols, 0.8, 5);
  LowRankFactors one =
      *factorize(plain(rows, cols, weight), withRank(6, SvdMethod::Randomized));
  for (int exponent : {-100, 100}) {
    Floats scaled = weight;
    for (float &value : scaled)
      value = std::ldexp(value, exponent);
    LowRankFactors factors = *factorize(plain(rows, cols, scaled),
                                        withRank(6, SvdMethod::Randomized));
    for (size_t i = 0; i < one.input.size(); ++i)
      EXPECT_EQ(factors.input[i], std::ldexp(one.input[i], exponent / 2));
    EXPECT_EQ(factors.spectrum.relativeError(6), one.spectrum.relativeError(6));
  }
}

TEST(Factorization, sketchDependsOnTheSeedAlone) {
  constexpr int64_t rows = 150, cols = 140;
  Floats weight = seededValues(5, rows * cols);
  FactorizationOptions options = withRank(4, SvdMethod::Randomized);
  LowRankFactors first = *factorize(plain(rows, cols, weight), options);
  EXPECT_EQ(factorize(plain(rows, cols, weight), options)->input, first.input);
  options.seed = 1;
  EXPECT_NE(factorize(plain(rows, cols, weight), options)->input, first.input);
}

TEST(Factorization, choosesTheMethodBySize) {
  EXPECT_EQ(chosenMethod(2048, 768, withRank(16)), SvdMethod::Randomized);
  EXPECT_EQ(chosenMethod(768, 2048, withRank(16)), SvdMethod::Randomized);
  EXPECT_EQ(chosenMethod(2048, 128, withRank(16)), SvdMethod::Exact);
  EXPECT_EQ(chosenMethod(129, 2048, withRank(16)), SvdMethod::Randomized);
  // 374 and 10 columns of a sketch are half of 768.
  EXPECT_EQ(chosenMethod(2048, 768, withRank(373)), SvdMethod::Randomized);
  EXPECT_EQ(chosenMethod(2048, 768, withRank(374)), SvdMethod::Exact);
  EXPECT_EQ(chosenMethod(4, 4, withRank(2, SvdMethod::Randomized)),
            SvdMethod::Randomized);
  EXPECT_EQ(chosenMethod(2048, 768, withRank(2, SvdMethod::Exact)),
            SvdMethod::Exact);
  EXPECT_EQ(factorize(plain(4, 4, Floats(16, 1.0f)), withRank(2))->method,
            SvdMethod::Exact);
}

//===----------------------------------------------------------------------===//
// Ranks and spectra
//===----------------------------------------------------------------------===//

TEST(Factorization, roundsRanks) {
  EXPECT_EQ(*roundedRank(100, 60, 1), 16);
  EXPECT_EQ(*roundedRank(100, 60, 16), 16);
  EXPECT_EQ(*roundedRank(100, 60, 17), 32);
  EXPECT_EQ(*roundedRank(100, 60, 49), 60);
  EXPECT_EQ(*roundedRank(100, 60, 60), 60);
  EXPECT_EQ(*roundedRank(100, 60, 17, 1), 17);
  EXPECT_EQ(*roundedRank(100, 60, 17, std::numeric_limits<int64_t>::max()), 60);
  EXPECT_EQ(roundedRank(100, 60, 61).error(),
            "expected a rank from 1 to 60, found 61");
  EXPECT_EQ(roundedRank(100, 60, 0).error(),
            "expected a rank from 1 to 60, found 0");
  EXPECT_EQ(roundedRank(100, 60, 4, 0).error(),
            "expected ranks to be a multiple of at least 1, found 0");
}

TEST(Factorization, spectrumKnowsWhatItReaches) {
  Spectrum spectrum{{3, 2}, 15, 60, 4};
  EXPECT_EQ(spectrum.squaredError(0), 15);
  EXPECT_EQ(spectrum.squaredError(1), 6);
  EXPECT_EQ(spectrum.squaredError(2), 2);
  EXPECT_TRUE(spectrum.reaches(2));
  EXPECT_FALSE(spectrum.reaches(3));
  EXPECT_FALSE(spectrum.reaches(5));
  EXPECT_FALSE(spectrum.reaches(-1));
  EXPECT_TRUE(std::isnan(spectrum.squaredError(3)));
  EXPECT_TRUE(spectrum.reaches(4));
  EXPECT_EQ(spectrum.squaredError(4), 0);
  EXPECT_EQ(spectrum.relativeError(0), 0.5);
  // All values: the rest is summed. What rounding makes of the norm is no error
  // below zero.
  EXPECT_EQ((Spectrum{{3, 2}, 99, 60, 2}.squaredError(1)), 4);
  EXPECT_EQ((Spectrum{{3, 2}, 12.9, 60, 4}.squaredError(2)), 0);
  // Without a weight.
  EXPECT_TRUE(std::isinf(Spectrum{{1}, 1, 0, 1}.relativeError(0)));
  EXPECT_EQ((Spectrum{{0}, 0, 0, 1}.relativeError(0)), 0);
}

TEST(Factorization, leadingSingularValues) {
  constexpr int64_t rows = 160, cols = 150;
  Floats weight = decaying(rows, cols, 0.7, 2);
  Spectrum all = *spectrumOf(plain(rows, cols, weight));
  Result<Spectrum> some = spectrumOf(plain(rows, cols, weight), 8);
  ASSERT_TRUE(some) << some.error();
  ASSERT_EQ(some->values.size(), 8u);
  EXPECT_EQ(some->fullRank, 150);
  for (size_t i = 0; i < 8; ++i)
    EXPECT_NEAR(some->values[i], all.values[i], 1e-5 * all.values[0]);
  EXPECT_TRUE(std::is_sorted(all.values.rbegin(), all.values.rend()));
  // Either side may be the smaller one.
  Floats turned(weight.size());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t col = 0; col < cols; ++col)
      turned[size_t(col * rows + row)] = weight[size_t(row * cols + col)];
  Spectrum other = *spectrumOf(plain(cols, rows, turned));
  ASSERT_EQ(other.values.size(), 150u);
  for (size_t i = 0; i < 150; ++i)
    EXPECT_NEAR(other.values[i], all.values[i], 1e-7 * all.values[0]);
}

//===----------------------------------------------------------------------===//
// Whitened
//===----------------------------------------------------------------------===//

/// Moments of 40 samples of 6 inputs, of which the last are the largest.
Floats fullMoments() {
  Floats samples = seededValues(2, 240), moments;
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = 0; j < 6; ++j) {
      double sum = 0;
      for (int64_t n = 0; n < 40; ++n)
        sum += double(samples[size_t(n * 6 + i)]) * double(i + 1) *
               double(samples[size_t(n * 6 + j)]) * double(j + 1);
      moments.push_back(float(sum / 40));
    }
  return moments;
}

TEST(Factorization, whitenedIsBestWhereInputsAre) {
  // NumPy, with the symmetric root of M by its eigenvalues: the optimum does
  // not depend on which root is taken.
  const double values[] = {5.6825418, 3.71599635, 3.51918194, 0.999941258,
                           0.428027117};
  Floats weight = seededValues(1, 30);
  InputWhitening whitening = *InputWhitening::full("m", 6, fullMoments(), 0);
  EXPECT_EQ(whitening.regularization(), 0);
  EXPECT_EQ(whitening.size(), 6);
  for (SvdMethod method : {SvdMethod::Exact, SvdMethod::Randomized}) {
    Difference difference = plain(6, 5, weight);
    Result<LowRankFactors> whitened =
        factorize(difference, withRank(2, method), &whitening);
    Result<LowRankFactors> direct = factorize(difference, withRank(2, method));
    ASSERT_TRUE(whitened && direct);
    for (size_t i = 0; i < 2; ++i)
      EXPECT_NEAR(whitened->spectrum.values[i], values[i], 1e-5);
    EXPECT_NEAR(whitened->spectrum.weightSquaredNorm, 59.6676414, 1e-4);
    EXPECT_NEAR(whitened->spectrum.relativeError(2), 0.476852628, 1e-5);
    const double first[] = {0.816647386, 0.125364518, 0.282375632, 0.264133178,
                            -0.069026507};
    std::vector<double> result =
        product(whitened->input, whitened->output, 6, 2, 5);
    for (size_t i = 0; i < 5; ++i)
      EXPECT_NEAR(result[i], first[i], 1e-5);

    MatrixError seen = *measureError(difference, whitened->input,
                                     whitened->output, &whitening);
    EXPECT_NEAR(seen.whitened, 0.476852628, 1e-5);
    EXPECT_NEAR(seen.relative, 0.64949689, 1e-5);
    MatrixError unseen =
        *measureError(difference, direct->input, direct->output, &whitening);
    EXPECT_NEAR(unseen.whitened, 0.557074145, 1e-5);
    EXPECT_NEAR(unseen.relative, 0.486038467, 1e-5);
    EXPECT_NEAR(unseen.maxAbs, 0.991648815, 1e-5);
    for (size_t r = 0; r < 2; ++r) {
      float largest = 0;
      for (size_t row = 0; row < 6; ++row)
        if (std::abs(whitened->input[row * 2 + r]) > std::abs(largest))
          largest = whitened->input[row * 2 + r];
      EXPECT_GT(largest, 0);
    }
  }
  Spectrum all = *spectrumOf(plain(6, 5, weight), 0, {}, &whitening);
  for (size_t i = 0; i < 5; ++i)
    EXPECT_NEAR(all.values[i], values[i], 1e-5);
}

TEST(Factorization, whitenedByADiagonal) {
  Floats weight = seededValues(1, 30), full = fullMoments(), moments;
  for (size_t i = 0; i < 6; ++i)
    moments.push_back(full[i * 7]);
  InputWhitening whitening = *InputWhitening::diagonal("m", moments, 0);
  for (SvdMethod method : {SvdMethod::Exact, SvdMethod::Randomized}) {
    LowRankFactors factors =
        *factorize(plain(6, 5, weight), withRank(2, method), &whitening);
    // NumPy.
    EXPECT_NEAR(factors.spectrum.values[0], 5.57708161, 1e-5);
    EXPECT_NEAR(factors.spectrum.relativeError(2), 0.476604814, 1e-5);
    EXPECT_NEAR(product(factors.input, factors.output, 6, 2, 5)[0], 0.403552895,
                1e-5);
    EXPECT_NEAR(measureError(plain(6, 5, weight), factors.input, factors.output,
                             &whitening)
                    ->whitened,
                0.476604814, 1e-5);
  }
}

TEST(Factorization, noOtherFactorsAreBetterWhitened) {
  // Brute force: steps from the optimum in 200 directions only make it worse.
  Floats weight = seededValues(1, 30);
  InputWhitening whitening = *InputWhitening::full("m", 6, fullMoments());
  Difference difference = plain(6, 5, weight);
  LowRankFactors best = *factorize(difference, withRank(2), &whitening);
  double least =
      measureError(difference, best.input, best.output, &whitening)->whitened;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Floats step = seededValues(seed, 22, 0.1);
    LowRankFactors moved = best;
    for (size_t i = 0; i < 12; ++i)
      moved.input[i] += step[i];
    for (size_t i = 0; i < 10; ++i)
      moved.output[i] += step[12 + i];
    EXPECT_GT(measureError(difference, moved.input, moved.output, &whitening)
                  ->whitened,
              least);
  }
}

TEST(Factorization, whitensLargeMatricesInEitherWay) {
  // The sketch and the exact way agree, whatever the scale of the moments.
  constexpr int64_t rows = 150, cols = 140;
  Floats weight = decaying(rows, cols, 0.85, 3);
  for (double scale : {1.0, 1e-12, 1e12}) {
    Floats moments(size_t(rows * rows));
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < rows; ++j)
        moments[size_t(i * rows + j)] =
            float(scale * (1 + double(i % 7)) * (1 + double(j % 7)) *
                  std::pow(0.5, std::abs(double(i - j))));
    InputWhitening whitening = *InputWhitening::full("m", rows, moments, 1e-6);
    LowRankFactors exact = *factorize(
        plain(rows, cols, weight), withRank(6, SvdMethod::Exact), &whitening);
    LowRankFactors sketched =
        *factorize(plain(rows, cols, weight),
                   withRank(6, SvdMethod::Randomized), &whitening);
    double error = exact.spectrum.relativeError(6);
    EXPECT_NEAR(sketched.spectrum.relativeError(6), error, 1e-4 * error);
    EXPECT_NEAR(measureError(plain(rows, cols, weight), exact.input,
                             exact.output, &whitening)
                    ->whitened,
                error, 1e-4 * error);
    EXPECT_NEAR(measureError(plain(rows, cols, weight), sketched.input,
                             sketched.output, &whitening)
                    ->whitened,
                error, 1e-3 * error);
  }
}

TEST(Factorization, regularisesWhatSamplesDoNotSpan) {
  // One sample of three inputs: M has rank 1, and rounding may take it below.
  Floats sample = {1, 2, 3}, moments;
  for (float a : sample)
    for (float b : sample)
      moments.push_back(a * b);
  Result<InputWhitening> whitening = InputWhitening::full("m", 3, moments);
  ASSERT_TRUE(whitening) << whitening.error();
  EXPECT_EQ(whitening->regularization(), 1e-6);
  // Without any, as little as it takes.
  whitening = InputWhitening::full("m", 3, moments, 0);
  ASSERT_TRUE(whitening) << whitening.error();
  EXPECT_GT(whitening->regularization(), 0);
  EXPECT_LE(whitening->regularization(), 1e-6);
  // tr(D^T M D) of the identity is tr(M).
  EXPECT_NEAR(whitening->squaredNorm(Floats{1, 0, 0, 0, 1, 0, 0, 0, 1}, 3), 14,
              1e-4);

  // A feature that is always 0 gets a share of the mean.
  whitening = InputWhitening::diagonal("m", Floats{4, 0}, 1e-3);
  ASSERT_TRUE(whitening);
  EXPECT_NEAR(whitening->squaredNorm(Floats{0, 1}, 1), 2e-3, 1e-8);

  // Inputs that were never seen: as without moments.
  for (const Result<InputWhitening> &none :
       {InputWhitening::full("m", 2, Floats(4, 0.0f)),
        InputWhitening::diagonal("m", Floats(2, 0.0f))}) {
    ASSERT_TRUE(none);
    EXPECT_NEAR(none->squaredNorm(Floats{3, 4}, 1), 25, 1e-4);
  }
}

TEST(Factorization, momentsAreChecked) {
  EXPECT_EQ(InputWhitening::full("m", 2, Floats(3)).error(),
            "m: expected 4 second moments, found 3");
  EXPECT_EQ(InputWhitening::diagonal("m", Floats()).error(),
            "m: expected 0 second moments, found 0");
  EXPECT_EQ(InputWhitening::diagonal("m", Floats{1, INFINITY}).error(),
            "m: expected finite second moments, found inf at 1");
  EXPECT_EQ(InputWhitening::diagonal("m", Floats{1, -2}).error(),
            "m: expected second moments of at least 0, found -2.000000 of "
            "feature 1");
  EXPECT_EQ(InputWhitening::full("m", 2, Floats{1, 0, 0, -1}).error(),
            "m: expected second moments of at least 0, found -1.000000 of "
            "feature 1");
  EXPECT_EQ(InputWhitening::full("m", 2, Floats{1, 0.5f, 0.25f, 1}).error(),
            "m: expected symmetric second moments, found 0.250000 at [1, 0] "
            "and 0.500000 across");
  EXPECT_EQ(InputWhitening::full("m", 2, Floats{1, 2, 2, 1}).error(),
            "m: expected positive semidefinite second moments, found no "
            "Cholesky factor with 0.01 of the mean added to the diagonal");
  EXPECT_EQ(InputWhitening::diagonal("m", Floats{1, 0}, 0).error(),
            "m: expected positive second moments, or a regularisation, found "
            "0");
  for (double share : {-0.5, 0.5})
    EXPECT_EQ(InputWhitening::diagonal("m", Floats{1}, share).error(),
              "m: expected a regularisation from 0 to 0.01, found " +
                  std::to_string(share));
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

TEST(Factorization, measuresErrors) {
  // W - (base + A B) = [[0, 0], [0, -2]], against |W|^2 = 50.
  Floats weight = {3, 4, 3, 4}, base = {1, 1, 1, 1}, input = {1, 1},
         output = {2, 3};
  weight[3] = 2 + 2;
  base[3] = 3;
  MatrixError error = *measureError(plain(2, 2, weight, base), input, output);
  EXPECT_NEAR(error.relative, 2 / std::sqrt(50), 1e-12);
  EXPECT_EQ(error.maxAbs, 2);
  EXPECT_TRUE(std::isnan(error.whitened));
  InputWhitening whitening = *InputWhitening::diagonal("m", Floats{1, 9}, 0);
  error = *measureError(plain(2, 2, weight, base), input, output, &whitening);
  EXPECT_NEAR(error.whitened, 6 / std::sqrt(250), 1e-6);
  // The base alone; and nothing at all.
  error = *measureError(plain(2, 2, weight, base), {}, {});
  EXPECT_NEAR(error.relative, std::sqrt((4 + 9 + 4 + 1) / 50.0), 1e-12);
  error = *measureError(plain(1, 2, Floats{0, 0}), {}, {});
  EXPECT_EQ(error.relative, 0);
  error = *measureError(plain(1, 2, Floats{0, 0}, Floats{0, 1}), {}, {});
  EXPECT_TRUE(std::isinf(error.relative));
  // More rows than are taken at a time.
  Floats tall = seededValues(1, 70 * 3);
  error = *measureError(plain(70, 3, tall), Floats(70 * 2), Floats(2 * 3));
  EXPECT_EQ(error.relative, 1);
}

TEST(Factorization, refuses) {
  Floats six(6), moments(2, 1.0f);
  FactorizationOptions options = withRank(1);
  EXPECT_EQ(factorize(plain(0, 2, six), options).error(),
            "w: expected at least one row and one column, found 0 x 2");
  EXPECT_EQ(factorize(plain(3, 2, Floats(5)), options).error(),
            "w: expected 6 values, found 5");
  EXPECT_EQ(factorize(plain(3, 2, six, Floats(5)), options).error(),
            "b: expected 6 values, found 5");
  EXPECT_EQ(factorize(plain(3, 2, six), withRank(3)).error(),
            "w: expected a rank from 1 to 2, found 3");
  EXPECT_EQ(factorize(plain(3, 2, six), withRank(0)).error(),
            "w: expected a rank from 1 to 2, found 0");
  InputWhitening whitening = *InputWhitening::diagonal("m", moments);
  EXPECT_EQ(factorize(plain(3, 2, six), options, &whitening).error(),
            "w: expected second moments of 3 inputs, found 2");
  options.paddedRank = 1;
  options.rank = 2;
  EXPECT_EQ(factorize(plain(3, 2, six), options).error(),
            "w: expected rank 2 to be padded to at least as much, found 1");
  options = withRank(1);
  options.oversampling = -1;
  EXPECT_EQ(factorize(plain(3, 2, six), options).error(),
            "w: expected an oversampling of at least 0, found -1");
  EXPECT_EQ(spectrumOf(plain(3, 2, six), 1, options).error(),
            "w: expected an oversampling of at least 0, found -1");
  options = withRank(1);
  options.powerIterations = -1;
  EXPECT_EQ(factorize(plain(3, 2, six), options).error(),
            "w: expected at least 0 power iterations, found -1");
  EXPECT_EQ(spectrumOf(plain(3, 2, six), 3).error(),
            "w: expected from 0 (all) to 2 singular values, found 3");
  EXPECT_EQ(measureError(plain(3, 2, six), Floats(3), Floats(3)).error(),
            "w: expected factors of 3 x r and r x 2 values, found 3 and 3");

  Difference difference{3, 2, six, {}, "model::gate", "base", 7, 2};
  six[3] = NAN;
  const char *message =
      "model::gate: expected finite values, found nan at [7, 1, 1]";
  EXPECT_EQ(factorize(difference, withRank(1)).error(), message);
  EXPECT_EQ(spectrumOf(difference).error(), message);
  EXPECT_EQ(measureError(difference, {}, {}).error(), message);
  Floats zeros(6);
  difference.weight = zeros;
  difference.base = six;
  six[3] = -INFINITY;
  EXPECT_EQ(factorize(difference, withRank(1)).error(),
            "base: expected finite values, found -inf at [2, 1, 1]");
}

} // namespace
