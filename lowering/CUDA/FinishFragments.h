// What is done with sums of a tile that are in registers: residuals, activation, what pairs add up to, on tensor cores.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_FINISHFRAGMENTS_H
#define MOEC_LOWERING_CUDA_FINISHFRAGMENTS_H

#include "lowering/CUDA/TiledProduct.h"

namespace moec::lowering {

/// Of a moe.grouped_up or moe.grouped_matmul that has kernels. It can be
/// finished in registers if rows, weights and residuals are of one type of 16
/// bits, and ranks of residuals are even. Works on tensors and on buffers.
ProductForm formOf(mlir::Operation *op);

/// 16 rows of a tile, in the registers of a warp.
struct FragmentSums {
  /// For each matrix `columns` / 2 of each lane, as mma.sync and HopperCode::numbersOf have them.
  mlir::ValueRange numbers;
  int64_t columns;
  /// Columns of each matrix that are finished together, a multiple of 16: what is carried from expert to expert stays in registers.
  int64_t columnsAtOnce;
  /// The first of the rows, the row behind the last that is the tile's; the first column of each matrix.
  mlir::Value firstRow, endRow, firstColumn;
  /// Whether there are all columns of any tile.
  bool hasAllColumns;
  /// The part of v that these columns add to.
  mlir::Value part;
  /// Dense or present; dense goes through the places of the rows' group, an
  /// index.
  ResidualForm form;
  mlir::Value group;
};

/// Writes the rows. Experts come one after the other, in the order of their
/// numbers: those that any of these rows has, or all of the group. All rows of
/// an expert are multiplied at once.
void finishFragments(KernelCode &k, const TiledProduct &product,
                     const FragmentSums &sums);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_FINISHFRAGMENTS_H
