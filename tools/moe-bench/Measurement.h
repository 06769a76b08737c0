// One line of a result: who solved what in which time, and what it needed. As
// JSON, CSV and Markdown. bench/README.md lists the fields.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_MEASUREMENT_H
#define MOEC_TOOLS_MOE_BENCH_MEASUREMENT_H

#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moec::bench {

/// Numbers that are not known are 0, and not printed in tables.
struct Measurement {
  std::string suite;
  std::string problem;
  std::string contender;
  /// The contender that ratios are to.
  std::string baseline;
  /// "uniform", or "zipf 1.2".
  std::string routing;
  int64_t tokens = 0;
  int64_t threads = 1;
  int64_t rounds = 0;
  double median = 0;
  double least = 0;
  double spread = 0;
  /// The baseline's time in terms of this one's: above 1 is faster.
  double speedup = 0;
  double bytes = 0;
  double flops = 0;
  double expertsHit = 0;
  double clustersHit = 0;
  double roofline = 0;
  /// What all copies of the weights take together.
  double rotatedBytes = 0;
  /// Largest error of checked tokens; below 0: nothing was checked.
  double error = -1;
  /// The machine's rates that the roofline is of.
  double bytesPerSecond = 0;
  double flopsPerSecond = 0;
};

/// One JSON object in one line.
std::string toJson(const Measurement &measurement);

/// Reads what toJson writes, an object in each line; `name` stands in messages.
weights::Result<std::vector<Measurement>>
parseMeasurements(const std::string &name, std::string_view text);

/// Makes one of those that are of the same thing: problems in the order of
/// their first, and in a problem by tokens; medians of medians and of speedups,
/// the least of all. A contender of another program gets its speedup over the
/// baseline's merged median.
std::vector<Measurement> merge(std::span<const Measurement> measurements);

std::string toCsv(std::span<const Measurement> measurements);

/// A table for each problem, number of threads and routing.
std::string toMarkdown(std::span<const Measurement> measurements);

/// "1.25 ms".
std::string describeSeconds(double seconds);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_MEASUREMENT_H
