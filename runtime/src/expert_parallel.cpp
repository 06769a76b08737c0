// A model whose clusters are shared out among ranks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "expert_parallel.h"

#include "weights/Archive.h"
#include "weights/Hash.h"

#include <fstream>
#include <iterator>
#include <optional>
#include <span>

namespace moec::runtime {

using comm::LayerPlacement;
using comm::Placement;

/// The text of a file, or nothing if it cannot be read.
static std::optional<std::string> readText(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)),
                   std::istreambuf_iterator<char>());
  return file ? std::optional(std::move(text)) : std::nullopt;
}

/// A hash of all bytes of weights, by the hashes of their records.
static moert_status_t hashWeights(const std::string &file, uint64_t &hash,
                                  std::string &error) {
  auto archive = weights::Archive::open(file);
  if (!archive) {
    error = archive.error();
    return MOERT_IO_ERROR;
  }
  std::string hashes;
  for (const weights::ArchiveRecord &record : archive->records())
    hashes += weights::hashText(record.hash);
  hash = weights::hash64(hashes);
  return MOERT_OK;
}

moert_status_t ExpertParallel::readPlacement(const std::string &path,
                                             const moert_library &library,
                                             moert_communicator &communicator,
                                             const char *placement,
                                             std::string &error) {
  std::string file = placement ? placement : path + "/placement.json";
  std::optional<std::string> text = readText(file);
  Placement places;
  if (text) {
    auto parsed = comm::parsePlacement(file, *text);
    if (!parsed) {
      error = parsed.error();
      return MOERT_INVALID_ARGUMENT;
    }
    places = *std::move(parsed);
    placementHash = weights::hash64(*text);
    if (places.ranks != communicator.ranks) {
      error = file + ": expected a placement for " +
              std::to_string(communicator.ranks) + " ranks, found one for " +
              std::to_string(places.ranks);
      return MOERT_INCOMPATIBLE;
    }
  } else if (placement) {
    error = file + ": cannot read the placement";
    return MOERT_NOT_FOUND;
  }
  for (const ManifestLayer &layer : library.manifest.layers) {
    auto known = places.layers.find(layer.name);
    layers.push_back(std::make_unique<comm::LayerExchange>(
        exchange, int32_t(layers.size()), layer.name,
        known == places.layers.end()
            ? LayerPlacement::roundRobin(communicator.ranks)
            : known->second));
  }
  return MOERT_OK;
}

moert_status_t ExpertParallel::agree(const std::string &path,
                                     const moert_library &library,
                                     std::string &error) {
  uint64_t weightsHash = 0;
  if (moert_status_t status = hashWeights(
          path + "/" + library.manifest.weightsFile, weightsHash, error))
    return status;
  const std::pair<const char *, uint64_t> same[] = {
      {"a library with manifest", weights::hash64(library.json)},
      {"weights", weightsHash},
      {"placement", placementHash}};
  for (auto [what, hash] : same)
    if (auto agreed = exchange.agree(what, hash); !agreed) {
      error = path + ": " + agreed.error();
      return MOERT_UNAVAILABLE;
    }
  return MOERT_OK;
}

/// Whether every layer's code sends rows: of code that does not each rank would
/// compute all there is.
static moert_status_t checkLayers(const std::string &path,
                                  const Manifest &manifest,
                                  std::string &error) {
  if (manifest.layers.empty()) {
    error = path + ": expected layers beside a communicator, found an artifact "
                   "without";
    return MOERT_INCOMPATIBLE;
  }
  for (const ManifestLayer &layer : manifest.layers) {
    if (manifest.entries[layer.entry].exchanges)
      continue;
    error = path + ": layer '" + layer.name +
            "': expected code that exchanges rows beside a communicator, found "
            "code for one rank";
    return MOERT_INCOMPATIBLE;
  }
  return MOERT_OK;
}

moert_status_t ExpertParallel::open(const std::string &path,
                                    const moert_library &library,
                                    moert_communicator &communicator,
                                    const char *placement,
                                    std::unique_ptr<ExpertParallel> &opened,
                                    std::string &error) {
  std::unique_ptr<ExpertParallel> made(new ExpertParallel(communicator));
  moert_status_t status = checkLayers(path, library.manifest, error);
  if (status == MOERT_OK)
    status = made->readPlacement(path, library, communicator, placement, error);
  // What differs between ranks each of them sees by itself.
  if (status != MOERT_OK)
    communicator.abort(communicator.context, error.c_str());
  else
    status = made->agree(path, library, error);
  if (status == MOERT_OK)
    opened = std::move(made);
  return status;
}

} // namespace moec::runtime
