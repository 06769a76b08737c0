// GPUs that code is made for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/Targets.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"

using namespace moec::lowering;

static constexpr GPUTarget targets[] = {
    {"sm_80", "+ptx70", 80, false, false, "a100"},
    {"sm_90a", "+ptx80", 90, true, true, "h200"},
};

llvm::ArrayRef<GPUTarget> moec::lowering::gpuTargets() { return targets; }

const GPUTarget *moec::lowering::findGPUTarget(llvm::StringRef name) {
  const auto *found = llvm::find_if(
      targets, [&](const GPUTarget &target) { return target.name == name; });
  return found == std::end(targets) ? nullptr : found;
}

const GPUTarget *moec::lowering::findGPUTargetOrFail(mlir::Location loc,
                                                     llvm::StringRef name) {
  const GPUTarget *gpu = findGPUTarget(name);
  if (gpu)
    return gpu;
  mlir::InFlightDiagnostic error =
      mlir::emitError(loc, "option target: expected ");
  llvm::interleaveComma(targets, error,
                        [&](const GPUTarget &known) { error << known.name; });
  error << ", found '" << name << "'";
  return nullptr;
}
