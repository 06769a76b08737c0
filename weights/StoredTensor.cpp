// How one tensor is stored: its parts in a file, and values there and back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/StoredTensor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

namespace moec::weights {

namespace {

bool hasNibbles(const Encoding &encoding) {
  return encoding.format == Format::Int4 || encoding.format == Format::MXFP4;
}

/// The type codes have by themselves; U8 for nibbles.
ElementType codeType(const Encoding &encoding) {
  switch (encoding.format) {
  case Format::F32:
    return ElementType::F32;
  case Format::BF16:
    return ElementType::BF16;
  case Format::F16:
    return ElementType::F16;
  case Format::F8E4M3:
    return ElementType::F8E4M3;
  case Format::Int8:
    return encoding.zeroPoint ? ElementType::U8 : ElementType::I8;
  case Format::Int4:
  case Format::MXFP4:
    return ElementType::U8;
  }
  return ElementType::U8;
}

ElementType scalesType(const Encoding &encoding) {
  if (encoding.format == Format::MXFP4)
    return ElementType::F8E8M0;
  return encoding.scale == ScaleType::F32   ? ElementType::F32
         : encoding.scale == ScaleType::F16 ? ElementType::F16
                                            : ElementType::BF16;
}

int64_t bytesOf(ElementType type) { return elementTypeBits(type) / 8; }

/// Groups as matrices: the grouped axis shrinks; one for each entry if there is
/// no group.
MatrixShape gridOf(const Encoding &encoding, const MatrixShape &shape) {
  if (encoding.group == 0)
    return {shape.entries, 1, 1};
  if (encoding.along == GroupAxis::Input)
    return {shape.entries, shape.rows / encoding.group, shape.cols};
  return {shape.entries, shape.rows, shape.cols / encoding.group};
}

/// Scales lie as the codes do where their columns are the tensor's.
Layout gridLayout(const TensorForm &form) {
  const Encoding &encoding = *form.encoding();
  return encoding.group != 0 && encoding.along == GroupAxis::Input
             ? form.layout
             : Layout::RowMajor;
}

/// Codes as matrices of elements that a layout permutes. Two rows share the
/// bytes of nibbles: the even one has the low nibble.
MatrixShape permutedShape(const Encoding &encoding, MatrixShape shape) {
  if (hasNibbles(encoding))
    shape.rows = (shape.rows + 1) / 2;
  return shape;
}

/// Row-major nibbles, each entry starting a byte, to pairs of rows; or back.
std::vector<uint8_t> pairRows(const MatrixShape &shape,
                              std::span<const uint8_t> nibbles) {
  int64_t pairs = (shape.rows + 1) / 2;
  int64_t entryBytes = (shape.rows * shape.cols + 1) / 2;
  std::vector<uint8_t> paired(size_t(shape.entries * pairs * shape.cols));
  for (int64_t entry = 0; entry < shape.entries; ++entry) {
    const uint8_t *from = nibbles.data() + entry * entryBytes;
    uint8_t *to = paired.data() + entry * pairs * shape.cols;
    for (int64_t row = 0, i = 0; row < shape.rows; ++row)
      for (int64_t col = 0; col < shape.cols; ++col, ++i) {
        uint8_t code = i % 2 == 0 ? from[i / 2] & 0xF : from[i / 2] >> 4;
        to[row / 2 * shape.cols + col] |= uint8_t(code << (row % 2 * 4));
      }
  }
  return paired;
}

std::vector<uint8_t> unpairRows(const MatrixShape &shape,
                                std::span<const uint8_t> paired) {
  int64_t pairs = (shape.rows + 1) / 2;
  int64_t entryBytes = (shape.rows * shape.cols + 1) / 2;
  std::vector<uint8_t> nibbles(size_t(shape.entries * entryBytes));
  for (int64_t entry = 0; entry < shape.entries; ++entry) {
    const uint8_t *from = paired.data() + entry * pairs * shape.cols;
    uint8_t *to = nibbles.data() + entry * entryBytes;
    for (int64_t row = 0, i = 0; row < shape.rows; ++row)
      for (int64_t col = 0; col < shape.cols; ++col, ++i) {
        uint8_t byte = from[row / 2 * shape.cols + col];
        uint8_t code = row % 2 == 0 ? byte & 0xF : byte >> 4;
        to[i / 2] |= uint8_t(code << (i % 2 * 4));
      }
  }
  return nibbles;
}

bool isTableType(ElementType type) {
  switch (type) {
  case ElementType::Bool:
  case ElementType::U8:
  case ElementType::I8:
  case ElementType::I16:
  case ElementType::U16:
  case ElementType::I32:
  case ElementType::U32:
  case ElementType::I64:
    return true;
  default:
    return false;
  }
}

/// Least and largest value of a table's type.
std::pair<int64_t, int64_t> rangeOf(ElementType type) {
  if (type == ElementType::Bool)
    return {0, 1};
  bool isSigned = type == ElementType::I8 || type == ElementType::I16 ||
                  type == ElementType::I32 || type == ElementType::I64;
  unsigned bits = elementTypeBits(type);
  if (!isSigned)
    return {0, (int64_t(1) << bits) - 1};
  int64_t largest = std::numeric_limits<int64_t>::max() >> (64 - bits);
  return {-largest - 1, largest};
}

Status verifyShape(std::span<const int64_t> shape) {
  if (shape.size() > storedTensorMaxRank)
    return Error{"expected at most " + std::to_string(storedTensorMaxRank) +
                 " extents, found " + std::to_string(shape.size())};
  // f32 is the widest encoding; products of leading extents are checked too,
  // as an extent of zero may stand behind them.
  std::vector<int64_t> positive(shape.begin(), shape.end());
  for (int64_t &extent : positive)
    extent = extent == 0 ? 1 : extent;
  if (!tensorBytes(ElementType::F64, positive))
    return Error{"expected a shape of less than 2^60 bytes, found " +
                 shapeToString(shape)};
  return success();
}

/// The parts' bytes are what the form asks for.
Status verifyStored(const TensorForm &form, StoredTensorView stored) {
  Result<std::vector<PartForm>> parts = partsOf(form);
  if (!parts)
    return Error{parts.error()};
  std::array<uint64_t, 3> expected = {};
  for (const PartForm &part : *parts)
    expected[size_t(part.part)] = part.bytes;
  constexpr const char *names[] = {"codes", "scales", "zero points"};
  for (TensorPart part :
       {TensorPart::Codes, TensorPart::Scales, TensorPart::ZeroPoints})
    if (stored[part].size() != expected[size_t(part)])
      return Error{"expected " + std::to_string(expected[size_t(part)]) +
                   " bytes of " + names[size_t(part)] + ", found " +
                   std::to_string(stored[part].size())};
  return success();
}

Error wrongKind(const TensorForm &form, const char *expected) {
  return Error{std::string("expected ") + expected + ", found " +
               toString(form)};
}

} // namespace

std::string_view partSuffix(TensorPart part) {
  return part == TensorPart::Codes    ? ""
         : part == TensorPart::Scales ? ".scales"
                                      : ".zero_points";
}

std::string toString(const TensorForm &form) {
  const Encoding *encoding = form.encoding();
  std::string text =
      encoding
          ? toString(*encoding)
          : std::string(elementTypeName(std::get<ElementType>(form.values)));
  return text + " " + std::string(layoutName(form.layout)) + " " +
         shapeToString(form.shape);
}

MatrixShape matrixShapeOf(std::span<const int64_t> shape) {
  MatrixShape result{1, 1, 1};
  if (!shape.empty())
    result.cols = shape.back();
  if (shape.size() >= 2)
    result.rows = shape[shape.size() - 2];
  for (size_t i = 0; i + 2 < shape.size(); ++i)
    result.entries *= shape[i];
  return result;
}

Result<std::vector<PartForm>> partsOf(const TensorForm &form) {
  if (Status status = verifyShape(form.shape); !status)
    return Error{status.error()};
  const Encoding *encoding = form.encoding();
  if (!encoding) {
    ElementType type = std::get<ElementType>(form.values);
    if (!isTableType(type))
      return Error{"expected an encoding, or a table of BOOL, U8, I8, I16, "
                   "U16, I32, U32 or I64, found " +
                   std::string(elementTypeName(type))};
    if (form.layout != Layout::RowMajor)
      return Error{"expected layout row_major of a table, found " +
                   std::string(layoutName(form.layout))};
    return std::vector<PartForm>{
        {TensorPart::Codes, type, form.shape, *tensorBytes(type, form.shape)}};
  }

  MatrixShape shape = matrixShapeOf(form.shape);
  if (Status status = verifyEncoding(*encoding, shape); !status)
    return Error{status.error()};
  std::vector<PartForm> parts;
  // Codes of whole bytes that lie row-major are tensors of their own type, so
  // that any reader of safetensors understands them.
  ElementType type = codeType(*encoding);
  if (form.layout == Layout::RowMajor && !hasNibbles(*encoding)) {
    parts.push_back(
        {TensorPart::Codes, type, form.shape, *tensorBytes(type, form.shape)});
  } else {
    uint64_t bytes = 0;
    if (form.layout == Layout::RowMajor) {
      bytes = uint64_t(shape.entries * ((shape.rows * shape.cols + 1) / 2));
    } else {
      Result<uint64_t> packed = packedBytes(
          form.layout, permutedShape(*encoding, shape), bytesOf(type));
      if (!packed)
        return Error{packed.error()};
      bytes = *packed;
    }
    parts.push_back(
        {TensorPart::Codes, ElementType::U8, {int64_t(bytes)}, bytes});
  }
  if (!hasScales(*encoding))
    return parts;

  MatrixShape grid = gridOf(*encoding, shape);
  Layout layout = gridLayout(form);
  std::vector<int64_t> gridShape = {grid.entries};
  if (encoding->group != 0)
    gridShape.insert(gridShape.end(), {grid.rows, grid.cols});
  auto addGrid = [&](TensorPart part, ElementType type) -> Status {
    Result<uint64_t> bytes = packedBytes(layout, grid, bytesOf(type));
    if (!bytes)
      return Error{bytes.error()};
    if (layout == Layout::RowMajor)
      parts.push_back({part, type, gridShape, *bytes});
    else
      // Still numbers, but in an order and with a padding of the layout's.
      parts.push_back({part, type, {int64_t(*bytes) / bytesOf(type)}, *bytes});
    return success();
  };
  if (Status status = addGrid(TensorPart::Scales, scalesType(*encoding));
      !status)
    return Error{status.error()};
  if (encoding->zeroPoint)
    if (Status status = addGrid(TensorPart::ZeroPoints, ElementType::U8);
        !status)
      return Error{status.error()};
  return parts;
}

Result<StoredTensor> storeFloats(const TensorForm &form,
                                 std::span<const float> values) {
  const Encoding *encoding = form.encoding();
  if (!encoding)
    return wrongKind(form, "a form of floats");
  if (Result<std::vector<PartForm>> parts = partsOf(form); !parts)
    return Error{parts.error()};
  Result<EncodedTensor> encoded =
      encode(*encoding, matrixShapeOf(form.shape), values);
  if (!encoded)
    return Error{encoded.error()};
  return storeEncoded(form, *std::move(encoded));
}

Result<StoredTensor> storeEncoded(const TensorForm &form,
                                  EncodedTensor encoded) {
  const Encoding *encoding = form.encoding();
  if (!encoding)
    return wrongKind(form, "a form of floats");
  if (Result<std::vector<PartForm>> parts = partsOf(form); !parts)
    return Error{parts.error()};
  MatrixShape shape = matrixShapeOf(form.shape);
  if (encoded.encoding != *encoding || encoded.shape != shape)
    return Error{"expected codes of " + toString(form) + ", found " +
                 toString(TensorForm{encoded.encoding,
                                     form.layout,
                                     {encoded.shape.entries, encoded.shape.rows,
                                      encoded.shape.cols}})};
  StoredTensor stored{std::move(encoded.codes), std::move(encoded.scales),
                      std::move(encoded.zeroPoints)};
  if (form.layout != Layout::RowMajor) {
    if (hasNibbles(*encoding))
      stored.codes = pairRows(shape, stored.codes);
    Result<std::vector<uint8_t>> packed =
        pack(form.layout, permutedShape(*encoding, shape),
             bytesOf(codeType(*encoding)), stored.codes);
    if (!packed)
      return Error{packed.error()};
    stored.codes = std::move(*packed);
  }
  if (Layout layout = gridLayout(form); layout != Layout::RowMajor) {
    MatrixShape grid = gridOf(*encoding, shape);
    Result<std::vector<uint8_t>> scales =
        pack(layout, grid, bytesOf(scalesType(*encoding)), stored.scales);
    if (!scales)
      return Error{scales.error()};
    stored.scales = std::move(*scales);
    if (encoding->zeroPoint) {
      Result<std::vector<uint8_t>> zeroPoints =
          pack(layout, grid, 1, stored.zeroPoints);
      if (!zeroPoints)
        return Error{zeroPoints.error()};
      stored.zeroPoints = std::move(*zeroPoints);
    }
  }
  return stored;
}

Result<std::vector<float>> loadFloats(const TensorForm &form,
                                      const StoredTensorView &stored) {
  const Encoding *encoding = form.encoding();
  if (!encoding)
    return wrongKind(form, "a form of floats");
  if (Status status = verifyStored(form, stored); !status)
    return Error{status.error()};
  MatrixShape shape = matrixShapeOf(form.shape);
  EncodedTensor encoded{*encoding, shape, {}, {}, {}};
  Result<std::vector<uint8_t>> codes =
      unpack(form.layout,
             form.layout == Layout::RowMajor
                 ? MatrixShape{1, 1, int64_t(stored.codes.size())}
                 : permutedShape(*encoding, shape),
             form.layout == Layout::RowMajor ? 1 : bytesOf(codeType(*encoding)),
             stored.codes);
  if (!codes)
    return Error{codes.error()};
  encoded.codes = form.layout != Layout::RowMajor && hasNibbles(*encoding)
                      ? unpairRows(shape, *codes)
                      : std::move(*codes);
  if (hasScales(*encoding)) {
    MatrixShape grid = gridOf(*encoding, shape);
    Layout layout = gridLayout(form);
    Result<std::vector<uint8_t>> scales =
        unpack(layout, grid, bytesOf(scalesType(*encoding)), stored.scales);
    if (!scales)
      return Error{scales.error()};
    encoded.scales = std::move(*scales);
    if (encoding->zeroPoint) {
      Result<std::vector<uint8_t>> zeroPoints =
          unpack(layout, grid, 1, stored.zeroPoints);
      if (!zeroPoints)
        return Error{zeroPoints.error()};
      encoded.zeroPoints = std::move(*zeroPoints);
    }
  }
  return decode(encoded);
}

Result<StoredTensor> storeIntegers(const TensorForm &form,
                                   std::span<const int64_t> values) {
  if (form.encoding())
    return wrongKind(form, "a form of integers");
  Result<std::vector<PartForm>> parts = partsOf(form);
  if (!parts)
    return Error{parts.error()};
  ElementType type = std::get<ElementType>(form.values);
  size_t width = size_t(bytesOf(type));
  if (values.size() != parts->front().bytes / width)
    return Error{"expected " + std::to_string(parts->front().bytes / width) +
                 " values, found " + std::to_string(values.size())};
  StoredTensor stored;
  stored.codes.resize(parts->front().bytes);
  auto [least, largest] = rangeOf(type);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < least || values[i] > largest)
      return Error{"expected values from " + std::to_string(least) + " to " +
                   std::to_string(largest) + ", found " +
                   std::to_string(values[i]) + " at " + std::to_string(i)};
    // Little-endian two's complement: the low bytes, whatever the width.
    std::memcpy(stored.codes.data() + i * width, &values[i], width);
  }
  return stored;
}

