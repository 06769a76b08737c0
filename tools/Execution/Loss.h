// What an artifact loses: its layers on stored samples of the model.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_EXECUTION_LOSS_H
#define MOEC_TOOLS_EXECUTION_LOSS_H

#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string>

namespace moec::run {

/// Whether the file has `layers.N.input` and `layers.N.output` for each of the
/// layers.
weights::Status checkSamples(const std::string &samples,
                             std::span<const int64_t> layers);

/// Runs each layerN of an artifact on `layers.N.input` and compares its output y
/// with `layers.N.output`. Returns a line for each, and one for all of them.
weights::Result<std::string> describeLoss(const std::string &artifact,
                                          const std::string &samples,
                                          std::span<const int64_t> layers);

} // namespace moec::run

#endif // MOEC_TOOLS_EXECUTION_LOSS_H
