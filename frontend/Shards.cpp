// The weight files of a checkpoint: one, or shards that an index names.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/Shards.h"

#include "weights/File.h"
#include "weights/Json.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

namespace moec::frontend {

using weights::Error;
using weights::JsonValue;
using weights::MappedFile;
using weights::parseJson;
using weights::quote;
using weights::Result;
using weights::SafetensorsFile;
using weights::Status;
using weights::success;
using weights::TensorRecord;

/// Names that a message lists before it says how many more there are.
static constexpr size_t namesInMessages = 4;

std::string someNames(const std::vector<std::string> &names, size_t count) {
  std::string text;
  size_t given = std::min(names.size(), namesInMessages);
  for (size_t i = 0; i < given; ++i)
    text += (i == 0 ? "" : ", ") + quote(names[i]);
  if (count > given)
    text += " and " + std::to_string(count - given) + " more";
  return text;
}

Result<ShardIndex> parseShardIndex(const std::string &name,
                                   std::string_view text) {
  // An index has a value for each tensor and little else.
  Result<JsonValue> root =
      parseJson(name, text,
                {.bytes = weights::safetensorsMaxHeaderBytes,
                 .values = weights::safetensorsMaxTensors + 1024});
  if (!root)
    return Error{root.error()};
  JsonValue *map = const_cast<JsonValue *>(root->member("weight_map"));
  if (!map || map->kind != JsonValue::Kind::Object)
    return Error{name + ": expected an object weight_map, found " +
                 (map ? describe(*map) : "none")};

  ShardIndex index;
  for (size_t i = 0; i < map->items.size(); ++i) {
    const JsonValue &file = map->items[i];
    if (file.kind != JsonValue::Kind::String)
      return Error{name + ": tensor " + quote(map->keys[i]) +
                   ": expected the name of a file, found " + describe(file)};
    // An index must not reach outside its folder.
    if (file.string.empty() || file.string.find('/') != std::string::npos ||
        file.string.find('\0') != std::string::npos || file.string == "." ||
        file.string == "..")
      return Error{name + ": tensor " + quote(map->keys[i]) +
                   ": expected the name of a file in this folder, found " +
                   quote(file.string)};
    index.files.push_back(file.string);
    // Tensors come in runs of one file: few names are kept.
    if (index.files.size() > 1 &&
        index.files.back() == *(index.files.end() - 2))
      index.files.pop_back();
  }
  std::sort(index.files.begin(), index.files.end());
  index.files.erase(std::unique(index.files.begin(), index.files.end()),
                    index.files.end());
  if (index.files.empty())
    return Error{name + ": expected tensors in weight_map, found none"};
  if (index.files.size() > mostShards)
    return Error{name + ": expected at most " + std::to_string(mostShards) +
                 " files in weight_map, found " +
                 std::to_string(index.files.size())};
  index.entries.reserve(map->items.size());
  for (size_t i = 0; i < map->items.size(); ++i) {
    auto file = std::lower_bound(index.files.begin(), index.files.end(),
                                 map->items[i].string);
    index.entries.push_back(
        {std::move(map->keys[i]), uint32_t(file - index.files.begin())});
  }
  std::sort(index.entries.begin(), index.entries.end(),
            [](const auto &l, const auto &r) { return l.tensor < r.tensor; });
  return index;
}

/// That index and files agree on where each tensor is.
static Status checkIndex(const std::string &path, const ShardIndex &index,
                         const std::vector<Shard> &shards) {
  auto refuse = [&](const std::string &message) {
    return Error{path + ": " + message};
  };
  /// A tensor in a file that the index does not name for it.
  struct Stray {
    size_t entry;
    size_t file;
  };
  std::vector<bool> found(index.entries.size(), false);
  std::optional<Stray> stray;
  std::vector<std::string> extra;
  size_t extras = 0;
  for (size_t file = 0; file < shards.size(); ++file) {
    for (const TensorRecord &tensor : shards[file].file.tensors()) {
      auto entry = std::lower_bound(
          index.entries.begin(), index.entries.end(), tensor.name,
          [](const auto &l, const std::string &r) { return l.tensor < r; });
      if (entry == index.entries.end() || entry->tensor != tensor.name) {
        if (extras++ < namesInMessages)
          extra.push_back(tensor.name);
        continue;
      }
      size_t number = size_t(entry - index.entries.begin());
      if (entry->file == file)
        found[number] = true;
      else if (!stray)
        stray = Stray{number, file};
    }
  }
  if (stray) {
    const ShardIndex::Entry &entry = index.entries[stray->entry];
    return refuse(
        "tensor " + quote(entry.tensor) + ": expected it in " +
        quote(index.files[entry.file]) +
        (found[stray->entry] ? " alone, found it also in " : ", found it in ") +
        quote(shards[stray->file].name));
  }
  std::vector<std::string> missing;
  size_t missings = 0;
  for (size_t i = 0; i < found.size(); ++i)
    if (!found[i] && missings++ < namesInMessages)
      missing.push_back(index.entries[i].tensor);
  if (missings != 0)
    return refuse("expected each tensor in the file named for it, found none "
                  "of " +
                  someNames(missing, missings));
  if (extras != 0)
    return refuse("expected every tensor of its files in weight_map, found no "
                  "entry for " +
                  someNames(extra, extras));
  return success();
}

static Result<Shard> openShard(const std::string &directory,
                               const std::string &name) {
  Result<SafetensorsFile> file = SafetensorsFile::open(directory + "/" + name);
  if (!file)
    return Error{file.error()};
  return Shard{name, *std::move(file)};
}

Result<std::vector<Shard>> openShards(const std::string &directory) {
  std::error_code code;
  std::vector<Shard> shards;
  // transformers, too, takes the single file first.
  if (std::filesystem::exists(directory + "/" + weightsFileName, code)) {
    Result<Shard> shard = openShard(directory, weightsFileName);
    if (!shard)
      return Error{shard.error()};
    shards.push_back(*std::move(shard));
    return shards;
  }
  std::string path = directory + "/" + indexFileName;
  if (!std::filesystem::exists(path, code))
    return Error{directory + ": expected " + weightsFileName + " or " +
                 indexFileName + ", found neither"};
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return Error{file.error()};
  Result<ShardIndex> index = parseShardIndex(
      path, {reinterpret_cast<const char *>(file->bytes().data()),
             file->bytes().size()});
  if (!index)
    return Error{index.error()};
  for (const std::string &name : index->files) {
    if (!std::filesystem::exists(directory + "/" + name, code))
      return Error{path + ": expected the file " + quote(name) +
                   " that it names, found none"};
    Result<Shard> shard = openShard(directory, name);
    if (!shard)
      return Error{shard.error()};
    shards.push_back(*std::move(shard));
  }
  if (Status status = checkIndex(path, *index, shards); !status)
    return Error{status.error()};
  return shards;
}

} // namespace moec::frontend
