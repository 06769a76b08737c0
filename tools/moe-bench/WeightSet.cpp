// Weights made up for a run: random values that are valid, in some copies.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/WeightSet.h"

#include "weights/FloatFormats.h"
#include "weights/Seeded.h"
#include "weights/StoredTensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

using namespace moec::weights;

namespace moec::bench {

namespace {

constexpr size_t alignment = 64;

/// A quick generator (xorshift64*): gigabytes are to be filled.
class Random {
public:
  explicit Random(uint32_t seed)
      : state(0x9E3779B97F4A7C15ull ^
              (uint64_t(seed) * 0xD1342543DE82EF95ull)) {}
  uint64_t next() {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Dull;
  }

private:
  uint64_t state;
};

/// Fills with values of a table of 4096 entries, four for each 64 bits.
template <typename T>
void fillFromTable(const std::vector<T> &table, uint8_t *data, uint64_t count,
                   uint32_t seed) {
  Random random(seed);
  T *values = reinterpret_cast<T *>(data);
  for (uint64_t i = 0; i < count; i += 4) {
    uint64_t bits = random.next();
    for (uint64_t j = i; j < std::min(i + 4, count); ++j, bits >>= 16)
      values[j] = table[(bits >> 4) & 4095];
  }
}

/// Normally distributed values, or positive ones around the scale.
std::vector<float> tableOf(double scale, bool arePositive) {
  std::vector<float> table;
  for (uint64_t i = 0; i < 4096; ++i) {
    double first = (seededBits(5, 2 * i) + 0.5) / 4294967296.0;
    double second = (seededBits(5, 2 * i + 1) + 0.5) / 4294967296.0;
    table.push_back(float(
        scale * (arePositive ? 0.5 + first
                             : std::sqrt(-2 * std::log(first)) *
                                   std::cos(2 * std::numbers::pi * second))));
  }
  return table;
}

void fillFloats(const WeightTensor &tensor, double scale, bool arePositive,
                uint8_t *data, uint32_t seed) {
  std::vector<float> values = tableOf(scale, arePositive);
  uint64_t count = tensor.bytes() * 8 / tensor.type.bits;
  if (tensor.type.bits == 32)
    return fillFromTable(values, data, count, seed);
  if (tensor.type.bits == 64) {
    std::vector<double> wide(values.begin(), values.end());
    return fillFromTable(wide, data, count, seed);
  }
  std::vector<uint16_t> narrow;
  for (float value : values)
    narrow.push_back(tensor.type.code == kDLBfloat ? floatToBF16(value)
                                                   : floatToF16(value));
  fillFromTable(narrow, data, count, seed);
}

void fillBytes(const WeightTensor &tensor, uint8_t *data, uint32_t seed) {
  Random random(seed);
  for (uint64_t i = 0; i < tensor.bytes(); ++i) {
    uint8_t bits = uint8_t(random.next() >> 32);
    if (tensor.part == "scales")
      // Powers of two, 2^-10 to 2^-7, biased by 127.
      bits = uint8_t(117 + bits % 4);
    else if (tensor.part == "zero_points")
      bits = uint8_t(7 + bits % 2);
    else if ((bits & 0x7F) == 0x7F)
      // NaN of f8e4m3.
      bits ^= 1;
    data[i] = bits;
  }
}

} // namespace

uint64_t WeightTensor::bytes() const {
  uint64_t count = 1;
  for (int64_t extent : shape)
    count *= uint64_t(extent);
  return (count * type.bits + 7) / 8;
}

std::string partFromName(const std::string &name, int64_t below) {
  for (const char *part : {"scales", "zero_points", "slots"})
    if (name.ends_with(std::string(".") + part))
      return part;
  return below > 0 ? "table" : "codes";
}

void fillTensor(const WeightTensor &tensor, uint8_t *data, uint32_t seed) {
  if (tensor.type.code == kDLFloat || tensor.type.code == kDLBfloat) {
    size_t rank = tensor.shape.size();
    double inputs = rank >= 2 ? double(tensor.shape[rank - 2]) : 1;
    bool isScale = tensor.part == "scales";
    double scale = isScale ? 1.0 / 512
                   : tensor.part == "input"
                       ? 1
                       : 1 / std::sqrt(std::max(inputs, 1.0));
    return fillFloats(tensor, scale, isScale, data, seed);
  }
  if (tensor.type.bits == 8)
    return fillBytes(tensor, data, seed);
  uint64_t width = tensor.type.bits / 8;
  for (uint64_t i = 0; i < tensor.bytes() / width; ++i) {
    int64_t value = int64_t(i) % std::max<int64_t>(tensor.below, 1);
    std::memcpy(data + i * width, &value, width);
  }
}

void WeightSet::make(std::vector<WeightTensor> wanted, uint32_t seed) {
  tensors = std::move(wanted);
  total = 0;
  for (const WeightTensor &tensor : tensors) {
    offsets.push_back(total);
    total += (tensor.bytes() + alignment) / alignment * alignment;
  }
  memory.emplace_back(total);
  for (size_t i = 0; i < tensors.size(); ++i)
    fillTensor(tensors[i], data(i, 0), seedForKey(seed, tensors[i].name));
}

void WeightSet::setCopies(size_t count) {
  while (memory.size() < count) {
    Memory copy(total);
    std::memcpy(copy.bytes(), memory[0].bytes(), total);
    memory.push_back(std::move(copy));
  }
}

namespace {

/// The form of one matrix among the views: in panels if its codes have their
/// shape.
TensorForm formOf(const WeightTensor &codes, const Encoding &encoding,
                  int64_t rows, int64_t columns) {
  TensorForm form;
  form.values = encoding;
  form.shape = {rows, columns};
  int64_t codeRows =
      encoding.format == Format::Int4 || encoding.format == Format::MXFP4
          ? (rows + 1) / 2
          : rows;
  const int64_t panel[] = {(columns + 15) / 16, codeRows, 16};
  const std::vector<int64_t> &shape = codes.shape;
  if (shape.size() >= 3 && std::equal(shape.end() - 3, shape.end(), panel) &&
      !(shape.size() == 3 && columns == 16 && codeRows == rows))
    form.layout = Layout::Panel16;
  return form;
}

} // namespace

void zeroPadding(const WeightTensor &tensor, uint8_t *data, int64_t columns) {
  size_t rank = tensor.shape.size();
  int64_t panels = (columns + 15) / 16;
  if (columns % 16 == 0 || rank < 3 || tensor.shape[rank - 1] != 16 ||
      tensor.shape[rank - 3] != panels)
    return;
  uint64_t width = tensor.type.bits / 8;
  uint64_t rows = uint64_t(tensor.shape[rank - 2]);
  uint64_t panelBytes = rows * 16 * width;
  for (uint64_t panel = uint64_t(panels) - 1;
       panel < tensor.bytes() / panelBytes; panel += uint64_t(panels))
    for (uint64_t row = 0; row < rows; ++row)
      std::memset(data + panel * panelBytes +
                      (row * 16 + uint64_t(columns % 16)) * width,
                  0, (16 - uint64_t(columns % 16)) * width);
}

Result<std::vector<float>> decodeMatrix(std::span<const TensorView> views,
                                        const std::string &name,
                                        const Encoding &encoding, int64_t entry,
                                        int64_t rows, int64_t columns) {
  auto find = [&](const std::string &wanted) -> const TensorView * {
    for (const TensorView &view : views)
      if (view.tensor->name == wanted)
        return &view;
    return nullptr;
  };
  const TensorView *codes = find(name);
  if (!codes)
    return Error{"expected a weight '" + name +
                 "' to check results with, found none"};
  TensorForm form = formOf(*codes->tensor, encoding, rows, columns);
  Result<std::vector<PartForm>> parts = partsOf(form);
  if (!parts)
    return Error{parts.error()};
  StoredTensorView stored;
  for (const PartForm &part : *parts) {
    std::string full = name + std::string(partSuffix(part.part));
    const TensorView *view = find(full);
    if (!view)
      return Error{"expected '" + full + "', found none"};
    if (view->tensor->bytes() < (uint64_t(entry) + 1) * part.bytes)
      return Error{"expected '" + full + "' to be of " + toString(form) +
                   ", found too few bytes"};
    stored[part.part] = {view->data + uint64_t(entry) * part.bytes, part.bytes};
  }
  return loadFloats(form, stored);
}

} // namespace moec::bench
