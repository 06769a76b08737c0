// In what form the matrices of expert layers are stored: plain, bases, residuals.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_STOREDFORMS_H
#define MOEC_PASSES_STOREDFORMS_H

#include "dialects/MoE/IR/MoE.h"
#include "weights/CostModel.h"

namespace moec {

/// A matrix of the experts as moe-factorize-experts leaves it, or as it was before: `plain` alone, or `base` by `table`,
/// `input`·`output`, or the sum of these two. Params that are not there are null.
struct StoredMatrix {
  moe::ExpertsOp op;
  /// "gate", "up" or "down".
  llvm::StringRef role;
  moe::ParamOp plain, base, table, input, output;

  bool isPlain() const { return bool(plain); }
  bool hasResidual() const { return bool(input); }
  /// The recipe of the residual's input side; null without a residual.
  moe::SvdAttr getResidual() const;
  /// The param whose matrices are stored so; `plain` itself.
  moe::ParamOp getExperts() const;
  /// IN x OUT of each expert.
  moe::WeightType getType() const;
  int64_t getRank() const;
  /// Plain, base, input and output, as far as they are there.
  llvm::SmallVector<moe::ParamOp, 3> leaves() const;
};

/// The matrices of a module's expert layers; those that layers share once. Others are declined by a remark that names `pass`.
llvm::SmallVector<StoredMatrix> findStoredMatrices(mlir::ModuleOp module,
                                                   llvm::StringRef pass);

/// The layer as the cost model sees it, with the clusters and rank of this matrix.
weights::ExpertLayerShape getLayerShape(const StoredMatrix &matrix);

} // namespace moec

#endif // MOEC_PASSES_STOREDFORMS_H
