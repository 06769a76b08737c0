// Checkpoints as the Hugging Face hub has them: their MoE layers and weights.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Opening goes from what a config says to what the files hold: sizes and layers
// from config.json, then a layout of the family's, then a place for each tensor
// of it. What is left open or left over is an error; from there on every place
// is filled and has the right shape and type.
#include "frontend/Checkpoint.h"

#include "frontend/CheckpointContents.h"
#include "weights/File.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

namespace moec::frontend {

using weights::ElementType;
using weights::elementTypeName;
using weights::Error;
using weights::Hash128;
using weights::JsonValue;
using weights::MappedFile;
using weights::MatrixShape;
using weights::parseJson;
using weights::quote;
using weights::Result;
using weights::shapeToString;
using weights::Status;
using weights::StreamingHash;
using weights::success;
using weights::TensorRecord;

std::optional<Holder> findHolder(const FamilyLayout &layout, Role role) {
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const std::vector<Role> &holds = layout.tensors[i].holds;
    auto place = std::find(holds.begin(), holds.end(), role);
    if (place != holds.end())
      return Holder{i, size_t(place - holds.begin())};
  }
  return std::nullopt;
}

bool isOfExperts(Role role) {
  return role == Role::Gate || role == Role::Up || role == Role::Down;
}

int64_t Checkpoint::Contents::extent(const FamilyTensor &tensor,
                                     Axis axis) const {
  switch (axis) {
  case Axis::Experts:
    return config.experts;
  case Axis::Hidden:
    return config.hidden;
  case Axis::Intermediate:
    return config.intermediate * int64_t(tensor.holds.size());
  case Axis::SharedIntermediate:
    return config.sharedIntermediate * int64_t(tensor.holds.size());
  case Axis::One:
    return 1;
  }
  return 0;
}

std::vector<int64_t>
Checkpoint::Contents::storedShape(const FamilyTensor &tensor) const {
  std::vector<int64_t> shape;
  for (Axis axis : tensor.axes)
    shape.push_back(extent(tensor, axis));
  return shape;
}

MatrixShape Checkpoint::Contents::matrixShape(Role role) const {
  int64_t entries = isOfExperts(role) ? config.experts : 1;
  auto [in, out] = matrixAxes(role);
  FamilyTensor alone;
  alone.holds = {role};
  return {entries, extent(alone, in), extent(alone, out)};
}

//===----------------------------------------------------------------------===//
// Opening
//===----------------------------------------------------------------------===//

Status Checkpoint::Contents::open(const CheckpointOptions &options) {
  std::error_code code;
  if (!std::filesystem::is_directory(directory, code))
    return Error{
        directory + ": expected the directory of a checkpoint, found " +
        (std::filesystem::exists(directory, code) ? "a file" : "nothing")};
  std::string path = directory + "/config.json";
  if (!std::filesystem::exists(path, code))
    return Error{directory + ": expected config.json in it, found none"};
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return Error{file.error()};
  configText.assign(file->bytes().begin(), file->bytes().end());
  Result<JsonValue> json = parseJson(path, configText);
  if (!json)
    return Error{json.error()};

  std::string folder = options.families;
  if (folder.empty()) {
    Result<std::string> installed = installedFamilies();
    if (!installed)
      return Error{installed.error()};
    folder = *installed;
  }
  Result<std::vector<Family>> families = loadFamilies(folder);
  if (!families)
    return Error{families.error()};
  Result<const Family *> selected = selectFamily(path, *json, *families);
  if (!selected)
    return Error{selected.error()};
  family = **selected;
  Result<ModelConfig> read = readModelConfig(path, *json, family);
  if (!read)
    return Error{read.error()};
  config = *std::move(read);

  Result<std::vector<Shard>> opened = openShards(directory);
  if (!opened)
    return Error{opened.error()};
  shards = *std::move(opened);
  quantized.emplace(shards);
  for (Status (Contents::*step)() :
       {&Contents::chooseLayout, &Contents::placeTensors,
        &Contents::describeLayers})
    if (Status status = (this->*step)(); !status)
      return status;
  measure();
  return options.checkFinite ? checkFinite() : success();
}

