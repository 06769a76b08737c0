// moe-schedule-cuda-kernels: sizes of kernels become visible in IR.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/MoE.h"
#include "lowering/CUDA/ResidualForms.h"
#include "lowering/CUDA/ScheduledKernels.h"
#include "lowering/CUDA/Targets.h"
#include "lowering/CUDA/TileSchedule.h"
#include "lowering/KernelSelection.h"
#include "lowering/Passes.h"
#include "lowering/ScheduleFields.h"

namespace moec::lowering {
#define GEN_PASS_DEF_SCHEDULECUDAKERNELSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "schedule-cuda-kernels";

static bool hasActivation(Operation *op) {
  if (auto matmul = dyn_cast<GroupedMatmulOp>(op))
    return bool(matmul.getActAttr());
  return isa<GroupedUpOp>(op);
}

namespace {
struct ScheduleCUDAKernelsPass
    : moec::lowering::impl::ScheduleCUDAKernelsPassBase<
          ScheduleCUDAKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    const GPUTarget *gpu = findGPUTargetOrFail(getOperation().getLoc(), target);
    if (!gpu)
      return signalPassFailure();
    auto asked = readResidualForm(getOperation().getLoc(), residualForm);
    if (failed(asked))
      return signalPassFailure();
    for (Operation *op : findScheduled(getOperation())) {
      if (!op->hasAttr(kernelAttrName) ||
          !isa<GroupedUpOp, GroupedMatmulOp>(op))
        continue;
      if (!op->hasAttr(scheduleAttrName)) {
        auto schedules = scheduleProduct(op, *gpu, *asked, passName);
        if (failed(schedules))
          return signalPassFailure();
        op->setAttr(scheduleAttrName,
                    writeTileSchedules(&getContext(), *schedules));
      }
      if (fastActivations && hasActivation(op))
        op->setAttr(fastActivationsAttrName, UnitAttr::get(&getContext()));
      if (auto up = dyn_cast<GroupedUpOp>(op);
          up && up.getShrink() && atomicSums)
        op->setAttr(atomicSumsAttrName, UnitAttr::get(&getContext()));
    }
  }
};
} // namespace
