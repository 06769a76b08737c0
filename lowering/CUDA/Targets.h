// GPUs that code is made for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_TARGETS_H
#define MOEC_LOWERING_CUDA_TARGETS_H

#include "mlir/IR/Location.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace moec::lowering {

/// An architecture as LLVM and drivers know it.
struct GPUTarget {
  /// "sm_80": what moert_call names a variant by.
  llvm::StringLiteral name;
  /// The PTX version, as LLVM spells the feature: the oldest that has all instructions we use, for old drivers.
  llvm::StringLiteral ptx;
  /// Compute capability, major * 10 + minor.
  int32_t capability;
  /// Code for it runs on this capability alone, not on newer ones ("sm_90a").
  bool isExact;
  /// It has wgmma and tensor maps.
  bool hasWarpgroups;
  /// The description by which costs are compared (weights/TargetDescription.h).
  llvm::StringLiteral machine;
  /// A kernel can begin before the one in front of it has ended.
  bool hasDependentLaunches() const { return capability >= 90; }
};

/// All targets, the oldest first.
llvm::ArrayRef<GPUTarget> gpuTargets();
/// The target of that name, or null.
const GPUTarget *findGPUTarget(llvm::StringRef name);
/// The same for the option `target` of a pass; an error at `loc` for what is none.
const GPUTarget *findGPUTargetOrFail(mlir::Location loc, llvm::StringRef name);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_TARGETS_H
