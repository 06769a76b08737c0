// A small vocabulary over OpBuilder for the reference lowering: scalars, filled tensors, linalg.generic, loops.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_MOETOLINALG_EMITTER_H
#define MOEC_LOWERING_MOETOLINALG_EMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

namespace moec::lowering {

/// Emits plain arith, math, tensor, linalg and scf operations at one place. Ids, tables, slots and offsets are i32.
class Emitter {
public:
  Emitter(mlir::OpBuilder &builder, mlir::Location loc)
      : b(builder), loc(loc) {}

  mlir::OpBuilder &b;
  mlir::Location loc;

  //===--- scalars ---===//
  mlir::Value index(int64_t value);
  mlir::Value i32(int64_t value);
  mlir::Value real(mlir::Type type, double value);
  mlir::Value toIndex(mlir::Value i32);
  mlir::Value toI32(mlir::Value index);
  /// Converts between float types (and from i32), rounding once.
  mlir::Value convert(mlir::Value value, mlir::Type floatType);
  mlir::Value add(mlir::Value lhs, mlir::Value rhs);
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs);
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs);
  mlir::Value div(mlir::Value lhs, mlir::Value rhs);
  mlir::Value compare(mlir::arith::CmpIPredicate predicate, mlir::Value lhs,
                      mlir::Value rhs);
  mlir::Value compare(mlir::arith::CmpFPredicate predicate, mlir::Value lhs,
                      mlir::Value rhs);
  mlir::Value both(mlir::Value lhs, mlir::Value rhs);
  mlir::Value select(mlir::Value condition, mlir::Value yes, mlir::Value no);
  /// 1 / (1 + exp(-x)).
  mlir::Value sigmoid(mlir::Value x);
  /// True if 0 <= i < bound (i32): one unsigned comparison.
  mlir::Value inRange(mlir::Value i, int64_t bound);
  mlir::Value inRange(mlir::Value i, mlir::Value bound);
  /// True if 0 <= i < bound (index), for an i32.
  mlir::Value inExtent(mlir::Value i, mlir::Value bound);
  /// The index of an i32 that is valid where `valid`, else 0: safe to read with, whatever the number is.
  mlir::Value safeIndex(mlir::Value i, mlir::Value valid);

  //===--- tensors ---===//
  mlir::Value extract(mlir::Value tensor, mlir::ValueRange at);
  mlir::Value insert(mlir::Value scalar, mlir::Value tensor,
                     mlir::ValueRange at);
  /// Extent as an attribute when static, else a tensor.dim.
  mlir::OpFoldResult size(mlir::Value tensor, int64_t dim);
  mlir::OpFoldResult size(int64_t extent);
  /// Extent as an index value.
  mlir::Value extent(mlir::Value tensor, int64_t dim);
  /// Tensor of `sizes` without defined contents.
  mlir::Value empty(llvm::ArrayRef<mlir::OpFoldResult> sizes,
                    mlir::Type elementType);
  /// Tensor of `sizes` filled with a scalar.
  mlir::Value filled(llvm::ArrayRef<mlir::OpFoldResult> sizes,
                     mlir::Value scalar);
  /// `value` as exactly `type`, by tensor.cast if static extents differ.
  mlir::Value castTo(mlir::Value value, mlir::Type type);

  //===--- linalg.generic ---===//
  using Body = llvm::function_ref<mlir::Value(Emitter &, mlir::ValueRange)>;
  /// One result. `iterators` is a string of 'p' (parallel) and 'r' (reduction); each map lists the loop of every
  /// operand dimension, -1 for the constant 0. The body gets the inputs' elements, then the accumulator; `loopIndex`
  /// gives loop indices inside it.
  mlir::Value generic(llvm::StringRef iterators,
                      llvm::ArrayRef<mlir::Value> inputs,
                      llvm::ArrayRef<llvm::SmallVector<int64_t>> maps,
                      mlir::Value init, llvm::ArrayRef<int64_t> initMap,
                      Body body);
  /// linalg.index, inside a body.
  mlir::Value loopIndex(int64_t loop);
  mlir::Value loopIndexI32(int64_t loop);

  //===--- scf.for over tensors and scalars ---===//
  using LoopBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      Emitter &, mlir::Value, mlir::ValueRange)>;
  /// for i in 0 ... upper-1, carrying `inits`; returns their last values.
  llvm::SmallVector<mlir::Value> loop(mlir::Value upper, mlir::ValueRange inits,
                                      LoopBody body);
  /// The same where turn i reads and writes only what no other turn writes: on buffers, turns may run side by side.
  llvm::SmallVector<mlir::Value>
  freeLoop(mlir::Value upper, mlir::ValueRange inits, LoopBody body);
};

/// The type in which values of an element type are accumulated: f64 for f64, else f32 (docs/spec.md §1).
mlir::Type accumulatorType(mlir::Type elementType);

} // namespace moec::lowering

#endif // MOEC_LOWERING_MOETOLINALG_EMITTER_H
