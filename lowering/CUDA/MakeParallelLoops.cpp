// moe-make-parallel-loops: structured operations become loops whose free turns are visible.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/StructuredBody.h"
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace moec::lowering {
#define GEN_PASS_DEF_MAKEPARALLELLOOPSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;
using namespace moec::lowering;

namespace {
/// One structured operation on buffers as loops: the free ones outside, as one, and sums in registers inside.
class LoopEmitter {
public:
  LoopEmitter(RewriterBase &rewriter, linalg::LinalgOp op)
      : b(rewriter), op(op), loc(op.getLoc()) {}

  void emit() {
    b.setInsertionPoint(op);
    zero = arith::ConstantIndexOp::create(b, loc, 0);
    one = arith::ConstantIndexOp::create(b, loc, 1);
    for (const Range &range : op.createLoopRanges(b, loc))
      extents.push_back(getValueOrCreateConstantIndexOp(b, loc, range.size));
    variables.resize(extents.size());
    SmallVector<unsigned> free;
    for (auto [i, kind] : llvm::enumerate(op.getIteratorTypesArray()))
      (linalg::isParallelIterator(kind) ? free : ordered).push_back(i);
    if (!free.empty())
      emitFree(free);
    else
      emitSums();
  }

private:
  void emitFree(ArrayRef<unsigned> free) {
    SmallVector<Value> upper;
    for (unsigned i : free)
      upper.push_back(extents[i]);
    auto loop =
        scf::ParallelOp::create(b, loc, SmallVector<Value>(free.size(), zero),
                                upper, SmallVector<Value>(free.size(), one));
    for (auto [i, variable] : llvm::zip_equal(free, loop.getInductionVars()))
      variables[i] = variable;
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    emitSums();
  }

  /// Sums come from their places in front of the loops that add up, and go back behind them.
  void emitSums() {
    SmallVector<Value> sums;
    for (OpOperand &init : op.getDpsInitsMutable())
      sums.push_back(memref::LoadOp::create(b, loc, init.get(), placeOf(init)));
    sums = emitOrdered(ordered, sums);
    for (auto [init, sum] : llvm::zip_equal(op.getDpsInitsMutable(), sums))
      memref::StoreOp::create(b, loc, sum, init.get(), placeOf(init));
  }

  SmallVector<Value> emitOrdered(ArrayRef<unsigned> rest,
                                 ArrayRef<Value> sums) {
    if (rest.empty())
      return emitBody(sums);
    auto loop =
        scf::ForOp::create(b, loc, zero, extents[rest.front()], one, sums);
    variables[rest.front()] = loop.getInductionVar();
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next = emitOrdered(
        rest.drop_front(), SmallVector<Value>(loop.getRegionIterArgs()));
    scf::YieldOp::create(b, loc, next);
    return loop.getResults();
  }

  SmallVector<Value> emitBody(ArrayRef<Value> sums) {
    IRMapping mapping = turn().emitBody(b, sums);
    SmallVector<Value> results;
    for (Value value : op.getBlock()->getTerminator()->getOperands())
      results.push_back(mapping.lookupOrDefault(value));
    return results;
  }

  StructuredTurn turn() { return {op, variables}; }
  SmallVector<Value> placeOf(OpOperand &operand) {
    return turn().placeOf(b, operand);
  }

  RewriterBase &b;
  linalg::LinalgOp op;
  Location loc;
  Value zero, one;
  SmallVector<Value> extents, variables;
  SmallVector<unsigned> ordered;
};
} // namespace

/// Whether an ordered loop moves the place of a result.
static bool hasMovingSums(linalg::LinalgOp op) {
  SmallVector<unsigned> ordered;
  op.getReductionDims(ordered);
  return llvm::any_of(op.getDpsInitsMutable(), [&](OpOperand &init) {
    AffineMap map = op.getMatchingIndexingMap(&init);
    return llvm::any_of(ordered,
                        [&](unsigned i) { return map.isFunctionOfDim(i); });
  });
}

static LogicalResult toLoops(RewriterBase &rewriter, linalg::LinalgOp op) {
  if (!op.hasPureBufferSemantics())
    return op->emitOpError("is on tensors: expected buffers");
  if (hasMovingSums(op)) {
    rewriter.setInsertionPoint(op);
    if (failed(linalg::linalgOpToLoops(rewriter, op)))
      llvm_unreachable("structured operations on buffers are loops");
  } else {
    LoopEmitter(rewriter, op).emit();
  }
  rewriter.eraseOp(op);
  return success();
}

/// Whether a loop of the reference lowering may become a parallel one: its turns are free, and it carries nothing. Scratch of
/// a turn would be shared by all.
static bool hasFreeTurns(scf::ForOp loop) {
  return loop->hasAttr(freeTurnsAttrName) && loop.getInitArgs().empty() &&
         !loop.getBody()
              ->walk([](memref::AllocOp) { return WalkResult::interrupt(); })
              .wasInterrupted();
}

static void toParallel(RewriterBase &rewriter, scf::ForOp loop) {
  rewriter.setInsertionPoint(loop);
  auto parallel =
      scf::ParallelOp::create(rewriter, loop.getLoc(), loop.getLowerBound(),
                              loop.getUpperBound(), loop.getStep());
  Block *body = loop.getBody();
  rewriter.eraseOp(body->getTerminator());
  rewriter.inlineBlockBefore(body, parallel.getBody()->getTerminator(),
                             parallel.getInductionVars());
  rewriter.eraseOp(loop);
}

namespace {
struct MakeParallelLoopsPass
    : lowering::impl::MakeParallelLoopsPassBase<MakeParallelLoopsPass> {
  using Base::Base;

  static LogicalResult convert(func::FuncOp entry) {
    IRRewriter rewriter(entry.getContext());
    SmallVector<memref::CopyOp> copies;
    entry.walk([&](memref::CopyOp copy) { copies.push_back(copy); });
    for (memref::CopyOp copy : copies) {
      rewriter.setInsertionPoint(copy);
      linalg::makeMemRefCopyOp(rewriter, copy.getLoc(), copy.getSource(),
                               copy.getTarget());
      rewriter.eraseOp(copy);
    }
    SmallVector<linalg::LinalgOp> structured;
    entry.walk([&](linalg::LinalgOp op) { structured.push_back(op); });
    for (linalg::LinalgOp op : structured)
      if (failed(toLoops(rewriter, op)))
        return failure();
    SmallVector<scf::ForOp> loops;
    entry.walk([&](scf::ForOp loop) {
      if (hasFreeTurns(loop))
        loops.push_back(loop);
    });
    for (scf::ForOp loop : loops)
      toParallel(rewriter, loop);
    return success();
  }

  void runOnOperation() override {
    for (func::FuncOp entry : findEntries(getOperation()))
      if (failed(convert(entry)))
        return signalPassFailure();
  }
};
} // namespace
