// moe-split-sums: long sums become kernels whose threads share the terms.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/LongSum.h"
#include "lowering/CUDA/ScheduledKernels.h"
#include "lowering/CUDA/StructuredBody.h"
#include "lowering/CUDA/TileSums.h"
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

namespace moec::lowering {
#define GEN_PASS_DEF_SPLITSUMSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;
using namespace moec::lowering;

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

namespace {
/// How the threads of a block share sums.
struct SumSchedule {
  /// Taken for so many rows.
  int64_t mostRows;
  /// What each thread adds up: terms of all pairs of so many rows and so many columns.
  int64_t rows, columns;
  /// Lanes whose columns lie beside each other. What is left of a warp's lanes, and the warps, take turns in the terms.
  int64_t lanes;
  int64_t warps;
  /// Terms that are on their way at once.
  int64_t unrolled;

  static constexpr int64_t any = std::numeric_limits<int32_t>::max();
  int64_t threads() const { return warps * KernelCode::warpSize; }
  int64_t columnsOfBlock() const { return lanes * columns; }
  /// Threads that share the terms of one sum.
  int64_t sharers() const { return threads() / lanes; }
};
} // namespace

// Few rows: weights are all that is read, so blocks have few columns, and many threads keep many loads on their way. 16 columns are
// the 32 bytes that memory gives at least, of 16-bit numbers. Many rows: what is read is used for several rows and columns.
static constexpr SumSchedule acrossColumns[] = {
    {32, 4, 1, 16, 16, 4}, {SumSchedule::any, 8, 4, 16, 8, 2}};
static constexpr SumSchedule alongTerms[] = {{32, 4, 1, 1, 8, 4},
                                             {SumSchedule::any, 8, 4, 1, 2, 2}};
static constexpr SumSchedule ofRows[] = {{SumSchedule::any, 1, 1, 1, 8, 4}};

static ArrayRef<SumSchedule> schedulesOf(const LongSum &sum) {
  if (!sum.columns)
    return ofRows;
  return sum.hasColumnsInside ? ArrayRef(acrossColumns) : ArrayRef(alongTerms);
}

namespace {
/// The kernel of one sum by one schedule.
class SumKernel {
public:
  SumKernel(KernelCode &k, const LongSum &sum, const SumSchedule &s,
            ArrayRef<Value> extents, Value rows)
      : k(k), sum(sum), op(sum.op), s(s), extents(extents), rows(rows) {}

  void emit() {
    partial = k.shared(s.warps * resultsOfBlock(), k.f32());
    Value tiles = k.ceilDiv(columns(), s.columnsOfBlock());
    firstRow = k.mul(k.div(k.block(), tiles), s.rows);
    firstColumn = k.mul(k.rem(k.block(), tiles), s.columnsOfBlock());
    shareSums(addTerms());
    k.barrier();
    k.spread(k.index(resultsOfBlock()), [&](Value i) { finish(i); });
  }

private:
  int64_t resultsOfThread() const { return s.rows * s.columns; }
  int64_t resultsOfBlock() const { return s.rows * s.columnsOfBlock(); }
  Value columns() { return sum.columns ? extents[*sum.columns] : k.index(1); }
  Value column(Value lane, Value number) {
    return k.add(firstColumn, k.add(k.mul(number, s.lanes), lane));
  }

  /// A variable for each dimension.
  Code::Values turnOf(Value row, Value column, Value depth) {
    Code::Values turn(extents.size());
    turn[sum.depth] = depth;
    if (sum.columns)
      turn[*sum.columns] = column;
    for (unsigned dim : llvm::reverse(sum.rows)) {
      turn[dim] = k.rem(row, extents[dim]);
      row = k.div(row, extents[dim]);
    }
    return turn;
  }

  /// This thread's share of its sums. What lies past the last row or column is the last one again, and not written.
  Code::Values addTerms() {
    Value lane = k.rem(k.thread(), k.index(s.lanes));
    Value one = k.index(1);
    SmallVector<std::pair<Value, Value>> places;
    for (int64_t i = 0; i < s.rows; ++i)
      for (int64_t j = 0; j < s.columns; ++j)
        places.push_back(
            {k.min(k.add(firstRow, i), k.sub(rows, one)),
             k.min(column(lane, k.index(j)), k.sub(columns(), one))});
    return k.unrolledLoop(
        k.div(k.thread(), s.lanes), extents[sum.depth], s.sharers(), s.unrolled,
        Code::Values(resultsOfThread(), k.zero()),
        [&](Value depth, ValueRange before) {
          Code::Values sums;
          for (auto [place, carried] : llvm::zip_equal(places, before)) {
            auto [row, column] = place;
            sums.push_back(addTerm(turnOf(row, column, depth), carried));
          }
          return sums;
        });
  }

  /// carried + term, in f32. A product is not rounded before it is added.
  Value addTerm(ValueRange turn, Value carried) {
    IRMapping mapping =
        StructuredTurn{op, turn}.emitBody(k.b, {zeroOfResult()});
    auto valueOf = [&](Value value) {
      return widened(mapping.lookupOrDefault(value));
    };
    auto product = sum.term.getDefiningOp<arith::MulFOp>();
    Value next = product ? k.fma(valueOf(product.getLhs()),
                                 valueOf(product.getRhs()), carried)
                         : k.addF(carried, valueOf(sum.term));
    if (!sum.condition)
      return next;
    return k.select(mapping.lookupOrDefault(sum.condition), next, carried);
  }

  Value zeroOfResult() {
    Type type = getElementTypeOrSelf(op.getDpsInits()[0].getType());
    return arith::ConstantOp::create(k.b, k.loc, k.b.getFloatAttr(type, 0));
  }
  Value widened(Value value) {
    if (value.getType().isF32())
      return value;
    return arith::ExtFOp::create(k.b, k.loc, k.f32(), value);
  }

