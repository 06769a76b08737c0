// What the tensors of a layer are called in the archive of weights.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_LIBRARY_ARCHIVENAMES_H
#define MOEC_LOWERING_LIBRARY_ARCHIVENAMES_H

#include "dialects/MoE/IR/MoE.h"

#include <string>

namespace moec::lowering {

/// "layer3.router", or "layer3.cluster.*.gate.base" for a weight of clusters: the star stands for its entry.
inline std::string archiveTensorName(moe::LayerOp layer, llvm::StringRef local,
                                     moe::ParamOp param) {
  auto weight = mlir::dyn_cast<moe::WeightType>(param.getType());
  std::string name = layer.getSymName().str() + ".";
  if (weight && weight.isIndexed())
    name += (moe::stringifyAxis(weight.getAxis()) + ".*.").str();
  return name + local.str();
}

} // namespace moec::lowering

#endif // MOEC_LOWERING_LIBRARY_ARCHIVENAMES_H
