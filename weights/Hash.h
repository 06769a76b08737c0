// XXH3 hashes of bytes, 64 and 128 bits, at once or as they come.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_HASH_H
#define MOEC_WEIGHTS_HASH_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace moec::weights {

/// A hash of 128 bits.
struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;

  auto operator<=>(const Hash128 &) const = default;
};

/// XXH3 with 64 bits and seed 0. It finds accidents, not forgeries.
uint64_t hash64(std::span<const uint8_t> bytes);
uint64_t hash64(std::string_view text);

/// XXH3 with 128 bits and seed 0: wide enough to be a key of content.
Hash128 hash128(std::span<const uint8_t> bytes);
Hash128 hash128(std::string_view text);

/// As files hold hashes: 16 or 32 digits of lower-case hexadecimal, the highest
/// first; what xxhsum prints.
std::string hashText(uint64_t hash);
std::string hashText(const Hash128 &hash);

/// The inverse of hashText; nothing unless it is exactly that form.
std::optional<uint64_t> hash64FromText(std::string_view text);
std::optional<Hash128> hash128FromText(std::string_view text);

/// The same hashes of bytes that come in pieces.
class StreamingHash {
public:
  StreamingHash();
  StreamingHash(StreamingHash &&) noexcept;
  StreamingHash &operator=(StreamingHash &&) noexcept;
  ~StreamingHash();

  void update(std::span<const uint8_t> bytes);
  void update(std::string_view text);

  /// Of all bytes so far; more may follow.
  uint64_t digest64() const;
  Hash128 digest128() const;

  /// As if no byte had come.
  void reset();

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace moec::weights

#endif // MOEC_WEIGHTS_HASH_H
