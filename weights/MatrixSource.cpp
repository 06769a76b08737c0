// Matrices read one at a time, wherever they lie or come from.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/MatrixSource.h"

#include "weights/FloatFormats.h"
#include "weights/Seeded.h"
#include "weights/TransposedRead.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace moec::weights {

MatrixSource::~MatrixSource() = default;

static Error outside(const MatrixSource &source, const char *what,
                     int64_t found, int64_t count) {
  return Error{source.name() + ": expected " + what + " below " +
               std::to_string(count) + ", found " + std::to_string(found)};
}

Status MatrixSource::read(int64_t entry, std::span<float> values) const {
  if (entry < 0 || entry >= matrixShape.entries)
    return outside(*this, "an entry", entry, matrixShape.entries);
  int64_t count = matrixShape.rows * matrixShape.cols;
  if (int64_t(values.size()) != count)
    return Error{name() + ": expected room for " + std::to_string(count) +
                 " values, found " + std::to_string(values.size())};
  return doRead(entry, values);
}

Status MatrixSource::readAnyOrder(int64_t entry, int64_t begin,
                                  std::span<float> values) const {
  if (entry < 0 || entry >= matrixShape.entries)
    return outside(*this, "an entry", entry, matrixShape.entries);
  int64_t count = matrixShape.rows * matrixShape.cols;
  if (begin < 0 || begin > count || int64_t(values.size()) > count - begin)
    return Error{name() + ": expected a range within " + std::to_string(count) +
                 " values, found " + std::to_string(begin) + " to " +
                 std::to_string(begin + int64_t(values.size()))};
  return doReadAnyOrder(entry, begin, values);
}

Result<EncodedTensor>
MatrixSource::readEncoded(int64_t entry, const Encoding &encoding) const {
  if (entry < 0 || entry >= matrixShape.entries)
    return outside(*this, "an entry", entry, matrixShape.entries);
  return doReadEncoded(entry, encoding);
}

Result<EncodedTensor>
MatrixSource::doReadEncoded(int64_t entry, const Encoding &encoding) const {
  std::vector<float> values(size_t(matrixShape.rows * matrixShape.cols));
  if (Status status = doRead(entry, values); !status)
    return Error{status.error()};
  return encodeEntry(name(), entry, encoding, matrixShape.rows,
                     matrixShape.cols, values);
}

Status MatrixSource::doReadAnyOrder(int64_t entry, int64_t begin,
                                    std::span<float> values) const {
  std::vector<float> whole(size_t(matrixShape.rows * matrixShape.cols));
  if (Status status = doRead(entry, whole); !status)
    return status;
  std::copy_n(whole.begin() + begin, values.size(), values.begin());
  return success();
}

Result<EncodedTensor> encodeEntry(const std::string &name, int64_t entry,
                                  const Encoding &encoding, int64_t rows,
                                  int64_t cols, std::span<const float> values) {
  Result<EncodedTensor> encoded = encode(encoding, {1, rows, cols}, values);
  if (encoded)
    return encoded;
  return Error{atEntry(name, entry, encoded.error())};
}

std::string atEntry(const std::string &name, int64_t entry,
                    std::string message) {
  // The only entry that an encoder sees is this one.
  constexpr std::string_view place = " at [0, ";
  if (size_t at = message.rfind(place); at != std::string::npos)
    message.replace(at, place.size(), " at [" + std::to_string(entry) + ", ");
  return name + ": " + message;
}

Result<std::vector<float>> readAll(const MatrixSource &source) {
  const MatrixShape &shape = source.shape();
  size_t size = size_t(shape.rows * shape.cols);
  std::vector<float> values(size_t(shape.entries) * size);
  for (int64_t entry = 0; entry < shape.entries; ++entry)
    if (Status status = source.read(
            entry, std::span(values).subspan(size_t(entry) * size, size));
        !status)
      return Error{status.error()};
  return values;
}

//===----------------------------------------------------------------------===//
// In memory, and made up
//===----------------------------------------------------------------------===//

namespace {

class ArrayMatrices final : public MatrixSource {
public:
  ArrayMatrices(std::string name, const MatrixShape &shape,
                std::vector<float> values)
      : MatrixSource(std::move(name), shape), values(std::move(values)) {}

private:
  Status doRead(int64_t entry, std::span<float> result) const override {
    return doReadAnyOrder(entry, 0, result);
  }
  Status doReadAnyOrder(int64_t entry, int64_t begin,
                        std::span<float> result) const override {
    int64_t first = entry * shape().rows * shape().cols + begin;
    std::copy_n(values.begin() + first, result.size(), result.begin());
    return success();
  }

