// What a structured operation on buffers does at one of its turns.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_STRUCTUREDBODY_H
#define MOEC_LOWERING_CUDA_STRUCTUREDBODY_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"

namespace moec::lowering {

/// A structured operation on buffers, and one turn of its loops: a variable for each dimension.
struct StructuredTurn {
  mlir::linalg::LinalgOp op;
  mlir::ValueRange variables;

  /// The indices of what an operand has for this turn.
  llvm::SmallVector<mlir::Value> placeOf(mlir::OpBuilder &b,
                                         mlir::OpOperand &operand) const;
  /// Emits the body: inputs are loaded, results are `inits` so far. Says what the body's values became.
  mlir::IRMapping emitBody(mlir::OpBuilder &b,
                           llvm::ArrayRef<mlir::Value> inits) const;
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_STRUCTUREDBODY_H
