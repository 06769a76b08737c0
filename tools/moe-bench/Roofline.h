// What a problem needs at least: bytes and operations, and their time.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_ROOFLINE_H
#define MOEC_TOOLS_MOE_BENCH_ROOFLINE_H

#include "tools/moe-bench/Machine.h"
#include "tools/moe-bench/Routing.h"
#include "tools/moe-bench/Suite.h"

namespace moec::bench {

/// Bytes that are read or written once, and f32 operations.
struct Needs {
  double bytes = 0;
  double flops = 0;
};

/// What `tokens` tokens need, given what they hit. Of compressed layers by the
/// algebra that computes a base once for each token and cluster. Libraries hold
/// weights as f32. weights/CostModel.h has the algebra, bench/README.md the
/// formulas.
Needs needsOf(const Problem &problem, const ContenderSpec &contender,
              int64_t tokens, const Hits &hits);

/// No program is faster, at these rates.
double rooflineSeconds(const Needs &needs, const Rates &rates);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_ROOFLINE_H
