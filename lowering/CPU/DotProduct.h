// Products of rounded rows by instructions that multiply int8 or bf16 and add.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CPU_DOTPRODUCT_H
#define MOEC_LOWERING_CPU_DOTPRODUCT_H

#include "lowering/CPU/Matmul.h"

namespace moec::lowering {

/// Rounded rows as the instructions read them.
struct DotRows {
  /// Codes, i8 or bf16: the rows one behind the other.
  mlir::Value codes;
  /// Of int8, for each group of row i from i·`groups` on: its scale, f32, and
  /// the sum of its codes, i32.
  mlir::Value scales, sums;
};

/// Whether products of rows, so rounded, by a weight of `k` rows can be made
/// so: int8 by int8 or int4 in the same groups of whole fours, bf16 by bf16
/// where the schedule says so.
bool hasDotProduct(const InstructionSet &isa, const Schedule &schedule,
                   moe::EncodingAttr rounding, const StoredForm &form,
                   int64_t k);

/// What a function that callRoundedProduct makes is given.
struct DotArguments {
  /// Rows are lists of `code`.
  DotArguments(Code &c, mlir::Type code, mlir::ValueRange arguments);

  mlir::Value x, scales, codeSums, y;
  Panels w;
  mlir::Value rows, panels, yStride, reduction, adds;
};

/// Calls the function of that name, whose body is emitted when it is first called.
void callRoundedProduct(
    Code &c, MatmulKernels &kernels, llvm::StringRef name, const DotRows &x,
    const Panels &w, const Rows &y, mlir::Value adds, mlir::Value rows,
    mlir::Value panels, mlir::Value reduction,
    llvm::function_ref<void(Code &, mlir::ValueRange)> body);

/// y[i, :] = x[i, 0 ... k)·W for `panels` panels, added to y where `adds`. `reduction` is k, or 0 where there is no matrix.
void callDotProduct(Code &c, MatmulKernels &kernels, const StoredForm &form,
                    const Schedule &schedule, int64_t k, const DotRows &x,
                    const Panels &w, const Rows &y, mlir::Value adds,
                    mlir::Value rows, mlir::Value panels,
                    mlir::Value reduction);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CPU_DOTPRODUCT_H
