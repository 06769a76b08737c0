// convert-moe-to-cpu: scheduled operations on buffers become tasks of loops.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CPU/LayerEmitter.h"
#include "lowering/KernelSelection.h"
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace moec::lowering {
#define GEN_PASS_DEF_CONVERTMOETOCPUPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

/// By the CPU's instruction, or rounded twice where it has none: never by the C
/// library's function.
static void replace(math::FmaOp op, bool hasFma) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  Value result;
  if (hasFma)
    result = LLVM::FMAOp::create(b, loc, op.getA(), op.getB(), op.getC());
  else
    result = arith::AddFOp::create(
        b, loc, arith::MulFOp::create(b, loc, op.getA(), op.getB()), op.getC());
  op.replaceAllUsesWith(result);
  op.erase();
}

namespace {
struct ConvertMoEToCPUPass
    : moec::lowering::impl::ConvertMoEToCPUPassBase<ConvertMoEToCPUPass> {
  using Base::Base;

  LogicalResult convert(func::FuncOp entry, MatmulKernels &kernels) {
    allocateNumbers(entry);
    LayerEmitter layer(entry, kernels);
    auto check = [](Operation *op) -> LogicalResult {
      if (std::string reason = reasonAgainstKernels(op); !reason.empty())
        return op->emitOpError("cannot become a kernel: ") << reason;
      if (isOnTensors(op))
        return op->emitOpError("is on tensors: expected buffers");
      return success();
    };
    return emitScheduled<GroupOp, GatherOp, ScatterCombineOp, GroupedMatmulOp,
                         GroupedUpOp>(entry, layer, check);
  }

  void runOnOperation() override {
    const InstructionSet *set = findInstructionSet(instructionSet);
    if (!set) {
      getOperation().emitError("option isa: expected portable, x86-64-v3, "
                               "x86-64-v4 or sapphirerapids, found '")
          << instructionSet << "'";
      return signalPassFailure();
    }
    MatmulKernels kernels(getOperation(), *set);
    for (func::FuncOp entry : findEntries(getOperation()))
      if (failed(convert(entry, kernels)))
        return signalPassFailure();
    // Vectors of tanh and erf are polynomials; the C library would be asked for
    // one number at a time.
    RewritePatternSet polynomials(&getContext());
    populatePolynomialApproximateTanhPattern(polynomials);
    populatePolynomialApproximateErfPattern(polynomials);
    FrozenRewritePatternSet frozen(std::move(polynomials));
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isPrivate() && !function.isExternal()) {
        walkAndApplyPatterns(function, frozen);
        function.walk([&](math::FmaOp op) { replace(op, set->hasFma); });
      }
  }
};
} // namespace
