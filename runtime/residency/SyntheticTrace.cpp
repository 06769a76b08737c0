// Traffic of known locality, from a seed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Trace.h"
#include "weights/Seeded.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace moec::weights;

namespace moec::residency {

namespace {

class Synthesizer {
public:
  explicit Synthesizer(const SyntheticTraffic &traffic)
      : traffic(traffic), last(traffic.extents.layers) {
    double sum = 0;
    for (uint32_t rank = 1; rank <= traffic.extents.clusters; ++rank)
      below.push_back(sum += std::pow(rank, -traffic.skew));
  }

  Trace run() {
    Trace trace;
    trace.extents = traffic.extents;
    for (uint32_t request = 0; request < traffic.requests; ++request) {
      if (request)
        trace.requests.push_back(trace.steps());
      beginRequest();
      for (uint32_t step = 0; step < traffic.stepsOfRequest; ++step)
        for (uint32_t layer = 0; layer < traffic.extents.layers; ++layer)
          addTurn(trace, layer);
    }
    return trace;
  }

private:
  /// In [0, 1).
  double draw() {
    constexpr double numbers = 4294967296.0;
    return seededBits(traffic.seed, drawn++) / numbers;
  }
  uint32_t drawBelow(uint32_t end) {
    return std::min(uint32_t(draw() * end), end - 1);
  }

  void beginRequest() {
    topic = drawBelow(traffic.topics);
    for (std::vector<uint32_t> &clusters : last)
      clusters.clear();
  }

  /// A cluster as its topic and layer rank them.
  uint32_t drawCluster(uint32_t layer) {
    double mark = draw() * below.back();
    auto rank = uint32_t(std::upper_bound(below.begin(), below.end(), mark) -
                         below.begin());
    rank = std::min(rank, traffic.extents.clusters - 1);
    return order(layer)[rank];
  }

  /// The ranking of one topic and layer, made when it is first asked for.
  const std::vector<uint32_t> &order(uint32_t layer) {
    if (orders.empty())
      orders.resize(size_t(traffic.topics) * traffic.extents.layers);
    size_t number = size_t(topic) * traffic.extents.layers + layer;
    std::vector<uint32_t> &order = orders[number];
    if (order.empty()) {
      order.resize(traffic.extents.clusters);
      std::iota(order.begin(), order.end(), 0u);
      uint32_t seed = seedForKey(traffic.seed, std::to_string(number));
      for (uint32_t i = traffic.extents.clusters - 1; i > 0; --i)
        std::swap(order[i], order[seededBits(seed, i) % (i + 1)]);
    }
    return order;
  }

  /// Adds a cluster that a list does not have; a few draws that fail, and the next free one.
  void addOther(std::vector<uint32_t> &clusters, uint32_t layer) {
    auto isIn = [&](uint32_t cluster) {
      return std::find(clusters.begin(), clusters.end(), cluster) !=
             clusters.end();
    };
    uint32_t cluster = drawCluster(layer);
    constexpr int mostDraws = 64;
    for (int i = 0; i < mostDraws && isIn(cluster); ++i)
      cluster = drawCluster(layer);
    while (isIn(cluster))
      cluster = (cluster + 1) % traffic.extents.clusters;
    clusters.push_back(cluster);
  }

  void addTurn(Trace &trace, uint32_t layer) {
    std::vector<uint32_t> clusters;
    for (uint32_t cluster : last[layer])
      if (draw() < traffic.persistence)
        clusters.push_back(cluster);
    while (clusters.size() < traffic.met)
      addOther(clusters, layer);
    trace.used.append(clusters);
    if (traffic.hintPrecision > 0) {
      std::vector<uint32_t> hints;
      for (uint32_t cluster : clusters)
        if (draw() < traffic.hintPrecision)
          hints.push_back(cluster);
      while (hints.size() < clusters.size())
        addOther(hints, layer);
      trace.hints.append(hints);
    }
    last[layer] = std::move(clusters);
  }

  const SyntheticTraffic &traffic;
  /// Sums of 1/n^skew.
  std::vector<double> below;
  std::vector<std::vector<uint32_t>> orders, last;
  uint32_t topic = 0;
  uint64_t drawn = 0;
};

bool isChance(double value) { return value >= 0 && value <= 1; }

} // namespace

Result<Trace> synthesize(const SyntheticTraffic &traffic) {
  const Extents &extents = traffic.extents;
  if (!extents.layers || extents.layers > traceMaxLayers || !extents.clusters ||
      extents.clusters > traceMaxClusters)
    return Error{"expected 1 to " + std::to_string(traceMaxLayers) +
                 " layers of 1 to " + std::to_string(traceMaxClusters) +
                 " clusters, found " + std::to_string(extents.layers) + " of " +
                 std::to_string(extents.clusters)};
  if (!traffic.met || traffic.met > extents.clusters)
    return Error{"expected 1 to " + std::to_string(extents.clusters) +
                 " clusters met by a step, found " +
                 std::to_string(traffic.met)};
  uint64_t numbers = uint64_t(traffic.requests) * traffic.stepsOfRequest;
  if (!traffic.requests || !traffic.stepsOfRequest || !traffic.topics ||
      numbers > traceMaxNumbers / extents.layers / traffic.met)
    return Error{"expected requests, steps and topics from 1, and at most 2^32 "
                 "clusters met in all"};
  if (!(traffic.skew >= 0) || !std::isfinite(traffic.skew) ||
      !isChance(traffic.persistence) || !isChance(traffic.hintPrecision))
    return Error{"expected a skew from 0, and chances from 0 to 1"};
  return Synthesizer(traffic).run();
}

} // namespace moec::residency