/// The layout that most tensors fit; of equals the first.
Status Checkpoint::Contents::chooseLayout() {
  size_t most = 0, tensors = 0;
  for (const FamilyLayout &candidate : family.layouts) {
    size_t fitting = 0;
    tensors = 0;
    for (const Shard &shard : shards) {
      tensors += shard.file.tensors().size();
      for (const TensorRecord &record : shard.file.tensors())
        if (candidate.block.matchBeginning(record.name))
          for (const FamilyTensor &tensor : candidate.tensors)
            fitting += tensor.name.match(record.name).has_value();
    }
    if (fitting > most) {
      most = fitting;
      layout = &candidate;
    }
  }
  if (layout)
    return success();
  std::string examples;
  for (const FamilyLayout &candidate : family.layouts)
    examples +=
        (examples.empty() ? "" : " or ") +
        quote(candidate.tensors.front().name.name(config.moeLayers.front(), 0));
  return Error{directory + ": expected tensors of MoE blocks of " +
               family.name + ", such as " + examples + ", found none among " +
               std::to_string(tensors)};
}

Status Checkpoint::Contents::placeTensors() {
  places.resize(config.moeLayers.size());
  for (std::vector<std::vector<Place>> &layer : places)
    for (const FamilyTensor &tensor : layout->tensors)
      layer.emplace_back(tensor.name.hasExpert() ? size_t(config.experts) : 1);

  std::vector<std::string> unknown;
  for (const Shard &shard : shards) {
    for (const TensorRecord &record : shard.file.tensors()) {
      auto block = layout->block.matchBeginning(record.name);
      // Attention, norms, embeddings.
      if (!block)
        continue;
      auto layer = std::lower_bound(config.moeLayers.begin(),
                                    config.moeLayers.end(), block->layer);
      bool isMoE = layer != config.moeLayers.end() && *layer == block->layer;
      bool isKnown = false;
      for (size_t i = 0; i < layout->tensors.size() && !isKnown; ++i) {
        const FamilyTensor &tensor = layout->tensors[i];
        // Scales and the like are read with the codes that they belong to.
        std::string_view weight = quantized->weightOf(record.name);
        std::optional<NamePattern::Match> match =
            tensor.name.match(weight.empty() ? record.name : weight);
        if (!match)
          continue;
        isKnown = true;
        if (!weight.empty())
          break;
        auto refuse = [&](const std::string &message) {
          return Error{shard.file.path() + ": tensor " + quote(record.name) +
                       ": expected " + message};
        };
        if (!isMoE)
          return refuse("MoE blocks only in the layers that config.json says "
                        "(" +
                        std::to_string(config.moeLayers.size()) + " of " +
                        std::to_string(config.layers) + "), found layer " +
                        std::to_string(block->layer));
        if (match->expert >= config.experts)
          return refuse(std::to_string(config.experts) +
                        " experts, as config.json says, found expert " +
                        std::to_string(match->expert));
        size_t number = size_t(layer - config.moeLayers.begin());
        Result<Place> place = placeOf(shard, record);
        if (!place)
          return Error{place.error()};
        if (Status status = checkRecord(tensor, *place); !status)
          return status;
        places[number][i][size_t(std::max<int64_t>(match->expert, 0))] =
            *std::move(place);
      }
      // The block of a dense layer may go by the same name.
      if (!isKnown && isMoE)
        unknown.push_back(record.name);
    }
  }
  if (!unknown.empty()) {
    std::string known;
    for (const FamilyTensor &tensor : layout->tensors)
      known += (known.empty() ? "" : ", ") +
               tensor.name.text().substr(layout->block.text().size());
    return Error{directory + ": expected only " + known +
                 " in the MoE blocks of " + family.name + ", found " +
                 someNames(unknown, unknown.size())};
  }
  return checkPlaces();
}

Result<Place> Checkpoint::Contents::placeOf(const Shard &shard,
                                            const TensorRecord &record) const {
  Place place{&shard, &record, nullptr};
  if (!quantized->isCodes(record.name))
    return place;
  Result<weights::Nf4Tensor> tensor = quantized->open(record.name);
  if (!tensor)
    return Error{tensor.error()};
  place.nf4 = std::make_shared<weights::Nf4Tensor>(*std::move(tensor));
  return place;
}

