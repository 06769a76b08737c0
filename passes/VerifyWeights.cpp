// moe-verify-weights: checks that weights stay symbolic.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

namespace moec {
#define GEN_PASS_DEF_VERIFYWEIGHTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec::moe;

namespace {
struct VerifyWeightsPass : moec::impl::VerifyWeightsPassBase<VerifyWeightsPass> {
  using Base::Base;

  void runOnOperation() override {
    WalkResult result = getOperation().walk([](Operation *op) -> WalkResult {
      if (isa<FunctionOpInterface, CallOpInterface, func::ReturnOp>(op) ||
          isa_and_nonnull<MoEDialect>(op->getDialect()))
        return WalkResult::advance();
      auto isSymbolic = [](Type type) { return isa<WeightType, TableType>(type); };
      if (!llvm::any_of(op->getOperandTypes(), isSymbolic) &&
          !llvm::any_of(op->getResultTypes(), isSymbolic))
        return WalkResult::advance();
      return op->emitError("'")
             << op->getName()
             << "' uses a weight or table, which only moe operations and calls "
                "may: its params could no longer be told";
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
