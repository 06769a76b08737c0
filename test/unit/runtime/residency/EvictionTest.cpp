// Tests of what keeping a unit is worth.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Eviction.h"

#include <gtest/gtest.h>

using namespace moec::residency;

namespace {

TEST(Eviction, turnsUntilALayersNextStep) {
  Extents extents{4, 2};
  EXPECT_EQ(turnsUntil(extents, 1, 3), 2u);
  EXPECT_EQ(turnsUntil(extents, 1, 0), 3u);
  EXPECT_EQ(turnsUntil(extents, 1, 1), 4u);
  EXPECT_EQ(turnsUntil(extents, 7, 0), 1u);
}

TEST(Eviction, leastRecentlyUsed) {
  LeastRecentlyUsed lru(3);
  lru.used(2, 0);
  lru.used(0, 1);
  EXPECT_LT(lru.worth(1, 5), lru.worth(2, 5));
  EXPECT_LT(lru.worth(2, 5), lru.worth(0, 5));
  // Read ahead of time: not the next to leave.
  lru.entered(1, 4);
  EXPECT_LT(lru.worth(0, 5), lru.worth(1, 5));
}

TEST(Eviction, leastFrequentlyUsed) {
  LeastFrequentlyUsed lfu(2, /*halfLife=*/10);
  lfu.used(0, 0);
  lfu.used(0, 0);
  lfu.used(1, 10);
  EXPECT_DOUBLE_EQ(lfu.worth(0, 0), 2);
  EXPECT_DOUBLE_EQ(lfu.worth(0, 10), 1);
  EXPECT_DOUBLE_EQ(lfu.worth(1, 20), 0.5);
  lfu.used(0, 20);
  EXPECT_DOUBLE_EQ(lfu.worth(0, 20), 1.5);
}

TEST(Eviction, latestNextUse) {
  struct : Predictor {
    void observe(uint32_t, std::span<const uint32_t>) override {}
    double chance(uint32_t layer, uint32_t cluster) const override {
      return layer == 0 ? (cluster ? 0.5 : 0) : 1;
    }
  } predictor;
  LatestNextUse eviction({3, 2}, predictor);
  // At layer 1: layer 2 is a turn ahead, layer 0 two, and every second step.
  EXPECT_DOUBLE_EQ(eviction.worth(2 * 2 + 0, 1), -1);
  EXPECT_DOUBLE_EQ(eviction.worth(0 * 2 + 1, 1), -(2 + 3));
  EXPECT_LT(eviction.worth(0 * 2 + 0, 1), -1e6);
  EXPECT_DOUBLE_EQ(eviction.worth(1 * 2 + 0, 1), -3);
}

TEST(Eviction, byName) {
  NoPredictor none;
  EXPECT_EQ(evictionNames(),
            (std::vector<std::string_view>{"lru", "lfu", "next_use"}));
  for (std::string_view name : evictionNames())
    EXPECT_NE(makeEviction(name, {2, 2}, none), nullptr) << name;
  EXPECT_EQ(makeEviction("clairvoyant", {2, 2}, none), nullptr);
}

} // namespace