Status Checkpoint::Contents::checkRecord(const FamilyTensor &tensor,
                                         const Place &place) const {
  const TensorRecord &record = *place.tensor;
  auto refuse = [&](const std::string &message) {
    return Error{place.shard->file.path() + ": tensor " + quote(record.name) +
                 ": expected " + message};
  };
  std::span<const int64_t> shape = place.shape();
  bool fits = shape.size() == tensor.axes.size();
  for (size_t i = 0; fits && i < tensor.axes.size(); ++i)
    fits = shape[i] == extent(tensor, tensor.axes[i]);
  if (!fits)
    return refuse("shape " + shapeToString(storedShape(tensor)) +
                  ", as config.json says, found " + shapeToString(shape));
  ElementType type = place.type();
  if (type != ElementType::F32 && type != ElementType::BF16 &&
      type != ElementType::F16)
    return refuse("F32, BF16 or F16, found " +
                  std::string(elementTypeName(type)));
  return success();
}

/// That every place of every layer is filled.
Status Checkpoint::Contents::checkPlaces() const {
  std::vector<std::string> missing;
  size_t missings = 0;
  for (size_t layer = 0; layer < places.size(); ++layer)
    for (size_t i = 0; i < places[layer].size(); ++i)
      for (size_t expert = 0; expert < places[layer][i].size(); ++expert)
        if (!places[layer][i][expert].tensor && missings++ < 4)
          missing.push_back(layout->tensors[i].name.name(
              config.moeLayers[layer], int64_t(expert)));
  if (missings == 0)
    return success();
  return Error{directory + ": expected every tensor of " +
               std::to_string(places.size()) + " MoE layers of " +
               std::to_string(config.experts) + " experts, found none of " +
               someNames(missing, missings)};
}

/// One element type for all matrices of a role.
Result<ElementType> Checkpoint::Contents::typeOf(size_t layer,
                                                 Role role) const {
  const std::vector<Place> &found =
      places[layer][findHolder(*layout, role)->tensor];
  ElementType type = found.front().type();
  for (const Place &place : found)
    if (place.type() != type)
      return Error{place.shard->file.path() + ": tensor " +
                   quote(place.tensor->name) + ": expected " +
                   std::string(elementTypeName(type)) + " as " +
                   quote(found.front().tensor->name) + " has, found " +
                   std::string(elementTypeName(place.type()))};
  return type;
}

Status Checkpoint::Contents::describeLayers() {
  std::set<std::string_view> types;
  for (size_t i = 0; i < places.size(); ++i) {
    MoELayer layer;
    layer.index = config.moeLayers[i];
    layer.hidden = config.hidden;
    layer.intermediate = config.intermediate;
    layer.experts = config.experts;
    layer.choices = config.choices;
    layer.score = family.score;
    layer.normalise = config.normalise;
    layer.scale = config.scale;
    layer.activation = config.activation;
    std::vector<std::pair<Role, ElementType *>> typed = {
        {Role::Router, &layer.routerType},
        {Role::Gate, &layer.gateType},
        {Role::Up, &layer.upType},
        {Role::Down, &layer.downType}};
    if (family.sharedIntermediate) {
      SharedExpert &shared = layer.shared.emplace();
      shared.intermediate = config.sharedIntermediate;
      shared.gated = findHolder(*layout, Role::SharedRouter).has_value();
      typed.insert(typed.end(), {{Role::SharedGate, &shared.gateType},
                                 {Role::SharedUp, &shared.upType},
                                 {Role::SharedDown, &shared.downType}});
      if (shared.gated)
        typed.emplace_back(Role::SharedRouter, &shared.routerType);
    }
    for (auto [role, type] : typed) {
      Result<ElementType> found = typeOf(i, role);
      if (!found)
        return Error{found.error()};
      *type = *found;
      types.insert(elementTypeName(*type));
    }
    layers.push_back(layer);
  }
  description = family.name + ", " + std::to_string(layers.size()) +
                " MoE layers of " + std::to_string(config.experts) +
                " experts (" + std::to_string(config.choices) +
                " chosen), hidden " + std::to_string(config.hidden) +
                ", intermediate " + std::to_string(config.intermediate);
  if (family.sharedIntermediate)
    description += ", shared " + std::to_string(config.sharedIntermediate);
  for (std::string_view type : types)
    description += ", " + std::string(type);
  return success();
}

