// The moe dialect: types, attributes and operations.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_MOE_H
#define MOEC_DIALECTS_MOE_IR_MOE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

#include "dialects/MoE/IR/MoEDialect.h.inc"
#include "dialects/MoE/IR/MoEEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/MoE/IR/MoEAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/MoE/IR/MoETypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/MoE/IR/WeightOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/MoE/IR/GraphOps.h.inc"

namespace moec::moe {

/// What ranks have sent each other: operations on it keep their order.
struct Communication : mlir::SideEffects::Resource::Base<Communication> {
  llvm::StringRef getName() final { return "Communication"; }
};

/// A tensor's type with a first extent that is not known; other types as they
/// are.
mlir::Type withAnyRows(mlir::Type type);

} // namespace moec::moe

#define GET_OP_CLASSES
#include "dialects/MoE/IR/CommunicationOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/MoE/IR/SlotOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/MoE/IR/ScheduledOps.h.inc"

namespace moec::moe {

/// Element type of a tensor or buffer of ids.
inline IdType getIdType(mlir::Value value) {
  return mlir::cast<IdType>(
      mlir::cast<mlir::ShapedType>(value.getType()).getElementType());
}

/// Type of a weight value.
inline WeightType getWeightType(mlir::Value value) {
  return mlir::cast<WeightType>(value.getType());
}

/// The tensor that a part of a param is, as arguments with `moec.binding` have it: "table", or "codes", "scales",
/// "zero_points", "slots" of a weight, as far as there are.
mlir::FailureOr<mlir::RankedTensorType> getBoundType(ParamOp param,
                                                     llvm::StringRef part);

} // namespace moec::moe

#endif // MOEC_DIALECTS_MOE_IR_MOE_H
