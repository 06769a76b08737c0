// What is said of many times of one thing: median, least, spread, ratios.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Statistics.h"

#include <algorithm>
#include <cmath>

namespace moec::bench {

double quantile(std::vector<double> values, double q) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  double place = q * double(values.size() - 1);
  size_t below = size_t(place);
  size_t above = std::min(below + 1, values.size() - 1);
  return values[below] +
         (place - double(below)) * (values[above] - values[below]);
}

double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

Summary summarize(std::span<const double> values) {
  std::vector<double> all(values.begin(), values.end());
  return {median(all), quantile(all, 0),
          quantile(all, 0.75) - quantile(all, 0.25), all.size()};
}

double medianRatio(std::span<const double> times,
                   std::span<const double> baseline) {
  if (times.size() != baseline.size())
    return 0;
  std::vector<double> ratios;
  for (size_t i = 0; i < times.size(); ++i)
    ratios.push_back(times[i] / baseline[i]);
  return median(std::move(ratios));
}

} // namespace moec::bench
