// How far the values of one tensor are from those of another.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-archive/Difference.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>

namespace moec::archive {

namespace {

/// part / whole, where nothing of nothing is nothing.
double ratio(double part, double whole) { return part == 0 ? 0 : part / whole; }

} // namespace

Difference compare(std::span<const double> a, std::span<const double> b) {
  Difference difference;
  double largest = 0;
  bool isApart = false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isfinite(a[i]))
      largest = std::max(largest, std::abs(a[i]));
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))
      continue;
    double apart = std::abs(a[i] - b[i]);
    isApart |= !std::isfinite(apart);
    difference.absolute = std::max(difference.absolute, apart);
  }
  if (isApart) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    return {infinity, infinity, infinity};
  }
  difference.relative = ratio(difference.absolute, largest);
  // In units of the largest value, so that squares stay in range.
  double unit = largest > 0 ? largest : 1;
  double squares = 0, squaredErrors = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]))
      continue;
    double error = (a[i] - b[i]) / unit;
    squares += (a[i] / unit) * (a[i] / unit);
    squaredErrors += error * error;
  }
  difference.rms = std::sqrt(ratio(squaredErrors, squares));
  return difference;
}

std::string describe(const Difference &difference) {
  char text[128];
  std::snprintf(text, sizeof text, "max abs %.3g max rel %.3g rms rel %.3g",
                difference.absolute, difference.relative, difference.rms);
  return text;
}

} // namespace moec::archive
