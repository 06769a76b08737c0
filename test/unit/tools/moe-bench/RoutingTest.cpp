// Tests of traffic and choices.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Routing.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

using namespace moec::bench;

namespace {

Problem sixteenExperts() {
  Problem problem;
  problem.experts = 16;
  problem.clusters = 4;
  problem.k = 2;
  return problem;
}

/// How often each expert is a token's best.
std::vector<double> shares(double zipf) {
  Problem problem = sixteenExperts();
  problem.k = 1;
  Choices choices =
      choose(problem, {}, drawLogits(20000, problem.experts, zipf, 5));
  std::vector<double> shares(16);
  for (int32_t expert : choices.experts)
    shares[size_t(expert)] += 1.0 / 20000;
  std::sort(shares.rbegin(), shares.rend());
  return shares;
}

TEST(Routing, uniformTraffic) {
  for (double share : shares(0))
    EXPECT_NEAR(share, 1.0 / 16, 0.01);
}

TEST(Routing, zipfTraffic) {
  double sum = 0;
  for (int i = 1; i <= 16; ++i)
    sum += 1.0 / i;
  std::vector<double> found = shares(1);
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], 1 / (double(i + 1) * sum), 0.012);
}

TEST(Routing, drawsAreSeeded) {
  EXPECT_EQ(drawLogits(4, 8, 0.5, 1), drawLogits(4, 8, 0.5, 1));
  EXPECT_NE(drawLogits(4, 8, 0.5, 1), drawLogits(4, 8, 0.5, 2));
}

TEST(Routing, choicesByHand) {
  Problem problem = sixteenExperts();
  problem.experts = 4;
  problem.clusters = 2;
  // Clusters {0, 2} and {1, 3}: the best expert is 0, the best pair 1 and 3.
  float logits[] = {2.0f, 1.75f, 0.0f, 1.5f};
  EXPECT_EQ(choose(problem, {}, logits).experts, (std::vector<int32_t>{0, 1}));
  ContenderSpec contender;
  contender.keep = 1;
  EXPECT_EQ(choose(problem, contender, logits).experts,
            (std::vector<int32_t>{0, 2}));
  for (const char *by : {"sum", "top2_sum"}) {
    contender.by = by;
    EXPECT_EQ(choose(problem, contender, logits).experts,
              (std::vector<int32_t>{1, 3}));
  }
  Choices choices = choose(problem, contender, logits);
  EXPECT_DOUBLE_EQ(choices.weights[0] + choices.weights[1], 1);
  EXPECT_NEAR(choices.weights[0] / choices.weights[1], std::exp(0.25), 1e-9);
}

TEST(Routing, hits) {
  Problem problem = sixteenExperts();
  // Two tokens of experts 1, 5 (both of cluster 1) and 5, 2.
  Choices choices = {{1, 5, 5, 2}, {}};
  Hits hits = countHits(problem, choices);
  EXPECT_EQ(hits.experts, 3);
  EXPECT_EQ(hits.clusters, 2);
  EXPECT_EQ(hits.tokenClusters, 3);
}

} // namespace
