// Tests of linear assignment: against all permutations of few rows, and against
// the lower bound that its own prices prove for many.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/LinearAssignment.h"

#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace moec::weights;

namespace {

/// That the columns are a permutation, cost what is said, and cost no more than
/// the prices prove.
void expectOptimal(int64_t size, const std::vector<float> &costs,
                   const Assignment &found) {
  size_t n = size_t(size);
  ASSERT_EQ(found.columnOfRow.size(), n);
  std::vector<bool> taken(n, false);
  double cost = 0, bound = 0, largest = 1;
  for (float value : costs)
    largest = std::max(largest, double(std::abs(value)));
  for (size_t i = 0; i < n; ++i) {
    size_t column = size_t(found.columnOfRow[i]);
    ASSERT_LT(column, n);
    ASSERT_FALSE(taken[column]);
    taken[column] = true;
    cost += double(costs[i * n + column]);
    bound += found.rowPrice[i] + found.columnPrice[i];
    for (size_t j = 0; j < n; ++j)
      ASSERT_LE(found.rowPrice[i] + found.columnPrice[j],
                double(costs[i * n + j]) + 1e-12 * largest * double(n));
  }
  EXPECT_NEAR(found.cost, cost, 1e-12 * largest * double(n));
  EXPECT_NEAR(found.cost, bound, 1e-12 * largest * double(n * n));
}

TEST(LinearAssignment, isTheBestOfAllPermutations) {
  uint32_t seed = 0;
  for (int64_t size = 1; size <= 7; ++size)
    for (int round = 0; round < 40; ++round) {
      std::vector<float> costs = seededValues(++seed, size * size, 10.0);
      // Small integers have ties.
      if (round % 2 == 0)
        for (float &cost : costs)
          cost = std::round(cost / 3);
      Result<Assignment> found = assignLinearly(size, costs);
      ASSERT_TRUE(found) << found.error();
      expectOptimal(size, costs, *found);
      std::vector<size_t> order(static_cast<size_t>(size));
      std::iota(order.begin(), order.end(), size_t(0));
      double best = 1e300;
      do {
        double cost = 0;
        for (size_t i = 0; i < order.size(); ++i)
          cost += double(costs[i * order.size() + order[i]]);
        best = std::min(best, cost);
      } while (std::next_permutation(order.begin(), order.end()));
      EXPECT_NEAR(found->cost, best, 1e-9);
    }
}

TEST(LinearAssignment, provesItselfForManyRows) {
  uint32_t seed = 1000;
  for (int64_t size : {20, 65, 150})
    for (int kind = 0; kind < 4; ++kind) {
      size_t n = size_t(size);
      std::vector<float> costs = seededValues(++seed, size * size);
      for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < n; ++j) {
          float &cost = costs[i * n + j];
          if (kind == 1)
            cost = std::round(cost * 5); // many ties
          if (kind == 2)
            cost = float(i * j); // long paths
          if (kind == 3)
            cost += 1e6f * float(i + j); // no choice changes the large part
        }
      Result<Assignment> found = assignLinearly(size, costs);
      ASSERT_TRUE(found) << found.error();
      expectOptimal(size, costs, *found);
    }
}

TEST(LinearAssignment, products) {
  // The least sum of i * j pairs the largest with the smallest.
  std::vector<float> costs;
  for (int i = 0; i < 9; ++i)
    for (int j = 0; j < 9; ++j)
      costs.push_back(float(i * j));
  EXPECT_EQ(assignLinearly(9, costs)->columnOfRow,
            (std::vector<int32_t>{8, 7, 6, 5, 4, 3, 2, 1, 0}));
}

TEST(LinearAssignment, equalCosts) {
  Result<Assignment> found = assignLinearly(5, std::vector<float>(25, 2.0f));
  ASSERT_TRUE(found);
  expectOptimal(5, std::vector<float>(25, 2.0f), *found);
  EXPECT_EQ(found->cost, 10.0);
}

TEST(LinearAssignment, refusals) {
  EXPECT_EQ(assignLinearly(0, {}).error(),
            "expected from 1 to 65536 rows to assign, found 0");
  EXPECT_EQ(assignLinearly(65537, {}).error(),
            "expected from 1 to 65536 rows to assign, found 65537");
  EXPECT_EQ(assignLinearly(2, std::vector<float>(3)).error(),
            "expected 4 costs of 2 rows, found 3");
  EXPECT_EQ(assignLinearly(2, std::vector<float>{0, 0, NAN, 0}).error(),
            "expected finite costs, found one of row 1 that is not");
  EXPECT_EQ(assignLinearly(2, std::vector<float>{0, -INFINITY, 0, 0}).error(),
            "expected finite costs, found one of row 0 that is not");
}

} // namespace
