// How weights are coded: docs/spec.md section 2.2, as functions.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Encoding.h"

#include "weights/ElementType.h"
#include "weights/FloatFormats.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <iterator>

namespace moec::weights {

static_assert(std::endian::native == std::endian::little,
              "codes and scales are stored little-endian");

namespace {

constexpr std::string_view formatNames[] = {"f32",  "bf16", "f16",  "f8e4m3",
                                            "int8", "int4", "mxfp4"};
constexpr std::string_view scaleTypeNames[] = {"f32", "f16", "bf16"};

bool takesGroup(Format format) {
  return format == Format::F8E4M3 || format == Format::Int8 ||
         format == Format::Int4 || format == Format::MXFP4;
}

int codeBits(Format format) {
  switch (format) {
  case Format::F32:
    return 32;
  case Format::BF16:
  case Format::F16:
    return 16;
  case Format::F8E4M3:
  case Format::Int8:
    return 8;
  case Format::Int4:
  case Format::MXFP4:
    return 4;
  }
  return 0;
}

int scaleBytes(const Encoding &encoding) {
  if (encoding.format == Format::MXFP4)
    return 1;
  return encoding.scale == ScaleType::F32 ? 4 : 2;
}

/// Where the groups of one matrix lie: group (o, i) has `length` members, the
/// first at o * outerStep + i * innerStep, `stride` elements apart.
struct GroupGrid {
  int64_t outer = 0, inner = 0, length = 0;
  int64_t outerStep = 0, innerStep = 0, stride = 0;

  int64_t count() const { return outer * inner; }

  /// The flat index of a group's first member.
  int64_t first(int64_t group) const {
    return group / inner * outerStep + group % inner * innerStep;
  }
};

GroupGrid groupGrid(const Encoding &encoding, const MatrixShape &shape) {
  GroupGrid grid;
  int64_t group = encoding.group;
  if (group == 0) {
    grid = {1, 1, shape.rows * shape.cols, 0, 0, 1};
  } else if (encoding.along == GroupAxis::Input) {
    grid = {shape.rows / group, shape.cols, group,
            group * shape.cols, 1,          shape.cols};
  } else {
    grid = {shape.rows, shape.cols / group, group, shape.cols, group, 1};
  }
  return grid;
}

/// The group of a place, as groupGrid counts them.
int64_t groupAt(const Encoding &encoding, int64_t cols, int64_t row,
                int64_t col) {
  if (encoding.group == 0)
    return 0;
  return encoding.along == GroupAxis::Input
             ? row / encoding.group * cols + col
             : row * (cols / encoding.group) + col / encoding.group;
}

int64_t codeBytesPerEntry(const Encoding &encoding, const MatrixShape &shape) {
  return (shape.rows * shape.cols * codeBits(encoding.format) + 7) / 8;
}

/// Groups of the whole tensor; 0 for formats without scales.
int64_t groupCount(const Encoding &encoding, const MatrixShape &shape) {
  if (!hasScales(encoding))
    return 0;
  return shape.entries * groupGrid(encoding, shape).count();
}

float roundScale(float scale, ScaleType type) {
  switch (type) {
  case ScaleType::F32:
    return scale;
  case ScaleType::F16:
    return f16ToFloat(floatToF16(scale));
  case ScaleType::BF16:
    return bf16ToFloat(floatToBF16(scale));
  }
  return scale;
}

void storeScale(uint8_t *place, float scale, ScaleType type) {
  if (type == ScaleType::F32) {
    std::memcpy(place, &scale, 4);
    return;
  }
  uint16_t bits =
      type == ScaleType::F16 ? floatToF16(scale) : floatToBF16(scale);
  std::memcpy(place, &bits, 2);
}

float loadScale(const uint8_t *place, const Encoding &encoding) {
  if (encoding.format == Format::MXFP4)
    return e8M0ToFloat(*place);
  if (encoding.scale == ScaleType::F32) {
    float scale = 0;
    std::memcpy(&scale, place, 4);
    return scale;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, place, 2);
  return encoding.scale == ScaleType::F16 ? f16ToFloat(bits)
                                          : bf16ToFloat(bits);
}

/// Writes the code of element `index` of an entry.
void storeCode(uint8_t *entry, int64_t index, uint8_t code, Format format) {
  if (codeBits(format) == 8)
    entry[index] = code;
  else if (index % 2 == 0)
    entry[index / 2] = uint8_t((entry[index / 2] & 0xF0) | (code & 0xF));
  else
    entry[index / 2] = uint8_t((entry[index / 2] & 0x0F) | (code << 4));
}

uint8_t loadCode(const uint8_t *entry, int64_t index, Format format) {
  if (codeBits(format) == 8)
    return entry[index];
  uint8_t byte = entry[index / 2];
  return index % 2 == 0 ? byte & 0xF : byte >> 4;
}

/// Scale, zero point and codes of one group.
struct GroupCoder {
  const Encoding &encoding;
  float scale = 0;      // as stored; 0 when the group decodes to zeros
  float zero = 0;       // the zero point
  uint8_t exponent = 0; // mxfp4's shared scale

