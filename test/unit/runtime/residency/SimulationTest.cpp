// Tests of what paging costs on a trace.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Simulation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

using namespace moec::residency;

namespace {

/// Times that are easily added: a read takes 1, a step of a layer 10.
SimulatedMachine machine(uint32_t slots) {
  SimulatedMachine made;
  made.slots = slots;
  made.unitBytes = 3;
  made.bytesPerSecond = 4;
  made.latencySeconds = 0.25;
  made.layerSeconds = 10;
  return made;
}

Trace traceOf(Extents extents, const std::vector<std::vector<uint32_t>> &used) {
  Trace trace;
  trace.extents = extents;
  for (const std::vector<uint32_t> &clusters : used)
    trace.used.append(clusters);
  return trace;
}

SimulationResult run(const Trace &trace, const SimulatedMachine &machine,
                     const char *eviction, const char *predictor) {
  auto result = simulate(trace, machine, eviction, predictor);
  EXPECT_TRUE(result) << result.error();
  return result ? *result : SimulationResult();
}

/// The fewest reads of a sequence of single units with so many slots, by trying all evictions.
uint64_t
fewestReads(const std::vector<uint32_t> &units, size_t at,
            const std::set<uint32_t> &present, size_t slots,
            std::map<std::pair<size_t, std::set<uint32_t>>, uint64_t> &known) {
  if (at == units.size())
    return 0;
  auto key = std::pair(at, present);
  if (auto found = known.find(key); found != known.end())
    return found->second;
  uint64_t fewest = ~uint64_t(0);
  if (present.count(units[at])) {
    fewest = fewestReads(units, at + 1, present, slots, known);
  } else {
    std::set<uint32_t> next = present;
    next.insert(units[at]);
    if (next.size() <= slots)
      fewest = 1 + fewestReads(units, at + 1, next, slots, known);
    else
      for (uint32_t leaving : present) {
        std::set<uint32_t> without = next;
        without.erase(leaving);
        fewest = std::min(
            fewest, 1 + fewestReads(units, at + 1, without, slots, known));
      }
  }
  return known[key] = fewest;
}

TEST(Simulation, clairvoyantEvictionIsTheBest) {
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::vector<uint32_t>> used;
    std::vector<uint32_t> units;
    for (int step = 0; step < 16; ++step)
      for (uint32_t layer = 0; layer < 2; ++layer) {
        uint32_t cluster = random() % 3;
        used.push_back({cluster});
        units.push_back(layer * 3 + cluster);
      }
    Trace trace = traceOf({2, 3}, used);
    for (uint32_t slots = 1; slots <= 6; ++slots) {
      std::map<std::pair<size_t, std::set<uint32_t>>, uint64_t> known;
      uint64_t fewest = fewestReads(units, 0, {}, slots, known);
      EXPECT_EQ(run(trace, machine(slots), "clairvoyant", "none").misses,
                fewest);
      for (const char *other : {"lru", "lfu", "next_use"})
        EXPECT_GE(run(trace, machine(slots), other, "none").misses, fewest);
    }
  }
}

TEST(Simulation, byHand) {
  // Two layers; the second step meets other clusters.
  Trace trace = traceOf({2, 2}, {{0}, {0}, {1}, {0}});
  SimulationResult result = run(trace, machine(2), "lru", "none");
  EXPECT_EQ(result.hits, 1u);
  EXPECT_EQ(result.misses, 3u);
  EXPECT_EQ(result.late, 0u);
  EXPECT_EQ(result.reads, 3u);
  EXPECT_DOUBLE_EQ(result.stallSeconds, 3);
  EXPECT_DOUBLE_EQ(result.seconds, 4 * 10 + 3);
  EXPECT_DOUBLE_EQ(result.hitRate(), 0.25);
}

TEST(Simulation, readsAheadOfTimeAreHidden) {
  Trace trace = traceOf({2, 2}, {{0}, {0}, {1}, {1}, {0}, {0}});
  SimulationResult result =
      run(trace, machine(2), "clairvoyant", "clairvoyant");
  // All but the first, which nothing came before.
  EXPECT_EQ(result.misses, 1u);
  EXPECT_EQ(result.hits, 5u);
  EXPECT_EQ(result.fetches, 5u);
  EXPECT_EQ(result.wasted, 0u);
  EXPECT_DOUBLE_EQ(result.seconds, 6 * 10 + 1);

  // A read is longer than a step of a layer: late by the difference.
  SimulatedMachine slow = machine(2);
  slow.layerSeconds = 0.25;
  slow.lookahead = 1;
  result = run(trace, slow, "clairvoyant", "clairvoyant");
  EXPECT_EQ(result.misses, 1u);
  EXPECT_EQ(result.late, 5u);
  EXPECT_DOUBLE_EQ(result.stallSeconds, 1 + 5 * 0.75);

  SimulatedMachine blind = machine(2);
  blind.lookahead = 0;
  EXPECT_EQ(run(trace, blind, "clairvoyant", "clairvoyant").fetches, 0u);
}

