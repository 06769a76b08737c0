// moe-select-cpu-kernels: which operations become CPU kernels, and which the
// reference lowering makes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CPU/LayerEmitter.h"
#include "lowering/Passes.h"
#include "passes/Decisions.h"

namespace moec::lowering {
#define GEN_PASS_DEF_SELECTCPUKERNELSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;
using namespace moec::lowering;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "select-cpu-kernels";

namespace {
struct SelectCPUKernelsPass
    : lowering::impl::SelectCPUKernelsPassBase<SelectCPUKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    // A wrap whose weight both kinds read is there twice.
    DenseMap<Operation *, Operation *> wraps;
    unsigned taken = 0;
    for (Operation *op : findScheduled(getOperation())) {
      std::string reason = reasonAgainstKernels(op);
      if (!reason.empty()) {
        Decision::declined(op->getLoc(), passName)
            << op->getName().getStringRef()
            << " is lowered plainly: " << reason;
        continue;
      }
      ++taken;
      op->setAttr(kernelAttrName, UnitAttr::get(op->getContext()));
      for (OpOperand &operand : op->getOpOperands()) {
        auto wrap = operand.get().getDefiningOp<WrapOp>();
        if (!wrap)
          continue;
        Operation *&own = wraps[wrap];
        if (!own) {
          OpBuilder builder(wrap);
          own = builder.clone(*wrap);
          own->setAttr(kernelAttrName, UnitAttr::get(op->getContext()));
        }
        operand.set(own->getResult(0));
      }
    }
    for (auto &[wrap, own] : wraps)
      if (wrap->use_empty())
        wrap->erase();
    if (taken)
      Decision::taken(getOperation().getLoc(), passName)
          << taken << " operations become kernels";
  }
};
} // namespace
