// What a weight expression costs: as its parts, and built as one dense matrix per entry.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_ANALYSIS_WEIGHTCOST_H
#define MOEC_PASSES_ANALYSIS_WEIGHTCOST_H

#include "mlir/IR/Value.h"
#include <cstdint>

namespace moec {

struct WeightCost {
  /// Numbers that must be stored, over all entries.
  int64_t storedNumbers = 0;
  /// Multiply-adds to multiply one row by one entry.
  int64_t multiplyAddsPerRow = 0;
  /// Products with a row: a part counts as often as the expression uses it.
  int64_t products = 1;
};

/// Cost of multiplying by the parts of an expression: sums, products, scales and selects are followed, each leaf is stored
/// once however often it is used, everything else counts as built.
WeightCost getCostOfParts(mlir::Value weight);

/// Cost of the dense matrix of each entry.
WeightCost getCostOfBuilt(mlir::Value weight);

} // namespace moec

#endif // MOEC_PASSES_ANALYSIS_WEIGHTCOST_H
