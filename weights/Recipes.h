// Weights computed from other weights: docs/spec.md section 2, recipes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_RECIPES_H
#define MOEC_WEIGHTS_RECIPES_H

#include "weights/Encoding.h"
#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <vector>

namespace moec::weights {

/// #moe.mean: for each of `targets`, the mean (in f64) of the entries the table
/// maps to it; zeros where there is none. The result is [targets, rows, cols].
Result<std::vector<float>> meanByTable(const MatrixShape &shape,
                                       std::span<const float> values,
                                       std::span<const int32_t> table,
                                       int64_t targets);

/// A low-rank pair for each entry: input is [entries, rows, rank], output is
/// [entries, rank, cols], and input * output approximates the matrix.
struct LowRankFactors {
  std::vector<float> input;
  std::vector<float> output;
};

/// #moe.svd: factors U sqrt(S) and sqrt(S) V^T of the truncated SVD (in f64) of
/// values[i] - base[table[i]]; `base` is [baseEntries, rows, cols]. Of each
/// singular pair the first entry of largest magnitude in U's column is made
/// positive. Takes O(rows * cols * min(rows, cols)) per entry.
Result<LowRankFactors>
truncatedSvd(const MatrixShape &shape, std::span<const float> values,
             std::span<const float> base, int64_t baseEntries,
             std::span<const int32_t> table, int64_t rank);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_RECIPES_H
