// moe-verify-exchanges: checks that what is sent is awaited, in one order, and left alone meanwhile.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "dialects/MoERT/IR/MoERT.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/SetVector.h"

namespace moec {
#define GEN_PASS_DEF_VERIFYEXCHANGESPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moert;

namespace {
/// The memory that a view is of.
Value originOf(Value buffer) {
  while (auto view = buffer.getDefiningOp<ViewLikeOpInterface>())
    buffer = view.getViewSource();
  return buffer;
}

/// How far one exchange has come, in the order of the text.
class Progress {
public:
  explicit Progress(BeginOp begin) : begin(begin), parts(begin.getParts()) {
    for (Value operand : begin->getOperands())
      if (isa<MemRefType>(operand.getType()))
        buffers.insert(originOf(operand));
  }

  bool isDone() const { return collected == parts; }
  BeginOp getBegin() const { return begin; }

  LogicalResult check(DispatchOp op) {
    return advance(op, op.getPart(), dispatched, parts, "is dispatched");
  }
  LogicalResult check(ReceiveOp op) {
    return advance(op, op.getPart(), received, dispatched, "is received");
  }
  LogicalResult check(SendBackOp op, ReceiveOp receive) {
    return advance(op, receive.getPart(), sentBack, received, "is sent back");
  }
  LogicalResult check(CollectOp op) {
    if (failed(advance(op, op.getPart(), collected, sentBack, "is collected")))
      return failure();
    bool isThere = isa<TensorType>(op.getInit().getType())
                       ? isSums(op.getInit())
                       : originOf(op.getInit()) == originOf(begin.getInit());
    if (!isThere)
      return op.emitOpError("expected the destination that its moert.begin "
                            "names");
    return success();
  }

  /// Nothing else writes to what ranks read and write.
  LogicalResult checkWrites(Operation *op) {
    auto effects = dyn_cast<MemoryEffectOpInterface>(op);
    if (!effects || isa<BeginOp, CollectOp>(op))
      return success();
    SmallVector<MemoryEffects::EffectInstance> instances;
    effects.getEffects(instances);
    for (const MemoryEffects::EffectInstance &effect : instances)
      if (isa<MemoryEffects::Write, MemoryEffects::Free>(effect.getEffect()) &&
          effect.getValue() && buffers.contains(originOf(effect.getValue())))
        return op->emitError("'")
               << op->getName() << "' writes to what an exchange names, of "
               << "which " << parts - collected << " of " << parts
               << " parts are not collected";
    return success();
  }

private:
  /// Each part once, in the order of parts, and behind the step in front of it.
  LogicalResult advance(Operation *op, int64_t part, int64_t &done,
                        int64_t before, StringRef what) {
    if (part != done)
      return op->emitOpError("part ")
             << part << " " << what << ", expected part " << done
             << ": parts go in their order";
    if (part >= before)
      return op->emitOpError("part ")
             << part << " " << what << " before the step in front of that";
    ++done;
    return success();
  }

  /// Whether these are the sums of this exchange, perhaps with earlier parts.
  bool isSums(Value sums) {
    while (auto earlier = sums.getDefiningOp<CollectOp>())
      sums = earlier.getInit();
    return sums == begin.getSums();
  }

  BeginOp begin;
  int64_t parts;
  int64_t dispatched = 0, received = 0, sentBack = 0, collected = 0;
  llvm::SetVector<Value> buffers;
};

struct VerifyExchangesPass
    : moec::impl::VerifyExchangesPassBase<VerifyExchangesPass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    std::optional<Progress> current;
    WalkResult walk = function.walk<WalkOrder::PreOrder>(
        [&](Operation *op) -> WalkResult { return check(op, current); });
    if (walk.wasInterrupted() || failed(checkDone(current)))
      signalPassFailure();
  }

private:
  LogicalResult check(Operation *op, std::optional<Progress> &current) {
    if (current && !current->isDone() && failed(current->checkWrites(op)))
      return failure();
    if (!isa_and_nonnull<MoERTDialect>(op->getDialect()) ||
        isa<PrefetchOp, AcquireOp, ReleaseOp>(op))
      return success();
    if (auto read = dyn_cast<ReadOp>(op))
      return checkUse(op, read.getReceived());
    if (auto write = dyn_cast<WriteOp>(op))
      return checkUse(op, write.getReceived());
    if (op->getBlock() != &getOperation().getBody().front())
      return op->emitOpError("stands in control flow: expected ranks to do it "
                             "in one order");
    if (auto begin = dyn_cast<BeginOp>(op)) {
      if (failed(checkDone(current)))
        return failure();
      current.emplace(begin);
      return success();
    }
    if (auto back = dyn_cast<SendBackOp>(op)) {
      auto receive = back.getReceived().getDefiningOp<ReceiveOp>();
      if (!receive)
        return op->emitOpError("expected what a moert.receive of this function "
                               "yields");
      if (failed(checkExchange(op, receive.getExchange(), current)))
        return failure();
      return current->check(back, receive);
    }
    if (failed(checkExchange(op, op->getOperand(0), current)))
      return failure();
    if (auto dispatch = dyn_cast<DispatchOp>(op))
      return current->check(dispatch);
    if (auto receive = dyn_cast<ReceiveOp>(op))
      return current->check(receive);
    return current->check(cast<CollectOp>(op));
  }

  static LogicalResult checkExchange(Operation *op, Value exchange,
                                     const std::optional<Progress> &current) {
    if (current && current->getBegin().getExchange() == exchange)
      return success();
    return op->emitOpError("expected the exchange that began last");
  }

  static LogicalResult checkDone(const std::optional<Progress> &current) {
    if (!current || current->isDone())
      return success();
    return current->getBegin().emitOpError("expected all parts to be collected "
                                           "before the next exchange, or the "
                                           "function's end");
  }

  /// Behind its moert.receive, which dominance says, and in front of its
  /// moert.send_back.
  static LogicalResult checkUse(Operation *op, Value received) {
    for (Operation *user : received.getUsers()) {
      if (!isa<SendBackOp>(user))
        continue;
      Operation *here = user->getBlock()->findAncestorOpInBlock(*op);
      if (!here || user->isBeforeInBlock(here))
        return op->emitOpError("uses what has been sent back");
    }
    return success();
  }
};
} // namespace
