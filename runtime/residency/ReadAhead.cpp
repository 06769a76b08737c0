// Which bases to read before a step asks for them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/ReadAhead.h"

#include <algorithm>

using namespace moec::residency;

ReadAhead::ReadAhead(Extents extents, const Eviction &eviction,
                     const Predictor &predictor)
    : extents(extents), eviction(eviction), predictor(predictor) {
  found.reserve(extents.clusters);
}

bool ReadAhead::pays(const Residency &residency, Unit unit, uint32_t slot,
                     uint64_t turn, const ReadCosts &costs) const {
  Unit leaving = residency.occupants()[slot];
  double chanceOfVictim = leaving == noUnit ? 0 : chanceOf(leaving);
  double lead =
      turnsUntil(extents, turn, extents.layerOf(unit)) * costs.layerSeconds;
  return paysToFetch(chanceOf(unit), lead, costs.readSeconds, chanceOfVictim,
                     costs.busyPart);
}

std::span<const Unit> ReadAhead::unitsWorthReading(const Residency &residency,
                                                   uint32_t ahead,
                                                   uint64_t turn,
                                                   const ReadCosts &costs) {
  found.clear();
  std::optional<uint32_t> slot = residency.slotToTake(eviction, turn);
  if (!slot)
    return found;
  Unit first = extents.unitOf((turn + ahead) % extents.layers, 0);
  for (Unit unit = first; unit < first + extents.clusters; ++unit)
    if (residency.isAbsent(unit) && chanceOf(unit) > 0 &&
        pays(residency, unit, *slot, turn, costs))
      found.push_back(unit);
  std::sort(found.begin(), found.end(), [&](Unit a, Unit b) {
    return std::pair(-chanceOf(a), a) < std::pair(-chanceOf(b), b);
  });
  return found;
}
