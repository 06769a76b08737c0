// What is said of many times of one thing: median, least, spread, ratios.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_STATISTICS_H
#define MOEC_TOOLS_MOE_BENCH_STATISTICS_H

#include <span>
#include <vector>

namespace moec::bench {

/// The quantile `q` in [0, 1] of some values, interpolated linearly between
/// neighbours; 0 of none.
double quantile(std::vector<double> values, double q);

double median(std::vector<double> values);

/// How the times of one contender lie.
struct Summary {
  double median = 0;
  double least = 0;
  /// The middle half: third quartile less the first.
  double spread = 0;
  std::size_t rounds = 0;
};

Summary summarize(std::span<const double> values);

/// The median of times[i] / baseline[i]: what moves both in a round, such as
/// another program or the clock, cancels. 0 unless both have as many.
double medianRatio(std::span<const double> times,
                   std::span<const double> baseline);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_STATISTICS_H
