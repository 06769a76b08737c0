// Tests of medians, quantiles and ratios against numbers worked out by hand.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Statistics.h"

#include <gtest/gtest.h>

using namespace moec::bench;

namespace {

TEST(Statistics, quantilesAreInterpolated) {
  EXPECT_EQ(quantile({4, 1, 3, 2}, 0), 1);
  EXPECT_EQ(quantile({4, 1, 3, 2}, 1), 4);
  EXPECT_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_EQ(quantile({4, 1, 3, 2}, 0.25), 1.75);
  EXPECT_EQ(quantile({7}, 0.9), 7);
  EXPECT_EQ(quantile({}, 0.5), 0);
}

TEST(Statistics, summary) {
  double values[] = {5, 1, 2, 3, 100};
  Summary summary = summarize(values);
  EXPECT_EQ(summary.median, 3);
  EXPECT_EQ(summary.least, 1);
  EXPECT_EQ(summary.spread, 3);
  EXPECT_EQ(summary.rounds, 5u);
}

TEST(Statistics, aRatioIsTakenWithinARound) {
  // Each round is slower than the last, for both alike.
  double times[] = {2, 20, 200}, baseline[] = {1, 10, 100};
  EXPECT_EQ(medianRatio(times, baseline), 2);
  EXPECT_EQ(medianRatio(std::span(times, 2), baseline), 0);
}

} // namespace
