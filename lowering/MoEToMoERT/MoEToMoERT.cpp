// convert-moe-to-moert: products that read paged bases do so under a lease; rows go to other ranks and come back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoERT/IR/MoERT.h"
#include "lowering/MoEToMoERT/Exchanges.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "passes/Decisions.h"
#include "passes/PagedBases.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace moec::lowering {
#define GEN_PASS_DEF_CONVERTMOETOMOERTPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;
using namespace moec::moe;

namespace {
/// Whether the weight lies in a pool of as many places as memory was given.
bool isPagedPool(WrapOp wrap) {
  auto pool = dyn_cast<RankedTensorType>(wrap.getTensor().getType());
  return wrap.getSlots() && pool && pool.isDynamicDim(0);
}

/// Whether the operation is worth doing while bases are on their way, and may
/// be done before they are there.
bool isIndependentWork(Operation *op) {
  if (isa<moert::PrefetchOp>(op))
    return true;
  return isMemoryEffectFree(op) &&
         (isa<DestinationStyleOpInterface>(op) ||
          (isa<MoEDialect>(op->getDialect()) && !isa<WrapOp, IdCastOp>(op)));
}

/// Whether the operation, or what is inside of it, uses a result of one of
/// these.
bool usesAny(Operation *op, const llvm::SetVector<Operation *> &others) {
  WalkResult walk = op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (Operation *made = operand.getDefiningOp())
        if (others.contains(made))
          return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return walk.wasInterrupted();
}

/// Puts leases around the products of one function.
class Leaser {
public:
  explicit Leaser(func::FuncOp function) : function(function) {}

  LogicalResult run() {
    if (failed(collect()))
      return failure();
    for (auto &[group, readers] : readersOfGroup) {
      moveIndependentWork(readers);
      if (failed(separate(readers)))
        return failure();
      createLease(group, readers);
    }
    for (WrapOp wrap : wraps)
      wrap.erase();
    return success();
  }

  size_t leases() const { return readersOfGroup.size(); }

private:
  using Readers = llvm::SetVector<Operation *>;

  /// Products by the sorting that says which bases they read, in the order of
  /// the text.
  LogicalResult collect() {
    function.walk([&](WrapOp wrap) {
      if (isPagedPool(wrap))
        wraps.push_back(wrap);
    });
    for (WrapOp wrap : wraps)
      for (OpOperand &use : wrap->getUses()) {
        Operation *reader = use.getOwner();
        if (!groupOfProduct(use) ||
            reader->getBlock() != &function.getBody().front())
          return reader->emitOpError("reads a paged pool: expected a product "
                                     "of rows that a moe.group sorted");
        allReaders.insert(reader);
      }
    function.walk([&](Operation *op) {
      if (!allReaders.contains(op))
        return;
      for (OpOperand &operand : op->getOpOperands())
        if (auto wrap = operand.get().getDefiningOp<WrapOp>();
            wrap && isPagedPool(wrap))
          readersOfGroup[groupOfProduct(operand)].insert(op);
    });
    return success();
  }

  /// What needs none of the bases is done while they are read: a shared
  /// expert's products, the router of a layer beside this one.
  void moveIndependentWork(const Readers &readers) {
    Operation *first = readers.front();
    // Results of any lease to come stay behind this one.
    llvm::SetVector<Operation *> dependent;
    SmallVector<Operation *> independent;
    for (Operation &op :
         llvm::make_range(first->getIterator(), first->getBlock()->end())) {
      bool isFixed = op.hasTrait<OpTrait::IsTerminator>() ||
                     (!isMemoryEffectFree(&op) && !isa<moert::PrefetchOp>(op));
      if (isFixed || allReaders.contains(&op) || usesAny(&op, dependent))
        dependent.insert(&op);
      else
        independent.push_back(&op);
    }
    // Of the rest, what such work needs.
    llvm::SetVector<Operation *> moved;
    for (Operation *op : llvm::reverse(independent)) {
      bool isNeeded = llvm::any_of(moved, [&](Operation *other) {
        llvm::SetVector<Operation *> alone;
        alone.insert(op);
        return usesAny(other, alone);
      });
      if (isNeeded || isIndependentWork(op))
        moved.insert(op);
    }
    for (Operation *op : llvm::reverse(moved))
      op->moveBefore(first);
  }

