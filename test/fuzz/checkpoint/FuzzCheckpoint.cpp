// Fuzz entry of the front end: what it accepts must be readable to the end.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// An input is config.json, and behind zero bytes an index and a family file.
// They meet the same weight files each time: those of small checkpoints.
#include "frontend/Checkpoint.h"
#include "frontend/ModelConfig.h"
#include "frontend/Shards.h"

#include "test/unit/frontend/SyntheticCheckpoint.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace moec::frontend;
using namespace moec::test;
using namespace moec::weights;

namespace {

/// A folder with shards, without config and index.
const TemporaryFolder &folderOfShards() {
  static TemporaryFolder folder;
  static bool isWritten = false;
  if (!isWritten) {
    isWritten = true;
    SyntheticCheckpoint("qwen3_moe").writeShards(folder, 2);
    SyntheticCheckpoint::writeTensors(
        folder.file("stacked.safetensors"),
        SyntheticCheckpoint("mixtral", true).tensors);
  }
  return folder;
}

template <typename T> bool isAccepted(const Result<T> &result) {
  if (!result && result.error().empty())
    std::abort();
  return bool(result);
}

void readEverything(const Checkpoint &checkpoint) {
  std::shared_ptr<const TensorSource> source = checkpoint.source();
  if (checkpoint.layers().empty() || checkpoint.description().empty())
    std::abort();
  for (const MoELayer &layer : checkpoint.layers()) {
    int64_t d = layer.hidden, f = layer.intermediate, e = layer.experts;
    const std::pair<const char *, std::vector<int64_t>> roles[] = {
        {"router", {d, e}},
        {"gate", {e, d, f}},
        {"up", {e, d, f}},
        {"down", {e, f, d}}};
    for (const auto &[role, shape] : roles) {
      auto matrices = source->openMatrices(
          "fuzz", "layers." + std::to_string(layer.index) + "." + role, shape);
      if (!isAccepted(matrices) || !readAll(**matrices))
        std::abort();
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view rest(reinterpret_cast<const char *>(data), size);
  std::string_view parts[3];
  for (std::string_view &part : parts) {
    part = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  }
  auto [config, index, familyText] = parts;

  static const std::vector<Family> families =
      *loadFamilies(*installedFamilies());
  Result<JsonValue> json = parseJson("fuzz", config);
  if (!isAccepted(json))
    return 0;
  Result<Family> family = parseFamily("fuzz", familyText);
  if (isAccepted(family))
    isAccepted(readModelConfig("fuzz", *json, *family));
  Result<const Family *> selected = selectFamily("fuzz", *json, families);
  // Files are written only for what has passed by itself: they take most of the
  // time.
  if (!isAccepted(parseShardIndex("fuzz", index)) || !isAccepted(selected) ||
      !isAccepted(readModelConfig("fuzz", *json, **selected)))
    return 0;

  const TemporaryFolder &folder = folderOfShards();
  folder.write("config.json", std::string(config));
  folder.write("model.safetensors.index.json", std::string(index));
  Result<Checkpoint> checkpoint =
      Checkpoint::open(folder.path, {.families = "", .checkFinite = true});
  if (isAccepted(checkpoint))
    readEverything(*checkpoint);
  return 0;
}
