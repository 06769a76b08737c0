// The arguments of a run: shapes, and values from files or seeds.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_RUN_ARGUMENTS_H
#define MOEC_TOOLS_MOE_RUN_ARGUMENTS_H

#include "tools/moe-run/Options.h"
#include "tools/moe-run/Tensor.h"
#include "weights/Result.h"

#include <span>
#include <utility>
#include <vector>

namespace moec::run {

/// Inputs with their values and outputs with room for theirs. Files fix dynamic
/// extents first; what they leave open is options.tokens.
weights::Result<std::vector<Tensor>>
makeTensors(const moert_library_entry *entry, const Options &options);

/// What options.expected names, with the place of the output each belongs to.
weights::Result<std::vector<std::pair<size_t, Tensor>>>
readExpected(std::span<const Tensor> tensors, const Options &options);

} // namespace moec::run

#endif // MOEC_TOOLS_MOE_RUN_ARGUMENTS_H
