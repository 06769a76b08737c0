// Values made from a seed: docs/spec.md section 2.1.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Seeded.h"

namespace moec::weights {

uint32_t seededBits(uint32_t seed, uint64_t n) {
  uint32_t h = seed * 0x9E3779B9u + uint32_t(n) * 0x85EBCA6Bu + 0x27D4EB2Fu;
  h ^= h >> 16;
  h *= 0x7FEB352Du;
  h ^= h >> 15;
  h *= 0x846CA68Bu;
  h ^= h >> 16;
  return h;
}

float seededValue(uint32_t seed, uint64_t n, double scale) {
  return float(scale * (double(seededBits(seed, n) >> 8) * 0x1p-23 - 1.0));
}

std::vector<float> seededValues(uint32_t seed, int64_t count, double scale) {
  std::vector<float> values;
  values.reserve(size_t(count));
  for (int64_t n = 0; n < count; ++n)
    values.push_back(seededValue(seed, uint64_t(n), scale));
  return values;
}

uint32_t seedForKey(uint32_t seed, std::string_view key) {
  uint32_t hash = 2166136261u;
  for (char c : key)
    hash = (hash ^ uint8_t(c)) * 16777619u;
  return seed ^ hash;
}

} // namespace moec::weights
