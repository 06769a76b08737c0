// moe-verify-slot-form: checks that a function is in slot form.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"
#include "passes/VerifyForms.h"

namespace moec {
#define GEN_PASS_DEF_VERIFYSLOTFORMPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec::moe;

namespace {
struct VerifySlotFormPass : moec::impl::VerifySlotFormPassBase<VerifySlotFormPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(moec::verifyForm(getOperation(), "slot form", [](Operation *op) {
          return isa<ApplyOp, LookupOp, ClustersOfOp, SpreadOp, ScaleRowsOp,
                     CombineOp, ActivateOp, RealExpertsOp, SpecialExpertsOp>(
              op);
        })))
      signalPassFailure();
  }
};
} // namespace
