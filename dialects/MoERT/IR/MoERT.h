// The moert dialect: what compiled code asks of the runtime.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOERT_IR_MOERT_H
#define MOEC_DIALECTS_MOERT_IR_MOERT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/MoERT/IR/MoERTDialect.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/MoERT/IR/MoERTTypes.h.inc"

namespace moec::moert {

/// Which bases are in memory: what the operations of this dialect read and
/// write besides their buffers.
struct Residency : mlir::SideEffects::Resource::Base<Residency> {
  llvm::StringRef getName() final { return "Residency"; }
};

/// What ranks have sent each other, and what is on its way: what operations on
/// exchanges read and write besides their buffers.
struct Exchanges : mlir::SideEffects::Resource::Base<Exchanges> {
  llvm::StringRef getName() final { return "Exchanges"; }
};

} // namespace moec::moert

#define GET_OP_CLASSES
#include "dialects/MoERT/IR/ExchangeOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/MoERT/IR/ResidencyOps.h.inc"

#endif // MOEC_DIALECTS_MOERT_IR_MOERT_H
