// What params are worth: their values at compile time.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_MOETOLINALG_PARAMVALUES_H
#define MOEC_LOWERING_MOETOLINALG_PARAMVALUES_H

#include "dialects/MoE/IR/MoE.h"
#include "weights/Recipes.h"
#include "llvm/ADT/DenseMap.h"

namespace moec::weights {
class WeightProvider;
}

namespace moec::lowering {

/// Evaluates params: their source, then what their encoding makes of it, rounded to the weight's element type. Recipes
/// read other params as leaves do: decoded and rounded.
class ParamValues {
public:
  /// `provider` resolves external sources; it must outlive this. The values of all params together may take
  /// `maxBytes`.
  ParamValues(const weights::WeightProvider &provider, int64_t maxBytes)
      : provider(provider), maxBytes(maxBytes) {}

  /// Evaluates a param and those its recipe reads; each is evaluated once. Failures are reported at the param they
  /// arise at.
  llvm::LogicalResult evaluate(moe::ParamOp param);

  /// Values of an evaluated param, or null. Shape and element type are those of the converted leaf.
  mlir::DenseElementsAttr lookup(moe::ParamOp param) const {
    return values.lookup(param);
  }

private:
  llvm::LogicalResult reserve(moe::ParamOp param);
  mlir::FailureOr<mlir::DenseElementsAttr> compute(moe::ParamOp param);
  mlir::FailureOr<mlir::DenseElementsAttr> computeTable(moe::ParamOp param);
  mlir::FailureOr<std::vector<float>> computeSource(moe::ParamOp param);
  mlir::FailureOr<std::vector<float>> computeMean(moe::ParamOp param);
  mlir::FailureOr<std::vector<float>> computeFactor(moe::ParamOp param);
  mlir::DenseElementsAttr valuesOf(moe::ParamOp user,
                                   mlir::FlatSymbolRefAttr name) const;

  const weights::WeightProvider &provider;
  uint64_t maxBytes;
  uint64_t usedBytes = 0;
  llvm::DenseMap<mlir::Operation *, mlir::DenseElementsAttr> values;
  /// Both factors of an SVD are usually asked for, and it is dear: what both are read from, by symbol table and recipe
  /// of the input side.
  llvm::DenseMap<std::pair<mlir::Operation *, mlir::Attribute>,
                 weights::LowRankSources>
      factors;
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_MOETOLINALG_PARAMVALUES_H
