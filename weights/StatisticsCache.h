// Results about weights, kept on disk by what they were computed from.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_STATISTICSCACHE_H
#define MOEC_WEIGHTS_STATISTICSCACHE_H

#include "weights/Hash.h"
#include "weights/MatrixSource.h"
#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace moec::weights {

/// XXH3-128 of the sources' shapes and values (as f32, in their own order) and
/// of `options`, which names the computation and all that it depends on.
/// Sources of the same content have the same hash, whatever their names.
Result<Hash128>
contentHash(std::span<const std::shared_ptr<const MatrixSource>> sources,
            std::string_view options);

/// An array under a name. Its values fill the shape.
struct NamedArray {
  std::string name;
  std::vector<int64_t> shape;
  std::variant<std::vector<double>, std::vector<int32_t>> values;

  bool operator==(const NamedArray &) const = default;
};

/// Most arrays and most bytes of one entry.
inline constexpr size_t statisticsMaxArrays = 64;
inline constexpr uint64_t statisticsMaxEntryBytes = uint64_t(1) << 28;

/// A directory of results: one safetensors file `<key>.safetensors` for each.
/// Threads and processes may share a directory: entries appear whole.
class StatisticsCache {
public:
  /// Opens a directory, made if it does not exist. Entries longest not written
  /// are removed when all together exceed `maxBytes`.
  static Result<StatisticsCache> open(const std::string &directory,
                                      uint64_t maxBytes = uint64_t(1) << 32);

  /// What was put under the key, in its order; nothing if there is none, or if
  /// the file is corrupt, too large, or somebody else's.
  std::optional<std::vector<NamedArray>> get(const Hash128 &key) const;

  /// Puts arrays under a key, in place of whatever is there.
  Status put(const Hash128 &key, std::span<const NamedArray> arrays) const;

  const std::string &directory() const { return path; }

private:
  StatisticsCache(std::string directory, uint64_t maxBytes)
      : path(std::move(directory)), maxBytes(maxBytes) {}

  std::string pathOf(const Hash128 &key) const;
  void evict(const std::string &kept) const;

  std::string path;
  uint64_t maxBytes;
};

} // namespace moec::weights

#endif // MOEC_WEIGHTS_STATISTICSCACHE_H
