// The params behind an expert layer, as passes that compress it see them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_LAYERPARAMS_H
#define MOEC_PASSES_LAYERPARAMS_H

#include "dialects/MoE/IR/MoE.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Analysis/ParamSources.h"
#include "weights/Profile.h"
#include "weights/StatisticsCache.h"

#include <optional>
#include <string>

namespace moec {

/// A matrix of the experts: "gate", "up" or "down", and the param that all experts' are leaves of.
struct ExpertMatrix {
  llvm::StringRef role;
  mlir::OpOperand *use = nullptr;
  moe::ParamOp param;
};

/// An expert layer of plain experts: each matrix a leaf with one entry for each expert.
struct ExpertLayer {
  moe::ExpertsOp op;
  llvm::SmallVector<ExpertMatrix, 3> matrices;
  int64_t experts = 0;
};

/// The plain expert layers of a module. Others are declined by a remark that names `pass`.
llvm::SmallVector<ExpertLayer> findExpertLayers(mlir::ModuleOp module,
                                                llvm::StringRef pass);

/// N of a layer in a function called layerN: where the profile keeps its traffic.
std::optional<int64_t> getLayerNumber(moe::ExpertsOp op);

/// The table that moe-cluster-experts gave the layer, or null.
moe::ParamOp getClusterTable(moe::ExpertsOp op);
void setClusterTable(moe::ExpertsOp op, moe::ParamOp table);

/// Declares a private param in front of the layer's function; a number is added to the name if it is taken.
moe::ParamOp addParam(moe::ExpertsOp op, const llvm::Twine &name,
                      mlir::Type type, mlir::Attribute source,
                      moe::EncodingAttr encoding = {});

/// An encoding as an option of a pass spells it, 'int8 group 32'; null for an empty text. What is none is a diagnostic at
/// the module, under the option's name.
mlir::FailureOr<moe::EncodingAttr> parseEncoding(mlir::ModuleOp module,
                                                 llvm::StringRef option,
                                                 llvm::StringRef text);

/// What plans and reports say of a matrix that was compressed: its relative Frobenius error over experts, in an attribute
/// `moe.relative_error` of the param that it is stored in.
void setRelativeError(moe::ParamOp param, double mean, double largest);

/// Binds the scopes of the passes' option `weights`; a diagnostic at the module if one is wrong.
mlir::LogicalResult bindScopes(mlir::ModuleOp module,
                               llvm::ArrayRef<std::string> texts,
                               weights::WeightProvider &provider);

/// Reads the profile at `path`; nothing if there is none.
mlir::FailureOr<std::optional<weights::Profile>>
readProfileOf(mlir::ModuleOp module, llvm::StringRef path);

/// Opens the directory where statistics are kept; nothing if there is none.
mlir::FailureOr<std::optional<weights::StatisticsCache>>
openCacheOf(mlir::ModuleOp module, llvm::StringRef directory);

/// The layer's traffic, or null. A profile of other shapes is a diagnostic.
mlir::FailureOr<const weights::LayerProfile *>
findTraffic(moe::ExpertsOp op,
            const std::optional<weights::Profile> &profile);

} // namespace moec

#endif // MOEC_PASSES_LAYERPARAMS_H
