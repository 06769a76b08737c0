// Logits that lead to a wanted traffic, and the choices that follow from them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Routing.h"

#include "weights/Seeded.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace moec::bench {

std::vector<float> drawLogits(int64_t tokens, int64_t experts, double zipf,
                              uint32_t seed) {
  // A logit is the log of the popularity plus noise of Gumbel's distribution:
  // then the order of the sums is that of draws without replacement.
  std::vector<int64_t> order(static_cast<size_t>(experts));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t lhs, int64_t rhs) {
    return std::pair(weights::seededBits(77, uint64_t(lhs)), lhs) <
           std::pair(weights::seededBits(77, uint64_t(rhs)), rhs);
  });
  std::vector<double> popularity(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    popularity[size_t(order[i])] = -zipf * std::log(double(i + 1));
  std::vector<float> logits;
  logits.reserve(size_t(tokens * experts));
  for (int64_t i = 0; i < tokens * experts; ++i) {
    double uniform =
        (double(weights::seededBits(seed, uint64_t(i))) + 0.5) / 4294967296.0;
    logits.push_back(
        float(popularity[size_t(i % experts)] - std::log(-std::log(uniform))));
  }
  return logits;
}

int64_t clusterOf(int64_t expert, const Problem &problem) {
  return expert % problem.clusters;
}

namespace {

/// The places of the best `count` values, best first; ties to the lower place.
std::vector<size_t> best(std::span<const double> values, int64_t count) {
  std::vector<size_t> places(values.size());
  std::iota(places.begin(), places.end(), size_t(0));
  size_t most = std::min(size_t(count), places.size());
  std::partial_sort(places.begin(), places.begin() + int64_t(most),
                    places.end(), [&](size_t lhs, size_t rhs) {
                      return values[lhs] > values[rhs] ||
                             (values[lhs] == values[rhs] && lhs < rhs);
                    });
  places.resize(most);
  return places;
}

double scoreOf(std::vector<double> members, const std::string &by) {
  std::sort(members.rbegin(), members.rend());
  if (by == "sum")
    return std::accumulate(members.begin(), members.end(), 0.0);
  return members[0] +
         (by == "top2_sum" && members.size() > 1 ? members[1] : 0.0);
}

} // namespace

Choices choose(const Problem &problem, const ContenderSpec &contender,
               std::span<const float> logits) {
  Choices choices;
  size_t experts = size_t(problem.experts);
  for (size_t token = 0; token < logits.size() / experts; ++token) {
    std::span<const float> row = logits.subspan(token * experts, experts);
    // Not divided by their sum: that changes neither choices nor gates.
    double largest = *std::max_element(row.begin(), row.end());
    std::vector<double> scores;
    for (float logit : row)
      scores.push_back(std::exp(double(logit) - largest));
    std::vector<double> allowed = scores;
    if (contender.keep > 0) {
      std::vector<std::vector<double>> members(size_t(problem.clusters));
      for (size_t e = 0; e < experts; ++e)
        members[size_t(clusterOf(int64_t(e), problem))].push_back(scores[e]);
      std::vector<double> clusters;
      for (std::vector<double> &member : members)
        clusters.push_back(scoreOf(std::move(member), contender.by));
      std::vector<size_t> kept = best(clusters, contender.keep);
      for (size_t e = 0; e < experts; ++e)
        if (std::find(kept.begin(), kept.end(),
                      size_t(clusterOf(int64_t(e), problem))) == kept.end())
          allowed[e] = -1;
    }
    double total = 0;
    std::vector<size_t> chosen = best(allowed, problem.k);
    for (size_t e : chosen)
      total += scores[e];
    for (size_t e : chosen) {
      choices.experts.push_back(int32_t(e));
      choices.weights.push_back(scores[e] / total);
    }
  }
  return choices;
}

Hits countHits(const Problem &problem, const Choices &choices) {
  std::set<int64_t> experts, clusters, pairs;
  for (size_t i = 0; i < choices.experts.size(); ++i) {
    int64_t expert = choices.experts[i];
    int64_t cluster = clusterOf(expert, problem);
    experts.insert(expert);
    clusters.insert(cluster);
    pairs.insert(int64_t(i) / problem.k * problem.clusters + cluster);
  }
  return {double(experts.size()), double(clusters.size()),
          double(pairs.size())};
}

} // namespace moec::bench