  explicit GroupCoder(const Encoding &encoding) : encoding(encoding) {}

  void chooseScale(float low, float high) {
    float largest = std::max(-low, high);
    if (encoding.format == Format::MXFP4) {
      // An all-zero group takes the smallest scale, and codes of zero.
      int power = largest == 0 ? -127 : std::ilogb(largest) - 2;
      exponent = uint8_t(std::clamp(power, -127, 127) + 127);
      scale = largest == 0 ? 0.0f : e8M0ToFloat(exponent);
      return;
    }
    if (encoding.zeroPoint) {
      float levels = encoding.format == Format::Int8 ? 255.0f : 15.0f;
      scale = roundScale((high - low) / levels, encoding.scale);
      if (scale != 0)
        zero = std::clamp(std::nearbyint(-low / scale), 0.0f, levels);
      return;
    }
    float quanta = encoding.format == Format::F8E4M3 ? 448.0f
                   : encoding.format == Format::Int8 ? 127.0f
                                                     : 7.0f;
    scale = roundScale(largest / quanta, encoding.scale);
  }

  uint8_t code(float value) const {
    if (scale == 0)
      return 0;
    switch (encoding.format) {
    case Format::F8E4M3:
      return floatToF8E4M3(value / scale);
    case Format::MXFP4:
      // In double: the quotient of an f32 by a power of two is exact.
      return floatToE2M1(float(double(value) / double(scale)));
    default:
      break;
    }
    float steps = std::nearbyint(value / scale);
    if (encoding.zeroPoint) {
      float levels = encoding.format == Format::Int8 ? 255.0f : 15.0f;
      return uint8_t(std::clamp(steps + zero, 0.0f, levels));
    }
    float quanta = encoding.format == Format::Int8 ? 127.0f : 7.0f;
    return uint8_t(int8_t(std::clamp(steps, -quanta, quanta)));
  }

  float value(uint8_t code) const {
    switch (encoding.format) {
    case Format::F8E4M3:
      return scale * f8E4M3ToFloat(code);
    case Format::MXFP4:
      return scale * e2M1ToFloat(code);
    case Format::Int8:
      return encoding.zeroPoint ? scale * (float(code) - zero)
                                : scale * float(int8_t(code));
    default:
      // Moving the nibble up and back down extends its sign.
      return encoding.zeroPoint ? scale * (float(code) - zero)
                                : scale * float(int8_t(code << 4) >> 4);
    }
  }
};

/// "[entry, row, col]" of a flat index, for messages.
std::string place(const MatrixShape &shape, int64_t entry, int64_t index) {
  int64_t indices[] = {entry, index / shape.cols, index % shape.cols};
  return shapeToString(indices);
}

/// Room for the scales and zero points of a tensor.
void resizeScales(EncodedTensor &tensor) {
  int64_t groups = groupCount(tensor.encoding, tensor.shape);
  tensor.scales.resize(size_t(groups * scaleBytes(tensor.encoding)));
  if (tensor.encoding.zeroPoint)
    tensor.zeroPoints.resize(size_t(groups));
}

/// Chooses scale and zero point of group `g` of an entry by the entry's values,
/// and stores them.
Result<GroupCoder> chooseScale(EncodedTensor &tensor, const GroupGrid &grid,
                               int64_t entry, int64_t g,
                               std::span<const float> matrix) {
  const Encoding &encoding = tensor.encoding;
  GroupCoder coder(encoding);
  float low = 0, high = 0;
  int64_t first = grid.first(g);
  for (int64_t i = 0; i < grid.length; ++i) {
    int64_t index = first + i * grid.stride;
    float value = matrix[size_t(index)];
    if (!std::isfinite(value))
      return Error{"expected finite values for " + toString(encoding) +
                   ", found " + std::to_string(value) + " at " +
                   place(tensor.shape, entry, index)};
    low = std::min(low, value);
    high = std::max(high, value);
  }
  coder.chooseScale(low, high);
  if (!std::isfinite(coder.scale))
    return Error{"expected a scale within " +
                 std::string(scaleTypeName(encoding.scale)) +
                 ", found values from " + std::to_string(low) + " to " +
                 std::to_string(high) + " in the group at " +
                 place(tensor.shape, entry, first)};
  int64_t group = entry * grid.count() + g;
  if (encoding.format == Format::MXFP4)
    tensor.scales[size_t(group)] = coder.exponent;
  else
    storeScale(&tensor.scales[size_t(group * scaleBytes(encoding))],
               coder.scale, encoding.scale);
  if (encoding.zeroPoint)
    tensor.zeroPoints[size_t(group)] = uint8_t(coder.zero);
  return coder;
}

void encodePlain(Format format, std::span<const float> values, uint8_t *codes) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (format == Format::F32) {
      std::memcpy(codes + 4 * i, &values[i], 4);
    } else if (format == Format::F8E4M3) {
      codes[i] = floatToF8E4M3(values[i]);
    } else {
      uint16_t bits = format == Format::BF16 ? floatToBF16(values[i])
                                             : floatToF16(values[i]);
      std::memcpy(codes + 2 * i, &bits, 2);
    }
  }
}

