// Tests of how far traffic has moved.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/TrafficDrift.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace moec::weights;

namespace {

/// Three experts of width 2, of which tokens choose two.
LayerProfile traffic(std::vector<int64_t> pairs01_02_12,
                     std::vector<float> centroids = {1, 0, 0, 1, 1, 1}) {
  int64_t a = pairs01_02_12[0], b = pairs01_02_12[1], c = pairs01_02_12[2];
  LayerProfile layer;
  layer.experts = 3;
  layer.width = 2;
  layer.tokens = a + b + c;
  layer.counts = {a + b, a + c, b + c};
  layer.cooccurrence = {a + b, a, b, a, a + c, c, b, c, b + c};
  layer.centroids = std::move(centroids);
  return layer;
}

TEST(TrafficDrift, isNoneOfTheSameTraffic) {
  auto drift = driftBetween(traffic({10, 20, 30}), traffic({1, 2, 3}));
  ASSERT_TRUE(drift) << drift.error();
  EXPECT_DOUBLE_EQ(drift->load, 0);
  EXPECT_DOUBLE_EQ(drift->pairs, 0);
  EXPECT_DOUBLE_EQ(drift->inputs, 0);
}

TEST(TrafficDrift, isTheShareThatGoesElsewhere) {
  // Choices (20, 20, 0) of 40 become (20, 0, 20): half of them move; all pairs.
  auto drift = driftBetween(traffic({20, 0, 0}), traffic({0, 20, 0}));
  ASSERT_TRUE(drift) << drift.error();
  EXPECT_DOUBLE_EQ(drift->load, 0.5);
  EXPECT_DOUBLE_EQ(drift->pairs, 1);
  EXPECT_DOUBLE_EQ(drift->inputs, 0);
  EXPECT_DOUBLE_EQ(drift->largest(), 1);
}

TEST(TrafficDrift, seesPairsThatLoadDoesNot) {
  // Every expert as often as before.
  LayerProfile then = traffic({10, 10, 10}), now = traffic({10, 10, 10});
  then.cooccurrence = {20, 20, 0, 20, 20, 0, 0, 0, 20};
  auto drift = driftBetween(then, now);
  ASSERT_TRUE(drift) << drift.error();
  EXPECT_DOUBLE_EQ(drift->load, 0);
  EXPECT_NEAR(drift->pairs, 2.0 / 3, 1e-12);
}

TEST(TrafficDrift, weighsInputsByChoices) {
  // Of 120 choices, 40 are of expert 2, whose inputs turned by 45 degrees; the
  // one that was never seen then does not count.
  auto drift = driftBetween(traffic({20, 20, 20}, {1, 0, 0, 0, 1, 1}),
                            traffic({20, 20, 20}, {1, 0, 0, 1, 0, 3}));
  ASSERT_TRUE(drift) << drift.error();
  EXPECT_NEAR(drift->inputs, (1 - std::sqrt(0.5)) / 2, 1e-12);
}

TEST(TrafficDrift, isNotSeenWithoutTraffic) {
  auto drift = driftBetween(traffic({0, 0, 0}), traffic({0, 20, 0}));
  ASSERT_TRUE(drift) << drift.error();
  EXPECT_DOUBLE_EQ(drift->largest(), 0);
}

TEST(TrafficDrift, refusesOtherLayers) {
  LayerProfile other = traffic({1, 1, 1});
  other.width = 3;
  auto drift = driftBetween(traffic({1, 1, 1}), other);
  ASSERT_FALSE(drift);
  EXPECT_EQ(drift.error(), "expected traffic of 3 experts and width 2, found "
                           "that of 3 and 3");
}

} // namespace
