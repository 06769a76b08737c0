// Multiply-adds per token of expert layers, read off the IR in any of the three forms.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_ANALYSIS_MULTIPLYADDS_H
#define MOEC_PASSES_ANALYSIS_MULTIPLYADDS_H

#include "mlir/IR/Operation.h"
#include <cstdint>

namespace moec {

/// Multiply-adds one operation does per token, at most: slots count in full, whatever the data. A weight counts as its
/// built matrix. Zero for operations that are no products.
int64_t getMultiplyAddsPerToken(mlir::Operation *op);

} // namespace moec

#endif // MOEC_PASSES_ANALYSIS_MULTIPLYADDS_H
