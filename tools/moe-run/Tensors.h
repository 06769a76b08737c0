// The tensors of a run: shapes, values from files or seeds, and what is
// printed. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_RUN_TENSORS_H
#define MOEC_TOOLS_MOE_RUN_TENSORS_H

#include "moert/library.h"
#include "tools/moe-run/Options.h"
#include "weights/ElementType.h"
#include "weights/Result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moec::run {

/// An argument with its memory.
struct Tensor {
  const moert_argument *argument = nullptr;
  weights::ElementType type = weights::ElementType::F32;
  std::vector<int64_t> shape;
  std::vector<uint8_t> data;
};

/// "float32", as the manifest spells it.
std::string typeName(weights::ElementType type);

/// "float32 [-2, 64]" of an argument that has no values yet.
std::string describe(const moert_argument &argument);

/// Inputs with their values and outputs with room for theirs. Files fix dynamic
/// extents first; what they leave open is options.tokens.
weights::Result<std::vector<Tensor>>
makeTensors(const moert_library_entry *entry, const Options &options);

/// One line on a tensor: name, type, shape, min, max, mean, l2, checksum.
std::string summarize(const Tensor &tensor);

/// The values, a row of the last dimension in each line.
std::string printValues(const Tensor &tensor);

/// Writes folder/NAME.npy, or folder/NAME.safetensors where .npy lacks the
/// type.
weights::Status writeTensor(const std::string &folder, const Tensor &tensor);

} // namespace moec::run

#endif // MOEC_TOOLS_MOE_RUN_TENSORS_H
