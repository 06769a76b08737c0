// moe-fuse-turns: parallel loops over the same rows become one, whose turns are blocks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/FuseTurns.h"

#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace moec::lowering {
#define GEN_PASS_DEF_FUSETURNSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;
using namespace moec::lowering;

/// Most turns of one row that a block may share: what is wider is better off with blocks of its own.
static constexpr int64_t mostTurnsOfRow = 1024;

std::optional<int64_t> moec::lowering::turnsOf(scf::ParallelOp loop,
                                               unsigned skipped) {
  int64_t turns = 1;
  for (auto [lower, upper, step] :
       llvm::drop_begin(llvm::zip_equal(loop.getLowerBound(),
                                        loop.getUpperBound(), loop.getStep()),
                        skipped)) {
    std::optional<int64_t> extent = getConstantIntValue(upper);
    if (!isConstantIntValue(lower, 0) || !isConstantIntValue(step, 1) ||
        !extent || llvm::MulOverflow(turns, *extent, turns))
      return std::nullopt;
  }
  return turns;
}

namespace {
/// The memory that a view is of: what was allocated, or came as an argument. Null if that is not seen.
Value rootOf(Value buffer) {
  while (Operation *op = buffer.getDefiningOp()) {
    if (isa<memref::AllocOp, memref::GetGlobalOp>(op))
      return buffer;
    if (auto view = dyn_cast<ViewLikeOpInterface>(op))
      buffer = view.getViewSource();
    else
      return Value();
  }
  return buffer;
}

/// How a loop, or several, touch one memory.
struct Touch {
  bool isWritten = false;
  /// Whether turn t touches row t alone, of one view, which is this; null otherwise.
  Value rowsOf;
};

/// What an operation does to memory; nothing else than loads and stores.
using Touches = llvm::MapVector<Value, Touch>;

/// Another view of the same memory may have its rows elsewhere.
void addTouch(Touches &touches, Value root, const Touch &touch) {
  auto [known, isNew] = touches.try_emplace(root, touch);
  if (isNew)
    return;
  Touch &merged = known->second;
  merged.isWritten |= touch.isWritten;
  if (merged.rowsOf != touch.rowsOf)
    merged.rowsOf = Value();
}

/// Adds one load or store, `row` of `buffer`. Fails if it is not seen what memory that is.
LogicalResult addAccess(Touches &touches, Value buffer, bool isWrite,
                        bool isOwnRow) {
  Value root = rootOf(buffer);
  if (!root)
    return failure();
  addTouch(touches, root, {isWrite, isOwnRow ? buffer : Value()});
  return success();
}

/// What `op` touches, if it does nothing else; `row` numbers the turns of its outermost loop, or is null.
FailureOr<Touches> touchesOf(Operation *op, Value row) {
  Touches touches;
  auto isOwn = [&](ValueRange at) {
    return row && !at.empty() && at.front() == row;
  };
  WalkResult walk = op->walk([&](Operation *inner) {
    LogicalResult added = success();
    if (auto load = dyn_cast<memref::LoadOp>(inner))
      added = addAccess(touches, load.getMemRef(), /*isWrite=*/false,
                        isOwn(load.getIndices()));
    else if (auto store = dyn_cast<memref::StoreOp>(inner))
      added = addAccess(touches, store.getMemRef(), /*isWrite=*/true,
                        isOwn(store.getIndices()));
    else if (!inner->hasTrait<OpTrait::HasRecursiveMemoryEffects>() &&
             !isMemoryEffectFree(inner))
      added = failure();
    return WalkResult(added);
  });
  if (walk.wasInterrupted())
    return failure();
  return touches;
}

/// Loops over the same rows, of which each may read in turn t what those before it wrote in turn t.
class RowLoops {
public:
  bool isEmpty() const { return loops.empty(); }

  /// Takes in a loop that is one of them, or may be the first; false if it is not.
  bool add(scf::ParallelOp loop) {
    if (!isRowLoop(loop) ||
        (!isEmpty() && !isEqualConstantIntOrValue(
                           getAsOpFoldResult(loop.getUpperBound().front()),
                           getAsOpFoldResult(rows()))))
      return false;
    FailureOr<Touches> added = touchesOf(loop, loop.getInductionVars().front());
    if (failed(added))
      return false;
    Touches merged = touches;
    for (auto [root, touch] : *added) {
      // Who calls may hand in one buffer twice.
      if (touch.isWritten && isa<BlockArgument>(root))
        return false;
      addTouch(merged, root, touch);
    }
    if (!llvm::all_of(merged, [](const auto &each) {
          return !each.second.isWritten || each.second.rowsOf;
        }))
      return false;
    touches = std::move(merged);
    loops.push_back(loop);
    return true;
  }

