// Tests of the mean and of the truncated SVD (docs/spec.md section 2).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Recipes.h"

#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace moec::weights;

namespace {

using Floats = std::vector<float>;
using Table = std::vector<int32_t>;

TEST(Recipes, meanOfEachTargetsEntries) {
  // Target 1 has no entry.
  Result<Floats> mean =
      meanByTable({3, 1, 2}, Floats{1, 2, 3, 6, 10, 20}, Table{0, 0, 2}, 3);
  ASSERT_TRUE(mean) << mean.error();
  EXPECT_EQ(*mean, (Floats{2, 4, 0, 0, 10, 20}));
}

TEST(Recipes, meanSumsInDouble) {
  Result<Floats> mean =
      meanByTable({3, 1, 1}, Floats{1e8f, 4, -1e8f}, Table{0, 0, 0}, 1);
  EXPECT_EQ((*mean)[0], float(4.0 / 3.0));
}

TEST(Recipes, meanRefuses) {
  Floats four(4);
  EXPECT_EQ(meanByTable({2, 1, 2}, Floats(3), Table{0, 0}, 1).error(),
            "expected 4 values of the mean's weight for shape [2, 1, 2], found "
            "3");
  EXPECT_EQ(meanByTable({2, 1, 2}, four, Table{0}, 1).error(),
            "expected a table of 2 entries, found 1");
  EXPECT_EQ(meanByTable({2, 1, 2}, four, Table{0, 3}, 3).error(),
            "expected targets from 0 to 2 in the table, found 3 at entry 1");
  EXPECT_EQ(meanByTable({2, 1, 2}, four, Table{-1, 0}, 3).error(),
            "expected targets from 0 to 2 in the table, found -1 at entry 0");
  EXPECT_EQ(meanByTable({2, 1, 2}, four, Table{0, 0}, 0).error(),
            "expected at least one target of the table, found 0");
}

/// input * output for one entry.
Floats product(const LowRankFactors &factors, MatrixShape shape, int64_t rank,
               int64_t entry) {
  Floats result(size_t(shape.rows * shape.cols));
  for (int64_t i = 0; i < shape.rows; ++i)
    for (int64_t j = 0; j < shape.cols; ++j) {
      double sum = 0;
      for (int64_t r = 0; r < rank; ++r)
        sum +=
            double(factors.input[size_t((entry * shape.rows + i) * rank + r)]) *
            factors.output[size_t((entry * rank + r) * shape.cols + j)];
      result[size_t(i * shape.cols + j)] = float(sum);
    }
  return result;
}

TEST(Recipes, svdOfADiagonal) {
  // diag(3, -4) minus zero: the first pair is 4, with U = e1 and V = -e1.
  Result<LowRankFactors> factors = truncatedSvd(
      {1, 2, 2}, Floats{3, 0, 0, -4}, Floats(4, 0.0f), 1, Table{0}, 2);
  ASSERT_TRUE(factors) << factors.error();
  float root = std::sqrt(3.0f);
  const float input[] = {0, root, 2, 0}, output[] = {0, -2, root, 0};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(factors->input[i], input[i], 1e-6f);
    EXPECT_NEAR(factors->output[i], output[i], 1e-6f);
  }
}

TEST(Recipes, svdTakesTheBaseOfTheEntrysTarget) {
  MatrixShape shape{3, 6, 5};
  Floats values = seededValues(1, 3 * 30), base = seededValues(2, 2 * 30);
  Table table = {1, 0, 1};
  Result<LowRankFactors> factors =
      truncatedSvd(shape, values, base, 2, table, 5);
  ASSERT_TRUE(factors);
  for (int64_t e = 0; e < 3; ++e) {
    Floats rebuilt = product(*factors, shape, 5, e);
    for (size_t i = 0; i < 30; ++i)
      EXPECT_NEAR(rebuilt[i],
                  values[size_t(e) * 30 + i] -
                      base[size_t(table[size_t(e)]) * 30 + i],
                  1e-5f);
  }
}

TEST(Recipes, svdIsTheBestOfItsRankAndTheSignIsFixed) {
  // Large enough that the solver divides and conquers.
  MatrixShape shape{1, 40, 30};
  Floats values = seededValues(4, 1200), zero(1200, 0.0f);
  double last = 1e9;
  for (int64_t rank : {1, 5, 30}) {
    Result<LowRankFactors> factors =
        truncatedSvd(shape, values, zero, 1, Table{0}, rank);
    ASSERT_TRUE(factors);
    Floats rebuilt = product(*factors, shape, rank, 0);
    double error = 0;
    for (size_t i = 0; i < 1200; ++i)
      error += std::pow(rebuilt[i] - values[i], 2);
    EXPECT_LT(error, last);
    last = error;
    for (int64_t r = 0; r < rank; ++r) {
      float largest = 0;
      for (int64_t i = 0; i < 40; ++i)
        if (std::abs(factors->input[size_t(i * rank + r)]) > std::abs(largest))
          largest = factors->input[size_t(i * rank + r)];
      EXPECT_GT(largest, 0) << r;
    }
  }
  EXPECT_LT(last, 1e-8);
}

TEST(Recipes, svdOfNothingIsZero) {
  Floats same = seededValues(1, 12);
  Result<LowRankFactors> factors =
      truncatedSvd({1, 4, 3}, same, same, 1, Table{0}, 2);
  ASSERT_TRUE(factors);
  EXPECT_EQ(factors->input, Floats(8, 0.0f));
  EXPECT_EQ(factors->output, Floats(6, 0.0f));
}

TEST(Recipes, svdRefuses) {
  Floats six(6);
  EXPECT_EQ(truncatedSvd({1, 3, 2}, six, six, 1, Table{0}, 3).error(),
            "expected a rank from 1 to 2, found 3");
  EXPECT_EQ(truncatedSvd({1, 3, 2}, six, six, 1, Table{0}, 0).error(),
            "expected a rank from 1 to 2, found 0");
  EXPECT_EQ(truncatedSvd({1, 3, 2}, six, Floats(5), 1, Table{0}, 1).error(),
            "expected 6 values of the svd's base for shape [1, 3, 2], found 5");
  EXPECT_EQ(truncatedSvd({1, 3, 2}, six, six, 1, Table{1}, 1).error(),
            "expected targets from 0 to 0 in the table, found 1 at entry 0");
  six[3] = NAN;
  EXPECT_EQ(truncatedSvd({1, 3, 2}, six, six, 1, Table{0}, 1).error(),
            "expected finite values for a truncated SVD, found an infinity or "
            "a NaN in entry 0");
}

} // namespace
