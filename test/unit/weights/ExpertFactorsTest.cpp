// Tests of factorising and measuring all experts of a role.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/ExpertFactors.h"

#include "SyntheticExperts.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <mutex>
#include <set>
#include <utility>

using namespace moec::weights;
using namespace moec::weights::testing;

namespace {

using Floats = std::vector<float>;

/// Values in memory; counts reads of each entry.
class CountedMatrices final : public MatrixSource {
public:
  CountedMatrices(std::string name, const MatrixShape &shape, Floats values)
      : MatrixSource(std::move(name), shape), values(std::move(values)),
        reads(size_t(shape.entries)) {}

  Floats values;
  mutable std::vector<std::atomic<int>> reads;

private:
  Status doRead(int64_t entry, std::span<float> result) const override {
    ++reads[size_t(entry)];
    std::copy_n(values.begin() + entry * int64_t(result.size()), result.size(),
                result.begin());
    return success();
  }
};

/// Experts as sources.
struct Sources {
  explicit Sources(const SyntheticExperts &experts)
      : of(matricesOf(
            "gate", {int64_t(experts.table.size()), experts.rows, experts.cols},
            experts.weights)),
        base(matricesOf("base", {experts.clusters, experts.rows, experts.cols},
                        experts.bases)) {}

  MatrixSourcePtr of;
  MatrixSourcePtr base;
};

ResidualOptions withRank(int64_t rank,
                         SvdMethod method = SvdMethod::Automatic) {
  ResidualOptions options;
  options.factorization.rank = rank;
  options.factorization.method = method;
  return options;
}

//===----------------------------------------------------------------------===//
// Factors and errors
//===----------------------------------------------------------------------===//

TEST(ExpertFactors, recoversRankAndNoise) {
  // Base + rank 6 + noise: at rank 6 the noise is left, at 5 far more, and
  // ranks above fit noise alone.
  SyntheticExperts experts(6, 2, 150, 140, 6, 0.5, 0.01);
  Sources sources(experts);
  for (SvdMethod method : {SvdMethod::Exact, SvdMethod::Randomized}) {
    double errors[3];
    for (int64_t rank : {5, 6, 7}) {
      Result<ExpertFactors> found =
          factorizeExperts("gate", sources.of, sources.base, experts.table,
                           withRank(rank, method));
      ASSERT_TRUE(found) << found.error();
      EXPECT_EQ(found->errors.experts.size(), 6u);
      errors[rank - 5] = found->errors.meanRelative();
      for (size_t i = 0; i < 6; ++i)
        EXPECT_NEAR(found->errors.experts[i].relative,
                    found->spectra[i].relativeError(rank), 2e-5);
    }
    // Noise in [-0.01, 0.01) has a deviation of 0.01/sqrt(3); base 1/sqrt(3),
    // residual 0.5.
    double noise = 0.01 / std::sqrt(3) / std::sqrt(1 / 3.0 + 0.25);
    EXPECT_NEAR(errors[1], noise, 0.1 * noise);
    EXPECT_GT(errors[0], 10 * errors[1]);
    EXPECT_GT(errors[2], 0.95 * errors[1]);
  }
}

TEST(ExpertFactors, areThoseOfTheStreamingSources) {
  SyntheticExperts experts(5, 2, 20, 12, 3, 1, 0.1);
  Sources sources(experts);
  ResidualOptions options = withRank(3);
  options.factorization.paddedRank = 4;
  options.ranks = {3, 1, 0, 2, 3};
  Result<ExpertFactors> found = factorizeExperts(
      "gate", sources.of, sources.base, experts.table, options);
  ASSERT_TRUE(found) << found.error();
  LowRankSources streamed = *residualFactors("gate", sources.of, sources.base,
                                             experts.table, options);
  EXPECT_EQ(*readAll(*found->factors.input), *readAll(*streamed.input));
  EXPECT_EQ(*readAll(*found->factors.output), *readAll(*streamed.output));
  EXPECT_EQ(found->factors.input->shape(), streamed.input->shape());
  EXPECT_EQ(found->factors.output->shape(), streamed.output->shape());
  EXPECT_EQ(found->factors.input->name(), "gate.input");
  EXPECT_EQ(found->factors.output->name(), "gate.output");
  // Measured on factors from elsewhere, errors are the same.
  Result<ErrorReport> measured =
      measureExperts(sources.of, sources.base, experts.table, streamed);
  ASSERT_TRUE(measured) << measured.error();
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(measured->experts[i].relative, found->errors.experts[i].relative);
    EXPECT_EQ(measured->experts[i].maxAbs, found->errors.experts[i].maxAbs);
    EXPECT_TRUE(std::isnan(measured->experts[i].whitened));
  }
}

