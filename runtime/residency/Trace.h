// What steps of layers have met, one after the other.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_RESIDENCY_TRACE_H
#define MOEC_RUNTIME_RESIDENCY_TRACE_H

#include "runtime/residency/Prediction.h"
#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moec::residency {

/// Lists of clusters, one for each step of each layer.
class ClusterLists {
public:
  void append(std::span<const uint32_t> clusters) {
    list.insert(list.end(), clusters.begin(), clusters.end());
    ends.push_back(list.size());
  }
  size_t size() const { return ends.size(); }
  /// Of a turn: step · layers + layer.
  std::span<const uint32_t> operator[](uint64_t turn) const {
    uint64_t begin = turn ? ends[turn - 1] : 0;
    return std::span(list).subspan(begin, ends[turn] - begin);
  }

private:
  std::vector<uint32_t> list;
  std::vector<uint64_t> ends;
};

/// A file of it is safetensors (docs/residency.md): I32 `trace.used` [steps,
/// layers, most], padded with -1; I64 `trace.requests`, the first step of each
/// request; where there are hints, I32 `trace.hints` as `trace.used`; metadata
/// moec.trace = {"clusters": G, "version": "1.0"}.
struct Trace {
  Extents extents;
  ClusterLists used;
  /// What a layer's coming step was said to meet; empty if nothing was.
  ClusterLists hints;
  /// The first step of each request; begins with 0.
  std::vector<uint64_t> requests = {0};

  uint64_t turns() const { return used.size(); }
  uint64_t steps() const { return turns() / extents.layers; }
  /// The most clusters that a step of a layer meets.
  uint32_t most() const;
};

/// Most layers, clusters of a layer, and numbers of a list, of a trace from outside.
inline constexpr uint32_t traceMaxLayers = 4096, traceMaxClusters = 65536;
inline constexpr uint64_t traceMaxNumbers = uint64_t(1) << 32;

weights::Result<Trace> readTrace(const std::string &path);
weights::Status writeTrace(const std::string &path, const Trace &trace);

/// Traffic of known locality, from a seed.
struct SyntheticTraffic {
  Extents extents;
  uint32_t requests = 1, stepsOfRequest = 1;
  /// Different clusters that a step of a layer meets.
  uint32_t met = 1;
  /// A request has one of these; each ranks the clusters of every layer anew.
  uint32_t topics = 1;
  /// A cluster of rank n comes as often as 1/n^skew.
  double skew = 1;
  /// The chance that a cluster of the last step is met again.
  double persistence = 0;
  /// The chance that a cluster is in the hint, instead of another.
  double hintPrecision = 0;
  uint32_t seed = 0;
};
weights::Result<Trace> synthesize(const SyntheticTraffic &traffic);

} // namespace moec::residency

#endif // MOEC_RUNTIME_RESIDENCY_TRACE_H
