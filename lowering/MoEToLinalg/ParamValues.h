// What params are worth: their values at compile time.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_MOETOLINALG_PARAMVALUES_H
#define MOEC_LOWERING_MOETOLINALG_PARAMVALUES_H

#include "passes/Analysis/ParamSources.h"
#include "llvm/ADT/DenseMap.h"

namespace moec::lowering {

/// Evaluates params: their source, then what their encoding makes of it, rounded to the weight's element type. Recipes
/// read other params as leaves do: decoded and rounded.
class ParamValues {
public:
  /// `provider` resolves external sources; it must outlive this. The values of all params together may take
  /// `maxBytes`.
  ParamValues(const weights::WeightProvider &provider, int64_t maxBytes)
      : sources(provider), maxBytes(maxBytes) {}

  /// Evaluates a param, once. Failures are reported at the param they arise at.
  llvm::LogicalResult evaluate(moe::ParamOp param);

  /// Values of an evaluated param, or null. Shape and element type are those of the converted leaf.
  mlir::DenseElementsAttr lookup(moe::ParamOp param) const {
    return values.lookup(param);
  }

private:
  llvm::LogicalResult reserve(moe::ParamOp param);
  mlir::FailureOr<mlir::DenseElementsAttr> compute(moe::ParamOp param);

  ParamSources sources;
  uint64_t maxBytes;
  uint64_t usedBytes = 0;
  llvm::DenseMap<mlir::Operation *, mlir::DenseElementsAttr> values;
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_MOETOLINALG_PARAMVALUES_H
