// How one tensor is stored: its parts in a file, and values there and back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_STOREDTENSOR_H
#define MOEC_WEIGHTS_STOREDTENSOR_H

#include "weights/ElementType.h"
#include "weights/Encoding.h"
#include "weights/Layout.h"
#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

namespace moec::weights {

/// What a tensor's bytes mean: floats in an encoding, or a table of plain
/// integers, which is row-major.
struct TensorForm {
  std::variant<Encoding, ElementType> values;
  Layout layout = Layout::RowMajor;
  /// The logical shape: the last two extents are rows and columns, those before
  /// count entries; a vector is one row.
  std::vector<int64_t> shape;

  bool operator==(const TensorForm &) const = default;

  /// The encoding of floats; null for a table of integers.
  const Encoding *encoding() const { return std::get_if<Encoding>(&values); }
};

/// The most extents of a stored tensor's shape.
inline constexpr unsigned storedTensorMaxRank = 8;

/// The pieces a tensor is stored in, in this order.
enum class TensorPart { Codes, Scales, ZeroPoints };

/// What is behind the tensor's name in the part's: "", ".scales",
/// ".zero_points".
std::string_view partSuffix(TensorPart part);

/// A part as a safetensors file holds it.
struct PartForm {
  TensorPart part = TensorPart::Codes;
  ElementType type = ElementType::U8;
  std::vector<int64_t> shape;
  uint64_t bytes = 0;

  bool operator==(const PartForm &) const = default;
};

/// "int4 group 32 panel16 [8, 64, 32]", for messages and lists.
std::string toString(const TensorForm &form);

/// The shape as matrices. A scalar is one row of one column.
MatrixShape matrixShapeOf(std::span<const int64_t> shape);

/// The parts of a tensor of that form, codes first; refuses forms that do not
/// go together. docs/archive.md says which types and shapes they have.
Result<std::vector<PartForm>> partsOf(const TensorForm &form);

/// The bytes of the parts; those that the form does not have are empty.
struct StoredTensor {
  std::vector<uint8_t> codes;
  std::vector<uint8_t> scales;
  std::vector<uint8_t> zeroPoints;
};

/// The same bytes where they lie.
struct StoredTensorView {
  std::span<const uint8_t> codes;
  std::span<const uint8_t> scales;
  std::span<const uint8_t> zeroPoints;

  StoredTensorView() = default;
  StoredTensorView(const StoredTensor &tensor)
      : codes(tensor.codes), scales(tensor.scales),
        zeroPoints(tensor.zeroPoints) {}

  std::span<const uint8_t> &operator[](TensorPart part) {
    return part == TensorPart::Codes    ? codes
           : part == TensorPart::Scales ? scales
                                        : zeroPoints;
  }
};

/// Row-major values to stored bytes: encoded, then laid out.
Result<StoredTensor> storeFloats(const TensorForm &form,
                                 std::span<const float> values);

/// Codes, scales and zero points that are chosen already, laid out.
Result<StoredTensor> storeEncoded(const TensorForm &form,
                                  EncodedTensor encoded);

/// The inverse, up to what the encoding rounds.
Result<std::vector<float>> loadFloats(const TensorForm &form,
                                      const StoredTensorView &stored);

/// Tables there and back. Values that the type cannot hold are refused.
Result<StoredTensor> storeIntegers(const TensorForm &form,
                                   std::span<const int64_t> values);
Result<std::vector<int64_t>> loadIntegers(const TensorForm &form,
                                          const StoredTensorView &stored);

/// Whether every element can be this one value, not stored.
Status verifySplat(const TensorForm &form, double value);

/// What each element of such a tensor decodes to: the value, rounded as the
/// encoding rounds a tensor of it.
Result<float> splatFloat(const TensorForm &form, double value);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_STOREDTENSOR_H
