// The cheapest one-to-one assignment of rows to columns.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_LINEARASSIGNMENT_H
#define MOEC_WEIGHTS_LINEARASSIGNMENT_H

#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <vector>

namespace moec::weights {

/// Largest matrix that is accepted.
inline constexpr int64_t assignmentMaxSize = 65536;

struct Assignment {
  /// The column of each row.
  std::vector<int32_t> columnOfRow;
  /// The sum of the chosen costs.
  double cost = 0;
  /// Duals: rowPrice[i] + columnPrice[j] <= costs[i, j], with equality where it
  /// is chosen (to rounding); their sum is therefore a lower bound of any cost.
  std::vector<double> rowPrice;
  std::vector<double> columnPrice;
};

/// Minimises the sum of costs over assignments of `size` rows to `size`
/// columns; `costs` is [size, size], row-major and finite. Shortest augmenting
/// paths (Jonker and Volgenant 1987): at most O(size^3).
Result<Assignment> assignLinearly(int64_t size, std::span<const float> costs);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_LINEARASSIGNMENT_H