TEST(ExpertFactors, doNotDependOnThreads) {
  SyntheticExperts experts(9, 3, 150, 140, 4, 1, 0.1);
  Sources sources(experts);
  ResidualOptions options = withRank(4, SvdMethod::Randomized);
  Floats moments = seededValues(5, 150);
  for (float &moment : moments)
    moment = std::abs(moment);
  options.inputs.moments = matricesOf("m", {1, 1, 150}, moments);
  Result<ExpertFactors> one = factorizeExperts("gate", sources.of, sources.base,
                                               experts.table, options, {1, {}});
  Result<ExpertFactors> many = factorizeExperts(
      "gate", sources.of, sources.base, experts.table, options, {5, {}});
  ASSERT_TRUE(one && many);
  EXPECT_EQ(*readAll(*one->factors.input), *readAll(*many->factors.input));
  EXPECT_EQ(*readAll(*one->factors.output), *readAll(*many->factors.output));
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(one->spectra[i].values, many->spectra[i].values);
    EXPECT_EQ(one->errors.experts[i].whitened,
              many->errors.experts[i].whitened);
  }
}

TEST(ExpertFactors, readEachWeightAndEachBaseOnce) {
  SyntheticExperts experts(12, 3, 10, 8, 2, 1, 0);
  auto of = std::make_shared<CountedMatrices>("w", MatrixShape{12, 10, 8},
                                              experts.weights);
  auto base = std::make_shared<CountedMatrices>("b", MatrixShape{3, 10, 8},
                                                experts.bases);
  for (int64_t threads : {1, 4}) {
    for (std::atomic<int> &reads : of->reads)
      reads = 0;
    for (std::atomic<int> &reads : base->reads)
      reads = 0;
    ASSERT_TRUE(factorizeExperts("w", of, base, experts.table, withRank(2),
                                 {threads, {}}));
    for (const std::atomic<int> &reads : of->reads)
      EXPECT_EQ(reads, 1);
    for (const std::atomic<int> &reads : base->reads)
      EXPECT_EQ(reads, 1);
  }
}

TEST(ExpertFactors, reportProgress) {
  SyntheticExperts experts(4, 2, 10, 8, 2, 1, 0);
  Sources sources(experts);
  std::vector<std::pair<int64_t, int64_t>> seen;
  ParallelOptions parallel{
      2, [&](int64_t done, int64_t total) { seen.emplace_back(done, total); }};
  ASSERT_TRUE(factorizeExperts("gate", sources.of, sources.base, experts.table,
                               withRank(2), parallel));
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_EQ(seen.back(), std::pair(int64_t(4), int64_t(4)));
}

TEST(ExpertFactors, encodingsAddTheirError) {
  SyntheticExperts experts(4, 2, 64, 48, 4, 0.5, 0.001);
  Sources sources(experts);
  ExpertFactors found = *factorizeExperts("gate", sources.of, sources.base,
                                          experts.table, withRank(4));
  Encoding int8{Format::Int8}, int4{Format::Int4, 32};
  int4.along = GroupAxis::Input;
  Encoding outputInt4 = int4;
  outputInt4.along = GroupAxis::Output;
  outputInt4.group = 16;
  double last = found.errors.maxRelative();
  for (auto [input, output] : {std::pair(int8, int8), {int4, outputInt4}}) {
    LowRankSources coded = {
        *encodedMatrices("a", found.factors.input, input),
        *encodedMatrices("b", found.factors.output, output)};
    double error =
        measureExperts(sources.of, sources.base, experts.table, coded)
            ->maxRelative();
    EXPECT_GT(error, last);
    last = error;
  }
  EXPECT_LT(last, 0.2);
}

