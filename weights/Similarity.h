// How alike experts are: cosines of their weights and of what they are fed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// docs/clustering.md states the formulas.
#ifndef MOEC_WEIGHTS_SIMILARITY_H
#define MOEC_WEIGHTS_SIMILARITY_H

#include "weights/MatrixSource.h"
#include "weights/Parallel.h"
#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace moec::weights {

/// Most experts whose similarity is computed: the result is E x E.
inline constexpr int64_t similarityMaxExperts = 4096;

/// Cosines of E vectors, one for each expert.
struct Similarity {
  int64_t experts = 0;
  /// [E, E], row-major, symmetric, in [-1, 1], exactly 1 on the diagonal.
  std::vector<double> cosines;
  /// [E], of the vectors as compared: without the mean if it was removed.
  std::vector<double> squaredNorms;
  /// Experts whose vector is zero, ascending: their cosine is 0 with all
  /// others. Of centroids, the experts that were never seen.
  std::vector<int32_t> withoutDirection;
};

struct SimilarityOptions {
  /// Compare W_i - mean(W) instead of W_i: what experts do not share.
  bool removeMean = false;
  /// Threads, on which the result does not depend, and the report of blocks
  /// done.
  ParallelOptions parallel = {};
};

/// Cosines of the experts of one layer. Entry i of each source is a part of
/// expert i (its gate, up and down matrix): vec(W_i) is all of them, one behind
/// the other. Reads every value once, in blocks over all experts: a thread
/// holds at most 8 MiB of weights and one E x E matrix. Products are f32, sums
/// f64. Refuses values that are not finite, naming source and expert.
Result<Similarity> similarityOfWeights(
    std::span<const std::shared_ptr<const MatrixSource>> sources,
    const SimilarityOptions &options = {});

/// Cosines of the rows of an [experts, width] matrix: centroids of what each
/// expert was fed. A row of zeros is an expert that was never seen.
Result<Similarity> similarityOfCentroids(int64_t experts,
                                         std::span<const float> centroids);
Result<Similarity> similarityOfCentroids(int64_t experts,
                                         std::span<const double> centroids);

/// alpha * weights + (1 - alpha) * centroids, element by element; alpha is from
/// 0 to 1. Without a traffic profile there is nothing to combine: alpha is 1.
Result<std::vector<double>> combineSimilarities(double alpha,
                                                const Similarity &weights,
                                                const Similarity &centroids);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_SIMILARITY_H
