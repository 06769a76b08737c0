// moe-select-cpu-kernels: which operations become CPU kernels.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CPU/LayerEmitter.h"
#include "lowering/KernelSelection.h"
#include "lowering/Passes.h"

namespace moec::lowering {
#define GEN_PASS_DEF_SELECTCPUKERNELSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

namespace {
struct SelectCPUKernelsPass
    : moec::lowering::impl::SelectCPUKernelsPassBase<SelectCPUKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    moec::lowering::selectKernels(getOperation(), "select-cpu-kernels",
                                  moec::lowering::reasonAgainstKernels);
  }
};
} // namespace