void decodePlain(Format format, const uint8_t *codes, std::span<float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (format == Format::F32) {
      std::memcpy(&values[i], codes + 4 * i, 4);
    } else if (format == Format::F8E4M3) {
      values[i] = f8E4M3ToFloat(codes[i]);
    } else {
      uint16_t bits = 0;
      std::memcpy(&bits, codes + 2 * i, 2);
      values[i] = format == Format::BF16 ? bf16ToFloat(bits) : f16ToFloat(bits);
    }
  }
}

Error wrongSize(const char *what, uint64_t expected, uint64_t found) {
  return Error{std::string("expected ") + std::to_string(expected) + " " +
               what + ", found " + std::to_string(found)};
}

} // namespace

bool hasScales(const Encoding &encoding) {
  switch (encoding.format) {
  case Format::Int8:
  case Format::Int4:
  case Format::MXFP4:
    return true;
  case Format::F8E4M3:
    return encoding.group != 0;
  default:
    return false;
  }
}

std::string_view formatName(Format format) {
  return formatNames[size_t(format)];
}

std::optional<Format> formatFromName(std::string_view name) {
  for (size_t i = 0; i < std::size(formatNames); ++i)
    if (formatNames[i] == name)
      return Format(i);
  return std::nullopt;
}

std::string_view scaleTypeName(ScaleType type) {
  return scaleTypeNames[size_t(type)];
}

std::optional<ScaleType> scaleTypeFromName(std::string_view name) {
  for (size_t i = 0; i < std::size(scaleTypeNames); ++i)
    if (scaleTypeNames[i] == name)
      return ScaleType(i);
  return std::nullopt;
}

std::string toString(const Encoding &encoding) {
  std::string text(formatName(encoding.format));
  if (encoding.group != 0)
    text += " group " + std::to_string(encoding.group);
  if (encoding.zeroPoint)
    text += " zero_point";
  if (encoding.scale != ScaleType::F32)
    text += " scale " + std::string(scaleTypeName(encoding.scale));
  if (encoding.along == GroupAxis::Output)
    text += " along output";
  return text;
}

Result<Encoding> encodingFromText(std::string_view text) {
  // Whatever the words mean, printing it must give the text again: so nothing
  // is skipped, doubled or in another order.
  Encoding encoding;
  std::string_view rest = text;
  auto word = [&] {
    std::string_view first = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), first.size() + 1));
    return first;
  };
  std::optional<Format> format = formatFromName(word());
  if (format)
    encoding.format = *format;
  while (format && !rest.empty()) {
    std::string_view key = word();
    if (key == "group") {
      std::string_view value = word();
      std::from_chars(value.data(), value.data() + value.size(),
                      encoding.group);
    } else if (key == "zero_point") {
      encoding.zeroPoint = true;
    } else if (key == "scale") {
      encoding.scale = scaleTypeFromName(word()).value_or(ScaleType::F32);
    } else if (key == "along") {
      encoding.along =
          word() == "output" ? GroupAxis::Output : GroupAxis::Input;
    }
  }
  if (!format || toString(encoding) != text)
    return Error{"expected an encoding such as 'bf16' or 'int4 group 32 "
                 "zero_point scale f16 along output', found '" +
                 std::string(text.substr(0, 100)) + "'"};
  if (Status status = verifyEncoding(encoding); !status)
    return Error{status.error()};
  return encoding;
}

