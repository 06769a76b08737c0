// Which base leaves its slot.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Eviction.h"

#include <algorithm>
#include <cmath>

using namespace moec::residency;

uint32_t moec::residency::turnsUntil(Extents extents, uint64_t turn,
                                     uint32_t layer) {
  uint32_t now = uint32_t(turn % extents.layers);
  return layer > now ? layer - now : layer + extents.layers - now;
}

void LeastFrequentlyUsed::used(Unit unit, uint64_t turn) {
  uses[unit] = {worth(unit, turn) + 1, turn};
}

double LeastFrequentlyUsed::worth(Unit unit, uint64_t turn) const {
  const Uses &own = uses[unit];
  return own.count * std::exp2(-double(turn - own.turn) / halfLife);
}

double LatestNextUse::worth(Unit unit, uint64_t turn) const {
  // Never met yet is not never.
  constexpr double leastChance = 1e-6;
  uint32_t layer = unit / extents.clusters;
  double chance =
      std::max(predictor.chance(layer, unit % extents.clusters), leastChance);
  return -(turnsUntil(extents, turn, layer) +
           extents.layers * (1 / chance - 1));
}
