// Times against tokens and their bound, as a picture.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_PLOT_H
#define MOEC_TOOLS_MOE_BENCH_PLOT_H

#include "tools/moe-bench/Measurement.h"

namespace moec::bench {

/// An SVG: a panel for each problem, number of threads and routing; both axes
/// logarithmic; a line for each contender, and its bound in dashes.
std::string toSvg(std::span<const Measurement> measurements);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_PLOT_H
