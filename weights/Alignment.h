// Orders of hidden neurons that make the experts of a cluster most alike.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// The hidden neurons of an expert may be permuted (columns of gate and up, rows
// of down together) without changing what it computes: docs/clustering.md.
#ifndef MOEC_WEIGHTS_ALIGNMENT_H
#define MOEC_WEIGHTS_ALIGNMENT_H

#include "weights/MatrixSource.h"
#include "weights/Parallel.h"
#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace moec::weights {

struct AlignmentOptions {
  /// Passes over the members of a cluster, at most.
  int64_t maxPasses = 8;
  /// Threads, on which the result does not depend, and the report of clusters
  /// done.
  ParallelOptions parallel = {};
};

/// What alignment did for one cluster.
struct ClusterAlignment {
  /// The member that keeps its order.
  int32_t medoid = -1;
  /// Sum over members of the squared Frobenius distance to the cluster's mean,
  /// as the experts came and in the best order found.
  double before = 0;
  double after = 0;
  /// Whether the order found is better. If not, the permutations are the
  /// identity, and `after` still says what was found.
  bool used = false;
  int64_t passes = 0;
};

struct Alignment {
  /// [E, F]: new neuron f of expert e is old neuron permutations[e * F + f].
  std::vector<int32_t> permutations;
  /// One for each cluster.
  std::vector<ClusterAlignment> clusters;
};

/// Aligns the members of each cluster of `table`. gate and up are E matrices of
/// D x F, down E matrices of F x D; `up` may be null. One cluster is worked on
/// at a time: memory for five experts in f32 and an F x F matrix.
Result<Alignment> alignExperts(const std::shared_ptr<const MatrixSource> &gate,
                               const std::shared_ptr<const MatrixSource> &up,
                               const std::shared_ptr<const MatrixSource> &down,
                               std::span<const int32_t> table,
                               const AlignmentOptions &options = {});

} // namespace moec::weights

#endif // MOEC_WEIGHTS_ALIGNMENT_H
