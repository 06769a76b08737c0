// The traffic of a run: what routers decided, added to a profile.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_RUN_PROFILE_H
#define MOEC_TOOLS_MOE_RUN_PROFILE_H

#include "tools/Execution/Tensor.h"
#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string>

namespace moec::run {

/// The input of an instrumented layer and what its router decided: rows of f32,
/// ids of experts and their gate weights.
struct RoutedTensors {
  const Tensor *x, *ids, *gates;
};

/// Those among the tensors of a call; `option` stands in messages.
weights::Result<RoutedTensors> findRouted(const std::string &option,
                                          std::span<const Tensor> tensors);

/// Adds a run of an instrumented layer, called layerN, to the profile in the
/// file `path`, which is made if there is none: from its input `x` and its
/// outputs `ids` and `gates`. `experts` is how many there are, `model` what the
/// profile is of. The moving centroids see batches of 64 tokens. Returns a line
/// about the layer's load.
weights::Result<std::string> addToProfile(const std::string &path,
                                          const std::string &model,
                                          const std::string &layer,
                                          int64_t experts,
                                          std::span<const Tensor> tensors);

} // namespace moec::run

#endif // MOEC_TOOLS_MOE_RUN_PROFILE_H