  /// Lanes that have the same columns add up in pairs; what a warp has goes to shared memory.
  void shareSums(Code::Values sums) {
    for (Value &each : sums)
      each = k.sumOfLanes(each, s.lanes);
    k.when(k.isBelow(k.lane(), k.index(s.lanes)), [&] {
      for (auto [i, each] : llvm::enumerate(sums)) {
        Value at = k.add(k.mul(k.warp(), resultsOfBlock()), i * s.lanes);
        k.store(each, partial, k.add(at, k.lane()));
      }
    });
  }

  /// Result `i` of the block: what was there before, and the warps' shares in their order.
  void finish(Value i) {
    Value number = k.div(i, s.lanes);
    Value row = k.add(firstRow, k.div(number, s.columns));
    Value column = this->column(k.rem(i, k.index(s.lanes)),
                                k.rem(number, k.index(s.columns)));
    Value isInside = k.both(k.isBelow(row, rows), k.isBelow(column, columns()));
    k.when(isInside, [&] {
      Value total = k.load(partial, i);
      for (int64_t warp = 1; warp < s.warps; ++warp)
        total =
            k.addF(total, k.load(partial, k.add(i, warp * resultsOfBlock())));
      addToResult(k, sum, turnOf(row, column, k.index(0)), total);
    });
  }

  KernelCode &k;
  const LongSum &sum;
  linalg::LinalgOp op;
  const SumSchedule &s;
  ArrayRef<Value> extents;
  Value rows;
  Value partial, firstRow, firstColumn;
};

/// Puts launches where the sums of one entry are.
class SumSplitter {
public:
  SumSplitter(func::FuncOp entry, KernelTable &kernels)
      : entry(entry), kernels(kernels) {}

  LogicalResult split(const LongSum &sum) {
    linalg::LinalgOp op = sum.op;
    OpBuilder builder(op);
    Code host(builder, op.getLoc());
    SmallVector<Value> extents;
    for (const Range &range : op.createLoopRanges(builder, op.getLoc()))
      extents.push_back(
          getValueOrCreateConstantIndexOp(builder, op.getLoc(), range.size));
    Value rows = host.index(1);
    for (unsigned dim : sum.rows)
      rows = host.mul(rows, extents[dim]);
    LogicalResult status =
        launchFor(host, sum, extents, rows, schedulesOf(sum));
    op->erase();
    return status;
  }

private:
  /// The first schedule that is for so many rows; instead of the last, tiles where tensor cores take the factors.
  LogicalResult launchFor(Code &host, const LongSum &sum,
                          ArrayRef<Value> extents, Value rows,
                          ArrayRef<SumSchedule> schedules) {
    const SumSchedule &s = schedules.front();
    if (schedules.size() == 1)
      return launchMany(host, sum, extents, rows, s);
    Value isFew =
        host.compare(arith::CmpIPredicate::sle, rows, host.index(s.mostRows));
    return either(
        host, isFew, [&] { return launch(host, sum, extents, rows, s); },
        [&] {
          return launchFor(host, sum, extents, rows, schedules.drop_front());
        });
  }

  LogicalResult launchMany(Code &host, const LongSum &sum,
                           ArrayRef<Value> extents, Value rows,
                           const SumSchedule &s) {
    std::optional<TileFactors> factors = findTileFactors(sum);
    if (!factors)
      return launch(host, sum, extents, rows, s);
    auto tiles = [&] {
      return launchTiles(kernels, entry, host, sum, *factors, rows);
    };
    Value isCopied = canCopy(host, *factors);
    if (matchPattern(isCopied, m_One()))
      return tiles();
    return either(host, isCopied, tiles,
                  [&] { return launch(host, sum, extents, rows, s); });
  }

  /// One of two launches, on the host.
  static LogicalResult either(Code &host, Value condition,
                              llvm::function_ref<LogicalResult()> then,
                              llvm::function_ref<LogicalResult()> otherwise) {
    LogicalResult first = success(), second = success();
    host.when(
        condition, [&] { first = then(); }, [&] { second = otherwise(); });
    return success(succeeded(first) && succeeded(second));
  }

  LogicalResult launch(Code &host, const LongSum &sum, ArrayRef<Value> extents,
                       Value rows, const SumSchedule &s) {
    Value blocks = host.ceilDiv(rows, s.rows);
    if (sum.columns)
      blocks = host.mul(
          blocks, host.ceilDiv(extents[*sum.columns], s.columnsOfBlock()));
    StringRef name = !sum.columns           ? "sums_"
                     : sum.hasColumnsInside ? "product_"
                                            : "dots_";
    return launchKernel(
        kernels, entry, host, (name + Twine(s.rows)).str(), blocks, s.threads(),
        [&](KernelCode &k) { SumKernel(k, sum, s, extents, rows).emit(); });
  }

  func::FuncOp entry;
  KernelTable &kernels;
};

struct SplitSumsPass : lowering::impl::SplitSumsPassBase<SplitSumsPass> {
  using Base::Base;

  void runOnOperation() override {
    KernelTable kernels(getOperation());
    for (func::FuncOp entry : findEntries(getOperation())) {
      SmallVector<LongSum> sums;
      for (auto op : entry.getBody().front().getOps<linalg::LinalgOp>())
        if (std::optional<LongSum> sum = findLongSum(op))
          sums.push_back(*sum);
      for (const LongSum &sum : sums)
        if (failed(SumSplitter(entry, kernels).split(sum)))
          return signalPassFailure();
    }
  }
};
} // namespace