Status verifyEncoding(const Encoding &encoding) {
  std::string name(formatName(encoding.format));
  if (encoding.group < 0)
    return Error{"expected a positive group, found " +
                 std::to_string(encoding.group)};
  if (encoding.group != 0 && !takesGroup(encoding.format))
    return Error{"expected no group on " + name + ", found group " +
                 std::to_string(encoding.group)};
  if (encoding.format == Format::Int4 && encoding.group == 0)
    return Error{"expected a group on int4, found none"};
  if (encoding.format == Format::MXFP4 && encoding.group != 32)
    return Error{"expected group 32 on mxfp4, found " +
                 (encoding.group == 0 ? std::string("none")
                                      : std::to_string(encoding.group))};
  if (encoding.zeroPoint && encoding.format != Format::Int8 &&
      encoding.format != Format::Int4)
    return Error{"expected a zero point on int8 or int4 only, found one on " +
                 name};
  if (encoding.scale != ScaleType::F32 &&
      (!hasScales(encoding) || encoding.format == Format::MXFP4))
    return Error{"expected no scale type on " +
                 toString({encoding.format, encoding.group}) + ", found " +
                 std::string(scaleTypeName(encoding.scale))};
  return success();
}

Status verifyEncoding(const Encoding &encoding, const MatrixShape &shape) {
  if (Status status = verifyEncoding(encoding); !status)
    return status;
  int64_t extents[] = {shape.entries, shape.rows, shape.cols};
  // f32 is the widest: what fits as f32 fits in every encoding.
  if (!tensorBytes(ElementType::F32, extents))
    return Error{"expected a shape [entries, rows, columns] of at most 2^63 "
                 "bytes, found " +
                 shapeToString(extents)};
  bool alongInput = encoding.along == GroupAxis::Input;
  int64_t axis = alongInput ? shape.rows : shape.cols;
  if (encoding.group != 0 && axis % encoding.group != 0)
    return Error{"expected a group that divides the " + std::to_string(axis) +
                 (alongInput ? " rows" : " columns") + ", found group " +
                 std::to_string(encoding.group)};
  return success();
}

Result<uint64_t> encodedBytes(const Encoding &encoding,
                              const MatrixShape &shape) {
  if (Status status = verifyEncoding(encoding, shape); !status)
    return Error{status.error()};
  int64_t perGroup = scaleBytes(encoding) + (encoding.zeroPoint ? 1 : 0);
  return uint64_t(shape.entries * codeBytesPerEntry(encoding, shape) +
                  groupCount(encoding, shape) * perGroup);
}

Result<EncodedTensor> encode(const Encoding &encoding, const MatrixShape &shape,
                             std::span<const float> values) {
  if (Status status = verifyEncoding(encoding, shape); !status)
    return Error{status.error()};
  int64_t perEntry = shape.rows * shape.cols;
  if (uint64_t(shape.entries * perEntry) != values.size())
    return wrongSize("values", uint64_t(shape.entries * perEntry),
                     values.size());

  EncodedTensor result{encoding, shape, {}, {}, {}};
  int64_t entryBytes = codeBytesPerEntry(encoding, shape);
  result.codes.resize(size_t(shape.entries * entryBytes));
  if (!hasScales(encoding)) {
    encodePlain(encoding.format, values, result.codes.data());
    return result;
  }

  resizeScales(result);
  GroupGrid grid = groupGrid(encoding, shape);
  for (int64_t entry = 0; entry < shape.entries; ++entry) {
    std::span<const float> matrix =
        values.subspan(size_t(entry * perEntry), size_t(perEntry));
    uint8_t *codes = result.codes.data() + entry * entryBytes;
    for (int64_t g = 0; g < grid.count(); ++g) {
      Result<GroupCoder> coder = chooseScale(result, grid, entry, g, matrix);
      if (!coder)
        return Error{coder.error()};
      int64_t first = grid.first(g);
      for (int64_t i = 0; i < grid.length; ++i) {
        int64_t index = first + i * grid.stride;
        storeCode(codes, index, coder->code(matrix[size_t(index)]),
                  encoding.format);
      }
    }
  }
  return result;
}

