// What is done with sums of a tile that are in shared memory: residuals, activation, what pairs add up to.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_FINISHROWS_H
#define MOEC_LOWERING_CUDA_FINISHROWS_H

#include "lowering/CUDA/TiledProduct.h"

namespace moec::lowering {

/// A tile of a group's rows, `columns` of each matrix from `firstColumn` on, in
/// a run of such tiles.
struct SharedSums {
  /// For each matrix a list of f32, whose rows are `pitch` numbers apart.
  llvm::SmallVector<mlir::Value> lists;
  int64_t columns, pitch;
  mlir::Value group, firstRow, endRow, firstColumn, run;
};

/// Writes rows of a product: `count` of the tile from `from` on, by the lanes of a warp together, which has seen their sums.
void finishRows(KernelCode &k, const TiledProduct &product,
                const SharedSums &sums, mlir::Value from, int64_t count);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_FINISHROWS_H
