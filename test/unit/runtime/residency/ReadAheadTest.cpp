// Tests of which bases are read before a step asks for them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/ReadAhead.h"

#include <gtest/gtest.h>

#include <map>

using namespace moec::residency;

namespace {

/// Says what it was told.
class ToldPredictor : public Predictor {
public:
  void observe(uint32_t, std::span<const uint32_t>) override {}
  double chance(uint32_t layer, uint32_t cluster) const override {
    auto found = told.find({layer, cluster});
    return found == told.end() ? 0 : found->second;
  }

  std::map<std::pair<uint32_t, uint32_t>, double> told;
};

class ReadAheadTest : public testing::Test {
protected:
  std::vector<Unit> units(uint32_t ahead, uint64_t turn) {
    auto found = readAhead.unitsWorthReading(residency, ahead, turn, costs);
    return {found.begin(), found.end()};
  }
  void bring(Unit unit, uint32_t slot) {
    residency.load(unit, slot);
    residency.landed(unit);
  }

  Extents extents = {3, 4};
  ToldPredictor predictor;
  LeastRecentlyUsed eviction = LeastRecentlyUsed(extents.units());
  ReadAhead readAhead = ReadAhead(extents, eviction, predictor);
  Residency residency = Residency(extents.units(), 2);
  ReadCosts costs = {/*layerSeconds=*/10, /*readSeconds=*/1, /*busyPart=*/0};
};

TEST_F(ReadAheadTest, takesTheLikeliestOfALayerFirst) {
  predictor.told = {{{1, 0}, 0.2}, {{1, 2}, 0.9}, {{1, 3}, 0.2}, {{2, 1}, 1}};
  EXPECT_EQ(units(1, 0), (std::vector<Unit>{6, 4, 7}));
  EXPECT_EQ(units(2, 0), (std::vector<Unit>{9}));
  // Behind the last layer comes the next step's first one.
  EXPECT_TRUE(units(1, 2).empty());
  EXPECT_EQ(units(2, 2), (std::vector<Unit>{6, 4, 7}));
}

TEST_F(ReadAheadTest, leavesOutWhatIsThereOrComing) {
  predictor.told = {{{1, 0}, 0.5}, {{1, 1}, 0.5}, {{1, 2}, 0.5}};
  bring(5, 0);
  EXPECT_EQ(units(1, 0), (std::vector<Unit>{4, 6}));
  residency.load(6, 1);
  EXPECT_EQ(units(1, 0), (std::vector<Unit>{}));
  predictor.told[{1, 1}] = 0;
  EXPECT_EQ(units(1, 0), (std::vector<Unit>{4}));
}

TEST_F(ReadAheadTest, weighsWhatWouldLeave) {
  predictor.told = {{{1, 0}, 0.5}, {{2, 0}, 0.4}, {{2, 1}, 0.6}};
  bring(8, 0);
  bring(9, 1);
  eviction.used(9, 1);
  // Unit 8 would leave, of chance 0.4.
  EXPECT_EQ(units(1, 0), (std::vector<Unit>{4}));
  EXPECT_TRUE(readAhead.pays(residency, 4, 0, 0, costs));
  EXPECT_FALSE(readAhead.pays(residency, 4, 1, 0, costs));
  // A step that is over before the read is saves less.
  costs.layerSeconds = 0.5;
  EXPECT_TRUE(units(1, 0).empty());
  costs.layerSeconds = 10;
  costs.busyPart = 1;
  EXPECT_TRUE(units(1, 0).empty());
}

TEST_F(ReadAheadTest, needsASlot) {
  predictor.told = {{{1, 0}, 1}};
  bring(8, 0);
  bring(9, 1);
  residency.hold(8);
  residency.hold(9);
  EXPECT_TRUE(units(1, 0).empty());
  residency.release(9);
  EXPECT_EQ(units(1, 0), (std::vector<Unit>{4}));
}

} // namespace
