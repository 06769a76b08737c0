// How far the values of one tensor are from those of another.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_ARCHIVE_DIFFERENCE_H
#define MOEC_TOOLS_MOE_ARCHIVE_DIFFERENCE_H

#include <cstdint>
#include <span>
#include <string>

namespace moec::archive {

/// Places where both are NaN count as equal; where only one is, or infinities
/// differ, the errors are infinite.
struct Difference {
  /// max |a - b|
  double absolute = 0;
  /// max |a - b| / max |a|, over finite a
  double relative = 0;
  /// sqrt(sum (a - b)^2 / sum a^2), over finite a
  double rms = 0;
};

/// Compares as many values a as there are of b.
Difference compare(std::span<const double> a, std::span<const double> b);

/// "max abs 0.5 max rel 0.1 rms rel 0.02".
std::string describe(const Difference &difference);

} // namespace moec::archive

#endif // MOEC_TOOLS_MOE_ARCHIVE_DIFFERENCE_H
