// Tests of slots and who is in them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Residency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

using namespace moec::residency;

namespace {

/// Worth is the unit's own number.
class ByNumber : public Eviction {
public:
  void used(Unit, uint64_t) override {}
  double worth(Unit unit, uint64_t) const override { return unit; }
};

TEST(Residency, unitsComeAndGo) {
  Residency residency(5, 2);
  ByNumber eviction;
  EXPECT_TRUE(residency.isAbsent(3));
  ASSERT_EQ(residency.slotToTake(eviction, 0), 0u);
  residency.load(3, 0);
  EXPECT_TRUE(residency.isLoading(3) && !residency.isPresent(3));
  EXPECT_EQ(residency.slotOf(3), 0u);
  // Empty slots first, then the least worth; what is loading stays.
  ASSERT_EQ(residency.slotToTake(eviction, 0), 1u);
  residency.load(1, 1);
  EXPECT_EQ(residency.slotToTake(eviction, 0), std::nullopt);
  residency.landed(3);
  EXPECT_EQ(residency.slotToTake(eviction, 0), 0u);
  residency.landed(1);
  EXPECT_EQ(residency.slotToTake(eviction, 0), 1u);
  residency.load(4, 1);
  EXPECT_TRUE(residency.isAbsent(1) && residency.isLoading(4));
  residency.failed(4);
  EXPECT_TRUE(residency.isAbsent(4));
  EXPECT_EQ(residency.slotToTake(eviction, 0), 1u);
}

TEST(Residency, whatIsHeldStays) {
  Residency residency(3, 2);
  ByNumber eviction;
  for (Unit unit : {0u, 1u}) {
    residency.load(unit, unit);
    residency.landed(unit);
  }
  residency.hold(0);
  residency.hold(0);
  EXPECT_EQ(residency.slotToTake(eviction, 0), 1u);
  residency.release(0);
  EXPECT_EQ(residency.slotToTake(eviction, 0), 1u);
  residency.hold(1);
  EXPECT_EQ(residency.slotToTake(eviction, 0), std::nullopt);
  residency.release(0);
  EXPECT_EQ(residency.slotToTake(eviction, 0), 0u);
}

TEST(Residency, idleUnits) {
  Residency residency(3, 3);
  for (Unit unit : {0u, 1u, 2u}) {
    residency.load(unit, unit);
    residency.landed(unit);
    residency.used(unit, 10 * unit);
  }
  EXPECT_EQ(residency.idleSince(0), noUnit);
  EXPECT_EQ(residency.idleSince(10), 0u);
  residency.hold(0);
  EXPECT_EQ(residency.idleSince(10), noUnit);
  EXPECT_EQ(residency.idleSince(11), 1u);
  residency.evict(1);
  EXPECT_TRUE(residency.isAbsent(1));
  EXPECT_EQ(residency.idleSince(11), noUnit);
}

TEST(Residency, anyOrderOfEvents) {
  // Units that are not absent, and slots, know each other.
  std::mt19937 random(3);
  Residency residency(20, 6);
  ByNumber eviction;
  std::vector<int> held(20, 0);
  for (int event = 0; event < 20000; ++event) {
    Unit unit = random() % 20;
    switch (random() % 5) {
    case 0:
      if (auto slot = residency.slotToTake(eviction, 0);
          slot && residency.isAbsent(unit)) {
        Unit leaving = residency.occupants()[*slot];
        ASSERT_TRUE(leaving == noUnit ||
                    (residency.isPresent(leaving) && held[leaving] == 0));
        residency.load(unit, *slot);
      }
      break;
    case 1:
      if (residency.isLoading(unit))
        residency.landed(unit);
      break;
    case 2:
      if (residency.isLoading(unit) && held[unit] == 0)
        residency.failed(unit);
      break;
    case 3:
      residency.hold(unit);
      ++held[unit];
      break;
    default:
      if (held[unit]) {
        residency.release(unit);
        --held[unit];
      }
    }
    auto occupants = residency.occupants();
    for (Unit each = 0; each < 20; ++each) {
      auto slots = std::count(occupants.begin(), occupants.end(), each);
      ASSERT_EQ(slots, residency.isAbsent(each) ? 0 : 1);
      if (slots) {
        ASSERT_EQ(occupants[residency.slotOf(each)], each);
      }
    }
  }
}

} // namespace
