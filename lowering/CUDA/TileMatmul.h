// One tile of a product on tensor cores: rows of x times columns of one matrix or two, which read x once.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_TILEMATMUL_H
#define MOEC_LOWERING_CUDA_TILEMATMUL_H

#include "lowering/CUDA/ScheduledKernels.h"
#include "lowering/CUDA/TileSchedule.h"

namespace moec::lowering {

/// A matrix in device memory, depth x `columns`: a list, where in it the matrix begins, and whether there is one: else it is zero.
struct TileMatrix {
  mlir::Value list, begin, isThere;
  int64_t columns;
  /// From one of its rows to the next; null: `columns`.
  mlir::Value pitch;
};

/// An entry (an i32 that may be anything) of a stored weight.
TileMatrix matrixOf(KernelCode &k, const MatrixPool &pool, mlir::Value entry);

/// A product's operands in device memory, of 16-bit floats.
struct TileOperands {
  /// Rows of x: a list, the first row and the one behind the last, and their length.
  mlir::Value x, firstRow, endRow;
  int64_t depth;
  /// From one row of x to the next; null: `depth`.
  mlir::Value pitch;
  /// What rows are counted in, a list of i32 with the row of x at each place; null: they are x's own.
  mlir::Value rowAtPlace;
  llvm::SmallVector<TileMatrix> matrices;
};

/// Which part of a tile's sums a warp has, and the sums, in registers.
struct WarpSums {
  /// For each 16 rows and each matrix, of 16 rows x `columns`: as mma.sync leaves them, four numbers for each 8 columns. A lane has
  /// two columns of row lane / 4, and of the row 8 below.
  llvm::SmallVector<llvm::SmallVector<mlir::Value>> numbers;
  int64_t columns;
  /// Of the tile.
  mlir::Value firstRow, firstColumn;
};

/// Computes columns from `firstColumn` on. Stages in shared memory may not be written before the block has met.
WarpSums multiplyTile(KernelCode &k, const TileSchedule &schedule,
                      const TileOperands &operands, mlir::Value firstColumn,
                      mlir::Value sharedBytes);

/// Puts them where stages were: lists of f32 for each matrix, schedule.rows x schedule.columns. Warps that share the reduction are
/// added up in their order. The block has met then.
llvm::SmallVector<mlir::Value> shareSums(KernelCode &k,
                                         const TileSchedule &schedule,
                                         int64_t matrices, const WarpSums &sums,
                                         mlir::Value sharedBytes);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_TILEMATMUL_H