TEST(ExpertFactors, baseAlone) {
  // W - base is 3 and 4 in one expert, 0 in the other.
  auto of = matricesOf("w", {2, 1, 2}, {4, 5, 1, 1});
  auto base = matricesOf("b", {1, 1, 2}, {1, 1});
  ErrorReport report = *measureExperts(of, base, {0, 0}, {});
  EXPECT_NEAR(report.experts[0].relative, 5 / std::sqrt(41), 1e-12);
  EXPECT_EQ(report.experts[1].relative, 0);
  EXPECT_NEAR(report.maxRelative(), 5 / std::sqrt(41), 1e-12);
  EXPECT_NEAR(report.meanRelative(), 2.5 / std::sqrt(41), 1e-12);
  EXPECT_EQ(report.maxAbs(), 4);
  EXPECT_TRUE(std::isnan(report.meanWhitened()));
  EXPECT_TRUE(std::isnan(report.maxWhitened()));
}

TEST(ExpertFactors, whitenedIsBetterWhitenedAndWorsePlain) {
  // A moment for each expert, far from even.
  SyntheticExperts experts(4, 2, 24, 18, 18, 1, 0);
  Sources sources(experts);
  Floats moments;
  for (int64_t i = 0; i < 4 * 24; ++i)
    moments.push_back(std::pow(0.7f, float((i * 5) % 24)));
  ResidualOptions options = withRank(6);
  MomentsSource inputs{matricesOf("m", {4, 1, 24}, moments)};
  LowRankSources plain =
      factorizeExperts("gate", sources.of, sources.base, experts.table, options)
          ->factors;
  options.inputs = inputs;
  ExpertFactors whitened = *factorizeExperts("gate", sources.of, sources.base,
                                             experts.table, options);
  ErrorReport other =
      *measureExperts(sources.of, sources.base, experts.table, plain, inputs);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_LT(whitened.errors.experts[i].whitened, other.experts[i].whitened);
    EXPECT_GT(whitened.errors.experts[i].relative, other.experts[i].relative);
    EXPECT_NEAR(whitened.errors.experts[i].whitened,
                whitened.spectra[i].relativeError(6), 1e-5);
  }
  EXPECT_LT(whitened.errors.meanWhitened(), other.meanWhitened());
  EXPECT_GE(whitened.errors.maxWhitened(), whitened.errors.meanWhitened());
}

