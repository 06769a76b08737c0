// Similarities, spectra, mixes and errors that are computed once for weights of one content.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_CACHEDSTATISTICS_H
#define MOEC_WEIGHTS_CACHEDSTATISTICS_H

#include "weights/BasisMix.h"
#include "weights/ExpertFactors.h"
#include "weights/PrecisionErrors.h"
#include "weights/Similarity.h"
#include "weights/StatisticsCache.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace moec::weights {

/// A result, and whether it was known.
template <typename T> struct Cached {
  T value;
  bool isHit = false;
};

/// similarityOfWeights, taken from the cache or put there; `cache` may be null.
/// What a result depends on is hashed: the weights, which are read for that,
/// and the options, but for threads and progress.
Result<Cached<Similarity>> cachedSimilarityOfWeights(
    const StatisticsCache *cache,
    std::span<const std::shared_ptr<const MatrixSource>> sources,
    const SimilarityOptions &options = {});

/// residualSpectra, likewise.
Result<Cached<std::vector<Spectrum>>>
cachedResidualSpectra(const StatisticsCache *cache, MatrixSourcePtr of,
                      MatrixSourcePtr base, const std::vector<int32_t> &table,
                      int64_t count, const ResidualOptions &options,
                      const ParallelOptions &parallel = {});

/// fitBasisMix, likewise; not kept where it is larger than an entry may be.
Result<Cached<BasisMix>> cachedBasisMix(const StatisticsCache *cache,
                                        MatrixSourcePtr of,
                                        const BasisMixOptions &options,
                                        const ParallelOptions &parallel = {});

/// precisionErrors, likewise.
Result<Cached<std::vector<std::vector<double>>>>
cachedPrecisionErrors(const StatisticsCache *cache,
                      const PrecisionProblem &problem,
                      const ParallelOptions &parallel = {});

} // namespace moec::weights

#endif // MOEC_WEIGHTS_CACHEDSTATISTICS_H
