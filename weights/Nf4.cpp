// Tensors in NormalFloat4, as bitsandbytes stores them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Nf4.h"

#include "weights/FloatFormats.h"
#include "weights/TransposedRead.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace moec::weights {

static_assert(std::endian::native == std::endian::little,
              "scales are stored little-endian");

// Quantiles of the normal distribution: eight of the negative half and eight of
// the positive one, both with zero and one, over the largest.
const std::array<float, 16> nf4Values = {-1.0f,
                                         -0.6961928009986877f,
                                         -0.5250730514526367f,
                                         -0.39491748809814453f,
                                         -0.28444138169288635f,
                                         -0.18477343022823334f,
                                         -0.09105003625154495f,
                                         0.0f,
                                         0.07958029955625534f,
                                         0.16093020141124725f,
                                         0.24611230194568634f,
                                         0.33791524171829224f,
                                         0.44070982933044434f,
                                         0.5626170039176941f,
                                         0.7229568362236023f,
                                         1.0f};

/// Largest block: no writer has more than 4096.
static constexpr int64_t mostOfBlock = 65536;

int64_t Nf4Tensor::elements() const { return *elementCount(shape); }

uint64_t Nf4Tensor::bytesOfScales() const {
  return nested
             ? nested->codes.size() + nested->map.size() + nested->scales.size()
             : scales.size();
}

static int64_t blocksOf(int64_t count, int64_t size) {
  return count / size + (count % size != 0);
}

Status verifyNf4(const std::string &name, const Nf4Tensor &tensor) {
  auto expect = [&](const char *what, int64_t expected,
                    uint64_t found) -> Status {
    if (uint64_t(expected) == found)
      return success();
    return Error{name + ": expected " + std::to_string(expected) + " " + what +
                 ", found " + std::to_string(found)};
  };
  auto expectBlock = [&](int64_t size) -> Status {
    if (size >= 1 && size <= mostOfBlock)
      return success();
    return Error{name + ": expected blocks of 1 to " +
                 std::to_string(mostOfBlock) + ", found " +
                 std::to_string(size)};
  };
  if (!tensorBytes(ElementType::F64, tensor.shape))
    return Error{name + ": expected a shape of at most 2^63 bytes, found " +
                 shapeToString(tensor.shape)};
  if (tensor.type != ElementType::F32 && tensor.type != ElementType::BF16 &&
      tensor.type != ElementType::F16)
    return Error{name + ": expected values in F32, BF16 or F16, found " +
                 std::string(elementTypeName(tensor.type))};
  if (Status status = expectBlock(tensor.blockSize); !status)
    return status;
  int64_t elements = tensor.elements();
  int64_t blocks = blocksOf(elements, tensor.blockSize);
  if (Status status =
          expect("bytes of codes", blocksOf(elements, 2), tensor.codes.size());
      !status)
    return status;
  if (!tensor.nested)
    return expect("bytes of scales", 4 * blocks, tensor.scales.size());
  if (Status status = expectBlock(tensor.nested->blockSize); !status)
    return status;
  if (Status status =
          expect("codes of scales", blocks, tensor.nested->codes.size());
      !status)
    return status;
  if (Status status = expect("bytes of the scales' map", 4 * 256,
                             tensor.nested->map.size());
      !status)
    return status;
  return expect("bytes of the scales' scales",
                4 * blocksOf(blocks, tensor.nested->blockSize),
                tensor.nested->scales.size());
}

static float loadFloat(std::span<const uint8_t> bytes, int64_t index) {
  float value = 0;
  std::memcpy(&value, bytes.data() + 4 * index, 4);
  return value;
}

static float scaleOf(const Nf4Tensor &tensor, int64_t block) {
  if (!tensor.nested)
    return loadFloat(tensor.scales, block);
  const Nf4NestedScales &nested = *tensor.nested;
  return loadFloat(nested.map, nested.codes[size_t(block)]) *
             loadFloat(nested.scales, block / nested.blockSize) +
         nested.offset;
}

static float roundTo(ElementType type, float value) {
  if (type == ElementType::BF16)
    return bf16ToFloat(floatToBF16(value));
  return type == ElementType::F16 ? f16ToFloat(floatToF16(value)) : value;
}

void decodeNf4(const Nf4Tensor &tensor, int64_t begin,
               std::span<float> values) {
  int64_t end = begin + int64_t(values.size());
  for (int64_t at = begin; at < end;) {
    int64_t block = at / tensor.blockSize;
    float scale = scaleOf(tensor, block);
    for (int64_t last = std::min(end, (block + 1) * tensor.blockSize);
         at < last; ++at) {
      uint8_t byte = tensor.codes[size_t(at / 2)];
      uint8_t code = at % 2 == 0 ? byte >> 4 : byte & 0xF;
      values[size_t(at - begin)] =
          roundTo(tensor.type, nf4Values[code] * scale);
    }
  }
}

namespace {

class Nf4Matrices final : public MatrixSource {
public:
  Nf4Matrices(std::string name, const MatrixShape &shape,
              std::vector<Nf4Matrix> entries, bool isTransposed,
              std::shared_ptr<const void> owner)
      : MatrixSource(std::move(name), shape), entries(std::move(entries)),
        isTransposed(isTransposed), owner(std::move(owner)) {}

private:
  Status doRead(int64_t entry, std::span<float> values) const override {
    auto readRun = [&](int64_t begin, std::span<float> run) {
      return doReadAnyOrder(entry, begin, run);
    };
    return isTransposed ? readTransposed(shape(), values, readRun)
                        : readRun(0, values);
  }
  Status doReadAnyOrder(int64_t entry, int64_t begin,
                        std::span<float> values) const override {
    const Nf4Matrix &matrix = entries[size_t(entry)];
    decodeNf4(*matrix.tensor, matrix.first + begin, values);
    return success();
  }

  std::vector<Nf4Matrix> entries;
  bool isTransposed;
  std::shared_ptr<const void> owner;
};

} // namespace

Result<std::shared_ptr<const MatrixSource>>
nf4Matrices(std::string name, const MatrixShape &shape,
            std::vector<Nf4Matrix> entries, bool transposed,
            std::shared_ptr<const void> owner) {
  if (int64_t(entries.size()) != shape.entries)
    return Error{name + ": expected " + std::to_string(shape.entries) +
                 " matrices, found " + std::to_string(entries.size())};
  for (size_t i = 0; i < entries.size(); ++i) {
    int64_t left = entries[i].tensor->elements() - entries[i].first;
    if (entries[i].first < 0 || left < shape.rows * shape.cols)
      return Error{name + ": expected " +
                   std::to_string(shape.rows * shape.cols) +
                   " elements for entry " + std::to_string(i) + ", found " +
                   std::to_string(left)};
  }
  return std::shared_ptr<const MatrixSource>(
      std::make_shared<Nf4Matrices>(std::move(name), shape, std::move(entries),
                                    transposed, std::move(owner)));
}

} // namespace moec::weights
