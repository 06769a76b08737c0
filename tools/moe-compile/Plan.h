// What compiling a checkpoint will make, before it is made.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOECOMPILE_PLAN_H
#define MOEC_TOOLS_MOECOMPILE_PLAN_H

#include "lowering/Artifact/LayerWeights.h"
#include "mlir/IR/BuiltinOps.h"
#include "weights/Profile.h"

#include <optional>
#include <string>

namespace moec {

/// Figures of a module whose layers are bound.
struct LayerFigures {
  uint64_t parameters = 0;
  uint64_t bytes = 0;
  /// Of all layers together.
  int64_t multiplyAddsPerToken = 0;
};

/// Sums what the archive will hold and what functions of layers compute; they carry moe.multiply_adds_per_token.
LayerFigures measureLayers(mlir::ModuleOp module,
                           const lowering::LayerWeights &weights);

/// How many clusters a token meets under flat routing, over the layers of a module with clusters.
struct ClusterMeetings {
  double perToken = 0;
  /// Counted by the profile, or that of independent choices.
  bool isCounted = false;
};
ClusterMeetings countMeetings(mlir::ModuleOp module,
                              const std::optional<weights::Profile> &profile);

/// One line for each layer: ranks or encodings, relative errors; empty for layers that are not compressed.
std::string describeLayers(mlir::ModuleOp module);

/// The encodings that moe-select-precision chose: a line for each leaf of experts, bases and residuals, and one for all.
std::string describePrecision(mlir::ModuleOp module);

/// What stays in memory, what is paged, and the least budget for that: one line; empty for a module without paging.
std::string describeResidency(mlir::ModuleOp module);

/// Which ranks have which clusters, as the runtime reads it (docs/communication.md): JSON of what moe-place-experts decided.
std::string describePlacement(mlir::ModuleOp module);

/// Size that the archive's file will have; 0 for a plan that cannot be placed, which writing will say.
uint64_t archiveBytes(const lowering::LayerWeights &weights);

/// "1.23 MB".
std::string describeBytes(uint64_t bytes);

} // namespace moec

#endif // MOEC_TOOLS_MOECOMPILE_PLAN_H
