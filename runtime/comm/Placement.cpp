// Which ranks compute which clusters.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/comm/Placement.h"

#include "moert/comm.h"
#include "weights/Json.h"

#include <algorithm>
#include <numeric>

namespace moec::comm {

using weights::Error;
using weights::JsonValue;
using weights::Result;

LayerPlacement LayerPlacement::roundRobin(int32_t ranks) {
  LayerPlacement placement;
  placement.isOpen = true;
  placement.ranks.resize(size_t(ranks));
  std::iota(placement.ranks.begin(), placement.ranks.end(), 0);
  return placement;
}

LayerPlacement::LayerPlacement(
    const std::vector<std::vector<int32_t>> &owners) {
  for (const std::vector<int32_t> &some : owners) {
    ranks.insert(ranks.end(), some.begin(), some.end());
    offsets.push_back(int32_t(ranks.size()));
  }
}

bool ClusterShare::has(int32_t cluster) const {
  if (!placement)
    return true;
  if (!placement->knows(cluster))
    return false;
  std::span<const int32_t> owners = placement->owners(cluster);
  return std::find(owners.begin(), owners.end(), rank) != owners.end();
}

/// The ranks of one cluster.
static bool readOwners(const JsonValue &value, int32_t ranks,
                       std::vector<int32_t> &owners) {
  if (value.kind != JsonValue::Kind::Array || value.items.empty())
    return false;
  for (const JsonValue &item : value.items) {
    if (item.kind != JsonValue::Kind::Integer || item.integer < 0 ||
        item.integer >= ranks ||
        (!owners.empty() && item.integer <= owners.back()))
      return false;
    owners.push_back(int32_t(item.integer));
  }
  return true;
}

Result<Placement> parsePlacement(const std::string &name,
                                 std::string_view text) {
  Result<JsonValue> document = weights::parseJson(name, text);
  if (!document)
    return Error{document.error()};
  const JsonValue *version = document->member("moec_placement");
  if (!version || version->kind != JsonValue::Kind::String ||
      !version->string.starts_with("0."))
    return Error{name +
                 ": expected 'moec_placement' to be version 0.x, found " +
                 (version ? weights::describe(*version) : "none")};
  const JsonValue *ranks = document->member("ranks");
  if (!ranks || ranks->kind != JsonValue::Kind::Integer || ranks->integer < 1 ||
      ranks->integer > MOERT_MAX_RANKS)
    return Error{name + ": expected 'ranks' from 1 to " +
                 std::to_string(MOERT_MAX_RANKS) + ", found " +
                 (ranks ? weights::describe(*ranks) : "none")};
  const JsonValue *layers = document->member("layers");
  if (!layers || layers->kind != JsonValue::Kind::Object)
    return Error{name + ": expected an object 'layers', found " +
                 (layers ? weights::describe(*layers) : "none")};
  Placement placement;
  placement.ranks = int32_t(ranks->integer);
  for (size_t i = 0; i < layers->items.size(); ++i) {
    const JsonValue &layer = layers->items[i];
    std::string where = name + ": layer " + weights::quote(layers->keys[i]);
    if (layer.kind != JsonValue::Kind::Array)
      return Error{where + ": expected an array of clusters, found " +
                   weights::describe(layer)};
    std::vector<std::vector<int32_t>> owners(layer.items.size());
    for (size_t c = 0; c < owners.size(); ++c)
      if (!readOwners(layer.items[c], placement.ranks, owners[c]))
        return Error{where + ": cluster " + std::to_string(c) +
                     ": expected ranks below " +
                     std::to_string(placement.ranks) +
                     " in ascending order, at least one"};
    placement.layers.emplace(layers->keys[i], LayerPlacement(owners));
  }
  return placement;
}

} // namespace moec::comm
