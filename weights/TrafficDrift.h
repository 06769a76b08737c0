// How far traffic has moved from what it was.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// docs/regrouping.md states the formulas.
#ifndef MOEC_WEIGHTS_TRAFFICDRIFT_H
#define MOEC_WEIGHTS_TRAFFICDRIFT_H

#include "weights/Profile.h"
#include "weights/Result.h"

#include <algorithm>

namespace moec::weights {

/// Each from 0, nothing has changed, to 1 (`inputs`: to 2).
struct TrafficDrift {
  /// Total variation between the shares of choices: which part of them would
  /// have to go to other experts.
  double load = 0;
  /// The same of pairs of experts that tokens choose together.
  double pairs = 0;
  /// Mean over choices of 1 - cos between the moving centroids of the expert's
  /// inputs, then and now; experts that either never saw do not count.
  double inputs = 0;

  double largest() const { return std::max({load, pairs, inputs}); }
};

/// Of one layer. Refuses layers that differ in experts or width. Where one of
/// the two saw no token there is no drift to be seen: all are 0.
Result<TrafficDrift> driftBetween(const LayerProfile &then,
                                  const LayerProfile &now);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_TRAFFICDRIFT_H
