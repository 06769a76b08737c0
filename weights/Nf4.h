// Tensors in NormalFloat4, as bitsandbytes stores them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_NF4_H
#define MOEC_WEIGHTS_NF4_H

#include "weights/ElementType.h"
#include "weights/MatrixSource.h"
#include "weights/Result.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace moec::weights {

/// What the codes 0 to 15 stand for: QLoRA (arXiv 2305.14314), appendix E.
extern const std::array<float, 16> nf4Values;

/// Scales in one byte each, "double quantisation": scale i is
/// map[codes[i]] * scales[i / blockSize] + offset, in f32.
struct Nf4NestedScales {
  std::span<const uint8_t> codes;
  /// F32, little-endian: 256, and one for each block of codes.
  std::span<const uint8_t> map;
  std::span<const uint8_t> scales;
  int64_t blockSize = 256;
  float offset = 0;
};

/// Element i, row-major, is nf4Values[code i] * scale i / blockSize, in f32,
/// and rounded to `type`.
struct Nf4Tensor {
  std::vector<int64_t> shape;
  /// F32, BF16 or F16.
  ElementType type = ElementType::F32;
  /// Two in a byte, the high nibble first.
  std::span<const uint8_t> codes;
  /// Elements behind one another, over the ends of rows, that share a scale;
  /// the last block may have fewer.
  int64_t blockSize = 64;
  /// One F32 for each block, little-endian; not read with nested ones.
  std::span<const uint8_t> scales;
  std::optional<Nf4NestedScales> nested;

  /// Of the shape, which is verified.
  int64_t elements() const;

  /// What is stored beside the codes.
  uint64_t bytesOfScales() const;
};

/// Whether sizes go together, blocks have 1 to 65536 elements, and the type is
/// one of the three. `name` stands in messages.
Status verifyNf4(const std::string &name, const Nf4Tensor &tensor);

/// Elements begin, begin + 1, ... of a verified tensor.
void decodeNf4(const Nf4Tensor &tensor, int64_t begin, std::span<float> values);

/// A matrix in such a tensor: elements from `first` on.
struct Nf4Matrix {
  std::shared_ptr<const Nf4Tensor> tensor;
  int64_t first = 0;
};

/// storedMatrices() of verified tensors. `owner` keeps what they see alive.
Result<std::shared_ptr<const MatrixSource>>
nf4Matrices(std::string name, const MatrixShape &shape,
            std::vector<Nf4Matrix> entries, bool transposed,
            std::shared_ptr<const void> owner);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_NF4_H
