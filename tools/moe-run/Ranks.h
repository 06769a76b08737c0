// Ranks that share the clusters of an artifact's layers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_RUN_RANKS_H
#define MOEC_TOOLS_MOE_RUN_RANKS_H

#include "tools/moe-run/Options.h"
#include "weights/Result.h"

namespace moec::run {

/// Whether an MPI launcher started this process as one of several.
bool isLaunched();

/// Runs steps on every rank, each on inputs of its own: options.ranks of them
/// in threads, or this process's among an MPI launcher's. Prints what they came
/// to, a rank's lines behind its number, and what they sent; with another
/// artifact, which each runs by itself, how far its outputs are.
weights::Status runRanks(const Options &options);

} // namespace moec::run

#endif // MOEC_TOOLS_MOE_RUN_RANKS_H
