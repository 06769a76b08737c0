// Which bases lie in which slots of a pool.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Residency.h"

using namespace moec::residency;

Residency::Residency(uint32_t units, uint32_t slots)
    : states(units, State::Absent), placeOf(units, 0), holders(units, 0),
      lastUse(units, 0), occupantOf(slots, noUnit) {}

std::optional<uint32_t> Residency::slotToTake(const Eviction &eviction,
                                              uint64_t turn) const {
  std::optional<uint32_t> found;
  double least = 0;
  for (uint32_t slot = 0; slot < occupantOf.size(); ++slot) {
    Unit unit = occupantOf[slot];
    if (unit == noUnit)
      return slot;
    if (!canLeave(unit))
      continue;
    double worth = eviction.worth(unit, turn);
    if (found && worth >= least)
      continue;
    found = slot;
    least = worth;
  }
  return found;
}

void Residency::load(Unit unit, uint32_t slot) {
  if (Unit before = occupantOf[slot]; before != noUnit)
    states[before] = State::Absent;
  occupantOf[slot] = unit;
  placeOf[unit] = slot;
  states[unit] = State::Loading;
}

void Residency::failed(Unit unit) {
  occupantOf[placeOf[unit]] = noUnit;
  states[unit] = State::Absent;
}

void Residency::evict(Unit unit) { failed(unit); }

Unit Residency::idleSince(uint64_t turn) const {
  for (Unit unit : occupantOf)
    if (unit != noUnit && canLeave(unit) && lastUse[unit] < turn)
      return unit;
  return noUnit;
}
