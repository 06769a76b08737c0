// Tests of choosing encodings within budgets: by hand, against every selection there is, and at the size of real models.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/PrecisionSelection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

using namespace moec::weights;

namespace {

PrecisionUnit unit(std::vector<std::array<double, 3>> options) {
  PrecisionUnit unit;
  for (auto [bytes, error, seconds] : options)
    unit.options.push_back({{}, bytes, error, seconds});
  return unit;
}

using Chosen = std::vector<size_t>;

TEST(PrecisionSelection, takesTheStepThatGainsMostPerByte) {
  // Going from option 1 to 0 gains 4 for 10 bytes in the first unit, 9 for 20 in the second.
  std::vector<PrecisionUnit> units = {unit({{20, 0, 2}, {10, 4, 1}}),
                                      unit({{30, 0, 3}, {10, 9, 1}})};
  EXPECT_EQ(selectPrecision(units, {PrecisionMeasure::Bytes, 20})->options, (Chosen{1, 1}));
  EXPECT_EQ(selectPrecision(units, {PrecisionMeasure::Bytes, 30})->options, (Chosen{0, 1}));
  EXPECT_EQ(selectPrecision(units, {PrecisionMeasure::Bytes, 40})->options, (Chosen{1, 0}));
  PrecisionSelection all = *selectPrecision(units, {PrecisionMeasure::Bytes, 50});
  EXPECT_EQ(all.options, (Chosen{0, 0}));
  EXPECT_EQ(all.total.bytes, 50);
  EXPECT_EQ(all.total.squaredError, 0);
  EXPECT_EQ(all.total.seconds, 5);
  EXPECT_EQ(all.lowerBound, 0);
  // At 30 bytes half of the second unit's step would leave 4 + 4.5.
  EXPECT_DOUBLE_EQ(selectPrecision(units, {PrecisionMeasure::Bytes, 30})->lowerBound, 8.5);
}

TEST(PrecisionSelection, everyMeasureCanBeLimitedOrMinimised) {
  std::vector<PrecisionUnit> units = {unit({{20, 0, 2}, {10, 4, 1}}),
                                      unit({{30, 0, 3}, {10, 9, 1}})};
  EXPECT_EQ(selectPrecision(units, {PrecisionMeasure::SquaredError, 8, PrecisionMeasure::Bytes})->options, (Chosen{1, 0}));
  EXPECT_EQ(selectPrecision(units, {PrecisionMeasure::SquaredError, 13, PrecisionMeasure::Seconds})->options, (Chosen{1, 1}));
  EXPECT_EQ(selectPrecision(units, {PrecisionMeasure::Seconds, 3})->options, (Chosen{0, 1}));
}

TEST(PrecisionSelection, tiesGoToLessOfTheThirdMeasure) {
  // All are as fast; of those without error the smaller one.
  std::vector<PrecisionUnit> units = {unit({{30, 0, 1}, {20, 0, 1}, {10, 4, 1}})};
  EXPECT_EQ(selectPrecision(units, {PrecisionMeasure::SquaredError, 9, PrecisionMeasure::Seconds})->options, (Chosen{1}));
  // Error that gains nothing is not taken.
  EXPECT_EQ(selectPrecision(units, {PrecisionMeasure::SquaredError, 9, PrecisionMeasure::Bytes})->options, (Chosen{2}));
}

TEST(PrecisionSelection, optionsOffTheHullFillWhatIsLeft) {
  // The middle option lies above the line between the ends, and is what fits.
  std::vector<PrecisionUnit> units = {unit({{0, 10, 0}, {10, 9, 0}, {20, 0, 0}})};
  EXPECT_EQ(selectPrecision(units, {PrecisionMeasure::Bytes, 15})->options, (Chosen{1}));
  EXPECT_DOUBLE_EQ(selectPrecision(units, {PrecisionMeasure::Bytes, 15})->lowerBound, 2.5);
}

TEST(PrecisionSelection, whatIsImpossibleIsNamed) {
  std::vector<PrecisionUnit> units = {unit({{20, 0.5, 2}, {10, 4, 1}}), unit({{7, 1, 3}})};
  EXPECT_EQ(selectPrecision(units, {PrecisionMeasure::Bytes, 16}).error(),
            "expected a limit of at least 17, the least possible, found 16");
  EXPECT_EQ(leastPossible(units, PrecisionMeasure::Bytes), 17);
  EXPECT_EQ(leastPossible(units, PrecisionMeasure::SquaredError), 1.5);
  EXPECT_EQ(leastPossible(units, PrecisionMeasure::Seconds), 4);
  EXPECT_TRUE(selectPrecision(units, {PrecisionMeasure::Bytes, 17}));
  EXPECT_TRUE(selectPrecision({}, {PrecisionMeasure::Bytes, 0}));
}

TEST(PrecisionSelection, errorsOfUnitsGoThereAndBack) {
  EXPECT_DOUBLE_EQ(rmsError(0.09 * 4, 4), 0.3);
  EXPECT_DOUBLE_EQ(squaredErrorLimit(0.3, 4), 0.36);
  EXPECT_EQ(rmsError(0, 0), 0);
}

/// Numbers from 0 to 1, the same everywhere.
class Numbers {
public:
  double next() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return double(state >> 40) / double(1 << 24);
  }

private:
  uint64_t state = 7;
};

