// moe-verify-scheduled-form: checks that a function is in scheduled form.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"
#include "passes/VerifyForms.h"

namespace moec {
#define GEN_PASS_DEF_VERIFYSCHEDULEDFORMPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec::moe;

namespace {
struct VerifyScheduledFormPass : moec::impl::VerifyScheduledFormPassBase<VerifyScheduledFormPass> {
  using Base::Base;

  void runOnOperation() override {
    auto isAllowed = [this](Operation *op) {
      if (isa<GroupOp, GatherOp, GroupedMatmulOp, GroupedUpOp,
              ScatterCombineOp>(op))
        return true;
      if (!strict)
        return !isa<ExpertsOp>(op);
      // What is left of slot form may still work on lists of rows, and mask ids.
      if (isa<RealExpertsOp, SpecialExpertsOp, ClustersOfOp>(op))
        return true;
      return isa<LookupOp, ActivateOp, ScaleRowsOp>(op) &&
             cast<RankedTensorType>(op->getResult(0).getType()).getRank() == 2;
    };
    if (failed(
            moec::verifyForm(getOperation(), "scheduled form", isAllowed)))
      signalPassFailure();
  }
};
} // namespace
