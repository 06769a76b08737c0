// Bufferisation of the scheduled ops, as external models.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_INTERFACES_BUFFERIZABLEOPINTERFACE_H
#define MOEC_DIALECTS_MOE_INTERFACES_BUFFERIZABLEOPINTERFACE_H

namespace mlir {
class DialectRegistry;
}

namespace moec::moe {
/// Lets one-shot bufferisation turn scheduled ops on tensors into the same ops on buffers. Weights stay symbolic.
void registerBufferizableOpInterfaceExternalModels(
    mlir::DialectRegistry &registry);
} // namespace moec::moe

#endif // MOEC_DIALECTS_MOE_INTERFACES_BUFFERIZABLEOPINTERFACE_H