  /// Whether `op`, which stands behind the loops, may run before them.
  bool isIndependent(Operation *op) const {
    if (isMemoryEffectFree(op) || isa<memref::AllocOp>(op))
      return true;
    FailureOr<Touches> others = touchesOf(op, Value());
    if (failed(others))
      return false;
    return llvm::all_of(*others, [&](const auto &other) {
      auto known = touches.find(other.first);
      if (other.second.isWritten && isa<BlockArgument>(other.first))
        return false;
      return known == touches.end() ||
             (!known->second.isWritten && !other.second.isWritten);
    });
  }

  void moveInFront(Operation *op) { op->moveBefore(loops.front()); }

  /// Makes one loop of several.
  void fuse() {
    if (loops.size() < 2)
      return clear();
    scf::ParallelOp last = loops.back();
    OpBuilder builder(last);
    Location loc = last.getLoc();
    auto fused = scf::ParallelOp::create(
        builder, loc, last.getLowerBound().take_front(),
        ValueRange(loops.front().getUpperBound()).take_front(),
        last.getStep().take_front());
    fused->setAttr(turnOfBlockAttrName, builder.getUnitAttr());
    builder.setInsertionPointToStart(fused.getBody());
    for (scf::ParallelOp loop : loops)
      moveInto(builder, fused.getInductionVars().front(), loop);
    clear();
  }

private:
  Value rows() { return loops.front().getUpperBound().front(); }

  void clear() {
    loops.clear();
    touches.clear();
  }

  static bool isRowLoop(scf::ParallelOp loop) {
    std::optional<int64_t> turns = turnsOf(loop, /*skipped=*/1);
    return loop.getInitVals().empty() && turns && *turns <= mostTurnsOfRow &&
           isConstantIntValue(loop.getLowerBound().front(), 0) &&
           isConstantIntValue(loop.getStep().front(), 1);
  }

  /// The loop without its first dimension; one without another gets a single turn.
  static void moveInto(OpBuilder &builder, Value row, scf::ParallelOp loop) {
    Location loc = loop.getLoc();
    SmallVector<Value> lower, upper, step;
    for (size_t i = 1; i < loop.getNumLoops(); ++i) {
      lower.push_back(loop.getLowerBound()[i]);
      upper.push_back(loop.getUpperBound()[i]);
      step.push_back(loop.getStep()[i]);
    }
    if (upper.empty()) {
      lower.push_back(loop.getLowerBound().front());
      step.push_back(loop.getStep().front());
      upper.push_back(step.front());
    }
    auto piece = scf::ParallelOp::create(builder, loc, lower, upper, step);
    SmallVector<Value> variables{row};
    llvm::append_range(variables, piece.getInductionVars());
    IRMapping mapping;
    for (auto [old, now] : llvm::zip(loop.getInductionVars(), variables))
      mapping.map(old, now);
    OpBuilder inside = OpBuilder::atBlockTerminator(piece.getBody());
    for (Operation &op : loop.getBody()->without_terminator())
      inside.clone(op, mapping);
    loop.erase();
  }

  SmallVector<scf::ParallelOp> loops;
  Touches touches;
};

struct FuseTurnsPass : lowering::impl::FuseTurnsPassBase<FuseTurnsPass> {
  using Base::Base;

  static void fuse(Block &block) {
    RowLoops loops;
    for (Operation &op :
         llvm::make_early_inc_range(block.without_terminator())) {
      auto loop = dyn_cast<scf::ParallelOp>(op);
      if (loop && loops.add(loop))
        continue;
      if (loops.isEmpty())
        continue;
      if (loops.isIndependent(&op)) {
        loops.moveInFront(&op);
        continue;
      }
      loops.fuse();
      if (loop)
        loops.add(loop);
    }
    loops.fuse();
  }

  void runOnOperation() override {
    for (func::FuncOp entry : findEntries(getOperation()))
      fuse(entry.getBody().front());
  }
};
} // namespace
