// What each GPU gets: sizes of tiles, by rows of a cluster.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_TILESCHEDULE_H
#define MOEC_LOWERING_CUDA_TILESCHEDULE_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include "weights/CostModel.h"

#include <cstdint>
#include <limits>

namespace moec::lowering {

using weights::ResidualForm;

/// Sizes of the kernel that multiplies tiles of rows by tiles of columns.
struct TileSchedule {
  /// Taken where the groups have at most so many rows each on average. The last of a table is taken for all.
  int64_t mostRows;
  /// A tile: rows of x, and columns of each matrix.
  int64_t rows, columns;
  /// Of the reduction, in one stage; stages in shared memory.
  int64_t depth, stages;
  /// How the warps of a block that multiply stand, below each other and beside each other.
  int64_t warpsDown, warpsAcross;
  /// Most runs that the tiles of columns are split into: blocks for each tile of rows, and parts of v to add up.
  int64_t runs;
  /// Warpgroups that multiply by wgmma what another copies by tensor maps; 0: warps copy by cp.async and multiply by
  /// mma.sync.
  int64_t warpgroups = 0;
  /// With warpgroups, most blocks: as many as a GPU has room for at once, each of which computes one run after the other.
  int64_t blocks = 132;
  /// With warpgroups, blocks that share what they copy of weights: each has rows of its own of a tile that many times as high.
  int64_t cluster = 1;
  /// How experts' residuals are added: a ResidualForm.
  int64_t form = int64_t(ResidualForm::Present);
  /// Pairs of one expert that are a tile of x·A; 0: a block for each pair,
  /// without tensor cores.
  int64_t shrinkRows = 0;
  /// Warps that share the reduction of the same sums.
  int64_t warpsDeep = 1;

  static constexpr int64_t any = std::numeric_limits<int32_t>::max();
  /// What a block may share without asking for more.
  static constexpr int64_t mostSharedBytes = 48 << 10;
  /// What a block of Hopper may ask for.
  static constexpr int64_t mostDynamicBytes = 227 << 10;

  ResidualForm residualForm() const { return ResidualForm(form); }
  /// Rows are finished where their sums are, not through shared memory.
  bool isFinishedInRegisters() const {
    return residualForm() != ResidualForm::Slot;
  }
  /// Of a tile of all blocks that share weights.
  int64_t rowsOfCluster() const { return rows * cluster; }
  int64_t warps() const { return warpsDown * warpsAcross * warpsDeep; }
  int64_t threads() const { return 32 * warps() + (warpgroups ? 128 : 0); }
  /// Numbers from one row to the next in shared memory: 16 bytes more, so that eight rows lie in eight banks.
  int64_t pitchOfX() const { return depth + 8; }
  int64_t pitchOfW() const { return columns + 8; }
  int64_t xElements() const { return rows * pitchOfX(); }
  int64_t wElements() const { return depth * pitchOfW(); }
  int64_t stageBytes(int64_t matrices) const {
    return 2 * (xElements() + matrices * wElements());
  }
  /// Sums in f32, which come to lie where the stages were.
  int64_t sumBytes(int64_t matrices) const {
    return matrices * rows * columns * 4;
  }
  int64_t sharedBytes(int64_t matrices) const {
    return std::max(stages * stageBytes(matrices), sumBytes(matrices));
  }
};

/// What schedules depend on besides the GPU: matrices that are multiplied at
/// once, and which forms residuals may have.
struct ProductForm {
  int64_t matrices;
  /// Whether rows can be finished in registers: the forms dense and present.
  bool fitsRegisters;
  /// Whether there is something that experts add, of ranks that the dense form
  /// takes.
  bool fitsDense;
  /// Whether there are residuals whose x·A tensor cores take.
  bool fitsShrink;

  bool fits(ResidualForm form) const {
    return form == ResidualForm::Slot ||
           (form == ResidualForm::Present ? fitsRegisters : fitsDense);
  }
};

/// The form that a row of a table gets, which says for how many rows of a group
/// it is.
using ChooseForm =
    llvm::function_ref<ResidualForm(const TileSchedule &schedule)>;

/// The table of a GPU that findGPUTarget knows, for few rows first, with the
/// forms that are chosen; without a choice, rows are finished in registers
/// where they can be.
llvm::SmallVector<TileSchedule> tileSchedules(llvm::StringRef target,
                                              const ProductForm &form,
                                              ChooseForm choose = nullptr);

/// Sizes of tiles of products with few columns, `columns` of each of so many matrices: warps share the reduction.
TileSchedule narrowSchedule(int64_t rows, int64_t columns, int64_t matrices);

/// Sizes of tiles of many rows and many columns, for any GPU.
TileSchedule wideSchedule();

/// `moe.schedule` of an operation: a list of dictionaries, where what is not
/// named is as in the last of the table; the oldest GPU's table where there is
/// none. Fails with a diagnostic for what cannot be.
mlir::FailureOr<llvm::SmallVector<TileSchedule>>
readTileSchedules(mlir::Operation *op, const ProductForm &form);

/// Such a list.
mlir::ArrayAttr writeTileSchedules(mlir::MLIRContext *context,
                                   llvm::ArrayRef<TileSchedule> schedules);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_TILESCHEDULE_H
