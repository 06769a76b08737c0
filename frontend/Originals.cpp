// The matrices of a checkpoint, for regrouping what was made from them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/Originals.h"

#include <memory>

namespace moec::frontend {

using weights::ElementType;
using weights::Error;
using weights::Format;
using weights::OriginalMatrices;
using weights::Result;

static Result<Format> formatOf(const Checkpoint &checkpoint, int64_t index,
                               const std::string &role) {
  for (const MoELayer &layer : checkpoint.layers()) {
    if (layer.index != index)
      continue;
    ElementType type = role == "gate" ? layer.gateType
                       : role == "up" ? layer.upType
                                      : layer.downType;
    return type == ElementType::BF16  ? Format::BF16
           : type == ElementType::F16 ? Format::F16
                                      : Format::F32;
  }
  return Error{checkpoint.directory() + ": expected a layer " +
               std::to_string(index) + " with experts, found none"};
}

Result<OriginalMatrices> openOriginals(const std::string &directory,
                                       const CheckpointOptions &options) {
  Result<Checkpoint> opened = Checkpoint::open(directory, options);
  if (!opened)
    return Error{opened.error()};
  auto checkpoint = std::make_shared<Checkpoint>(*std::move(opened));
  OriginalMatrices originals;
  originals.source = checkpoint->source();
  originals.hash = weights::hashText(checkpoint->identity());
  originals.formatOf = [checkpoint](int64_t layer, const std::string &role) {
    return formatOf(*checkpoint, layer, role);
  };
  return originals;
}

} // namespace moec::frontend
