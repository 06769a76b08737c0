// A product over groups of rows, while it is made into kernels.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_TILEDPRODUCT_H
#define MOEC_LOWERING_CUDA_TILEDPRODUCT_H

#include "lowering/CUDA/ScheduledKernels.h"
#include "lowering/CUDA/TileSchedule.h"
#include "lowering/CUDA/WarpgroupMatmul.h"
#include "lowering/Code/Activation.h"

#include <optional>

namespace moec::lowering {

/// A product over groups of rows, its operands as lists, and what the first kernels work out for the last.
struct TiledProduct {
  /// Rows as they are, which residuals get, and as the weights get them.
  mlir::Value x, factor, offsets;
  mlir::Value rows;
  int64_t groups = 0;
  llvm::SmallVector<MatrixPool> weights;
  moe::ActivationAttr act;
  /// Whether act is made of the instruction for tanh.
  bool isActApproximate = false;
  mlir::Type element;

  // Pairs, by row. Without any, a row is one expert's.
  mlir::Value pairRow, pairExpert, pairWeight, pairs;
  /// Experts that pairs may name.
  int64_t experts = 0;
  /// For each weight the two factors of its residual.
  llvm::SmallVector<MatrixPool> residuals;
  /// h·shrink of each pair.
  std::optional<MatrixPool> shrink;
  /// What each pair adds: pairWeight·segment·expand.
  std::optional<MatrixPool> expand;
  mlir::Value segment;

  /// Rows, or hidden rows; and v.
  mlir::Value output, shrunk;
  /// Whether unused rows of the output must be zero.
  bool isReadByOthers = true;

  // Worked out.
  TilePlan tiles;
  /// For each row its first pair.
  mlir::Value pairFirst;
  /// For the dense form.
  ExpertPlaces places;
  /// x·A of each pair: for each weight its rank.
  mlir::Value low;
  /// v in parts, and how many: one where blocks add to it atomically.
  mlir::Value parts, partsOfShrunk;
  bool isAtomic = false;

  /// Sizes, of which the host takes one by rows of a group.
  llvm::SmallVector<TileSchedule> schedules;
  /// For each but the last whether the groups have no more rows than it is for.
  llvm::SmallVector<mlir::Value> isFew;

  /// What `value` gives for the schedule that the host takes.
  mlir::Value
  pick(Code &host,
       llvm::function_ref<mlir::Value(const TileSchedule &)> value) const {
    mlir::Value taken = value(schedules.back());
    for (size_t i = isFew.size(); i-- > 0;)
      taken = host.select(isFew[i], value(schedules[i]), taken);
    return taken;
  }

  /// act of what two weights give, or one: then `gate` is null.
  mlir::Value activate(KernelCode &k, mlir::Value up, mlir::Value gate) const {
    auto tanh = [&](mlir::Value x) { return k.approximateTanh(x); };
    if (isActApproximate)
      return moec::lowering::activate(k, act, up, gate, tanh);
    return moec::lowering::activate(k, act, up, gate);
  }

  /// Whether experts add something of their own, in some form.
  bool hasResiduals() const { return !residuals.empty() || expand; }
  bool isUp() const { return bool(pairWeight) && !expand; }
  int64_t columns() const { return weights.front().columns; }
  int64_t columnTiles(const TileSchedule &schedule) const {
    return llvm::divideCeil(columns(), schedule.columns);
  }
  /// Runs that the tiles of columns are split into.
  int64_t runsOf(const TileSchedule &schedule) const {
    return std::min(columnTiles(schedule), schedule.runs);
  }
  /// Tiles of columns in a run, at most.
  int64_t tilesOfRun(const TileSchedule &schedule) const {
    return llvm::divideCeil(columnTiles(schedule), runsOf(schedule));
  }
  /// Adds to a number of v's part that `part` numbers; `at` is its place in a part.
  void addToPart(KernelCode &k, mlir::Value value, mlir::Value part,
                 mlir::Value at) const {
    if (isAtomic)
      return k.atomicAddF(value, parts, at);
    at = k.add(k.mul(k.mul(part, pairs), shrink->columns), at);
    k.store(k.addF(k.load(parts, at), value), parts, at);
  }
  /// Parts of v: what a run of columns adds up. In registers each warp has columns of its own.
  int64_t partsOf(const TileSchedule &schedule) const {
    if (isAtomic)
      return 1;
    return runsOf(schedule) *
           (schedule.isFinishedInRegisters() ? schedule.warpsAcross : 1);
  }
  WarpgroupShape shapeOf(const TileSchedule &schedule) const {
    return WarpgroupShape(schedule, weights.size(),
                          !schedule.isFinishedInRegisters());
  }
  /// Of one residual's x·A.
  int64_t mostLowColumns() const {
    int64_t most = 0;
    for (size_t i = 0; i < residuals.size(); i += 2)
      most = std::max(most, residuals[i].columns);
    return most;
  }
  /// Of all residuals' x·A, one behind the other.
  int64_t lowColumns() const {
    int64_t sum = 0;
    for (size_t i = 0; i < residuals.size(); i += 2)
      sum += residuals[i].columns;
    return sum;
  }
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_TILEDPRODUCT_H
