// That the pager does what the simulator says of the same trace.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/pager/Pager.h"
#include "runtime/residency/Simulation.h"
#include "test/unit/runtime/store/Records.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace moec::pager;
using namespace moec::residency;

namespace {

// Without reads ahead of time, which depend on the clock, all else is the same.
TEST(PagerSimulation, bothHaveTheSameMisses) {
  SyntheticTraffic traffic;
  traffic.extents = {3, 6};
  traffic.requests = 5;
  traffic.stepsOfRequest = 20;
  traffic.met = 2;
  traffic.persistence = 0.3;
  auto made = synthesize(traffic);
  ASSERT_TRUE(made) << made.error();
  // Which of equals leaves goes by slots, and so by the order of clusters.
  Trace trace = *made;
  trace.used = {};
  for (uint64_t turn = 0; turn < made->turns(); ++turn) {
    std::vector<uint32_t> clusters(made->used[turn].begin(),
                                   made->used[turn].end());
    std::sort(clusters.begin(), clusters.end());
    trace.used.append(clusters);
  }
  moec::store::RecordFile file(std::vector<uint64_t>(18, 5000));
  std::vector<PagedLayer> layers;
  for (int64_t layer = 0; layer < 3; ++layer)
    layers.push_back({"l",
                      {file.places.begin() + layer * 6,
                       file.places.begin() + layer * 6 + 6}});
  for (auto [eviction, predictor] :
       {std::pair("lru", "none"), std::pair("lfu", "none"),
        std::pair("next_use", "rolling"),
        std::pair("next_use", "past_request")})
    for (uint32_t slots : {6u, 9u, 14u}) {
      SimulatedMachine machine;
      machine.slots = slots;
      machine.unitBytes = machine.bytesPerSecond = machine.layerSeconds = 1;
      machine.lookahead = 0;
      auto expected = simulate(trace, machine, eviction, predictor);
      ASSERT_TRUE(expected) << expected.error();

      PagerOptions options;
      options.budgetBytes = slots * 8192;
      options.eviction = eviction;
      options.predictor = predictor;
      auto pager = Pager::open(file.path, layers, options);
      ASSERT_TRUE(pager) << pager.error();
      std::vector<int32_t> places(6);
      for (uint64_t turn = 0; turn < trace.turns(); ++turn) {
        if (turn % 60 == 0)
          (*pager)->beginRequest();
        auto used = trace.used[turn];
        std::vector<int32_t> clusters(used.begin(), used.end());
        uint32_t layer = uint32_t(turn % 3);
        ASSERT_TRUE((*pager)->acquire(layer, clusters, places));
        (*pager)->release(layer, places);
      }
      PagerStatistics found = (*pager)->statistics();
      std::string what = std::string(eviction) + ", " + predictor + ", " +
                         std::to_string(slots) + " slots";
      EXPECT_EQ(found.hits, expected->hits) << what;
      EXPECT_EQ(found.misses, expected->misses) << what;
      EXPECT_EQ(found.reads, expected->reads) << what;
      EXPECT_GT(found.misses, 18u) << what;
    }
}

} // namespace
