// Products on Hopper's tensor cores by blocks that stay: one warp copies by tensor maps, two warpgroups multiply and finish.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_WARPGROUPMATMUL_H
#define MOEC_LOWERING_CUDA_WARPGROUPMATMUL_H

#include "lowering/CUDA/HopperCode.h"
#include "lowering/CUDA/TileSchedule.h"

namespace moec::lowering {

/// Sizes of a tile, and of what a block that computes tiles shares.
struct WarpgroupShape {
  /// Of the reduction, in one stage, and columns of one copy: a row of the swizzle's pattern.
  static constexpr int64_t depth = 64, boxColumns = 64;
  static constexpr int64_t rowsOfGroup = 64, rowsOfWarp = 16;
  /// Most columns of one instruction.
  static constexpr int64_t mostColumns = 256;
  /// Registers of a thread that copies, and of one that multiplies.
  static constexpr int64_t registersToCopy = 40, registersToMultiply = 232;
  static constexpr int64_t barrierBytes = 8;

  WarpgroupShape(const TileSchedule &schedule, int64_t matrices,
                 bool sharesSums)
      : matrices(matrices), rows(schedule.rows), columns(schedule.columns),
        stages(schedule.stages), groups(schedule.warpgroups),
        cluster(schedule.cluster), sharesSums(sharesSums) {}

  /// Matrices that are multiplied at once, and of a tile the rows and the columns of each matrix.
  int64_t matrices, rows, columns;
  int64_t stages;
  /// Warpgroups that multiply. The one that copies, of which one lane does, comes first.
  int64_t groups;
  /// Blocks that share what they copy of weights: each copies as many rows of every box for all of them.
  int64_t cluster;
  /// Whether sums pass through shared memory.
  bool sharesSums;

  int64_t sumColumns() const { return matrices * columns; }
  int64_t boxesOfMatrix() const { return columns / boxColumns; }
  int64_t boxes() const { return matrices * boxesOfMatrix(); }
  int64_t xBytes() const { return 2 * rows * depth; }
  static constexpr int64_t boxBytes() { return 2 * depth * boxColumns; }
  /// Rows of a weight's box that one block copies.
  int64_t boxRows() const { return depth / cluster; }
  /// Warps that must be done with a stage before it is filled again.
  int64_t readersOfStage() const {
    return cluster * groups * HopperCode::warpsOfGroup;
  }
  int64_t stageBytes() const { return xBytes() + boxes() * boxBytes(); }
  /// Behind the stages sums in f32, if they are shared, for each warp that multiplies those of its own rows; two barriers for each stage.
  int64_t sumsAt() const { return stages * stageBytes(); }
  /// Rows of sums are 32 bytes longer than they need be, so that those of four lanes each lie in banks of their own.
  int64_t pitchOfSums() const { return sumColumns() + 8; }
  int64_t barriersAt() const {
    return sumsAt() + (sharesSums ? 4 * rows * pitchOfSums() : 0);
  }
  int64_t sharedBytes() const {
    return barriersAt() + 2 * barrierBytes * stages;
  }
};

/// A product's operands in device memory, of 16-bit floats.
struct WarpgroupOperands {
  /// Maps of x (rows x depth, in boxes of shape.rows x shape.depth) and of each matrix's pool (places x depth x columns, in
  /// boxes of 1 x shape.boxRows() x boxColumns).
  mlir::Value x;
  llvm::SmallVector<mlir::Value> weights;
  mlir::Type element;
  int64_t depth;
};

/// Tiles that one block computes one after the other: rows of x, none where firstRow is not below endRow, and tiles of columns from `firstTile` to `endTile`, which
/// are equal where there is nothing to do. Blocks of a cluster have the same tiles of columns and the same places.
struct TileRun {
  mlir::Value firstRow, endRow;
  mlir::Value firstTile, endTile;
  /// The group of the rows, an index.
  mlir::Value group;
  /// The place of each matrix in its pool, an i32; one that is outside of the
  /// pool stands for zeros.
  llvm::SmallVector<mlir::Value> places;
};

/// What each warp that multiplies does with a tile: `warp` from 0 on has rowsOfWarp rows of it, and `numbers` are its sums as
/// HopperCode::numbersOf has them, for columns of all matrices in their order.
using FinishTile =
    llvm::function_ref<void(const TileRun &run, mlir::Value tile,
                            mlir::Value warp, mlir::ValueRange numbers)>;

/// Emits a kernel for blocks of the schedule's threads: runs from 0 to `runs`, spread over the blocks. `findRun` is emitted
/// twice, for who copies and for who multiplies. `shared` are the block's bytes.
void multiplyByWarpgroups(HopperCode &k, const WarpgroupShape &shape,
                          const WarpgroupOperands &operands, mlir::Value shared,
                          mlir::Value runs,
                          llvm::function_ref<TileRun(mlir::Value run)> findRun,
                          FinishTile finish);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_WARPGROUPMATMUL_H
