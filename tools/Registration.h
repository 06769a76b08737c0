// Registers all dialects, passes and pipelines: moec's and upstream's.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_REGISTRATION_H
#define MOEC_TOOLS_REGISTRATION_H

namespace mlir {
class DialectRegistry;
}

namespace moec {
/// Dialects and external models that a compilation may need.
void registerAllDialects(mlir::DialectRegistry &registry);
/// registerAllDialects, and every pass and pipeline by its flag.
void registerEverything(mlir::DialectRegistry &registry);
} // namespace moec

#endif // MOEC_TOOLS_REGISTRATION_H
