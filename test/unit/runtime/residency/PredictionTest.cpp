// Tests of what layers are said to meet next.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Prediction.h"

#include <gtest/gtest.h>

using namespace moec::residency;

namespace {

using Clusters = std::vector<uint32_t>;

TEST(Prediction, rollingActivation) {
  RollingPredictor rolling({2, 3}, 0.5);
  EXPECT_EQ(rolling.chance(1, 2), 0);
  rolling.observe(1, Clusters{2});
  rolling.observe(0, Clusters{0});
  EXPECT_DOUBLE_EQ(rolling.chance(1, 2), 0.5);
  EXPECT_DOUBLE_EQ(rolling.chance(0, 2), 0);
  rolling.observe(1, Clusters{0, 2});
  EXPECT_DOUBLE_EQ(rolling.chance(1, 2), 0.75);
  EXPECT_DOUBLE_EQ(rolling.chance(1, 0), 0.5);
  rolling.observe(1, Clusters{});
  EXPECT_DOUBLE_EQ(rolling.chance(1, 2), 0.375);
}

TEST(Prediction, nearestPastRequest) {
  PastRequestPredictor past({2, 4}, /*capacity=*/2);
  EXPECT_EQ(past.chance(0, 0), 0);
  auto request = [&](Clusters first, Clusters second, int steps) {
    past.beginRequest();
    for (int step = 0; step < steps; ++step) {
      past.observe(0, first);
      past.observe(1, second);
    }
  };
  request({0}, {1}, 4);
  // Its own steps, before any request has ended.
  EXPECT_DOUBLE_EQ(past.chance(0, 0), 1);
  request({2}, {3}, 2);
  past.beginRequest();
  // Nothing is known of this one: the latest.
  EXPECT_DOUBLE_EQ(past.chance(1, 3), 1);
  past.observe(0, Clusters{0});
  EXPECT_DOUBLE_EQ(past.chance(1, 1), 1);
  EXPECT_DOUBLE_EQ(past.chance(1, 3), 0);
  // The first of three is forgotten: what shares something with the second is as that.
  past.observe(1, Clusters{3});
  past.beginRequest();
  past.observe(0, Clusters{2});
  EXPECT_DOUBLE_EQ(past.chance(1, 3), 1);
  EXPECT_DOUBLE_EQ(past.chance(1, 1), 0);
  past.observe(1, Clusters{1});
  // Half of its steps met it.
  past.beginRequest();
  past.observe(0, Clusters{3});
  past.observe(0, Clusters{1});
  past.beginRequest();
  past.observe(0, Clusters{1});
  EXPECT_DOUBLE_EQ(past.chance(0, 3), 0.5);
}

TEST(Prediction, hintsAreWeighed) {
  HintedPredictor hinted({1, 4}), exact({1, 4}, /*isExact=*/true);
  exact.hint(0, Clusters{1});
  EXPECT_DOUBLE_EQ(exact.chance(0, 1), 1);
  EXPECT_DOUBLE_EQ(exact.chance(0, 2), 0);
  hinted.hint(0, Clusters{1});
  EXPECT_DOUBLE_EQ(hinted.chance(0, 1), 0.5);
  // Half of the time right.
  for (uint32_t step = 0; step < 1000; ++step) {
    hinted.hint(0, Clusters{1});
    hinted.observe(0, Clusters{step % 2 ? 1u : 2u});
  }
  // Without a hint: how often it was met.
  EXPECT_GT(hinted.chance(0, 1), 0.4);
  EXPECT_EQ(hinted.chance(0, 3), 0);
  hinted.hint(0, Clusters{3});
  EXPECT_NEAR(hinted.chance(0, 3), 0.5, 0.01);
  // The others are one of three every second time.
  EXPECT_NEAR(hinted.chance(0, 1), 1.0 / 6, 0.01);
  // A later hint replaces the one before.
  hinted.hint(0, Clusters{0});
  EXPECT_NEAR(hinted.chance(0, 3), 1.0 / 6, 0.01);
}

TEST(Prediction, knowingNothing) {
  NoPredictor none;
  none.beginRequest();
  none.observe(0, Clusters{0});
  none.hint(0, Clusters{0});
  EXPECT_EQ(none.chance(0, 0), 0);
}

TEST(Prediction, whetherAFetchPays) {
  // An empty slot and an idle link: any chance pays.
  EXPECT_TRUE(paysToFetch(0.01, 1, 1, 0, 0));
  EXPECT_FALSE(paysToFetch(0, 1, 1, 0, 0));
  // In place of another.
  EXPECT_TRUE(paysToFetch(0.6, 1, 1, 0.5, 0));
  EXPECT_FALSE(paysToFetch(0.4, 1, 1, 0.5, 0));
  // Only a tenth of the read is hidden.
  EXPECT_FALSE(paysToFetch(0.6, 0.1, 1, 0.5, 0));
  EXPECT_TRUE(paysToFetch(0.6, 0.1, 1, 0.05, 0));
  // Wrong ones delay others on a busy link.
  EXPECT_FALSE(paysToFetch(0.3, 1, 1, 0, 0.5));
  EXPECT_TRUE(paysToFetch(0.4, 1, 1, 0, 0.5));
}

TEST(Prediction, byName) {
  EXPECT_EQ(listed(predictorNames()),
            "none, rolling, past_request, hint, exact_hint");
  for (std::string_view name : predictorNames())
    EXPECT_NE(makePredictor(name, {2, 2}), nullptr) << name;
  EXPECT_EQ(makePredictor("clairvoyant", {2, 2}), nullptr);
  // Hints that are exact are believed from the start.
  auto hinted = makePredictor("hint", {1, 4}),
       exact = makePredictor("exact_hint", {1, 4});
  hinted->hint(0, Clusters{1});
  exact->hint(0, Clusters{1});
  EXPECT_LT(hinted->chance(0, 1), exact->chance(0, 1));
}

} // namespace
