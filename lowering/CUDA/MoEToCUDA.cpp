// convert-moe-to-cuda: scheduled operations on buffers become kernels.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/ScheduledKernels.h"
#include "lowering/KernelSelection.h"
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace moec::lowering {
#define GEN_PASS_DEF_CONVERTMOETOCUDAPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

/// Who calls is told that weights that kernels read, and their slots, lie as their records do.
static LogicalResult requireCompactWeights(func::FuncOp entry) {
  auto arguments = getEntryArguments(entry);
  if (failed(arguments))
    return failure();
  bool isDescribed = true;
  entry.walk([&](WrapOp wrap) {
    for (Value part : {wrap.getTensor(), wrap.getSlots()}) {
      auto argument = dyn_cast_if_present<BlockArgument>(part);
      if (!argument || argument.getOwner() != &entry.getBody().front())
        continue;
      isDescribed &= argument.getArgNumber() < arguments->size();
      if (isDescribed)
        (*arguments)[argument.getArgNumber()].isContiguous = true;
    }
  });
  if (!isDescribed)
    return entry.emitError("expected moec.arguments to describe each argument, "
                           "found ")
           << arguments->size() << " of " << entry.getNumArguments();
  setEntryArguments(entry, *arguments);
  return success();
}

namespace {
struct ConvertMoEToCUDAPass
    : moec::lowering::impl::ConvertMoEToCUDAPassBase<ConvertMoEToCUDAPass> {
  using Base::Base;

  LogicalResult convert(func::FuncOp entry, KernelTable &kernels) {
    allocateNumbers(entry);
    if (failed(requireCompactWeights(entry)))
      return failure();
    ScheduledKernels scheduled(entry, kernels);
    auto check = [](Operation *op) -> LogicalResult {
      if (op->hasAttr(kernelAttrName) && !isOnTensors(op))
        return success();
      return op->emitOpError("has no kernel: expected one that "
                             "moe-select-cuda-kernels marked, on buffers");
    };
    return emitScheduled<GroupOp, ScatterCombineOp, GroupedMatmulOp,
                         GroupedUpOp>(entry, scheduled, check);
  }

  void runOnOperation() override {
    KernelTable kernels(getOperation());
    for (func::FuncOp entry : findEntries(getOperation()))
      if (failed(convert(entry, kernels)))
        return signalPassFailure();
  }
};
} // namespace
