// One tile of a product on tensor cores: rows of x times columns of one matrix or two, which read x once.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_TILEMATMUL_H
#define MOEC_LOWERING_CUDA_TILEMATMUL_H

#include "lowering/CUDA/KernelCode.h"
#include "lowering/CUDA/TileSchedule.h"

namespace moec::lowering {

/// A product's operands in device memory, of 16-bit floats.
struct TileOperands {
  /// Rows of x: a list, the first row and the one behind the last, and their length.
  mlir::Value x, firstRow, endRow;
  int64_t depth;
  /// Lists, and where their matrices of depth x columns begin.
  llvm::SmallVector<mlir::Value> weights, begins;
  int64_t columns;
  /// Whether there is a matrix: else it is zero.
  mlir::Value hasMatrix;
};

/// Computes columns from `firstColumn` on. Afterwards each matrix's sums are in shared memory, f32 of schedule.rows x
/// schedule.columns, the lists that are returned; the block has met.
llvm::SmallVector<mlir::Value> multiplyTile(KernelCode &k,
                                            const TileSchedule &schedule,
                                            const TileOperands &operands,
                                            mlir::Value firstColumn,
                                            mlir::Value sharedBytes);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_TILEMATMUL_H
