// moe-verify-leases: checks that each lease is released once on every path, and not used behind it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "dialects/MoERT/IR/MoERT.h"
#include "mlir/Analysis/DataFlow/DenseAnalysis.h"
#include "mlir/Analysis/DataFlow/Utils.h"
#include "mlir/Analysis/DataFlowFramework.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/SetVector.h"

namespace moec {
#define GEN_PASS_DEF_VERIFYLEASESPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moert;

namespace {
/// What may have become of a lease on the paths that lead to a place.
struct Fate {
  bool held = false, released = false;

  bool operator==(const Fate &) const = default;
};

/// The fate of each lease that may have been taken.
class LeaseState : public dataflow::AbstractDenseLattice {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LeaseState)
  using AbstractDenseLattice::AbstractDenseLattice;

  ChangeResult join(const AbstractDenseLattice &other) override {
    ChangeResult result = ChangeResult::NoChange;
    for (auto [lease, fate] : cast<LeaseState>(other).fates) {
      Fate before = fates.lookup(lease);
      result |= set(
          lease, {before.held || fate.held, before.released || fate.released});
    }
    return result;
  }
  static bool classof(const AbstractDenseLattice *) { return true; }

  Fate of(Value lease) const { return fates.lookup(lease); }
  bool holdsAny() const {
    return llvm::any_of(fates, [](auto &each) { return each.second.held; });
  }
  ChangeResult set(Value lease, Fate fate) {
    Fate &known = fates[lease];
    if (known == fate)
      return ChangeResult::NoChange;
    known = fate;
    return ChangeResult::Change;
  }
  void print(raw_ostream &os) const override {
    os << fates.size() << " leases";
  }

private:
  DenseMap<Value, Fate> fates;
};

class LeaseAnalysis
    : public dataflow::DenseForwardDataFlowAnalysis<LeaseState> {
public:
  using DenseForwardDataFlowAnalysis::DenseForwardDataFlowAnalysis;

  LogicalResult visitOperation(Operation *op, const LeaseState &before,
                               LeaseState *after) override {
    LeaseState next(after->getAnchor());
    (void)next.join(before);
    if (auto acquire = dyn_cast<AcquireOp>(op))
      (void)next.set(acquire.getLease(), {/*held=*/true, /*released=*/false});
    else if (auto release = dyn_cast<ReleaseOp>(op))
      (void)next.set(release.getLease(), {/*held=*/false, /*released=*/true});
    join(after, next);
    return success();
  }
  void setToEntryState(LeaseState *) override {}
};

/// Where a buffer of other strides or another known extent comes from.
Value stripCasts(Value buffer) {
  while (auto cast = buffer.getDefiningOp<memref::CastOp>())
    buffer = cast.getSource();
  return buffer;
}

/// The places that an acquire yields.
Value placesOf(AcquireOp acquire) {
  return acquire.getSlots() ? acquire.getSlots() : acquire.getInit();
}

/// Operations that read what a lease lends: by its places, views of them, and
/// weights that are looked up by them.
llvm::SetVector<Operation *> readersOf(AcquireOp acquire) {
  llvm::SetVector<Operation *> readers;
  SmallVector<Value> worklist{stripCasts(placesOf(acquire))};
  while (!worklist.empty())
    for (Operation *user : worklist.pop_back_val().getUsers()) {
      if (isa<AcquireOp, ReleaseOp, memref::DeallocOp>(user) ||
          !readers.insert(user))
        continue;
      for (Value result : user->getResults())
        if (isa<BaseMemRefType, moe::WeightType>(result.getType()))
          worklist.push_back(result);
    }
  return readers;
}

struct VerifyLeasesPass : moec::impl::VerifyLeasesPassBase<VerifyLeasesPass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    DataFlowSolver solver(DataFlowConfig().setInterprocedural(false));
    dataflow::loadBaselineAnalyses(solver);
    solver.load<LeaseAnalysis>();
    if (failed(solver.initializeAndRun(function)))
      return signalPassFailure();
    function.walk([&](Operation *op) {
      if (failed(check(op, solver)))
        signalPassFailure();
    });
  }

private:
  static const LeaseState *stateBefore(Operation *op, DataFlowSolver &solver) {
    return solver.lookupState<LeaseState>(solver.getProgramPointBefore(op));
  }

  LogicalResult check(Operation *op, DataFlowSolver &solver) {
    if (auto acquire = dyn_cast<AcquireOp>(op))
      return check(acquire, solver);
    if (auto release = dyn_cast<ReleaseOp>(op))
      return check(release, solver);
    return success();
  }

  LogicalResult check(AcquireOp acquire, DataFlowSolver &solver) {
    for (Operation *user : acquire.getLease().getUsers())
      if (!isa<ReleaseOp>(user))
        return user->emitError("expected a lease to be used by moert.release "
                               "alone, found '")
               << user->getName() << "'";
    const LeaseState *before = stateBefore(acquire, solver);
    if (before && before->holdsAny())
      return acquire.emitOpError("takes a lease while another one may be held: "
                                 "who waits must hold nothing that others "
                                 "wait for");
    for (Operation *reader : readersOf(acquire)) {
      const LeaseState *state = stateBefore(reader, solver);
      if (state && state->of(acquire.getLease()).released)
        return reader->emitError("'")
               << reader->getName()
               << "' uses the places of a lease that may have been released";
    }
    LogicalResult result = success();
    getOperation().walk([&](func::ReturnOp end) {
      const LeaseState *state = stateBefore(end, solver);
      if (succeeded(result) && state && state->of(acquire.getLease()).held)
        result = acquire.emitOpError("is not released on every path");
    });
    return result;
  }

  LogicalResult check(ReleaseOp release, DataFlowSolver &solver) {
    auto acquire = release.getLease().getDefiningOp<AcquireOp>();
    if (!acquire)
      return release.emitOpError("expected a lease that a moert.acquire of "
                                 "this function yields");
    if (stripCasts(release.getSlots()) != stripCasts(placesOf(acquire)))
      return release.emitOpError("expected the places that its moert.acquire "
                                 "yields");
    const LeaseState *state = stateBefore(release, solver);
    if (state && state->of(release.getLease()).released)
      return release.emitOpError("ends a lease that may have been released");
    return success();
  }
};
} // namespace
