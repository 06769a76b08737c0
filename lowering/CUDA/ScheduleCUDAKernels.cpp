// moe-schedule-cuda-kernels: sizes of kernels become visible in IR.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/MoE.h"
#include "lowering/CUDA/Targets.h"
#include "lowering/CUDA/TileSchedule.h"
#include "lowering/KernelSelection.h"
#include "lowering/Passes.h"
#include "lowering/ScheduleFields.h"

#include "llvm/ADT/TypeSwitch.h"

namespace moec::lowering {
#define GEN_PASS_DEF_SCHEDULECUDAKERNELSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

namespace {
struct ScheduleCUDAKernelsPass
    : moec::lowering::impl::ScheduleCUDAKernelsPassBase<
          ScheduleCUDAKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    const GPUTarget *gpu = findGPUTargetOrFail(getOperation().getLoc(), target);
    if (!gpu)
      return signalPassFailure();
    auto schedule = [&](auto op) {
      op->setAttr(
          scheduleAttrName,
          writeTileSchedules(&getContext(),
                             tileSchedules(gpu->name, op.getWeights().size())));
    };
    for (Operation *op : findScheduled(getOperation()))
      if (op->hasAttr(kernelAttrName) && !op->hasAttr(scheduleAttrName))
        llvm::TypeSwitch<Operation *>(op).Case<GroupedUpOp, GroupedMatmulOp>(
            schedule);
  }
};
} // namespace