/// Lengths stand in front of texts, so that no two models look alike.
static void addText(StreamingHash &hash, std::string_view text) {
  uint64_t size = text.size();
  hash.update({reinterpret_cast<const uint8_t *>(&size), sizeof size});
  hash.update(text);
}

static void addNumbers(StreamingHash &hash, std::span<const uint64_t> numbers) {
  hash.update({reinterpret_cast<const uint8_t *>(numbers.data()),
               numbers.size_bytes()});
}

static void addTensor(StreamingHash &hash, const TensorRecord &tensor) {
  addText(hash, tensor.name);
  addText(hash, elementTypeName(tensor.type));
  std::vector<uint64_t> numbers = {tensor.shape.size()};
  numbers.insert(numbers.end(), tensor.shape.begin(), tensor.shape.end());
  addNumbers(hash, numbers);
}

/// Weights in 4 bits are counted with their codes; those of layers without
/// experts by two in a byte.
uint64_t Checkpoint::Contents::parametersOf(const TensorRecord &record) const {
  if (!quantized->weightOf(record.name).empty())
    return 0;
  uint64_t count = uint64_t(*weights::elementCount(record.shape));
  return quantized->isCodes(record.name) ? 2 * count : count;
}

void Checkpoint::Contents::measure() {
  StreamingHash hash;
  addText(hash, configText);
  for (const Shard &shard : shards) {
    addText(hash, shard.name);
    addNumbers(hash, {{shard.file.bytes(), shard.file.tensors().size()}});
    for (const TensorRecord &tensor : shard.file.tensors()) {
      addTensor(hash, tensor);
      addNumbers(hash, {{tensor.begin, tensor.end}});
      total.parameters += parametersOf(tensor);
      total.bytes += tensor.end - tensor.begin;
    }
  }
  identity = hash.digest128();
  for (const std::vector<std::vector<Place>> &layer : places) {
    for (size_t i = 0; i < layer.size(); ++i) {
      if (!isOfExperts(layout->tensors[i].holds.front()))
        continue;
      for (const Place &place : layer[i]) {
        inExperts.parameters += uint64_t(*weights::elementCount(place.shape()));
        inExperts.bytes += place.tensor->end - place.tensor->begin;
        if (place.nf4)
          inExperts.bytes += place.nf4->bytesOfScales();
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// Checkpoint
//===----------------------------------------------------------------------===//

Checkpoint::Checkpoint(std::shared_ptr<const Contents> contents)
    : contents(std::move(contents)) {}

Result<Checkpoint> Checkpoint::open(const std::string &directory,
                                    const CheckpointOptions &options) {
  auto contents = std::make_shared<Contents>();
  contents->directory = directory;
  if (Status status = contents->open(options); !status)
    return Error{status.error()};
  return Checkpoint(std::move(contents));
}

const std::string &Checkpoint::directory() const { return contents->directory; }

const std::string &Checkpoint::family() const { return contents->family.name; }

std::span<const MoELayer> Checkpoint::layers() const {
  return contents->layers;
}

const std::string &Checkpoint::description() const {
  return contents->description;
}

const Hash128 &Checkpoint::identity() const { return contents->identity; }

Hash128 Checkpoint::contentHash() const {
  std::vector<Place> sorted;
  for (const Shard &shard : contents->shards)
    for (const TensorRecord &tensor : shard.file.tensors())
      sorted.push_back({&shard, &tensor, nullptr});
  std::sort(sorted.begin(), sorted.end(), [](const Place &l, const Place &r) {
    return l.tensor->name < r.tensor->name;
  });
  StreamingHash hash;
  addText(hash, contents->configText);
  for (const Place &place : sorted) {
    addTensor(hash, *place.tensor);
    hash.update(place.shard->file.data(*place.tensor));
  }
  return hash.digest128();
}

Size Checkpoint::total() const { return contents->total; }

Size Checkpoint::inExperts() const { return contents->inExperts; }

} // namespace moec::frontend
