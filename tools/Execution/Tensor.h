// A tensor of a run: an argument of an entry with its memory.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_EXECUTION_TENSOR_H
#define MOEC_TOOLS_EXECUTION_TENSOR_H

#include "moert/library.h"
#include "weights/ElementType.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moec::run {

/// An argument with its memory: row-major, little-endian.
struct Tensor {
  const moert_argument *argument = nullptr;
  weights::ElementType type = weights::ElementType::F32;
  std::vector<int64_t> shape;
  std::vector<uint8_t> data;

  size_t count() const;
  /// Element `index` as a double; large 64-bit integers are rounded.
  double valueAt(size_t index) const;
  /// Element `index` of a tensor of int64.
  int64_t integerAt(size_t index) const;
};

/// The element type of an argument, or nothing when moe-run does not know it.
std::optional<weights::ElementType> typeOf(const moert_argument &argument);

/// "float32", as the manifest spells it.
std::string typeName(weights::ElementType type);

/// "float32 [-2, 64]" of an argument that has no values yet.
std::string describe(const moert_argument &argument);

} // namespace moec::run

#endif // MOEC_TOOLS_EXECUTION_TENSOR_H
