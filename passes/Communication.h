// What passes say about the communication of an expert layer.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_COMMUNICATION_H
#define MOEC_PASSES_COMMUNICATION_H

#include "dialects/MoE/IR/MoE.h"

namespace moec {

/// On a moe.dispatch: in how many parts tokens go, so that one is computed
/// while others are on their way. moe-overlap-communication sets it; without it
/// there is one part.
inline constexpr char partsAttrName[] = "moe.parts";

/// On a module: which ranks have which clusters, {ranks = 4, layers = {layer0 =
/// [array<i32: 0>, array<i32: 1, 3>]}}: for each layer the ranks of each
/// cluster, ascending. moe-place-experts sets it, moe-compile writes it for the
/// runtime; compiled code does not depend on it.
inline constexpr char placementAttrName[] = "moe.placement";

inline int64_t partsOf(moe::DispatchOp dispatch) {
  auto parts = dispatch->getAttrOfType<mlir::IntegerAttr>(partsAttrName);
  return parts ? parts.getInt() : 1;
}

} // namespace moec

#endif // MOEC_PASSES_COMMUNICATION_H