Result<MatrixEncoder> MatrixEncoder::create(const Encoding &encoding,
                                            int64_t rows, int64_t cols,
                                            std::span<const float> values) {
  MatrixShape shape{1, rows, cols};
  if (Status status = verifyEncoding(encoding, shape); !status)
    return Error{status.error()};
  if (!hasScales(encoding))
    return Error{"expected an encoding with scales, found " +
                 toString(encoding)};
  if (uint64_t(rows * cols) != values.size())
    return wrongSize("values", uint64_t(rows * cols), values.size());
  MatrixEncoder result({encoding, shape, {}, {}, {}});
  result.tensor.codes.resize(size_t(codeBytesPerEntry(encoding, shape)));
  resizeScales(result.tensor);
  GroupGrid grid = groupGrid(encoding, shape);
  for (int64_t g = 0; g < grid.count(); ++g) {
    Result<GroupCoder> coder = chooseScale(result.tensor, grid, 0, g, values);
    if (!coder)
      return Error{coder.error()};
    result.scales.push_back(coder->scale);
    result.zeros.push_back(coder->zero);
  }
  return result;
}

float MatrixEncoder::put(int64_t row, int64_t col, float value) {
  const Encoding &encoding = tensor.encoding;
  size_t group = size_t(groupAt(encoding, tensor.shape.cols, row, col));
  GroupCoder coder(encoding);
  coder.scale = scales[group];
  coder.zero = zeros[group];
  uint8_t code = coder.code(value);
  storeCode(tensor.codes.data(), row * tensor.shape.cols + col, code,
            encoding.format);
  return coder.value(code);
}

Result<std::vector<float>> decode(const EncodedTensor &tensor) {
  const Encoding &encoding = tensor.encoding;
  const MatrixShape &shape = tensor.shape;
  if (Status status = verifyEncoding(encoding, shape); !status)
    return Error{status.error()};
  int64_t entryBytes = codeBytesPerEntry(encoding, shape);
  int64_t groups = groupCount(encoding, shape);
  uint64_t expectedCodes = uint64_t(shape.entries * entryBytes);
  uint64_t expectedScales = uint64_t(groups * scaleBytes(encoding));
  uint64_t expectedZeros = encoding.zeroPoint ? uint64_t(groups) : 0;
  if (tensor.codes.size() != expectedCodes)
    return wrongSize("bytes of codes", expectedCodes, tensor.codes.size());
  if (tensor.scales.size() != expectedScales)
    return wrongSize("bytes of scales", expectedScales, tensor.scales.size());
  if (tensor.zeroPoints.size() != expectedZeros)
    return wrongSize("zero points", expectedZeros, tensor.zeroPoints.size());

  int64_t perEntry = shape.rows * shape.cols;
  std::vector<float> values(size_t(shape.entries * perEntry));
  if (!hasScales(encoding)) {
    decodePlain(encoding.format, tensor.codes.data(), values);
    return values;
  }
  GroupGrid grid = groupGrid(encoding, shape);
  for (int64_t entry = 0; entry < shape.entries; ++entry) {
    float *matrix = values.data() + entry * perEntry;
    const uint8_t *codes = tensor.codes.data() + entry * entryBytes;
    for (int64_t g = 0; g < grid.count(); ++g) {
      int64_t group = entry * grid.count() + g;
      GroupCoder coder(encoding);
      coder.scale = loadScale(
          &tensor.scales[size_t(group * scaleBytes(encoding))], encoding);
      if (encoding.zeroPoint)
        coder.zero = float(tensor.zeroPoints[size_t(group)]);
      int64_t first = grid.first(g);
      for (int64_t i = 0; i < grid.length; ++i) {
        int64_t index = first + i * grid.stride;
        matrix[index] = coder.value(loadCode(codes, index, encoding.format));
      }
    }
  }
  return values;
}

Result<std::vector<float>> roundTrip(const Encoding &encoding,
                                     const MatrixShape &shape,
                                     std::span<const float> values) {
  Result<EncodedTensor> encoded = encode(encoding, shape, values);
  if (!encoded)
    return Error{encoded.error()};
  return decode(*encoded);
}

} // namespace moec::weights
