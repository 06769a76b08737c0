// How far traffic has moved from what it was.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/TrafficDrift.h"

#include <cmath>
#include <numeric>
#include <span>

namespace moec::weights {

/// Half the sum of |share then - share now|; 0 where one has no count at all.
static double totalVariation(std::span<const int64_t> then,
                             std::span<const int64_t> now) {
  double before = std::accumulate(then.begin(), then.end(), 0.0);
  double after = std::accumulate(now.begin(), now.end(), 0.0);
  if (before == 0 || after == 0)
    return 0;
  double sum = 0;
  for (size_t i = 0; i < then.size(); ++i)
    sum += std::abs(double(then[i]) / before - double(now[i]) / after);
  return sum / 2;
}

/// Counts of pairs of two different experts, each pair twice.
static std::vector<int64_t> pairCounts(const LayerProfile &layer) {
  std::vector<int64_t> counts = layer.cooccurrence;
  for (int64_t expert = 0; expert < layer.experts; ++expert)
    counts[size_t(expert * (layer.experts + 1))] = 0;
  return counts;
}

/// The cosine; nothing where a vector is zero.
static bool cosineOf(std::span<const float> a, std::span<const float> b,
                     double &cosine) {
  double product = 0, ofA = 0, ofB = 0;
  for (size_t d = 0; d < a.size(); ++d) {
    product += double(a[d]) * b[d];
    ofA += double(a[d]) * a[d];
    ofB += double(b[d]) * b[d];
  }
  if (ofA == 0 || ofB == 0)
    return false;
  cosine = product / std::sqrt(ofA * ofB);
  return true;
}

static double inputDrift(const LayerProfile &then, const LayerProfile &now) {
  double sum = 0, total = 0;
  size_t width = size_t(now.width);
  for (size_t expert = 0; expert < size_t(now.experts); ++expert) {
    double cosine = 0;
    if (!cosineOf(std::span(then.centroids).subspan(expert * width, width),
                  std::span(now.centroids).subspan(expert * width, width),
                  cosine))
      continue;
    sum += double(now.counts[expert]) * (1 - cosine);
    total += double(now.counts[expert]);
  }
  return total > 0 ? std::max(sum / total, 0.0) : 0;
}

Result<TrafficDrift> driftBetween(const LayerProfile &then,
                                  const LayerProfile &now) {
  if (then.experts != now.experts || then.width != now.width)
    return Error{"expected traffic of " + std::to_string(then.experts) +
                 " experts and width " + std::to_string(then.width) +
                 ", found that of " + std::to_string(now.experts) + " and " +
                 std::to_string(now.width)};
  if (then.tokens == 0 || now.tokens == 0)
    return TrafficDrift();
  TrafficDrift drift;
  drift.load = totalVariation(then.counts, now.counts);
  drift.pairs = totalVariation(pairCounts(then), pairCounts(now));
  drift.inputs = inputDrift(then, now);
  return drift;
}

} // namespace moec::weights
