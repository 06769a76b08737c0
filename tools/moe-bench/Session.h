// A run of moe-bench: problems, contenders in turn, and what they took.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_SESSION_H
#define MOEC_TOOLS_MOE_BENCH_SESSION_H

#include "tools/moe-bench/Contender.h"
#include "tools/moe-bench/Measurement.h"
#include "tools/moe-bench/Options.h"

namespace moec::bench {

/// Copies of all contenders' weights: as many as it takes to read `cache` bytes
/// and a quarter between two uses of a copy, when a round reads `touched`
/// bytes; no more than what `memory` bytes hold of `resident` bytes.
size_t copiesFor(uint64_t cache, double touched, uint64_t resident,
                 uint64_t memory);

/// Runs what the options ask for and prints it as it comes. Measurements that
/// were made before something failed are kept.
weights::Status run(const Options &options,
                    std::vector<Measurement> &measurements);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_SESSION_H