TEST(Simulation, whatIsWasted) {
  // Hints that are always wrong, of a predictor that takes them for right.
  Trace trace = traceOf({2, 3}, {{0}, {0}, {0}, {0}});
  for (int turn = 0; turn < 4; ++turn)
    trace.hints.append(std::vector<uint32_t>{1});
  SimulationResult result = run(trace, machine(2), "lru", "exact_hint");
  EXPECT_GT(result.fetches, 0u);
  EXPECT_GT(result.wasted, 0u);
  // They are believed less and less.
  Trace longer = traceOf({2, 3}, {});
  for (int turn = 0; turn < 400; ++turn) {
    longer.used.append(std::vector<uint32_t>{0});
    longer.hints.append(std::vector<uint32_t>{1});
  }
  EXPECT_LT(run(longer, machine(3), "lru", "hint").fetches, 5u);
}

TEST(Simulation, withoutWaiting) {
  Trace trace = traceOf({1, 4}, {{0}, {1}, {0}, {1}, {2}});
  SimulatedMachine copies = machine(3);
  copies.misses = MissPolicy::LowBitCopy;
  SimulationResult result = run(trace, copies, "lru", "none");
  EXPECT_EQ(result.stallSeconds, 0);
  EXPECT_DOUBLE_EQ(result.seconds, 50);
  // What was missed comes for later steps.
  EXPECT_EQ(result.misses, 3u);
  EXPECT_EQ(result.hits, 2u);
  SimulatedMachine elsewhere = copies;
  elsewhere.misses = MissPolicy::ComputeElsewhere;
  elsewhere.missSeconds = 2;
  EXPECT_DOUBLE_EQ(run(trace, elsewhere, "lru", "none").seconds, 56);
}

TEST(Simulation, countsAddUp) {
  SyntheticTraffic traffic;
  traffic.extents = {6, 8};
  traffic.requests = 5;
  traffic.stepsOfRequest = 20;
  traffic.met = 3;
  traffic.topics = 2;
  traffic.hintPrecision = 0.7;
  auto trace = synthesize(traffic);
  for (double layerSeconds : {0.1, 1.0, 10.0})
    for (auto policy : {MissPolicy::Wait, MissPolicy::LowBitCopy})
      for (std::string_view eviction : simulatedEvictionNames())
        for (std::string_view predictor : simulatedPredictorNames()) {
          SimulatedMachine made = machine(12);
          made.layerSeconds = layerSeconds;
          made.misses = policy;
          made.lookahead = 3;
          auto result = simulate(*trace, made, eviction, predictor);
          ASSERT_TRUE(result) << result.error();
          EXPECT_EQ(result->asked(), trace->turns() * 3);
          EXPECT_LE(result->wasted, result->fetches);
          EXPECT_LE(result->fetches, result->reads);
          EXPECT_NEAR(result->seconds,
                      double(trace->turns()) * layerSeconds +
                          result->stallSeconds,
                      1e-6);
          if (policy == MissPolicy::Wait) {
            EXPECT_GE(result->reads, result->misses);
          }
          if (predictor == "none" && policy == MissPolicy::Wait) {
            EXPECT_NEAR(result->stallSeconds, double(result->misses), 1e-6);
          }
        }
}

TEST(Simulation, allAreThere) {
  Trace trace = traceOf({2, 2}, {{0, 1}, {0}, {1}, {0}, {0}, {1}});
  SimulationResult result = run(trace, machine(4), "lfu", "rolling");
  EXPECT_EQ(result.reads, 4u);
  EXPECT_EQ(result.wasted, 0u);
}

TEST(Simulation, whatCannotBe) {
  Trace trace = traceOf({1, 4}, {{0, 1, 2}});
  auto messageOf = [&](uint32_t slots, const char *eviction,
                       const char *predictor) {
    return simulate(trace, machine(slots), eviction, predictor).error();
  };
  EXPECT_EQ(messageOf(3, "lru", "none"), "");
  EXPECT_EQ(messageOf(2, "lru", "none"),
            "expected slots for the 3 bases that a step of a layer meets, "
            "found 2");
  EXPECT_EQ(messageOf(3, "random", "none"),
            "expected an eviction of lru, lfu, next_use, clairvoyant, found "
            "'random'");
  EXPECT_EQ(messageOf(3, "lru", "oracle"),
            "expected a predictor of none, rolling, past_request, hint, "
            "exact_hint, clairvoyant, found 'oracle'");
  EXPECT_EQ(messageOf(3, "lru", "hint"),
            "expected a trace with hints for the predictor 'hint', found none");
}

} // namespace
