// Tests of what encodings cost experts, beside measuring each mix from the start.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/PrecisionErrors.h"

#include "weights/ExpertFactors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

using namespace moec::weights;

namespace {

const Encoding f32, f16{Format::F16}, int8{Format::Int8, 8, false, ScaleType::F16},
    int4{Format::Int4, 8, false, ScaleType::F16};

MatrixSourcePtr experts() { return seededMatrices("up", {4, 16, 24}, 5, 1); }

PrecisionProblem shared(int64_t rank) {
  PrecisionProblem problem;
  problem.of = experts();
  problem.table = {0, 1, 0, 1};
  problem.base = *meanMatrices("base", problem.of, problem.table, 2);
  problem.rank = rank;
  return problem;
}

TEST(PrecisionErrors, plainExpertsAreMeasuredMatrixByMatrix) {
  PrecisionProblem problem;
  problem.of = experts();
  problem.candidates = {{f32, {}}, {int4, {}}};
  auto errors = precisionErrors(problem);
  ASSERT_TRUE(errors) << errors.error();
  EXPECT_EQ((*errors)[0], std::vector<double>(4, 0.0));
  std::vector<float> values = *readAll(*problem.of);
  std::vector<float> rounded = *roundTrip(int4, {4, 16, 24}, values);
  for (size_t expert = 0; expert < 4; ++expert) {
    double lost = 0, norm = 0;
    for (size_t i = expert * 384; i < (expert + 1) * 384; ++i) {
      lost += std::pow(double(values[i]) - double(rounded[i]), 2);
      norm += std::pow(double(values[i]), 2);
    }
    EXPECT_NEAR((*errors)[1][expert], std::sqrt(lost / norm), 1e-9);
  }
}

TEST(PrecisionErrors, residualsAreFittedToTheBaseAsItIsStored) {
  PrecisionProblem problem = shared(8);
  // Bases come and go, so that what was fitted to one is not taken for another's.
  problem.candidates = {{int4, int8}, {f32, f16}, {int4, f32}, {f32, f32}};
  auto errors = precisionErrors(problem);
  ASSERT_TRUE(errors) << errors.error();
  for (size_t i = 0; i < problem.candidates.size(); ++i) {
    auto [ofBase, ofResidual] = problem.candidates[i];
    MatrixSourcePtr base = *encodedMatrices("base", problem.base, ofBase);
    ResidualOptions options;
    options.factorization.rank = 8;
    LowRankSources factors = *residualFactors("r", problem.of, base, problem.table, options);
    factors = {*encodedMatrices("a", factors.input, ofResidual),
               *encodedMatrices("b", factors.output, ofResidual)};
    auto report = measureExperts(problem.of, base, problem.table, factors);
    ASSERT_TRUE(report) << report.error();
    for (size_t expert = 0; expert < 4; ++expert)
      EXPECT_NEAR((*errors)[i][expert], report->experts[expert].relative, 1e-12) << i;
  }
  // At full rank the residual takes up all that the base's rounding loses.
  problem.rank = 16;
  problem.candidates = {{int4, f32}};
  EXPECT_LT((*precisionErrors(problem))[0][0], 1e-5);
}

TEST(PrecisionErrors, basesAloneAndResidualsAlone) {
  PrecisionProblem problem = shared(0);
  problem.candidates = {{f32, {}}, {int8, {}}};
  auto merged = precisionErrors(problem);
  ASSERT_TRUE(merged) << merged.error();
  EXPECT_GT((*merged)[1][0], (*merged)[0][0]);
  problem.base = nullptr;
  problem.table.clear();
  problem.rank = 16;
  problem.candidates = {{{}, f32}, {{}, int8}};
  auto products = precisionErrors(problem);
  ASSERT_TRUE(products) << products.error();
  EXPECT_LT((*products)[0][0], 1e-5);
  EXPECT_GT((*products)[1][0], 1e-3);
}

TEST(PrecisionErrors, momentsWeighWhatInputsMeet) {
  // Inputs meet row 0 alone: errors of the others do not count.
  std::vector<float> moments(16, 0.0f);
  moments[0] = 1;
  PrecisionProblem problem;
  problem.of = experts();
  problem.measured = {matricesOf("moments", {1, 1, 16}, moments), 1e-12};
  problem.candidates = {{int4, {}}};
  double error = (*precisionErrors(problem))[0][2];
  std::vector<float> values = *readAll(*problem.of);
  std::vector<float> rounded = *roundTrip(int4, {4, 16, 24}, values);
  double lost = 0, norm = 0;
  for (size_t i = 2 * 384; i < 2 * 384 + 24; ++i) {
    lost += std::pow(double(values[i]) - double(rounded[i]), 2);
    norm += std::pow(double(values[i]), 2);
  }
  EXPECT_NEAR(error, std::sqrt(lost / norm), 1e-6);
}

TEST(PrecisionErrors, whatCannotHoldTheValuesIsNotANumber) {
  std::vector<float> values(32, 1.0f);
  values[7] = 70000;
  PrecisionProblem problem;
  problem.of = matricesOf("w", {1, 8, 4}, values);
  problem.candidates = {{f16, {}}, {{Format::BF16}, {}}};
  auto errors = precisionErrors(problem);
  ASSERT_TRUE(errors) << errors.error();
  EXPECT_TRUE(std::isnan((*errors)[0][0]));
  EXPECT_LT((*errors)[1][0], 0.01);
}

TEST(PrecisionErrors, groupsOfZerosAndDenormalScales) {
  // A group of zeros stays so; one of denormals is lost where its scale rounds to zero, and the error says so.
  std::vector<float> values(16, 0.0f);
  PrecisionProblem problem;
  problem.of = matricesOf("w", {1, 8, 2}, values);
  problem.candidates = {{int8, {}}};
  EXPECT_EQ((*precisionErrors(problem))[0][0], 0);
  values.assign(16, 1e-12f);
  problem.of = matricesOf("w", {1, 8, 2}, values);
  EXPECT_DOUBLE_EQ((*precisionErrors(problem))[0][0], 1);
}

TEST(PrecisionErrors, refusesWeightsThatAreNotFinite) {
  std::vector<float> values(32, 1.0f);
  values[9] = std::numeric_limits<float>::quiet_NaN();
  PrecisionProblem problem;
  problem.of = matricesOf("w", {1, 8, 4}, values);
  problem.candidates = {{f32, {}}};
  EXPECT_EQ(precisionErrors(problem).error(),
            "w: expected finite values, found nan at [0, 2, 1]");
}

TEST(PrecisionErrors, normalWeightsRoundAsTheoryHasIt) {
  // A float with p bits behind its leading one: steps of 2^-p of the power of two below, which is 0.65 to 0.8 of the value.
  EXPECT_EQ(normalRoundingError(f32), 0);
  EXPECT_NEAR(normalRoundingError({Format::BF16}), 0.72 * std::ldexp(1, -7) / std::sqrt(12), 1e-4);
  EXPECT_NEAR(normalRoundingError(f16), 0.72 * std::ldexp(1, -10) / std::sqrt(12), 1e-5);
  // Steps of the largest of 32 normal values, about 2.07, over 127 or 7: step/sqrt(12).
  auto steps = [](Format format) { return normalRoundingError({format, 32, false, ScaleType::F16}); };
  EXPECT_NEAR(steps(Format::Int8), 2.1 / 127 / std::sqrt(12), 5e-4);
  EXPECT_NEAR(steps(Format::Int4), 2.1 / 7 / std::sqrt(12), 1e-2);
  EXPECT_TRUE(std::isnan(normalRoundingError({Format::Int8, 96})));
}

TEST(PrecisionErrors, meansOfSquares) {
  std::vector<double> errors{0.1, 0.3};
  std::vector<int64_t> counts{3, 1}, none{0, 0};
  EXPECT_DOUBLE_EQ(meanSquare(errors), 0.05);
  EXPECT_DOUBLE_EQ(meanSquare(errors, counts), (3 * 0.01 + 0.09) / 4);
  EXPECT_DOUBLE_EQ(meanSquare(errors, none), 0.05);
}

} // namespace
