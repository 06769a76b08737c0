// Structured operations that are long sums.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_LONGSUM_H
#define MOEC_LOWERING_CUDA_LONGSUM_H

#include "lowering/Code/Code.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <optional>

namespace moec::lowering {

/// A structured operation on buffers whose only result grows by a term at each turn.
struct LongSum {
  mlir::linalg::LinalgOp op;
  /// What is added, in the body; where it is not always, the condition.
  mlir::Value term, condition;
  /// The dimension of the terms, and the others: rows, and columns, if any.
  unsigned depth;
  llvm::SmallVector<unsigned> rows;
  std::optional<unsigned> columns;
  /// Whether what depends on both columns and depth has columns beside each other in memory; else terms are.
  bool hasColumnsInside = false;
};

/// The sum that an operation is, if threads can share it and it is long enough.
std::optional<LongSum> findLongSum(mlir::linalg::LinalgOp op);

/// What the body of an operation reads at a turn: the value there, the buffer, and the dimension that each of its indices is, where it is one.
struct BodyRead {
  mlir::Value value, buffer;
  llvm::SmallVector<std::optional<unsigned>> dimensions;
};

/// All reads: of operands, and of what the body loads.
llvm::SmallVector<BodyRead> readsOf(mlir::linalg::LinalgOp op);

/// Adds to the result of one turn, whose variable of the terms does not matter.
void addToResult(Code &k, const LongSum &sum, mlir::ValueRange turn,
                 mlir::Value total);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_LONGSUM_H
