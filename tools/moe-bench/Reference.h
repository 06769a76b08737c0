// A plain solution in f64, of some tokens: no result is believed without it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_REFERENCE_H
#define MOEC_TOOLS_MOE_BENCH_REFERENCE_H

#include "tools/moe-bench/Contender.h"

namespace moec::bench {

/// How far the contender's last output, for this routing, is from the plain
/// solution with the contender's own weights: the largest difference, in terms
/// of the root of the mean square. Looks at up to three tokens. An error if a
/// router chose other experts, or weights cannot be found.
weights::Result<double> measureError(const Problem &problem,
                                     const Contender &contender,
                                     const Inputs &inputs, size_t routing);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_REFERENCE_H