  /// Between the first and the last product nothing else is read: what these do
  /// not need comes behind them.
  LogicalResult separate(const Readers &readers) {
    Operation *first = readers.front(), *last = readers.back();
    llvm::SetVector<Operation *> needed(readers.begin(), readers.end());
    SmallVector<Operation *> others;
    bool isMixed = false;
    for (Operation *op = last->getPrevNode(); op && op != first;
         op = op->getPrevNode()) {
      if (needed.contains(op))
        continue;
      bool isNeeded = llvm::any_of(op->getUsers(), [&](Operation *user) {
        return needed.contains(op->getBlock()->findAncestorOpInBlock(*user));
      });
      if (isNeeded && allReaders.contains(op))
        return op->emitOpError("reads paged bases between products of other "
                               "rows that wait for it: expected those of one "
                               "moe.group in front of those of the next");
      if (isNeeded) {
        needed.insert(op);
        continue;
      }
      others.push_back(op);
      isMixed |= allReaders.contains(op);
    }
    if (isMixed)
      for (Operation *op : others)
        op->moveAfter(last);
    return success();
  }

  void createLease(GroupOp group, const Readers &readers) {
    Operation *first = readers.front();
    Location loc = first->getLoc();
    OpBuilder builder(first);
    SmallVector<Value> pools;
    for (WrapOp wrap : wraps)
      for (Value part :
           {wrap.getTensor(), wrap.getScales(), wrap.getZeroPoints()})
        if (part && llvm::any_of(wrap->getUsers(), [&](Operation *user) {
              return readers.contains(user);
            }))
          pools.push_back(part);
    Value ids = group.getClusters();
    auto type = cast<RankedTensorType>(ids.getType());
    Value clusters =
        IdCastOp::create(builder, loc, type.clone(builder.getI32Type()), ids);
    // A cluster moves as a whole: tables of all pools say the same.
    WrapOp any = wraps.front();
    Value table = any.getSlots();
    auto places = cast<RankedTensorType>(table.getType());
    Value init = tensor::EmptyOp::create(builder, loc, places.getShape(),
                                         places.getElementType());
    auto acquire = moert::AcquireOp::create(
        builder, loc, moert::LeaseType::get(builder.getContext()), places,
        clusters, table, pools, init);
    for (WrapOp wrap : wraps) {
      if (llvm::none_of(wrap->getUsers(), [&](Operation *user) {
            return readers.contains(user);
          }))
        continue;
      auto own = cast<WrapOp>(builder.clone(*wrap));
      own.getSlotsMutable().assign(acquire.getSlots());
      wrap.getResult().replaceUsesWithIf(own, [&](OpOperand &use) {
        return readers.contains(use.getOwner());
      });
    }
    builder.setInsertionPointAfter(readers.back());
    moert::ReleaseOp::create(builder, loc, acquire.getLease(),
                             acquire.getSlots(), pools);
  }

  func::FuncOp function;
  SmallVector<WrapOp> wraps;
  llvm::DenseSet<Operation *> allReaders;
  llvm::MapVector<GroupOp, Readers> readersOfGroup;
};

struct ConvertMoEToMoERTPass
    : lowering::impl::ConvertMoEToMoERTPassBase<ConvertMoEToMoERTPass> {
  using Base::Base;

  void runOnOperation() override {
    if (rowsAtATime < 1) {
      getOperation().emitError(
          "option rows-at-a-time: expected a number from 1 "
          "on, found ")
          << int64_t(rowsAtATime);
      return signalPassFailure();
    }
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      FailureOr<size_t> exchanges =
          lowering::convertExchanges(function, rowsAtATime);
      if (failed(exchanges))
        return signalPassFailure();
      if (*exchanges)
        Decision::taken(function.getLoc(), "moe-to-moert")
            << "@" << function.getSymName() << " sends rows in " << *exchanges
            << (*exchanges == 1 ? " exchange" : " exchanges");
      Leaser leaser(function);
      if (failed(leaser.run()))
        return signalPassFailure();
      if (leaser.leases())
        Decision::taken(function.getLoc(), "moe-to-moert")
            << "@" << function.getSymName() << " reads bases under "
            << leaser.leases() << (leaser.leases() == 1 ? " lease" : " leases");
    }
  }
};
} // namespace