  std::vector<float> values;
};

class SplatMatrices final : public MatrixSource {
public:
  SplatMatrices(std::string name, const MatrixShape &shape, float value)
      : MatrixSource(std::move(name), shape), value(value) {}

private:
  Status doRead(int64_t, std::span<float> result) const override {
    std::fill(result.begin(), result.end(), value);
    return success();
  }
  Status doReadAnyOrder(int64_t entry, int64_t,
                        std::span<float> result) const override {
    return doRead(entry, result);
  }

  float value;
};

class SeededMatrices final : public MatrixSource {
public:
  SeededMatrices(std::string name, const MatrixShape &shape, uint32_t seed,
                 double scale)
      : MatrixSource(std::move(name), shape), seed(seed), scale(scale) {}

private:
  Status doRead(int64_t entry, std::span<float> result) const override {
    return doReadAnyOrder(entry, 0, result);
  }
  Status doReadAnyOrder(int64_t entry, int64_t begin,
                        std::span<float> result) const override {
    uint64_t n = uint64_t(entry * shape().rows * shape().cols + begin);
    for (float &value : result)
      value = seededValue(seed, n++, scale);
    return success();
  }

  uint32_t seed;
  double scale;
};

} // namespace

std::shared_ptr<const MatrixSource> matricesOf(std::string name,
                                               const MatrixShape &shape,
                                               std::vector<float> values) {
  assert(int64_t(values.size()) == shape.entries * shape.rows * shape.cols);
  return std::make_shared<ArrayMatrices>(std::move(name), shape,
                                         std::move(values));
}

std::shared_ptr<const MatrixSource>
splatMatrices(std::string name, const MatrixShape &shape, float value) {
  return std::make_shared<SplatMatrices>(std::move(name), shape, value);
}

std::shared_ptr<const MatrixSource>
seededMatrices(std::string name, const MatrixShape &shape, uint32_t seed,
               double scale) {
  return std::make_shared<SeededMatrices>(std::move(name), shape, seed, scale);
}

//===----------------------------------------------------------------------===//
// In files
//===----------------------------------------------------------------------===//

namespace {

template <typename T> T loadElement(const uint8_t *place) {
  T value;
  std::memcpy(&value, place, sizeof value);
  return value;
}

bool isFloat(ElementType type) {
  return type == ElementType::F32 || type == ElementType::F16 ||
         type == ElementType::BF16 || type == ElementType::F64;
}

void toFloats(ElementType type, const uint8_t *data, std::span<float> values) {
  size_t count = values.size();
  switch (type) {
  case ElementType::F32:
    if (count != 0)
      std::memcpy(values.data(), data, 4 * count);
    return;
  case ElementType::F64:
    for (size_t i = 0; i < count; ++i)
      values[i] = float(loadElement<double>(data + 8 * i));
    return;
  case ElementType::F16:
    for (size_t i = 0; i < count; ++i)
      values[i] = f16ToFloat(loadElement<uint16_t>(data + 2 * i));
    return;
  default:
    for (size_t i = 0; i < count; ++i)
      values[i] = bf16ToFloat(loadElement<uint16_t>(data + 2 * i));
    return;
  }
}

class StoredMatrices final : public MatrixSource {
public:
  StoredMatrices(std::string name, const MatrixShape &shape,
                 std::vector<StoredMatrix> entries, bool isTransposed,
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
    const StoredMatrix &stored = entries[size_t(entry)];
    toFloats(stored.type,
             stored.bytes.data() +
                 size_t(begin) * elementTypeBits(stored.type) / 8,
             values);
    return success();
  }

  std::vector<StoredMatrix> entries;
  bool isTransposed;
  std::shared_ptr<const void> owner;
};

} // namespace

Result<std::shared_ptr<const MatrixSource>>
storedMatrices(std::string name, const MatrixShape &shape,
               std::vector<StoredMatrix> entries, bool transposed,
               std::shared_ptr<const void> owner) {
  if (int64_t(entries.size()) != shape.entries)
    return Error{name + ": expected " + std::to_string(shape.entries) +
                 " matrices, found " + std::to_string(entries.size())};
  int64_t extents[] = {shape.rows, shape.cols};
  for (size_t i = 0; i < entries.size(); ++i) {
    ElementType type = entries[i].type;
    if (!isFloat(type))
      return Error{name + ": expected F32, F16, BF16 or F64, found " +
                   std::string(elementTypeName(type))};
    std::optional<uint64_t> bytes = tensorBytes(type, extents);
    if (!bytes || *bytes != entries[i].bytes.size())
      return Error{name + ": expected " + shapeToString(extents) + " of " +
                   std::string(elementTypeName(type)) + " for entry " +
                   std::to_string(i) + ", found " +
                   std::to_string(entries[i].bytes.size()) + " bytes"};
  }
  return std::shared_ptr<const MatrixSource>(std::make_shared<StoredMatrices>(
      std::move(name), shape, std::move(entries), transposed,
      std::move(owner)));
}

} // namespace moec::weights
