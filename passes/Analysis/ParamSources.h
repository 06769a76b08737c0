// What params are worth, one matrix at a time: their sources and recipes as streams.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_ANALYSIS_PARAMSOURCES_H
#define MOEC_PASSES_ANALYSIS_PARAMSOURCES_H

#include "dialects/MoE/IR/MoE.h"
#include "weights/CachedStatistics.h"
#include "weights/Recipes.h"
#include "weights/StoredTensor.h"
#include "weights/WeightProvider.h"
#include "llvm/ADT/DenseMap.h"

namespace moec {

/// The dialect's encoding in plain C++.
weights::Encoding getPlainEncoding(moe::EncodingAttr encoding);

/// The encoding a param's record is stored in: its own, or that of its element type. Fails for f64 weights, which no
/// encoding holds, with a diagnostic at the param.
mlir::FailureOr<weights::Encoding> getStoredEncoding(moe::ParamOp param);

/// Matrices of a weight: how many, and their sides.
weights::MatrixShape matrixShape(moe::WeightType type);

/// One matrix of a param, or its only one, as its record has it. Fails as getStoredEncoding does; the layout is one that
/// tensors can have.
mlir::FailureOr<weights::TensorForm> getStoredForm(moe::ParamOp param);

/// Opens params. What a recipe reads is opened once; nothing is read before a matrix is asked for. Failures are
/// diagnostics at the param they arise at.
class ParamSources {
public:
  /// `provider` resolves external sources, `cache`, if any, keeps fits of mixed bases; both must outlive this and what it
  /// opens.
  explicit ParamSources(const weights::WeightProvider &provider,
                        const weights::StatisticsCache *cache = nullptr)
      : provider(provider), cache(cache) {}

  /// Values of the source, before the param's encoding.
  mlir::FailureOr<weights::MatrixSourcePtr> openSource(moe::ParamOp param);

  /// What an archive stores: readEncoded() gives the codes of the param's encoding, chosen by moments where it is rounded by
  /// some.
  mlir::FailureOr<weights::MatrixSourcePtr> openStored(moe::ParamOp param);

  /// Values of a leaf: decoded, and rounded to the weight's element type.
  mlir::FailureOr<weights::MatrixSourcePtr> openLeaf(moe::ParamOp param);

  /// Entries of a table.
  mlir::FailureOr<std::vector<int32_t>> loadTable(moe::ParamOp param);

  /// What residuals are fitted beside: bases, and the base of each entry.
  struct Base {
    weights::MatrixSourcePtr matrices;
    std::vector<int32_t> table;
  };

  /// The leaf `base` by `table`; without a base, one of zeros for all entries of `of`.
  mlir::FailureOr<Base> openBase(const weights::MatrixSource &of,
                                 moe::ParamOp base, moe::ParamOp table);

  /// The moe.weight.mix of two leaves.
  mlir::FailureOr<weights::MatrixSourcePtr>
  openMix(moe::ParamOp bases, moe::ParamOp coefficients, moe::Phi phi);

private:
  mlir::FailureOr<weights::MatrixSourcePtr> makeSource(moe::ParamOp param);
  mlir::FailureOr<weights::MatrixSourcePtr> makeMean(moe::ParamOp param);
  mlir::FailureOr<weights::MatrixSourcePtr> makePermuted(moe::ParamOp param);
  mlir::FailureOr<weights::MatrixSourcePtr> makeFactor(moe::ParamOp param);
  mlir::FailureOr<weights::MatrixSourcePtr> makeMixPart(moe::ParamOp param);
  mlir::FailureOr<weights::MatrixSourcePtr> makeMixFactor(moe::ParamOp param);

  const weights::WeightProvider &provider;
  const weights::StatisticsCache *cache;
  llvm::DenseMap<mlir::Operation *, weights::MatrixSourcePtr> sources, stored,
      leaves;
  /// Both factors of an SVD come from one computation: by module and recipe of the input side.
  llvm::DenseMap<std::pair<mlir::Operation *, mlir::Attribute>,
                 weights::LowRankSources>
      factors;
  /// And bases with their coefficients: by module and recipe of the bases.
  llvm::DenseMap<std::pair<mlir::Operation *, mlir::Attribute>,
                 weights::BasisMixSources>
      mixes;
};

} // namespace moec

#endif // MOEC_PASSES_ANALYSIS_PARAMSOURCES_H
