// Several steps of tokens through all layers of an artifact.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_RUN_STEPS_H
#define MOEC_TOOLS_MOE_RUN_STEPS_H

#include "tools/Execution/Artifact.h"
#include "tools/moe-run/Options.h"
#include "tools/moe-run/Report.h"

namespace moec::run {

/// Runs options.steps steps of every layer, in their order, on seeded inputs
/// and what flows from layer to layer, and prints what all outputs come to and
/// how long a step took; with another artifact, how far its outputs are, which
/// is an error beyond options.maxError.
weights::Status runSteps(const Options &options, const Artifact &artifact,
                         const Artifact *other, Pool pool,
                         ResidentBytes atStart);

} // namespace moec::run

#endif // MOEC_TOOLS_MOE_RUN_STEPS_H
