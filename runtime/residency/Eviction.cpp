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
  uint32_t layer = extents.layerOf(unit);
  double chance =
      std::max(predictor.chance(layer, extents.clusterOf(unit)), leastChance);
  return -(turnsUntil(extents, turn, layer) +
           extents.layers * (1 / chance - 1));
}

std::unique_ptr<Eviction>
moec::residency::makeEviction(std::string_view name, Extents extents,
                              const Predictor &predictor) {
  // In steps: long beside what a request meets again, short beside requests.
  constexpr double halfLife = 32;
  if (name == "lru")
    return std::make_unique<LeastRecentlyUsed>(extents.units());
  if (name == "lfu")
    return std::make_unique<LeastFrequentlyUsed>(extents.units(),
                                                 halfLife * extents.layers);
  if (name == "next_use")
    return std::make_unique<LatestNextUse>(extents, predictor);
  return nullptr;
}

std::vector<std::string_view> moec::residency::evictionNames() {
  return {"lru", "lfu", "next_use"};
}
