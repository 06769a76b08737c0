// Tests of seeded values against docs/spec.md 2.1, computed apart in Python.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Seeded.h"

#include <gtest/gtest.h>

using namespace moec::weights;

namespace {

TEST(Seeded, knownBits) {
  EXPECT_EQ(seededBits(0u, 0u), 0xC7922D58u);
  EXPECT_EQ(seededBits(1u, 0u), 0xE3F751B2u);
  EXPECT_EQ(seededBits(1u, 1u), 0xFC216768u);
  EXPECT_EQ(seededBits(7u, 12345u), 0xEC64CF41u);
  EXPECT_EQ(seededBits(4294967295u, 4294967295u), 0xC35E482Cu);
  EXPECT_EQ(seededValue(0, 0, 1.0), 0x1.1e48b40000000p-1f);
  EXPECT_EQ(seededValue(1, 1, 1.0), 0x1.f0859c0000000p-1f);
  EXPECT_EQ(seededValue(7, 3, 0.1), -0x1.1f1a940000000p-5f);
}

TEST(Seeded, valuesLieInTheScale) {
  float low = 1, high = -1;
  double sum = 0;
  for (float value : seededValues(3, 100000, 0.5)) {
    low = std::min(low, value);
    high = std::max(high, value);
    sum += value;
  }
  EXPECT_GE(low, -0.5f);
  EXPECT_LT(high, 0.5f);
  EXPECT_LT(low, -0.499f);
  EXPECT_GT(high, 0.499f);
  EXPECT_NEAR(sum / 100000, 0, 0.005);
}

TEST(Seeded, elementsAreCountedModulo32Bits) {
  EXPECT_EQ(seededValue(9, 5), seededValue(9, (uint64_t(1) << 32) + 5));
  EXPECT_NE(seededValue(9, 5), seededValue(10, 5));
  EXPECT_TRUE(seededValues(1, 0).empty());
}

TEST(Seeded, keysHaveSeedsOfTheirOwn) {
  // FNV-1a of nothing, "a" and "foobar", as published.
  EXPECT_EQ(seedForKey(0, ""), 0x811C9DC5u);
  EXPECT_EQ(seedForKey(0, "a"), 0xE40C292Cu);
  EXPECT_EQ(seedForKey(0, "foobar"), 0xBF9CF968u);
  EXPECT_EQ(seedForKey(7, "a"), 0xE40C292Cu ^ 7u);
}

} // namespace
