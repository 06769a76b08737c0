// Tests of traffic of known locality.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

using namespace moec::residency;

namespace {

SyntheticTraffic traffic() {
  SyntheticTraffic made;
  made.extents = {3, 8};
  made.requests = 40;
  made.stepsOfRequest = 50;
  made.met = 2;
  made.topics = 4;
  return made;
}

bool isIn(std::span<const uint32_t> list, uint32_t cluster) {
  return std::find(list.begin(), list.end(), cluster) != list.end();
}

/// The part of clusters that the layer's step before has met too, within requests.
double metAgain(const Trace &trace) {
  double again = 0, all = 0;
  for (uint64_t turn = trace.extents.layers; turn < trace.turns(); ++turn) {
    if (turn / trace.extents.layers % 50 == 0)
      continue;
    for (uint32_t cluster : trace.used[turn]) {
      all += 1;
      again += isIn(trace.used[turn - trace.extents.layers], cluster);
    }
  }
  return again / all;
}

TEST(SyntheticTrace, isAsAsked) {
  SyntheticTraffic asked = traffic();
  auto trace = synthesize(asked);
  ASSERT_TRUE(trace) << trace.error();
  EXPECT_EQ(trace->steps(), 2000u);
  EXPECT_EQ(trace->turns(), 6000u);
  EXPECT_EQ(trace->requests.size(), 40u);
  EXPECT_EQ(trace->requests[3], 150u);
  EXPECT_EQ(trace->most(), 2u);
  EXPECT_EQ(trace->hints.size(), 0u);
  for (uint64_t turn = 0; turn < trace->turns(); ++turn) {
    std::set<uint32_t> met(trace->used[turn].begin(), trace->used[turn].end());
    ASSERT_EQ(met.size(), 2u);
    ASSERT_LT(*met.rbegin(), 8u);
  }
  // The same seed, the same trace; another, another.
  auto same = synthesize(asked);
  asked.seed = 1;
  auto other = synthesize(asked);
  int differences = 0;
  for (uint64_t turn = 0; turn < trace->turns(); ++turn) {
    EXPECT_TRUE(std::equal(trace->used[turn].begin(), trace->used[turn].end(),
                           same->used[turn].begin()));
    differences +=
        !std::equal(trace->used[turn].begin(), trace->used[turn].end(),
                    other->used[turn].begin());
  }
  EXPECT_GT(differences, 3000);
}

TEST(SyntheticTrace, ranksComeAsOftenAsTheirSkewSays) {
  SyntheticTraffic asked = traffic();
  asked.met = 1;
  asked.topics = 1;
  asked.skew = 1;
  auto trace = synthesize(asked);
  std::vector<double> counts(8);
  for (uint64_t turn = 0; turn < trace->turns(); turn += 3)
    ++counts[trace->used[turn][0]];
  std::sort(counts.rbegin(), counts.rend());
  double sum = 0;
  for (int rank = 1; rank <= 8; ++rank)
    sum += 1.0 / rank;
  for (int rank = 1; rank <= 8; ++rank)
    EXPECT_NEAR(counts[size_t(rank - 1)], 2000 / sum / rank, 60) << rank;
}

TEST(SyntheticTrace, persistence) {
  SyntheticTraffic asked = traffic();
  asked.skew = 0;
  // Two of eight at random are met again by chance.
  EXPECT_NEAR(metAgain(*synthesize(asked)), 0.25, 0.02);
  asked.persistence = 0.8;
  // A fifth is drawn anew, of six or seven others or the same.
  EXPECT_NEAR(metAgain(*synthesize(asked)), 0.8 + 0.2 / 7, 0.03);
  asked.persistence = 1;
  EXPECT_EQ(metAgain(*synthesize(asked)), 1);
}

TEST(SyntheticTrace, hints) {
  SyntheticTraffic asked = traffic();
  asked.skew = 0;
  asked.hintPrecision = 0.75;
  auto trace = synthesize(asked);
  ASSERT_EQ(trace->hints.size(), trace->used.size());
  double right = 0, all = 0;
  for (uint64_t turn = 0; turn < trace->turns(); ++turn) {
    ASSERT_EQ(trace->hints[turn].size(), 2u);
    for (uint32_t cluster : trace->hints[turn]) {
      all += 1;
      right += isIn(trace->used[turn], cluster);
    }
  }
  // What takes a right one's place may be right by chance.
  EXPECT_NEAR(right / all, 0.75 + 0.25 * 1.4 / 7, 0.02);
  asked.hintPrecision = 1;
  trace = synthesize(asked);
  for (uint64_t turn = 0; turn < trace->turns(); ++turn)
    for (uint32_t cluster : trace->hints[turn])
      ASSERT_TRUE(isIn(trace->used[turn], cluster));
}

TEST(SyntheticTrace, whatCannotBe) {
  auto messageOf = [](auto change) {
    SyntheticTraffic asked = traffic();
    change(asked);
    return synthesize(asked).error();
  };
  using T = SyntheticTraffic;
  EXPECT_EQ(messageOf([](T &t) { t.extents.layers = 0; }),
            "expected 1 to 4096 layers of 1 to 65536 clusters, found 0 of 8");
  EXPECT_EQ(messageOf([](T &t) { t.extents.clusters = 65537; }),
            "expected 1 to 4096 layers of 1 to 65536 clusters, found 3 of "
            "65537");
  EXPECT_EQ(messageOf([](T &t) { t.met = 9; }),
            "expected 1 to 8 clusters met by a step, found 9");
  const char *counts = "expected requests, steps and topics from 1, and at "
                       "most 2^32 clusters met in all";
  EXPECT_EQ(messageOf([](T &t) { t.requests = 0; }), counts);
  EXPECT_EQ(messageOf([](T &t) { t.requests = t.stepsOfRequest = 1 << 31; }),
            counts);
  const char *chances = "expected a skew from 0, and chances from 0 to 1";
  EXPECT_EQ(messageOf([](T &t) { t.persistence = 1.5; }), chances);
  EXPECT_EQ(messageOf([](T &t) { t.skew = std::nan(""); }), chances);
}

} // namespace
