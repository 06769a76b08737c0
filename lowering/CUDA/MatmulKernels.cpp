// moe.grouped_up and moe.grouped_matmul as kernels: tiles of the base on tensor cores, and what the experts of a row add to
// it while its tile is in shared memory.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/FinishFragments.h"
#include "lowering/CUDA/FinishRows.h"
#include "lowering/CUDA/TileMatmul.h"
#include "lowering/CUDA/TiledProduct.h"
#include "lowering/Passes.h"
#include "lowering/ScheduleFields.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

/// `body` for each schedule, on the host where that is the one taken.
static void forTaken(Code &host, const TiledProduct &p,
                     llvm::function_ref<void(const TileSchedule &)> body,
                     size_t first = 0) {
  if (first == p.isFew.size())
    return body(p.schedules[first]);
  host.when(
      p.isFew[first], [&] { body(p.schedules[first]); },
      [&] { forTaken(host, p, body, first + 1); });
}

/// Tiles of one group, from tile `first` on.
static void storeTiles(KernelCode &k, const TilePlan &plan, Value group,
                       Value firstRow, Value endRow, Value tileRows,
                       Value first, Value count) {
  k.loop(k.index(0), count, 1, [&](Value i) {
    Value tile = k.add(first, i), row = k.add(firstRow, k.mul(i, tileRows));
    k.store(k.toI32(group), plan.group, tile);
    k.store(k.toI32(row), plan.firstRow, tile);
    k.store(k.toI32(k.min(k.add(row, tileRows), endRow)), plan.endRow, tile);
  });
}

LogicalResult ScheduledKernels::planTiles(Code &host, Value offsets,
                                          int64_t groups, Value tileRows,
                                          const TilePlan &plan) {
  constexpr int64_t threads = 256;
  return launch(host, "tiles", host.index(1), threads, [&](KernelCode &k) {
    Value scratch = k.shared(threads / KernelCode::warpSize, k.i32());
    Value zero = k.number(0, k.i32());
    k.spread(plan.count,
             [&](Value i) { k.store(k.number(-1, k.i32()), plan.group, i); });
    // Each thread has groups of its own; those before have their tiles in front. Nobody writes a tile before the block has met.
    k.loop(k.index(0), k.index(groups), threads, {zero},
           [&](Value run, ValueRange before) {
             Value group = k.add(run, k.thread());
             Value isGroup = k.isBelow(group, k.index(groups));
             group = k.select(isGroup, group, k.index(0));
             Value first = k.toIndex(k.load(offsets, group));
             Value end = k.toIndex(k.load(offsets, k.add(group, 1)));
             Value count = k.ceilDiv(k.sub(end, first), tileRows);
             count = k.select(isGroup, count, k.index(0));
             auto [ahead, all] = k.sumBefore(k.toI32(count), scratch);
             storeTiles(k, plan, group, first, end, tileRows,
                        k.toIndex(k.add(before[0], ahead)), count);
             return Code::Values{k.add(before[0], all)};
           });
  });
}

LogicalResult ScheduledKernels::planTiles(Code &host, TiledProduct &p) {
  SmallVector<int64_t> rows;
  for (const TileSchedule &s : p.schedules)
    rows.append({s.mostRows, s.rowsOfCluster()});
  TilePlan &plan = tilePlans[{p.offsets, host.b.getDenseI64ArrayAttr(rows)}];
  if (plan.count) {
    p.tiles = plan;
    return success();
  }
  Value tileRows = p.pick(host, [&](const TileSchedule &s) {
    return host.index(s.rowsOfCluster());
  });
  plan.count = p.pick(host, [&](const TileSchedule &s) {
    return host.add(host.ceilDiv(p.rows, s.rowsOfCluster()), p.groups);
  });
  plan.allocate(host);
  p.tiles = plan;
  return planTiles(host, p.offsets, p.groups, tileRows, plan);
}

/// Whether somebody but kernels of the same groups, which leave unused rows out, reads a product later.
static bool isReadByOthers(Operation *op, Value output) {
  if (isa<BlockArgument>(output))
    return true;
  return llvm::any_of(output.getUsers(), [&](Operation *user) {
    Operation *beside = op->getBlock()->findAncestorOpInBlock(*user);
    if (beside && (beside == op || beside->isBeforeInBlock(op)))
      return false;
    return !isa<memref::DimOp>(user) &&
           (!user->hasAttr(kernelAttrName) ||
            !isa<GroupedUpOp, GroupedMatmulOp, ScatterCombineOp>(user));
  });
}

