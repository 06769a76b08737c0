// What a module's kernels were compiled to: `moec.device_code`, from moe-kernels-to-ptx to the entry table.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_LIBRARY_DEVICECODE_H
#define MOEC_LOWERING_LIBRARY_DEVICECODE_H

#include "lowering/Library/EntryTable.h"
#include "mlir/IR/BuiltinOps.h"

#include <optional>

namespace moec::lowering {

/// Device code, and the variant that it is of.
struct TargetCode {
  /// "sm_80".
  std::string target;
  DeviceCode code;
};

/// Records device code on a module. Kernels are in the order of their numbers in launches.
void setDeviceCode(mlir::ModuleOp module, const TargetCode &code);
/// The device code of a module; nothing if it has no kernels.
std::optional<TargetCode> getDeviceCode(mlir::ModuleOp module);

} // namespace moec::lowering

#endif // MOEC_LOWERING_LIBRARY_DEVICECODE_H
