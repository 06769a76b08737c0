// A small vocabulary over OpBuilder for CPU kernels: index arithmetic, loops,
// memory, vectors of 16 numbers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CODE_CODE_H
#define MOEC_LOWERING_CODE_CODE_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"

namespace moec::lowering {

/// Numbers in a vector, and columns in a panel of layout panel16. LLVM splits
/// vectors where registers are narrower.
inline constexpr int64_t lanes = 16;

/// A list in memory: memref<?xT, strided<[1], offset: ?>>. Kernels see all
/// buffers so.
mlir::MemRefType flatType(mlir::Type element);

/// What a list has.
mlir::Type elementOf(mlir::Value list);

/// Whether elements lie one behind the other, whatever the extents are.
bool isCompact(mlir::MemRefType type);

/// What code that is taken out of its place makes again instead of being handed
/// it: constants, and addresses of globals.
bool isRematerialised(mlir::Value value);

/// Emits plain arith, scf, memref and vector operations at one place.
class Code {
public:
  using Values = llvm::SmallVector<mlir::Value>;

  Code(mlir::OpBuilder &builder, mlir::Location loc) : b(builder), loc(loc) {}

  mlir::OpBuilder &b;
  mlir::Location loc;

  //===--- types ---===//
  mlir::Type f32() { return b.getF32Type(); }
  mlir::Type i32() { return b.getI32Type(); }
  mlir::Type pointer();
  mlir::VectorType vectorOf(mlir::Type element) {
    return mlir::VectorType::get({lanes}, element);
  }

  //===--- indices: constants fold ---===//
  mlir::Value index(int64_t value);
  mlir::Value number(int64_t value, mlir::Type type);
  mlir::Value add(mlir::Value lhs, mlir::Value rhs);
  mlir::Value add(mlir::Value lhs, int64_t rhs) { return add(lhs, index(rhs)); }
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs);
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs);
  mlir::Value mul(mlir::Value lhs, int64_t rhs) { return mul(lhs, index(rhs)); }
  mlir::Value div(mlir::Value lhs, mlir::Value rhs);
  mlir::Value div(mlir::Value lhs, int64_t rhs) { return div(lhs, index(rhs)); }
  mlir::Value rem(mlir::Value lhs, mlir::Value rhs);
  mlir::Value ceilDiv(mlir::Value lhs, mlir::Value rhs) {
    return div(add(lhs, sub(rhs, index(1))), rhs);
  }
  mlir::Value ceilDiv(mlir::Value lhs, int64_t rhs) {
    return ceilDiv(lhs, index(rhs));
  }
  mlir::Value min(mlir::Value lhs, mlir::Value rhs);
  mlir::Value compare(mlir::arith::CmpIPredicate how, mlir::Value lhs,
                      mlir::Value rhs);
  mlir::Value isBelow(mlir::Value lhs, mlir::Value rhs) {
    return compare(mlir::arith::CmpIPredicate::slt, lhs, rhs);
  }
  mlir::Value isEqual(mlir::Value lhs, mlir::Value rhs) {
    return compare(mlir::arith::CmpIPredicate::eq, lhs, rhs);
  }
  mlir::Value both(mlir::Value lhs, mlir::Value rhs);
  mlir::Value either(mlir::Value lhs, mlir::Value rhs);
  mlir::Value select(mlir::Value condition, mlir::Value yes, mlir::Value no);
  /// Sign-extends an i32 to an index, and cuts an index to an i32.
  mlir::Value toIndex(mlir::Value i32);
  mlir::Value toI32(mlir::Value index);
  /// 0 <= i < bound for an i32 that may be anything.
  mlir::Value isWithin(mlir::Value i32, mlir::Value bound);

  //===--- control ---===//
  void loop(mlir::Value from, mlir::Value to, mlir::Value step,
            llvm::function_ref<void(mlir::Value)> body);
  void loop(mlir::Value from, mlir::Value to, int64_t step,
            llvm::function_ref<void(mlir::Value)> body) {
    loop(from, to, index(step), body);
  }
  Values loop(mlir::Value from, mlir::Value to, mlir::Value step,
              mlir::ValueRange inits,
              llvm::function_ref<Values(mlir::Value, mlir::ValueRange)> body);
  Values loop(mlir::Value from, mlir::Value to, int64_t step,
              mlir::ValueRange inits,
              llvm::function_ref<Values(mlir::Value, mlir::ValueRange)> body) {
    return loop(from, to, index(step), inits, body);
  }
  void when(mlir::Value condition, llvm::function_ref<void()> then,
            llvm::function_ref<void()> otherwise = nullptr);
  Values choose(mlir::Value condition, mlir::TypeRange types,
                llvm::function_ref<Values()> then,
                llvm::function_ref<Values()> otherwise);
  /// One case of `cases` by value; none of them: nothing.
  void select(mlir::Value value, llvm::ArrayRef<int64_t> cases,
              llvm::function_ref<void(int64_t)> body);

  //===--- memory ---===//
  /// An extent of a buffer.
  mlir::Value extent(mlir::Value buffer, int64_t d);
  /// Memory of the entry that this code is of, a list: the workspace's.
  mlir::Value allocate(mlir::Value count, mlir::Type element);
  /// Any contiguous buffer as a list.
  mlir::Value flatten(mlir::Value buffer);
  /// Where element `at` of a list is, for a kernel.
  mlir::Value address(mlir::Value list, mlir::Value at);
  /// `pointer` moved by `elements`.
  mlir::Value advance(mlir::Value pointer, mlir::Type element,
                      mlir::Value elements);
  /// What is at a pointer, as a list.
  mlir::Value listAt(mlir::Value pointer, mlir::Type element);
  /// Scratch of a kernel, aligned to 64 bytes; at the beginning of a function
  /// only.
  mlir::Value scratch(int64_t elements, mlir::Type element);
  mlir::Value load(mlir::Value list, mlir::Value at);
  void store(mlir::Value value, mlir::Value list, mlir::Value at);
  /// Of a list of f32, f16 or bf16, as f32.
  mlir::Value loadFloat(mlir::Value list, mlir::Value at);
  /// An f32, rounded to what a list has.
  void storeFloat(mlir::Value value, mlir::Value list, mlir::Value at);

  //===--- runs of elements: 16 at a time, then what is left ---===//
  void fill(mlir::Value scalar, mlir::Value list, mlir::Value at,
            mlir::Value count);
  void fillZeros(mlir::Value list, mlir::Value at, mlir::Value count);
  /// Floats of one type become those of another: exactly, or rounded.
  void copy(mlir::Value from, mlir::Value fromAt, mlir::Value to,
            mlir::Value toAt, mlir::Value count);

  //===--- vectors of 16 ---===//
  mlir::Value loadVector(mlir::Value list, mlir::Value at);
  void storeVector(mlir::Value vector, mlir::Value list, mlir::Value at);
  /// 16 numbers of a list of f32, f16 or bf16, as f32.
  mlir::Value loadFloats(mlir::Value list, mlir::Value at);
  /// f32 numbers, rounded to a type of floats and widened again.
  mlir::Value rounded(mlir::Value vector, mlir::Type element);
  /// 16 f32, rounded to what a list has.
  void storeFloats(mlir::Value vector, mlir::Value list, mlir::Value at);
  mlir::Value broadcast(mlir::Value scalar);
  mlir::Value extract(mlir::Value vector, int64_t lane);
  mlir::Value zero() { return real(0); }
  mlir::Value real(double value);
  mlir::Value zeros();
  mlir::Value reals(double value);
  mlir::Value ints(int64_t value, mlir::Type element);
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_CODE_CODE_H