TEST(PrecisionSelection, isNearTheBestOfAllSelections) {
  Numbers numbers;
  for (int run = 0; run < 300; ++run) {
    std::vector<PrecisionUnit> units(4);
    double largestStep = 0;
    for (PrecisionUnit &unit : units) {
      double most = 0, least = 1e9;
      for (int i = 0; i < 4; ++i) {
        double error = numbers.next();
        unit.options.push_back({{}, std::floor(100 * numbers.next()), error, 0});
        most = std::max(most, error);
        least = std::min(least, error);
      }
      largestStep = std::max(largestStep, most - least);
    }
    double budget = leastPossible(units, PrecisionMeasure::Bytes) + 120 * numbers.next();
    PrecisionSelection found = *selectPrecision(units, {PrecisionMeasure::Bytes, budget});
    double best = std::numeric_limits<double>::infinity();
    for (int code = 0; code < 256; ++code) {
      double bytes = 0, error = 0;
      for (size_t i = 0; i < 4; ++i) {
        const PrecisionOption &option = units[i].options[size_t(code >> 2 * i & 3)];
        bytes += option.bytes;
        error += option.squaredError;
      }
      if (bytes <= budget)
        best = std::min(best, error);
    }
    EXPECT_LE(found.total.bytes, budget);
    EXPECT_LE(found.lowerBound, best + 1e-12);
    EXPECT_GE(found.total.squaredError, best - 1e-12);
    EXPECT_LE(found.total.squaredError, found.lowerBound + largestStep);
  }
}

TEST(PrecisionSelection, plansALargeModelAtOnce) {
  // 48 layers of gate, up and down, 49 mixes each; that they are of 128 experts is in the errors.
  Numbers numbers;
  std::vector<PrecisionUnit> units(48 * 3);
  for (PrecisionUnit &unit : units)
    for (int i = 0; i < 49; ++i)
      unit.options.push_back({{}, 1e6 * numbers.next(), numbers.next(), numbers.next()});
  auto before = std::chrono::steady_clock::now();
  double least = leastPossible(units, PrecisionMeasure::Bytes);
  Result<PrecisionSelection> found = selectPrecision(units, {PrecisionMeasure::Bytes, 2 * least});
  std::chrono::duration<double> taken = std::chrono::steady_clock::now() - before;
  ASSERT_TRUE(found);
  EXPECT_LE(found->total.bytes, 2 * least);
  EXPECT_LE(found->total.squaredError, found->lowerBound * 1.05);
  EXPECT_LT(taken.count(), 1.0);
}

//===----------------------------------------------------------------------===//
// Encodings
//===----------------------------------------------------------------------===//

TEST(PrecisionSelection, groupsAreMadeToFit) {
  Encoding int4{Format::Int4, 32, true, ScaleType::F16};
  auto groupFor = [&](std::vector<int64_t> extents) {
    std::optional<Encoding> fitting = withFittingGroup(int4, extents);
    return fitting ? fitting->group : 0;
  };
  EXPECT_EQ(groupFor({64, 96}), 32);
  // A residual's factors: 96 rows, and as many as the rank has columns.
  EXPECT_EQ(groupFor({96, 16}), 16);
  EXPECT_EQ(groupFor({80}), 20);
  EXPECT_EQ(groupFor({15}), 15);
  // Scales would outweigh what codes save.
  EXPECT_EQ(groupFor({7 * 3, 14 * 3}), 21);
  EXPECT_EQ(groupFor({37}), 0);
  EXPECT_EQ(groupFor({64, 6}), 0);
  EXPECT_EQ(withFittingGroup({Format::BF16}, std::vector<int64_t>{37})->format, Format::BF16);
  EXPECT_FALSE(withFittingGroup({Format::MXFP4, 32}, std::vector<int64_t>{48}));
  EXPECT_TRUE(withFittingGroup({Format::MXFP4, 32}, std::vector<int64_t>{64}));
}

TEST(PrecisionSelection, usualEncodingsAreValid) {
  std::vector<Encoding> encodings = usualEncodings();
  EXPECT_EQ(encodings.size(), 5u);
  for (const Encoding &encoding : encodings)
    EXPECT_TRUE(verifyEncoding(encoding)) << toString(encoding);
}

TEST(PrecisionSelection, encodingsAreReadBetweenCommas) {
  Result<std::vector<Encoding>> encodings = encodingsFromText("bf16,int4 group 32 scale f16");
  ASSERT_TRUE(encodings) << encodings.error();
  ASSERT_EQ(encodings->size(), 2u);
  EXPECT_EQ(toString((*encodings)[1]), "int4 group 32 scale f16");
  EXPECT_NE(encodingsFromText("bf16,,f16").error().find("found ''"), std::string::npos);
  EXPECT_TRUE(encodingsFromText("")->empty());
}

} // namespace
