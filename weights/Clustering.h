// Which experts belong together: kernel k-means++ on their similarities.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// docs/clustering.md states the objective, the moves and the rules.
#ifndef MOEC_WEIGHTS_CLUSTERING_H
#define MOEC_WEIGHTS_CLUSTERING_H

#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <vector>

namespace moec::weights {

struct ClusteringOptions {
  /// How many clusters, each of them non-empty: from 1 to the experts.
  int64_t clusters = 1;
  /// Same seed, same result, on every machine.
  uint64_t seed = 0;
  /// Starts by k-means++ of which the best is kept.
  int64_t restarts = 8;
  /// Pairs less similar than this are no neighbours. An expert moves only to a
  /// cluster that holds a neighbour of it; one without any neighbour is free.
  double threshold = -1.0;
  /// Most members of a cluster; 0 for no limit. See balancedSize.
  int64_t maxSize = 0;
  /// Sizes differ by at most one.
  bool exactBalance = false;
  /// Sweeps over all experts, at most.
  int64_t maxSweeps = 100;

  /// Where to start from instead of k-means++: a cluster for each expert. Sizes
  /// that break the limits are mended first.
  std::span<const int32_t> start = {};
  /// With `start`: the objective must gain more than this, or `start` stays.
  double minGain = 0.0;
};

struct Clustering {
  /// The cluster of each expert. Clusters are numbered by their lowest member,
  /// so that a partition has one table only.
  std::vector<int32_t> table;
  /// Members of each cluster.
  std::vector<int32_t> sizes;
  /// What is maximised: over experts, the mean similarity of an expert to the
  /// members of its cluster, itself included.
  double objective = 0;
  /// Over pairs of two experts in one cluster; 1 if there is no such pair.
  double meanWithin = 1;
  /// Over pairs of two experts in different clusters; 0 if there is none.
  double meanBetween = 0;
  /// Experts moved behind the first assignment, two for a swap, in the start
  /// that was kept.
  int64_t moves = 0;
  /// With `start`: whether its partition was left. True without.
  bool changed = true;
  /// Experts that have no neighbour at the threshold, ascending.
  std::vector<int32_t> isolated;
};

/// Partitions E experts by an E x E similarity matrix, row-major and symmetric.
/// Refuses counts, sizes, tables and matrices that do not fit one another.
/// Takes O(E^2) per sweep.
Result<Clustering> clusterExperts(int64_t experts,
                                  std::span<const double> similarity,
                                  const ClusteringOptions &options);

/// The objective and the means of a given table, its clusters renumbered;
/// moves is 0. Clusters of `table` may have any numbers from 0 to E - 1.
Result<Clustering> describeClustering(int64_t experts,
                                      std::span<const double> similarity,
                                      std::span<const int32_t> table);

/// A random partition whose sizes differ by at most one, each alike likely:
/// what clustering is to be compared with. Clusters are numbered by their
/// lowest member; same seed, same table, on every machine. Refuses fewer than 1
/// or more than `experts` clusters.
Result<std::vector<int32_t>> randomTable(int64_t experts, int64_t clusters,
                                         uint64_t seed);

/// A limit for maxSize: floor(ceil(experts / clusters) * slack), but no less
/// than the ceiling and no more than the experts.
int64_t balancedSize(int64_t experts, int64_t clusters, double slack);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_CLUSTERING_H
