// Values made from a seed: docs/spec.md section 2.1.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_SEEDED_H
#define MOEC_WEIGHTS_SEEDED_H

#include <cstdint>
#include <string_view>
#include <vector>

namespace moec::weights {

/// The 32 random bits behind element `n`, counted modulo 2^32.
uint32_t seededBits(uint32_t seed, uint64_t n);

/// Element `n`, in [-scale, scale).
float seededValue(uint32_t seed, uint64_t n, double scale = 1.0);

/// Elements 0 to count-1, row-major over the tensor they fill.
std::vector<float> seededValues(uint32_t seed, int64_t count,
                                double scale = 1.0);

/// The seed of the tensor `key` where one seed serves many tensors: the seed
/// xor the key's 32-bit FNV-1a hash.
uint32_t seedForKey(uint32_t seed, std::string_view key);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_SEEDED_H
