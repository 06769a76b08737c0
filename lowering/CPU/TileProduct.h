// Products of many rows of bf16 or int8 in tile registers (AMX).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CPU_TILEPRODUCT_H
#define MOEC_LOWERING_CPU_TILEPRODUCT_H

#include "lowering/CPU/DotProduct.h"

namespace moec::lowering {

/// Whether rows of `row`, or rounded so (`rounding` may be null), can be
/// multiplied by a weight of `k` rows in tile registers: bf16 by bf16, whole
/// tiles of the reduction.
bool hasTileProduct(const InstructionSet &isa, const Schedule &schedule,
                    mlir::Type row, moe::EncodingAttr rounding,
                    const StoredForm &form, int64_t k);

/// Whether rows of int8 that can be multiplied so (hasDotProduct) can be in
/// tile registers: groups of whole 64s, up to 256.
bool hasIntegerTileProduct(const InstructionSet &isa, const Schedule &schedule,
                           const StoredForm &form);

/// Rows behind the last that a call may read, of a list of rows: what they are
/// changes nothing.
int64_t rowsBehindTiles(const Schedule &schedule);

/// y[i, :] = x[i, 0 ... k)·W for `panels` panels and at most
/// `schedule.taskRows` rows, added to y where `adds`. x is bf16, its rows one
/// behind the other.
void callTileProduct(Code &c, MatmulKernels &kernels, const StoredForm &form,
                     const Schedule &schedule, mlir::Value x, const Panels &w,
                     const Rows &y, mlir::Value adds, mlir::Value rows,
                     mlir::Value panels, mlir::Value k);

/// The same of int8 rows, as callDotProduct has it.
void callIntegerTileProduct(Code &c, MatmulKernels &kernels,
                            const StoredForm &form, const Schedule &schedule,
                            int64_t k, const DotRows &x, const Panels &w,
                            const Rows &y, mlir::Value adds, mlir::Value rows,
                            mlir::Value panels, mlir::Value reduction);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CPU_TILEPRODUCT_H