Result<std::vector<int64_t>> loadIntegers(const TensorForm &form,
                                          const StoredTensorView &stored) {
  if (form.encoding())
    return wrongKind(form, "a form of integers");
  if (Status status = verifyStored(form, stored); !status)
    return Error{status.error()};
  ElementType type = std::get<ElementType>(form.values);
  size_t width = size_t(bytesOf(type));
  bool isSigned = rangeOf(type).first < 0;
  std::vector<int64_t> values(stored.codes.size() / width);
  for (size_t i = 0; i < values.size(); ++i) {
    std::memcpy(&values[i], stored.codes.data() + i * width, width);
    // Moving the highest byte up and back down extends its sign.
    unsigned unused = unsigned(64 - 8 * width);
    if (isSigned)
      values[i] = int64_t(uint64_t(values[i]) << unused) >> unused;
  }
  return values;
}

Status verifySplat(const TensorForm &form, double value) {
  if (form.encoding()) {
    Result<float> rounded = splatFloat(form, value);
    return rounded ? success() : Status(Error{rounded.error()});
  }
  auto [least, largest] = rangeOf(std::get<ElementType>(form.values));
  // 2^63 is the first double behind the largest I64.
  if (std::nearbyint(value) == value && value >= double(least) &&
      value <= double(largest) && value < 0x1p63)
    return success();
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return Error{"expected an integer from " + std::to_string(least) + " to " +
               std::to_string(largest) + ", found " + text};
}

Result<float> splatFloat(const TensorForm &form, double value) {
  const Encoding *encoding = form.encoding();
  if (!encoding)
    return wrongKind(form, "a form of floats");
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  float rounded = float(value);
  if (!std::isfinite(rounded))
    return Error{std::string("expected a finite f32 as splat, found ") + text};
  // All groups are alike, and all members of a group: the smallest group that
  // the format takes says it for all.
  Encoding small = *encoding;
  if (small.group != 0 && small.format != Format::MXFP4)
    small.group = 1;
  std::vector<float> values(size_t(std::max<int64_t>(small.group, 1)), rounded);
  int64_t count = int64_t(values.size());
  MatrixShape shape = small.along == GroupAxis::Input
                          ? MatrixShape{1, count, 1}
                          : MatrixShape{1, 1, count};
  Result<std::vector<float>> decoded = roundTrip(small, shape, values);
  if (!decoded)
    return Error{decoded.error()};
  if (!std::isfinite(decoded->front()))
    return Error{"expected a splat within " + toString(*encoding) + ", found " +
                 text};
  return decoded->front();
}

} // namespace moec::weights
