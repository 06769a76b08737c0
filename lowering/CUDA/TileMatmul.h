// One tile of a product on tensor cores: rows of x times columns of one matrix or two, which read x once.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_TILEMATMUL_H
#define MOEC_LOWERING_CUDA_TILEMATMUL_H

#include "lowering/CUDA/KernelCode.h"

namespace moec::lowering {

/// Sizes of a tile, for four warps that stand two by two.
struct TileShape {
  static constexpr int64_t rows = 64, columns = 64;
  /// Of the reduction, in one stage; stages in flight.
  static constexpr int64_t depth = 32, stages = 3;
  static constexpr int64_t threads = 128;
  /// Numbers from one row to the next in shared memory: 16 bytes more, so that eight rows lie in eight banks.
  static constexpr int64_t pitchOfX = depth + 8, pitchOfW = columns + 8;

  static constexpr int64_t xElements = rows * pitchOfX;
  static constexpr int64_t wElements = depth * pitchOfW;
  static constexpr int64_t stageBytes(int64_t matrices) {
    return 2 * (xElements + matrices * wElements);
  }
  /// What a kernel shares: stages, and then sums in f32 in the same place.
  static constexpr int64_t sharedBytes(int64_t matrices) {
    return std::max(stages * stageBytes(matrices),
                    matrices * rows * columns * 4);
  }
};

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

/// Computes columns from `firstColumn` on. Afterwards each matrix's sums are in shared memory, f32 of TileShape::rows x
/// TileShape::columns, the lists that are returned; the block has met.
llvm::SmallVector<mlir::Value> multiplyTile(KernelCode &k,
                                            const TileOperands &operands,
                                            mlir::Value firstColumn,
                                            mlir::Value sharedBytes);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_TILEMATMUL_H
