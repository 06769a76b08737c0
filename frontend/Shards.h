// The weight files of a checkpoint: one, or shards that an index names.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_FRONTEND_SHARDS_H
#define MOEC_FRONTEND_SHARDS_H

#include "weights/Result.h"
#include "weights/Safetensors.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moec::frontend {

/// An open weight file of a checkpoint.
struct Shard {
  /// Without folder.
  std::string name;
  weights::SafetensorsFile file;
};

inline constexpr char weightsFileName[] = "model.safetensors";
inline constexpr char indexFileName[] = "model.safetensors.index.json";

/// Most shards an index may name: each is mapped as long as the checkpoint is
/// open.
inline constexpr size_t mostShards = 4096;

/// What an index says, checked.
struct ShardIndex {
  /// Names of the files, ascending, each once.
  std::vector<std::string> files;
  struct Entry {
    std::string tensor;
    /// Number of its file.
    uint32_t file = 0;
  };
  /// By name of the tensor.
  std::vector<Entry> entries;
};

/// Parses model.safetensors.index.json. `name` stands in messages.
weights::Result<ShardIndex> parseShardIndex(const std::string &name,
                                            std::string_view text);

/// Opens all weight files of a folder: model.safetensors, or without it what
/// the index names, in the order of their names. Every tensor is in exactly
/// one of them, and with an index in the one it says.
weights::Result<std::vector<Shard>> openShards(const std::string &directory);

/// "'a', 'b' and 3 more", for messages about `count` names of which some are
/// given.
std::string someNames(const std::vector<std::string> &names, size_t count);

} // namespace moec::frontend

#endif // MOEC_FRONTEND_SHARDS_H
