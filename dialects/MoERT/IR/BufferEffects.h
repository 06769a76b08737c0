// Effects on operands that are buffers after bufferisation.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOERT_IR_BUFFEREFFECTS_H
#define MOEC_DIALECTS_MOERT_IR_BUFFEREFFECTS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace moec::moert {

using Effects = llvm::SmallVectorImpl<
    mlir::SideEffects::EffectInstance<mlir::MemoryEffects::Effect>>;

/// An effect on what is a buffer; tensors are values.
template <typename Effect>
void addEffect(mlir::MutableOperandRange operands, Effects &effects) {
  for (mlir::OpOperand &operand : operands)
    if (mlir::isa<mlir::MemRefType>(operand.get().getType()))
      effects.emplace_back(Effect::get(), &operand,
                           mlir::SideEffects::DefaultResource::get());
}

} // namespace moec::moert

#endif // MOEC_DIALECTS_MOERT_IR_BUFFEREFFECTS_H