/// Rows that no group has are zero where others look at them.
LogicalResult ScheduledKernels::zeroUnused(Code &host, const TiledProduct &p) {
  if (!p.isReadByOthers)
    return success();
  return launch(
      host, "zero_unused", p.rows, /*threads=*/128, [&](KernelCode &k) {
        Value used = k.load(p.offsets, k.index(p.groups));
        Value begin = k.mul(k.block(), p.columns());
        k.when(k.compare(arith::CmpIPredicate::sge, k.block(), k.toIndex(used)),
               [&] {
                 k.spread(k.index(p.columns()), [&](Value column) {
                   k.storeFloat(k.zero(), p.output, k.add(begin, column));
                 });
               });
      });
}

/// The first pair of each row, which its group worked out.
LogicalResult ScheduledKernels::findPairs(Operation *op, TiledProduct &p) {
  p.pairFirst = firstPairs.lookup(p.pairRow);
  if (p.pairFirst)
    return success();
  return op->emitOpError("has pairs of no moe.group that has kernels in this "
                         "function");
}

/// Numbers as tensor cores take them: a list of the weights' type.
Value ScheduledKernels::roundRows(Code &host, Value list, Value count,
                                  Type element) {
  if (elementOf(list) == element)
    return list;
  Value rounded = host.allocate(count, element);
  AffineMap map = AffineMap::getMultiDimIdentityMap(1, host.b.getContext());
  linalg::GenericOp::create(
      host.b, host.loc, ValueRange{list}, ValueRange{rounded},
      ArrayRef<AffineMap>{map, map}, utils::IteratorType::parallel,
      [&](OpBuilder &builder, Location loc, ValueRange at) {
        linalg::YieldOp::create(
            builder, loc,
            arith::TruncFOp::create(builder, loc, element, at[0]).getResult());
      });
  return rounded;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

namespace {
/// The kernel of one product: a tile's sums come to lie in shared memory, and each warp finishes some of its rows.
class TileKernel {
public:
  TileKernel(KernelCode &k, const TiledProduct &p, const TileSchedule &s)
      : k(k), p(p), s(s), bytes(k.shared(s.sharedBytes(p.weights.size()),
                                         k.b.getIntegerType(8))) {}

  void emit() {
    // Else ptxas spills some to have room for more blocks.
    k.shareMultiprocessor(2);
    int64_t runs = p.runsOf(s);
    Value tile = k.div(k.block(), runs);
    SharedSums sums;
    sums.columns = sums.pitch = s.columns;
    sums.run = k.rem(k.block(), k.index(runs));
    Value group = k.load(p.tiles.group, tile);
    Value isTile =
        k.compare(arith::CmpIPredicate::sge, group, k.number(0, k.i32()));
    k.when(isTile, [&] {
      sums.group = k.toIndex(group);
      sums.firstRow = k.toIndex(k.load(p.tiles.firstRow, tile));
      sums.endRow = k.toIndex(k.load(p.tiles.endRow, tile));
      TileOperands operands;
      operands.x = p.factor;
      operands.firstRow = sums.firstRow;
      operands.endRow = sums.endRow;
      operands.depth = p.weights.front().rows;
      for (const MatrixPool &pool : p.weights)
        operands.matrices.push_back(matrixOf(k, pool, group));
      Value first = k.mul(sums.run, p.tilesOfRun(s));
      Value last =
          k.min(k.add(first, p.tilesOfRun(s)), k.index(p.columnTiles(s)));
      k.loop(first, last, 1, [&](Value columnTile) {
        sums.firstColumn = k.mul(columnTile, s.columns);
        WarpSums own = multiplyTile(k, s, operands, sums.firstColumn, bytes);
        if (s.isFinishedInRegisters())
          finishInRegisters(sums, own);
        else
          finishInShared(sums, own);
        // The next tile's stages take the place of these, or of their sums.
        k.barrier();
      });
    });
  }

private:
  void finishInShared(SharedSums &sums, const WarpSums &own) {
    sums.lists = shareSums(k, s, p.weights.size(), own, bytes);
    int64_t rowsOfWarp = s.rows / s.warps();
    finishRows(k, p, sums, k.mul(k.warp(), rowsOfWarp), rowsOfWarp);
  }

  /// Warps beside each other have the same rows, so each has parts of v of its own.
  void finishInRegisters(const SharedSums &tile, const WarpSums &own) {
    FragmentSums sums;
    sums.columns = own.columns;
    sums.columnsAtOnce = p.weights.size() == 2 ? 16 : 32;
    sums.hasAllColumns = p.columns() % s.columns == 0;
    sums.form = s.residualForm();
    sums.group = tile.group;
    sums.endRow = tile.endRow;
    sums.firstColumn = k.add(tile.firstColumn, own.firstColumn);
    sums.part = k.add(k.mul(tile.run, s.warpsAcross),
                      k.rem(k.warp(), k.index(s.warpsAcross)));
    for (auto [i, numbers] : llvm::enumerate(own.numbers)) {
      sums.numbers = numbers;
      sums.firstRow = k.add(tile.firstRow, k.add(own.firstRow, i * 16));
      finishFragments(k, p, sums);
    }
  }

  KernelCode &k;
  const TiledProduct &p;
  const TileSchedule &s;
  Value bytes;
};
} // namespace

/// What profiles show: the form of residuals, unless it is `present`, which
/// most have.
static std::string nameOf(const TiledProduct &p, const TileSchedule &s) {
  std::string name = p.isUp() ? "up_" : "matmul_";
  if (p.hasResiduals() && s.residualForm() != ResidualForm::Present)
    name += std::string(moec::weights::nameOf(s.residualForm())) + "_";
  if (s.cluster > 1)
    name += "pair_";
  return name + std::to_string(s.rows);
}

LogicalResult ScheduledKernels::multiply(Code &host, const TiledProduct &p) {
  LogicalResult status = success();
  forTaken(host, p, [&](const TileSchedule &s) {
    std::string name = nameOf(p, s);
    LogicalResult launched =
        s.warpgroups
            ? multiplyByWarpgroups(host, p, s, name)
            : launch(host, name, host.mul(p.tiles.count, p.runsOf(s)),
                     s.threads(),
                     [&](KernelCode &k) { TileKernel(k, p, s).emit(); });
    if (failed(launched))
      status = failure();
  });
  return status;
}

/// v of each pair, from its parts in their order.
LogicalResult ScheduledKernels::addParts(Code &host, const TiledProduct &p) {
  constexpr int64_t threads = 128;
  Value numbers = host.mul(p.pairs, p.shrink->columns);
  return launch(host, "add_parts", host.ceilDiv(numbers, threads), threads,
                [&](KernelCode &k) {
                  Value i = k.threadOfGrid();
                  k.when(k.isBelow(i, numbers), [&] {
                    Value sum =
                        k.loop(k.index(0), p.partsOfShrunk, 1, {k.zero()},
                               [&](Value run, ValueRange before) {
                                 Value at = k.add(k.mul(run, numbers), i);
                                 return Code::Values{
                                     k.addF(before[0], k.load(p.parts, at))};
                               })[0];
                    k.storeFloat(sum, p.shrunk, i);
                  });
                });
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

/// Whether all that read the result of a product, which is memory of the entry, are products with kernels that round it.
static bool isReadRounded(Operation *op, Value buffer) {
  if (!buffer.getDefiningOp<memref::AllocOp>())
    return false;
  bool isRead = false;
  for (OpOperand &use : buffer.getUses()) {
    Operation *user = use.getOwner();
    if (user == op || isa<memref::DimOp>(user))
      continue;
    auto matmul = dyn_cast<GroupedMatmulOp>(user);
    if (!matmul || !matmul->hasAttr(kernelAttrName) ||
        &use != &matmul.getInputMutable() || !matmul.getRoundingAttr())
      return false;
    isRead = true;
  }
  return isRead;
}

/// Where a product goes. What is only read rounded, to the bf16 that kernels round to, is written so; the buffer is left alone.
Value ScheduledKernels::outputOf(Code &host, Operation *op, Value buffer,
                                 Value count) {
  if (!isReadRounded(op, buffer))
    return destination(host, buffer);
  return roundedRows[buffer] = host.allocate(count, host.b.getBF16Type());
}

/// Rows, and what weights get of them.
void ScheduledKernels::findRows(Code &host, Value input, TiledProduct &p) {
  p.x = p.factor = roundedRows.lookup(input);
  if (p.x)
    return;
  p.x = contiguous(host, input);
  p.factor = roundRows(host, p.x, host.mul(p.rows, p.weights.front().rows),
                       p.weights.front().element);
}

template <typename Op>
FailureOr<TiledProduct> ScheduledKernels::productOf(Code &host, Op op,
                                                    Value output) {
  TiledProduct p;
  auto schedules = readTileSchedules(op, formOf(op));
  if (failed(schedules))
    return failure();
  p.schedules = *schedules;
  p.rows = host.extent(op.getInput(), 0);
  p.element = elementOf(op.getInput());
  p.offsets = contiguous(host, op.getOffsets());
  for (Value weight : op.getWeights())
    p.weights.push_back(poolOf(host, weight));
  p.groups = p.weights.front().entries;
  findRows(host, op.getInput(), p);
  p.act = op.getActAttr();
  p.isActApproximate = op->hasAttr(fastActivationsAttrName);
  p.isAtomic = op->hasAttr(atomicSumsAttrName);
  for (const TileSchedule &s : ArrayRef(p.schedules).drop_back())
    p.isFew.push_back(host.compare(arith::CmpIPredicate::sle, p.rows,
                                   host.index(s.mostRows * p.groups)));
  p.partsOfShrunk = p.pick(
      host, [&](const TileSchedule &s) { return host.index(p.partsOf(s)); });
  p.isReadByOthers = isReadByOthers(op, output);
  p.output = outputOf(host, op, output, host.mul(p.rows, p.columns()));
  if (!op.getPairRow())
    return p;
  p.pairRow = contiguous(host, op.getPairRow());
  p.pairExpert = contiguous(host, op.getPairExpert());
  p.pairs = host.extent(op.getPairRow(), 0);
  p.experts = countExperts(op.getPairExpert());
  return p;
}

LogicalResult ScheduledKernels::emit(GroupedUpOp op) {
  OpBuilder builder(op);
  Code host(builder, op.getLoc());
  FailureOr<TiledProduct> product = productOf(host, op, op.getHidden());
  if (failed(product))
    return failure();
  TiledProduct &p = *product;
  p.pairWeight = contiguous(host, op.getPairWeights());
  for (Value factor : op.getResiduals())
    p.residuals.push_back(poolOf(host, factor));
  if (op.getShrink()) {
    p.shrink = poolOf(host, op.getShrink());
    p.shrunk = destination(host, op.getShrunk());
    p.parts = allocateFilled(
        host, host.mul(host.mul(p.pairs, p.shrink->columns), p.partsOfShrunk),
        host.zero());
  }
  bool isDone = succeeded(zeroUnused(host, p)) &&
                succeeded(planTiles(host, p)) && succeeded(findPairs(op, p)) &&
                succeeded(placeExperts(host, p)) &&
                (p.residuals.empty() || succeeded(shrink(host, p))) &&
                succeeded(multiply(host, p)) &&
                (!p.shrink || succeeded(addParts(host, p)));
  op.erase();
  return success(isDone);
}

LogicalResult ScheduledKernels::emit(GroupedMatmulOp op) {
  OpBuilder builder(op);
  Code host(builder, op.getLoc());
  FailureOr<TiledProduct> product = productOf(host, op, op.getInit());
  if (failed(product))
    return failure();
  TiledProduct &p = *product;
  if (op.getSegment()) {
    p.pairWeight = contiguous(host, op.getSegmentWeights());
    p.segment = contiguous(host, op.getSegment());
    p.expand = poolOf(host, op.getExpand());
  }
  bool isDone =
      succeeded(zeroUnused(host, p)) && succeeded(planTiles(host, p)) &&
      (!p.expand ||
       (succeeded(findPairs(op, p)) && succeeded(placeExperts(host, p)))) &&
      succeeded(multiply(host, p));
  op.erase();
  return success(isDone);
}
