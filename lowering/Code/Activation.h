// Activations as arithmetic.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CODE_ACTIVATION_H
#define MOEC_LOWERING_CODE_ACTIVATION_H

#include "dialects/MoE/IR/MoE.h"
#include "lowering/Code/Code.h"

namespace moec::lowering {

/// act(up, gate) (docs/spec.md 4.2) of f32 or vectors of 16 of them; `gate` may
/// be null. silu and sigmoid_alpha are within 3e-7 of exact values; tanh and
/// erf are math operations, which lowerings make polynomials. Where `tanh` is
/// given, all but gelu are made of it: a target's instruction, that is less
/// exact.
mlir::Value
activate(Code &c, moe::ActivationAttr act, mlir::Value up, mlir::Value gate,
         llvm::function_ref<mlir::Value(mlir::Value)> tanh = nullptr);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CODE_ACTIVATION_H