TEST(ExpertFactors, spectraOfAllExperts) {
  SyntheticExperts experts(4, 2, 20, 15, 3, 1, 0);
  Sources sources(experts);
  Result<std::vector<Spectrum>> all = residualSpectra(
      sources.of, sources.base, experts.table, 0, ResidualOptions());
  Result<std::vector<Spectrum>> some = residualSpectra(
      sources.of, sources.base, experts.table, 5, ResidualOptions(), {2, {}});
  ASSERT_TRUE(all) << all.error();
  ASSERT_TRUE(some) << some.error();
  for (size_t i = 0; i < 4; ++i) {
    ASSERT_EQ((*all)[i].values.size(), 15u);
    ASSERT_EQ((*some)[i].values.size(), 5u);
    for (size_t r = 0; r < 5; ++r)
      EXPECT_NEAR((*all)[i].values[r], (*some)[i].values[r], 1e-5);
    EXPECT_LT((*all)[i].relativeError(3), 1e-6);
    EXPECT_GT((*all)[i].relativeError(2), 0.1);
  }
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

TEST(ExpertFactors, compressionRatios) {
  // K IN OUT / (IN OUT + K r (IN + OUT)).
  auto ratio = [](int64_t experts, int64_t rows, int64_t cols, int64_t rank) {
    return sizeOf({experts, rows, cols}, 1, rank, {})->parameterRatio();
  };
  EXPECT_NEAR(ratio(8, 4096, 4096, 16), 7.53, 0.005);
  EXPECT_NEAR(ratio(8, 768, 3072, 16), 6.62, 0.005);
  EXPECT_NEAR(ratio(8, 2048, 768, 16), 6.51, 0.005);
  EXPECT_NEAR(ratio(4, 4096, 4096, 16), 3.88, 0.005);
  EXPECT_EQ(ratio(8, 10, 10, 0), 8);

  // bf16 experts as an int4 base with f16 scales and int8 factors.
  RoleEncodings encodings;
  encodings.original = {Format::BF16};
  encodings.base = {Format::Int4, 32, false, ScaleType::F16};
  encodings.input = {Format::Int8};
  encodings.output = {Format::BF16};
  Result<SizeReport> report = sizeOf({8, 64, 32}, 2, 16, encodings);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(report->parametersBefore, 8u * 64 * 32);
  EXPECT_EQ(report->parametersAfter, 2u * 64 * 32 + 8 * 16 * (64 + 32));
  EXPECT_EQ(report->bytesBefore, 8u * 64 * 32 * 2);
  // Codes and a scale for each 32 of them; one f32 scale a matrix.
  EXPECT_EQ(report->bytesAfter, 2u * (64 * 32 / 2 + 64 * 32 / 32 * 2) +
                                    8 * (64 * 16 + 4) + 8 * 16 * 32 * 2);
  EXPECT_EQ(report->byteRatio(),
            double(report->bytesBefore) / double(report->bytesAfter));
  SizeReport sum = *report;
  sum += *report;
  EXPECT_EQ(sum.parametersBefore, 2 * report->parametersBefore);
  EXPECT_EQ(sum.parametersAfter, 2 * report->parametersAfter);
  EXPECT_EQ(sum.bytesBefore, 2 * report->bytesBefore);
  EXPECT_EQ(sum.bytesAfter, 2 * report->bytesAfter);
  EXPECT_EQ(sum.byteRatio(), report->byteRatio());
}

TEST(ExpertFactors, sizesAreChecked) {
  EXPECT_EQ(sizeOf({8, 64, 32}, -1, 16, {}).error(),
            "expected at least 0 bases and 0 columns, found -1 and 16");
  EXPECT_EQ(sizeOf({8, 64, 32}, 1, -2, {}).error(),
            "expected at least 0 bases and 0 columns, found 1 and -2");
  Encoding grouped{Format::Int8, 32};
  auto message = [&](MatrixShape shape) {
    return verifyEncoding(grouped, shape).error();
  };
  RoleEncodings encodings;
  encodings.output = grouped;
  EXPECT_EQ(sizeOf({8, 64, 32}, 1, 16, encodings).error(),
            "the output factor: " + message({8, 16, 32}));
  encodings.input = {Format::Int8, 30};
  EXPECT_EQ(sizeOf({8, 64, 32}, 1, 16, encodings).error(),
            "the input factor: " +
                verifyEncoding(encodings.input, {8, 64, 16}).error());
  encodings.base = encodings.input;
  EXPECT_EQ(sizeOf({8, 64, 32}, 1, 16, encodings).error(),
            "the base: " + verifyEncoding(encodings.base, {1, 64, 32}).error());
  encodings.original = encodings.input;
  EXPECT_EQ(sizeOf({8, 64, 32}, 1, 16, encodings).error(),
            "the original: " +
                verifyEncoding(encodings.original, {8, 64, 32}).error());
}

//===----------------------------------------------------------------------===//
// Failures
//===----------------------------------------------------------------------===//

TEST(ExpertFactors, failuresAreTheSameForAllThreads) {
  SyntheticExperts experts(8, 2, 10, 8, 2, 1, 0);
  experts.weights[4 * 80 + 13] = NAN;
  experts.weights[6 * 80 + 2] = INFINITY;
  experts.weights[7 * 80 + 2] = INFINITY;
  Sources sources(experts);
  const char *message = "gate: expected finite values, found nan at [4, 1, 5]";
  for (int64_t threads : {1, 2, 8}) {
    ParallelOptions parallel{threads, {}};
    EXPECT_EQ(factorizeExperts("g", sources.of, sources.base, experts.table,
                               withRank(2), parallel)
                  .error(),
              message);
    EXPECT_EQ(residualSpectra(sources.of, sources.base, experts.table, 0, {},
                              parallel)
                  .error(),
              message);
    EXPECT_EQ(measureExperts(sources.of, sources.base, experts.table, {}, {},
                             parallel)
                  .error(),
              message);
  }
}

TEST(ExpertFactors, refuse) {
  SyntheticExperts experts(3, 1, 10, 8, 2, 1, 0);
  Sources sources(experts);
  auto moments = splatMatrices("m", {3, 1, 10}, -1);
  ResidualOptions options = withRank(9);
  EXPECT_EQ(
      factorizeExperts("g", sources.of, sources.base, experts.table, options)
          .error(),
      "gate: expected a rank from 1 to 8, found 9");
  options = withRank(2);
  EXPECT_EQ(factorizeExperts("g", sources.of, sources.base, experts.table,
                             options, {-1, {}})
                .error(),
            "expected a number of threads, or 0 for the machine's, found -1");
  options.inputs.moments = moments;
  EXPECT_EQ(
      factorizeExperts("g", sources.of, sources.base, experts.table, options)
          .error(),
      "m entry 0: expected second moments of at least 0, found -1.000000 "
      "of feature 0");
  // The rank is no matter of spectra, their number is.
  EXPECT_TRUE(residualSpectra(sources.of, sources.base, experts.table, 0,
                              withRank(99)));
  EXPECT_EQ(
      residualSpectra(sources.of, sources.base, experts.table, 9, {}).error(),
      "gate: expected from 0 (all) to 8 singular values, found 9");
  EXPECT_EQ(residualSpectra(sources.of, sources.base, {0}, 0, {}).error(),
            "gate: expected a table of 3 entries, found 1");
  EXPECT_EQ(measureExperts(sources.of, sources.base, {0}, {}).error(),
            "gate: expected a table of 3 entries, found 1");

  auto left = splatMatrices("a", {3, 10, 2}, 0);
  auto right = splatMatrices("b", {3, 2, 8}, 0);
  auto measure = [&](const LowRankSources &factors) {
    return measureExperts(sources.of, sources.base, experts.table, factors)
        .error();
  };
  EXPECT_EQ(measure({left, right}), "");
  EXPECT_EQ(measure({left, nullptr}),
            "gate: expected both factors or none, found one");
  EXPECT_EQ(measure({nullptr, right}),
            "gate: expected both factors or none, found one");
  EXPECT_EQ(measure({left, splatMatrices("b", {3, 3, 8}, 0)}),
            "gate: expected factors [3, 10, r] and [3, r, 8], found [3, 10, 2] "
            "and [3, 3, 8]");
  EXPECT_EQ(measure({left, splatMatrices("b", {2, 2, 8}, 0)}),
            "gate: expected factors [3, 10, r] and [3, r, 8], found [3, 10, 2] "
            "and [2, 2, 8]");
  EXPECT_EQ(measure({splatMatrices("a", {3, 9, 2}, 0), right}),
            "gate: expected factors [3, 10, r] and [3, r, 8], found [3, 9, 2] "
            "and [3, 2, 8]");
  for (LowRankSources factors :
       {LowRankSources{splatMatrices("a", {3, 10, 2}, NAN), right},
        LowRankSources{left, splatMatrices("a", {3, 2, 8}, NAN)}})
    EXPECT_EQ(measure(factors),
              "a: expected finite values, found nan at [0, 0, 0]");
}

} // namespace
