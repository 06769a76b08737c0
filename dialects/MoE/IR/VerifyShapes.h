// Checks on shapes that the verifiers of several op families share.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_VERIFYSHAPES_H
#define MOEC_DIALECTS_MOE_IR_VERIFYSHAPES_H

#include "dialects/MoE/IR/MoE.h"

namespace moec::moe::shapes {

inline llvm::ArrayRef<int64_t> shapeOf(mlir::Value value) {
  return mlir::cast<mlir::ShapedType>(value.getType()).getShape();
}

inline mlir::Type elementOf(mlir::Value value) {
  return mlir::cast<mlir::ShapedType>(value.getType()).getElementType();
}

/// True unless both extents are static and differ.
inline bool mayEqual(int64_t a, int64_t b) {
  return mlir::ShapedType::isDynamic(a) || mlir::ShapedType::isDynamic(b) ||
         a == b;
}

/// Checks that operands are tensors or buffers, not both.
mlir::LogicalResult verifyOneForm(mlir::Operation *op, llvm::StringRef rule);

/// Checks that a tensor has the given rank and that only its first extent, the number of tokens, may be dynamic.
mlir::LogicalResult verifyTokens(mlir::Operation *op, llvm::StringRef rule,
                                 llvm::StringRef what, mlir::Value value,
                                 int64_t rank);

/// Checks that two values agree in their first `count` extents as far as these are static.
mlir::LogicalResult verifySameLeading(mlir::Operation *op, llvm::StringRef rule,
                                      llvm::StringRef whatA, mlir::Value a,
                                      llvm::StringRef whatB, mlir::Value b,
                                      unsigned count);

/// Checks that a weight indexed by an axis is indexed as the ids say.
mlir::LogicalResult verifyIndexedBy(mlir::Operation *op, llvm::StringRef rule,
                                    llvm::StringRef what, WeightType weight,
                                    IdType id);

/// Checks special experts and their operands (constraints E5, E6) against the id type.
mlir::LogicalResult verifySpecials(mlir::Operation *op, IdType id,
                                   SpecialsAttr specials,
                                   mlir::RankedTensorType tokens,
                                   mlir::Value constants, mlir::Value mixing);

/// Checks an activation against whether there is a gate (constraint A1).
mlir::LogicalResult verifyActivation(mlir::Operation *op, ActivationAttr act,
                                     bool gated);

/// Extents of results of an op on tokens: static ones, and T from the first tensor operand.
mlir::LogicalResult
reifyTokenShapes(mlir::Operation *op, mlir::OpBuilder &builder,
                 mlir::ReifiedRankedShapedTypeDims &extents);

} // namespace moec::moe::shapes

#endif // MOEC_DIALECTS_MOE_IR_VERIFYSHAPES_H
