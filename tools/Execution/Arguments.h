// The arguments of a run: shapes, and values from files or seeds.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_EXECUTION_ARGUMENTS_H
#define MOEC_TOOLS_EXECUTION_ARGUMENTS_H

#include "tools/Execution/Tensor.h"
#include "weights/Result.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace moec::run {

/// Where values come from.
struct ValueOptions {
  /// Input name to FILE.npy or FILE.safetensors:KEY.
  std::map<std::string, std::string> inputs;
  /// Output name to FILE.npy or FILE.safetensors:KEY.
  std::map<std::string, std::string> expected;
  int64_t seed = 0;
  int64_t tokens = 8;
  int64_t intRange = 2;
};

/// Inputs with their values and outputs with room for theirs. Files fix dynamic
/// extents first; what they leave open is options.tokens.
weights::Result<std::vector<Tensor>>
makeTensors(const moert_library_entry *entry, const ValueOptions &options);

/// What options.expected names, with the place of the output each belongs to.
weights::Result<std::vector<std::pair<size_t, Tensor>>>
readExpected(std::span<const Tensor> tensors, const ValueOptions &options);

} // namespace moec::run

#endif // MOEC_TOOLS_EXECUTION_ARGUMENTS_H
