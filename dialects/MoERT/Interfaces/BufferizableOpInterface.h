// Bufferisation of the moert dialect.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOERT_INTERFACES_BUFFERIZABLEOPINTERFACE_H
#define MOEC_DIALECTS_MOERT_INTERFACES_BUFFERIZABLEOPINTERFACE_H

namespace mlir {
class DialectRegistry;
}

namespace moec::moert {
/// Lets one-shot-bufferize handle the operations.
void registerBufferizableOpInterfaceExternalModels(
    mlir::DialectRegistry &registry);
} // namespace moec::moert

#endif // MOEC_DIALECTS_MOERT_INTERFACES_BUFFERIZABLEOPINTERFACE_H
