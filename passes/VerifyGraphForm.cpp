// moe-verify-graph-form: checks that a function is in graph form.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"
#include "passes/VerifyForms.h"

namespace moec {
#define GEN_PASS_DEF_VERIFYGRAPHFORMPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec::moe;

namespace {
struct VerifyGraphFormPass : moec::impl::VerifyGraphFormPassBase<VerifyGraphFormPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(moec::verifyForm(getOperation(), "graph form", [](Operation *op) {
          // Without ids apply is a plain product: a router's logits.
          auto apply = dyn_cast<ApplyOp>(op);
          return isa<ExpertsOp>(op) || (apply && !apply.getIds());
        })))
      signalPassFailure();
  }
};
} // namespace
