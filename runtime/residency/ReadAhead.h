// Which bases to read before a step asks for them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_RESIDENCY_READAHEAD_H
#define MOEC_RUNTIME_RESIDENCY_READAHEAD_H

#include "runtime/residency/Residency.h"

namespace moec::residency {

/// What time reads and steps take, as far as it is known.
struct ReadCosts {
  /// A step of a layer whose bases are all there.
  double layerSeconds = 0;
  double readSeconds = 0;
  /// Of the time so far, that in which the link was busy.
  double busyPart = 0;
};

/// Weighs reads ahead of time by paysToFetch. Nothing allocates after the
/// constructor. Not for several threads at once.
class ReadAhead {
public:
  /// Both have to outlive it.
  ReadAhead(Extents extents, const Eviction &eviction,
            const Predictor &predictor);

  /// Whether to read the unit into the slot, whose occupant then leaves.
  bool pays(const Residency &residency, Unit unit, uint32_t slot, uint64_t turn,
            const ReadCosts &costs) const;

  /// The absent units of the layer `ahead` turns later that it pays to read,
  /// the likeliest first. Valid until it is asked again.
  std::span<const Unit> unitsWorthReading(const Residency &residency,
                                          uint32_t ahead, uint64_t turn,
                                          const ReadCosts &costs);

private:
  double chanceOf(Unit unit) const {
    return predictor.chance(unit / extents.clusters, unit % extents.clusters);
  }

  Extents extents;
  const Eviction &eviction;
  const Predictor &predictor;
  std::vector<Unit> found;
};

} // namespace moec::residency

#endif // MOEC_RUNTIME_RESIDENCY_READAHEAD_H
