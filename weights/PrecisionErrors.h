// What encodings cost the matrices of experts: errors of what is stored.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_PRECISIONERRORS_H
#define MOEC_WEIGHTS_PRECISIONERRORS_H

#include "weights/CostModel.h"
#include "weights/Parallel.h"
#include "weights/Recipes.h"

#include <cstdint>
#include <span>
#include <vector>

namespace moec::weights {

/// Matrices of experts in the form they are stored in, and encodings to try.
struct PrecisionProblem {
  MatrixSourcePtr of;
  /// Bases before they are encoded, and the base of each expert. Null for
  /// experts without a base.
  MatrixSourcePtr base;
  std::vector<int32_t> table;
  /// Of residuals; 0 for none. Without base and residual experts are plain.
  int64_t rank = 0;
  /// Moments that residuals are fitted by, and such that errors are weighed by:
  /// |x·(W - W')| for the inputs x that occur in place of |W - W'|.
  MomentsSource fitted;
  MomentsSource measured;
  /// Moments that experts, bases without residuals, and input factors are
  /// rounded by where their encoding has scales; null to round to nearest.
  MatrixSourcePtr rounded;
  std::vector<LayerEncodings> candidates;
};

/// For each candidate the relative error of each expert, of outputs where
/// moments are given and else of weights; NaN throughout for a candidate whose
/// encodings cannot hold the values. Residuals are fitted to each base as it is
/// encoded, once for all encodings of residuals. Weights that are not finite
/// are an error.
Result<std::vector<std::vector<double>>>
precisionErrors(const PrecisionProblem &problem,
                const ParallelOptions &parallel = {});

/// The relative error of normally distributed weights in an encoding, of one
/// seeded matrix: what rounding costs where no weights are at hand.
double normalRoundingError(const Encoding &encoding);

/// The mean of squares, weighted by how often each expert is used; all alike
/// without counts, or if all are zero.
double meanSquare(std::span<const double> errors,
                  std::span<const int64_t> counts = {});

} // namespace moec::weights

#endif // MOEC_WEIGHTS_PRECISIONERRORS_H
