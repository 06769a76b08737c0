// An artifact that is open, and its entries as functions of tensors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_RUN_ARTIFACT_H
#define MOEC_TOOLS_MOE_RUN_ARTIFACT_H

#include "moert/library.h"
#include "tools/moe-run/Tensor.h"
#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moec::run {

struct CloseLibrary {
  void operator()(moert_library *library) const {
    moert_library_close(library);
  }
};

/// An open artifact; closed with its handle.
using Artifact = std::unique_ptr<moert_library, CloseLibrary>;

/// Opens the artifact at `path`.
weights::Result<Artifact> openArtifact(const std::string &path);

/// The entry of that name; with an empty name the only one.
weights::Result<const moert_library_entry *>
findEntry(const moert_library *library, const std::string &name);

/// Runs the entry `repeat` times, which fills the outputs among the tensors;
/// returns the seconds of each run.
weights::Result<std::vector<double>> callEntry(const moert_library_entry *entry,
                                               std::span<Tensor> tensors,
                                               int64_t repeat);

} // namespace moec::run

#endif // MOEC_TOOLS_MOE_RUN_ARTIFACT_H
