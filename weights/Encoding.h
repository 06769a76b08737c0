// How weights are coded: docs/spec.md section 2.2, as functions.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_ENCODING_H
#define MOEC_WEIGHTS_ENCODING_H

#include "weights/Result.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moec::weights {

/// The number format of a stored weight.
enum class Format { F32, BF16, F16, F8E4M3, Int8, Int4, MXFP4 };

/// What scales are rounded to and stored as.
enum class ScaleType { F32, F16, BF16 };

/// Along which axis of an IN x OUT matrix the members of a group lie.
enum class GroupAxis { Input, Output };

/// An encoding as the dialect spells it, `<int4 group 32 zero_point>`.
struct Encoding {
  Format format = Format::F32;
  /// Members of a group; 0 when the encoding names no group.
  int64_t group = 0;
  bool zeroPoint = false;
  ScaleType scale = ScaleType::F32;
  GroupAxis along = GroupAxis::Input;

  bool operator==(const Encoding &) const = default;
};

/// `entries` matrices of rows x cols, row-major, one behind the other. A weight
/// without axis has one entry.
struct MatrixShape {
  int64_t entries = 1;
  int64_t rows = 0;
  int64_t cols = 0;

  bool operator==(const MatrixShape &) const = default;
};

/// A tensor in its encoding, codes in the order of the values (row-major).
/// Which order a kernel wants, planar nibbles included, is a layout's matter.
struct EncodedTensor {
  Encoding encoding;
  MatrixShape shape;
  /// Codes, little-endian. int8 and int4 are two's complement, unsigned with a
  /// zero point. int4 and mxfp4 have two codes in a byte, the low nibble first;
  /// each entry starts a byte, and an odd last nibble is zero.
  std::vector<uint8_t> codes;
  /// One scale for each group in the scale type, little-endian; one E8M0 byte
  /// for mxfp4. Groups are ordered as a matrix whose grouped axis shrank by
  /// `group`; int8 without a group has one for each entry.
  std::vector<uint8_t> scales;
  /// One byte for each group, with `zeroPoint` only.
  std::vector<uint8_t> zeroPoints;
};

/// "int4", and the format of that name or nothing.
std::string_view formatName(Format format);
std::optional<Format> formatFromName(std::string_view name);

/// "f16", and the scale type of that name or nothing.
std::string_view scaleTypeName(ScaleType type);
std::optional<ScaleType> scaleTypeFromName(std::string_view name);

/// The dialect's spelling without brackets: "int4 group 32 scale f16".
std::string toString(const Encoding &encoding);

/// The inverse of toString: its words in its order, and what verifyEncoding
/// accepts.
Result<Encoding> encodingFromText(std::string_view text);

/// Whether members of a group, or of a matrix, share a scale.
bool hasScales(const Encoding &encoding);

/// Whether groups, zero point and scale type go together (N1, N2, N3).
Status verifyEncoding(const Encoding &encoding);

/// verifyEncoding, and that groups divide the axis they lie along (P3).
Status verifyEncoding(const Encoding &encoding, const MatrixShape &shape);

/// Values to codes. Formats with scales refuse values that are not finite.
Result<EncodedTensor> encode(const Encoding &encoding, const MatrixShape &shape,
                             std::span<const float> values);

/// Codes to values; sizes that do not fit the shape are refused.
Result<std::vector<float>> decode(const EncodedTensor &tensor);

/// One matrix whose codes somebody else chooses, place by place. Scales and
/// zero points are those that encode() gives its values.
class MatrixEncoder {
public:
  /// rows * cols values. Refuses what encode() refuses, and encodings without
  /// scales, whose codes leave nothing to choose.
  static Result<MatrixEncoder> create(const Encoding &encoding, int64_t rows,
                                      int64_t cols,
                                      std::span<const float> values);

  /// Writes the code nearest to `value`; what that decodes to.
  float put(int64_t row, int64_t col, float value);

  /// Places without a code have code 0.
  EncodedTensor take() && { return std::move(tensor); }

private:
  explicit MatrixEncoder(EncodedTensor tensor) : tensor(std::move(tensor)) {}

  EncodedTensor tensor;
  /// Of each group, decoded.
  std::vector<float> scales, zeros;
};

/// decode(encode(values)): what a leaf of these values is worth.
Result<std::vector<float>> roundTrip(const Encoding &encoding,
                                     const MatrixShape &shape,
                                     std::span<const float> values);

/// Bytes of codes, scales and zero points together, without encoding anything.
Result<uint64_t> encodedBytes(const Encoding &encoding,
                              const MatrixShape &shape);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_ENCODING_H
