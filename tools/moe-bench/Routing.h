// Logits that lead to a wanted traffic, and the choices that follow from them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_ROUTING_H
#define MOEC_TOOLS_MOE_BENCH_ROUTING_H

#include "tools/moe-bench/Suite.h"

#include <cstdint>
#include <span>
#include <vector>

namespace moec::bench {

/// Logits of tokens x experts. A token's best expert is e with a probability
/// proportional to 1 / (rank of e)^zipf; the further ones are drawn likewise
/// among the rest. Ranks are a seeded order of the experts.
std::vector<float> drawLogits(int64_t tokens, int64_t experts, double zipf,
                              uint32_t seed);

/// Expert e is in cluster e mod clusters.
int64_t clusterOf(int64_t expert, const Problem &problem);

/// What a router chose: k experts of each token, best first, and their weights.
struct Choices {
  std::vector<int32_t> experts;
  std::vector<double> weights;
};

/// softmax, the `keep` best clusters, the k best experts in them, weights that
/// add up to 1. The same as what bench/make_module.py writes as moe.route.
Choices choose(const Problem &problem, const ContenderSpec &contender,
               std::span<const float> logits);

/// How much of the weights some choices read: different experts, different
/// clusters, and pairs of a token and a cluster.
struct Hits {
  double experts = 0;
  double clusters = 0;
  double tokenClusters = 0;
};

Hits countHits(const Problem &problem, const Choices &choices);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_ROUTING_H
