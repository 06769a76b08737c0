// Passes that change the level.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_PASSES_H
#define MOEC_LOWERING_PASSES_H

#include "mlir/Pass/Pass.h"
#include <memory>

namespace mlir {
class ModuleOp;
}

namespace moec::lowering {
/// On an operation that a kernel of the target does: moe-select-cpu-kernels sets it, convert-moe-to-linalg leaves such.
inline constexpr char kernelAttrName[] = "moe.kernel";

/// On an scf.for whose turns may run in any order, and side by side, on buffers: the reference lowering says so.
inline constexpr char freeTurnsAttrName[] = "moec.free_turns";

#define GEN_PASS_DECL
#include "lowering/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

#endif // MOEC_LOWERING_PASSES_H
