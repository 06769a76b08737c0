// NumPy's .npy files, little-endian and in C order.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_NPY_H
#define MOEC_WEIGHTS_NPY_H

#include "weights/ElementType.h"
#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moec::weights {

/// An array of one of the types .npy and moec share: F16, F32, F64, I8, I32,
/// I64, U8, Bool. The format has no bf16; safetensors does.
struct NpyArray {
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  /// Row-major, little-endian.
  std::vector<uint8_t> data;
};

/// Reads the bytes of a whole file, version 1 or 2. `name` stands in messages.
/// Fortran order, big-endian data and trailing bytes are refused.
Result<NpyArray> parseNpy(const std::string &name,
                          std::span<const uint8_t> file);

/// parseNpy of the file at `path`.
Result<NpyArray> readNpy(const std::string &path);

/// Writes version 1 of the format; the file appears whole or not at all.
Status writeNpy(const std::string &path, ElementType type,
                std::span<const int64_t> shape, std::span<const uint8_t> data);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_NPY_H
