// Rows of activations, rounded for the products that ask for it (docs/spec.md,
// section 6). Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CPU_ROUNDROWS_H
#define MOEC_LOWERING_CPU_ROUNDROWS_H

#include "dialects/MoE/IR/MoE.h"
#include "lowering/Code/Code.h"

namespace moec::lowering {

/// A run of floats in a list of f32, f16 or bf16.
struct Row {
  mlir::Value list, at;
  int64_t columns;
};

/// Where the symmetric int8 codes of a row go.
struct QuantizedRow {
  /// i8, one for each column.
  mlir::Value codes, codesAt;
  /// For each group its scale, f32, and the sum of its codes, i32.
  mlir::Value scales, sums, groupsAt;
};

/// Writes the row as its codes decode, as f32 from `to[at]` on.
void roundRow(Code &c, moe::EncodingAttr rounding, const Row &row,
              mlir::Value to, mlir::Value at);

/// Writes the codes of groups of `group` columns, which divide the row. Those
/// of a group that is not finite are anything: its scale is NaN.
void quantizeRow(Code &c, int64_t group, const Row &row,
                 const QuantizedRow &to);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CPU_ROUNDROWS_H
