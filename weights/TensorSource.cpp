// What a scope of external weights is bound to: tensors by key.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/TensorSource.h"

#include "weights/Safetensors.h"
#include "weights/Seeded.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

namespace moec::weights {

TensorSource::~TensorSource() = default;

namespace {

/// Splats and seeds have no file that bounds them; 64 Gi values are more than
/// any weight has.
constexpr int64_t mostMadeValues = int64_t(1) << 36;

Result<int64_t> madeCount(const std::string &name,
                          std::span<const int64_t> shape) {
  std::optional<int64_t> count = elementCount(shape);
  if (!count || *count > mostMadeValues)
    return Error{name + ": expected a shape of at most 2^36 values, found " +
                 shapeToString(shape)};
  return *count;
}

/// The last two extents are a matrix; those before count matrices.
MatrixShape matrixShapeOf(std::span<const int64_t> shape) {
  MatrixShape result{1, 1, 1};
  size_t rank = shape.size();
  for (size_t i = 0; i < rank; ++i)
    (i + 1 == rank   ? result.cols
     : i + 2 == rank ? result.rows
                     : result.entries) *= shape[i];
  return result;
}

//===----------------------------------------------------------------------===//
// Made-up values
//===----------------------------------------------------------------------===//

class SplatSource final : public TensorSource {
public:
  explicit SplatSource(double value) : value(value) {}

  Result<std::shared_ptr<const MatrixSource>>
  openMatrices(const std::string &name, std::string_view,
               std::span<const int64_t> shape) const override {
    if (Result<int64_t> count = madeCount(name, shape); !count)
      return Error{count.error()};
    return splatMatrices(name, matrixShapeOf(shape), float(value));
  }

  Result<std::vector<int32_t>>
  loadIntegers(const std::string &name, std::string_view,
               std::span<const int64_t> shape) const override {
    Result<int64_t> count = madeCount(name, shape);
    if (!count)
      return Error{count.error()};
    if (!(std::abs(value) <= std::numeric_limits<int32_t>::max()) ||
        value != std::trunc(value))
      return Error{name +
                   ": expected a splat of an integer of 32 bits, found "
                   "splat:" +
                   std::to_string(value)};
    return std::vector<int32_t>(size_t(*count), int32_t(value));
  }

private:
  double value;
};

class SeededSource final : public TensorSource {
public:
  SeededSource(uint32_t seed, double scale) : seed(seed), scale(scale) {}

  Result<std::shared_ptr<const MatrixSource>>
  openMatrices(const std::string &name, std::string_view key,
               std::span<const int64_t> shape) const override {
    if (Result<int64_t> count = madeCount(name, shape); !count)
      return Error{count.error()};
    return seededMatrices(name, matrixShapeOf(shape), seedForKey(seed, key),
                          scale);
  }

  Result<std::vector<int32_t>>
  loadIntegers(const std::string &name, std::string_view,
               std::span<const int64_t>) const override {
    return Error{name + ": expected integers, found seeded values"};
  }

private:
  uint32_t seed;
  double scale;
};

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

template <typename T> T loadElement(const uint8_t *place) {
  T value;
  std::memcpy(&value, place, sizeof value);
  return value;
}

/// The tensor behind scope::key, of exactly the shape asked for.
Result<const TensorRecord *> findTensor(const SafetensorsFile &file,
                                        const std::string &name,
                                        std::string_view key,
                                        std::span<const int64_t> shape) {
  const TensorRecord *tensor = file.find(key);
  if (!tensor)
    return Error{name + ": expected a tensor of that key in " + file.path() +
                 ", found none among " + std::to_string(file.tensors().size())};
  // A vector is a matrix of one row, and one matrix a stack of one.
  std::span<const int64_t> own = tensor->shape, wanted = shape;
  while (wanted.size() > own.size() && wanted.front() == 1)
    wanted = wanted.subspan(1);
  if (!std::equal(wanted.begin(), wanted.end(), own.begin(), own.end()))
    return Error{name + ": expected shape " + shapeToString(shape) +
                 ", found " + shapeToString(tensor->shape)};
  return tensor;
}

class SafetensorsSource final : public TensorSource {
public:
  explicit SafetensorsSource(SafetensorsFile file)
      : file(std::make_shared<const SafetensorsFile>(std::move(file))) {}

  Result<std::shared_ptr<const MatrixSource>>
  openMatrices(const std::string &name, std::string_view key,
               std::span<const int64_t> shape) const override {
    Result<const TensorRecord *> tensor = findTensor(*file, name, key, shape);
    if (!tensor)
      return Error{tensor.error()};
    MatrixShape matrices = matrixShapeOf(shape);
    std::span<const uint8_t> bytes = file->data(**tensor);
    size_t size = matrices.entries == 0
                      ? 0
                      : bytes.size() / size_t(matrices.entries);
    std::vector<StoredMatrix> entries;
    for (int64_t i = 0; i < matrices.entries; ++i)
      entries.push_back(
          {bytes.subspan(size_t(i) * size, size), (*tensor)->type});
    return storedMatrices(name, matrices, std::move(entries),
                          /*transposed=*/false, file);
  }

  Result<std::vector<int32_t>>
  loadIntegers(const std::string &name, std::string_view key,
               std::span<const int64_t> shape) const override {
    Result<const TensorRecord *> tensor = findTensor(*file, name, key, shape);
    if (!tensor)
      return Error{tensor.error()};
    const uint8_t *data = file->data(**tensor).data();
    std::vector<int32_t> values(size_t(*elementCount(shape)));
    for (size_t i = 0; i < values.size(); ++i) {
      switch ((*tensor)->type) {
      case ElementType::I64: {
        int64_t value = loadElement<int64_t>(data + 8 * i);
        if (value != int32_t(value))
          return Error{name + ": expected integers of 32 bits, found " +
                       std::to_string(value) + " at element " +
                       std::to_string(i)};
        values[i] = int32_t(value);
        break;
      }
      case ElementType::I32:
        values[i] = loadElement<int32_t>(data + 4 * i);
        break;
      case ElementType::I16:
        values[i] = loadElement<int16_t>(data + 2 * i);
        break;
      case ElementType::I8:
        values[i] = loadElement<int8_t>(data + i);
        break;
      case ElementType::U8:
        values[i] = data[i];
        break;
      default:
        return Error{name + ": expected I64, I32, I16, I8 or U8, found " +
                     std::string(elementTypeName((*tensor)->type))};
      }
    }
    return values;
  }

private:
  std::shared_ptr<const SafetensorsFile> file;
};

} // namespace

Result<std::shared_ptr<const TensorSource>>
openSafetensorsSource(const std::string &path) {
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file)
    return Error{file.error()};
  return std::shared_ptr<const TensorSource>(
      std::make_shared<SafetensorsSource>(std::move(*file)));
}

std::shared_ptr<const TensorSource> splatSource(double value) {
  return std::make_shared<SplatSource>(value);
}

std::shared_ptr<const TensorSource> seededSource(uint32_t seed, double scale) {
  return std::make_shared<SeededSource>(seed, scale);
}

} // namespace moec::weights
