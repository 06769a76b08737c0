// Several steps of tokens through all layers of an artifact.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_RUN_STEPS_H
#define MOEC_TOOLS_MOE_RUN_STEPS_H

#include "tools/Execution/Artifact.h"
#include "tools/moe-run/Options.h"
#include "weights/Result.h"

#include <string>

namespace moec::run {

/// What steps came to.
struct StepsReport {
  /// Lines about outputs and times, and about another artifact.
  std::string outputs, comparison;
  /// Lines about regrouping; empty without.
  std::string regrouping;
  /// Whether the other one's outputs are within options.maxError.
  weights::Status verdict;
};

/// Runs options.steps steps of every layer, in their order, on seeded inputs
/// and what flows from layer to layer; with another artifact, also its layers
/// of the same names. Reports what all outputs come to, how long a step took,
/// and how far those of the other artifact are.
weights::Result<StepsReport> runSteps(const Options &options,
                                      const Artifact &artifact,
                                      const Artifact *other, Pool pool);

} // namespace moec::run

#endif // MOEC_TOOLS_MOE_RUN_STEPS_H
