// Passes from moe to moe.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_PASSES_H
#define MOEC_PASSES_PASSES_H

#include "dialects/MoE/IR/MoE.h"
#include "dialects/MoERT/IR/MoERT.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"

namespace moec {
/// How experts are put into clusters.
enum class ClusteringKind { similarity, random };
/// What the members of a cluster share.
enum class BaseKind { mean, usage, fisher, none };
/// What an expert has of its own.
enum class ResidualKind { svd, none };
/// Second moments that weigh a residual's error.
enum class Whitening { none, diagonal, full };
/// Mixes of encodings that have a name.
enum class PrecisionPreset { none, paper, exact, small, fast };
/// How the codes of an encoding are chosen.
enum class Rounding { nearest, calibrated };
/// What rows are rounded to before weights multiply them.
enum class Activations { f32, bf16, int8 };
/// Whose kernels a layout is for.
enum class LayoutTarget { cpu };

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

/// x·(P + Q) -> x·P + x·Q and its kin; `always` as the option of
/// moe-distribute-weights.
void populateDistributeWeightsPatterns(mlir::RewritePatternSet &patterns,
                                       bool always);
/// The rewrites of moe-share-base, without those of moe-distribute-weights.
void populateShareBasePatterns(mlir::RewritePatternSet &patterns);
/// The rewrites of moe-fuse-residual.
void populateFuseResidualPatterns(mlir::RewritePatternSet &patterns);

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"
} // namespace moec

#endif // MOEC_PASSES_PASSES_H
