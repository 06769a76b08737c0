// XXH3 hashes of bytes, 64 and 128 bits, at once or as they come.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Hash.h"

// The whole of xxHash is compiled in here, so that nothing has to be linked.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdio>

namespace moec::weights {

namespace {

std::span<const uint8_t> bytesOf(std::string_view text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

Hash128 fromXxh(XXH128_hash_t hash) { return {hash.high64, hash.low64}; }

} // namespace

uint64_t hash64(std::span<const uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t hash64(std::string_view text) { return hash64(bytesOf(text)); }

Hash128 hash128(std::span<const uint8_t> bytes) {
  return fromXxh(XXH3_128bits(bytes.data(), bytes.size()));
}

Hash128 hash128(std::string_view text) { return hash128(bytesOf(text)); }

std::string hashText(uint64_t hash) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx",
                static_cast<unsigned long long>(hash));
  return text;
}

std::string hashText(const Hash128 &hash) {
  return hashText(hash.high) + hashText(hash.low);
}

std::optional<uint64_t> hash64FromText(std::string_view text) {
  if (text.size() != 16)
    return std::nullopt;
  uint64_t hash = 0;
  for (char c : text) {
    unsigned digit = 0;
    if (c >= '0' && c <= '9')
      digit = unsigned(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = unsigned(c - 'a' + 10);
    else
      return std::nullopt;
    hash = hash << 4 | digit;
  }
  return hash;
}

std::optional<Hash128> hash128FromText(std::string_view text) {
  if (text.size() != 32)
    return std::nullopt;
  std::optional<uint64_t> high = hash64FromText(text.substr(0, 16));
  std::optional<uint64_t> low = hash64FromText(text.substr(16));
  if (!high || !low)
    return std::nullopt;
  return Hash128{*high, *low};
}

/// One state serves both widths: XXH3 folds them from the same accumulators.
struct StreamingHash::State {
  XXH3_state_t xxh;
};

StreamingHash::StreamingHash() : state(std::make_unique<State>()) { reset(); }
StreamingHash::StreamingHash(StreamingHash &&) noexcept = default;
StreamingHash &StreamingHash::operator=(StreamingHash &&) noexcept = default;
StreamingHash::~StreamingHash() = default;

void StreamingHash::update(std::span<const uint8_t> bytes) {
  // Neither fails but for a null state; empty spans may have a null pointer.
  if (!bytes.empty())
    XXH3_64bits_update(&state->xxh, bytes.data(), bytes.size());
}

void StreamingHash::update(std::string_view text) { update(bytesOf(text)); }

uint64_t StreamingHash::digest64() const {
  return XXH3_64bits_digest(&state->xxh);
}

Hash128 StreamingHash::digest128() const {
  return fromXxh(XXH3_128bits_digest(&state->xxh));
}

void StreamingHash::reset() { XXH3_64bits_reset(&state->xxh); }

} // namespace moec::weights
