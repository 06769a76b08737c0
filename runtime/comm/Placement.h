// Which ranks compute which clusters.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_COMM_PLACEMENT_H
#define MOEC_RUNTIME_COMM_PLACEMENT_H

#include "weights/Result.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moec::comm {

/// Of one layer. Cluster c is computed by one of owners(c).
class LayerPlacement {
public:
  /// Cluster c belongs to rank c modulo `ranks`, however many there are.
  static LayerPlacement roundRobin(int32_t ranks);
  /// Ranks of each cluster: at least one, ascending.
  explicit LayerPlacement(const std::vector<std::vector<int32_t>> &owners);

  /// Whether it says who computes the cluster.
  bool knows(int32_t cluster) const {
    return cluster >= 0 && (isOpen || cluster < clusterCount());
  }
  /// Of a cluster that it knows.
  std::span<const int32_t> owners(int32_t cluster) const {
    if (isOpen)
      return {ranks.data() + size_t(cluster) % ranks.size(), 1};
    size_t first = size_t(offsets[size_t(cluster)]);
    return {ranks.data() + first, size_t(offsets[size_t(cluster) + 1]) - first};
  }
  /// How many it lists; of a round robin none.
  int32_t clusterCount() const { return int32_t(offsets.size()) - 1; }

private:
  LayerPlacement() = default;

  bool isOpen = false;
  /// Owners of all clusters one behind the other, and where each one's begin.
  std::vector<int32_t> ranks, offsets{0};
};

/// The clusters of a layer that one rank has; without a placement all.
struct ClusterShare {
  const LayerPlacement *placement = nullptr;
  int32_t rank = 0;

  bool has(int32_t cluster) const;
};

/// Of all layers.
struct Placement {
  int32_t ranks = 0;
  /// By name.
  std::map<std::string, LayerPlacement, std::less<>> layers;
};

/// Reads the text of a placement file (docs/communication.md). `name` stands in
/// messages.
weights::Result<Placement> parsePlacement(const std::string &name,
                                          std::string_view text);

} // namespace moec::comm

#endif // MOEC_RUNTIME_COMM_PLACEMENT_H
