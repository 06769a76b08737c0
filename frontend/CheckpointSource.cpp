// The weights of a checkpoint by key, and whether they are numbers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/CheckpointContents.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace moec::frontend {

using weights::ElementType;
using weights::Error;
using weights::MatrixShape;
using weights::MatrixSource;
using weights::quote;
using weights::Result;
using weights::shapeToString;
using weights::Status;
using weights::StoredMatrix;
using weights::success;
using weights::TensorSource;

//===----------------------------------------------------------------------===//
// Values that are numbers
//===----------------------------------------------------------------------===//

/// The first element whose exponent is all ones, or the count of elements.
template <typename T>
static size_t firstNotFinite(std::span<const uint8_t> bytes, T exponent) {
  size_t count = bytes.size() / sizeof(T);
  constexpr size_t chunk = 4096;
  for (size_t begin = 0; begin < count; begin += chunk) {
    size_t end = std::min(count, begin + chunk);
    // Without a way out of the inner loop it becomes vector instructions.
    unsigned wrong = 0;
    for (size_t i = begin; i < end; ++i) {
      T bits;
      std::memcpy(&bits, bytes.data() + i * sizeof bits, sizeof bits);
      wrong |= unsigned((bits & exponent) == exponent);
    }
    for (size_t i = begin; wrong && i < end; ++i) {
      T bits;
      std::memcpy(&bits, bytes.data() + i * sizeof bits, sizeof bits);
      if ((bits & exponent) == exponent)
        return i;
    }
  }
  return count;
}

static constexpr uint32_t exponentOfF32 = 0x7F800000;

/// The same of what codes stand for.
static size_t firstNotFinite(const weights::Nf4Tensor &tensor) {
  size_t count = size_t(tensor.elements());
  std::vector<float> values(std::min<size_t>(count, 1 << 16));
  for (size_t begin = 0; begin < count; begin += values.size()) {
    values.resize(std::min(values.size(), count - begin));
    weights::decodeNf4(tensor, int64_t(begin), values);
    std::span<const uint8_t> bytes(
        reinterpret_cast<const uint8_t *>(values.data()), 4 * values.size());
    if (size_t first = firstNotFinite<uint32_t>(bytes, exponentOfF32);
        first != values.size())
      return begin + first;
  }
  return count;
}

/// The same of a tensor, plain or in codes.
static size_t firstNotFinite(const Place &place) {
  if (place.nf4)
    return firstNotFinite(*place.nf4);
  std::span<const uint8_t> bytes = place.shard->file.data(*place.tensor);
  ElementType type = place.tensor->type;
  return type == ElementType::F32
             ? firstNotFinite<uint32_t>(bytes, exponentOfF32)
             : firstNotFinite<uint16_t>(
                   bytes, type == ElementType::BF16 ? 0x7F80 : 0x7C00);
}

Status Checkpoint::Contents::checkFinite() const {
  for (size_t layer = 0; layer < places.size(); ++layer) {
    for (size_t i = 0; i < places[layer].size(); ++i) {
      const FamilyTensor &tensor = layout->tensors[i];
      for (size_t number = 0; number < places[layer][i].size(); ++number) {
        const Place &place = places[layer][i][number];
        size_t first = firstNotFinite(place);
        if (first == size_t(*weights::elementCount(place.shape())))
          continue;
        // The place in each axis, and from it the expert and the role.
        std::vector<int64_t> position(tensor.axes.size());
        int64_t expert = tensor.name.hasExpert() ? int64_t(number) : -1;
        size_t part = 0, rest = first;
        for (size_t axis = tensor.axes.size(); axis-- > 0;) {
          size_t extent = size_t(place.shape()[axis]);
          size_t index = rest % extent, parts = tensor.holds.size();
          rest /= extent;
          position[axis] = int64_t(index);
          Axis meaning = tensor.axes[axis];
          if (meaning == Axis::Experts)
            expert = int64_t(index);
          if (meaning == Axis::Intermediate ||
              meaning == Axis::SharedIntermediate)
            part = tensor.split == Split::Blocks ? index / (extent / parts)
                                                 : index % parts;
        }
        return Error{
            place.shard->file.path() + ": tensor " + quote(place.tensor->name) +
            ": expected finite values, found NaN or infinity at " +
            shapeToString(position) + ", in layers." +
            std::to_string(config.moeLayers[layer]) + "." +
            std::string(roleName(tensor.holds[part])) +
            (expert < 0 ? "" : " of expert " + std::to_string(expert))};
      }
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Weights by key
//===----------------------------------------------------------------------===//

namespace {

/// Every stride-th column of wider matrices: one role of a tensor that holds
/// several.
class ColumnsOfMatrices final : public MatrixSource {
public:
  ColumnsOfMatrices(std::string name, const MatrixShape &shape,
                    std::shared_ptr<const MatrixSource> whole, int64_t first,
                    int64_t stride)
      : MatrixSource(std::move(name), shape), whole(std::move(whole)),
        first(first), stride(stride) {}

private:
  Status doRead(int64_t entry, std::span<float> values) const override {
    int64_t width = whole->shape().cols;
    std::vector<float> wide(size_t(whole->shape().rows * width));
    if (Status status = whole->read(entry, wide); !status)
      return status;
    size_t next = 0;
    for (int64_t row = 0; row < shape().rows; ++row)
      for (int64_t col = 0; col < shape().cols; ++col)
        values[next++] = wide[size_t(row * width + first + col * stride)];
    return success();
  }

  std::shared_ptr<const MatrixSource> whole;
  int64_t first;
  int64_t stride;
};

} // namespace

/// "layers.12.gate" as 12 and the rest.
static std::optional<std::pair<int64_t, std::string_view>>
splitKey(std::string_view key) {
  constexpr std::string_view beginning = "layers.";
  if (!key.starts_with(beginning))
    return std::nullopt;
  key.remove_prefix(beginning.size());
  int64_t layer = 0;
  auto [stop, code] =
      std::from_chars(key.data(), key.data() + key.size(), layer);
  size_t digits = size_t(stop - key.data());
  if (code != std::errc() || key[0] == '-' || (digits > 1 && key[0] == '0') ||
      !key.substr(digits).starts_with('.'))
    return std::nullopt;
  return std::pair(layer, key.substr(digits + 1));
}

/// The weights of a checkpoint by key.
class Checkpoint::Source final : public TensorSource {
public:
  explicit Source(std::shared_ptr<const Contents> contents)
      : contents(std::move(contents)) {}

  Result<std::shared_ptr<const MatrixSource>>
  openMatrices(const std::string &name, std::string_view key,
               std::span<const int64_t> shape) const override {
    auto parts = splitKey(key);
    size_t layer = 0;
    while (parts && layer < contents->layers.size() &&
           contents->layers[layer].index != parts->first)
      ++layer;
    std::string known;
    for (Role role :
         {Role::Router, Role::Gate, Role::Up, Role::Down, Role::SharedRouter,
          Role::SharedGate, Role::SharedUp, Role::SharedDown}) {
      if (!findHolder(*contents->layout, role))
        continue;
      known += (known.empty() ? "" : "|") + std::string(roleName(role));
      if (!parts || layer == contents->layers.size() ||
          parts->second != roleName(role))
        continue;
      MatrixShape matrices = contents->matrixShape(role);
      std::vector<int64_t> stored = {matrices.rows, matrices.cols};
      if (isOfExperts(role))
        stored.insert(stored.begin(), matrices.entries);
      if (!std::equal(shape.begin(), shape.end(), stored.begin(), stored.end()))
        return Error{name + ": expected shape " + shapeToString(shape) +
                     ", found " + shapeToString(stored)};
      return open(name, layer, role);
    }
    return Error{name + ": expected a key layers.N." + known + " of one of " +
                 std::to_string(contents->layers.size()) + " MoE layers from " +
                 std::to_string(contents->layers.front().index) + " to " +
                 std::to_string(contents->layers.back().index) + ", found " +
                 quote(key)};
  }

  Result<std::vector<int32_t>>
  loadIntegers(const std::string &name, std::string_view,
               std::span<const int64_t>) const override {
    return Error{name + ": expected integers, found the matrices of a "
                        "checkpoint"};
  }

private:
  Result<std::shared_ptr<const MatrixSource>>
  open(std::string name, size_t layer, Role role) const;
  Result<std::shared_ptr<const MatrixSource>>
  openPlaces(std::string name, const std::vector<Place> &places,
             const MatrixShape &shape, int64_t runs, int64_t run,
             bool isTransposed) const;

  std::shared_ptr<const Contents> contents;
};

Result<std::shared_ptr<const MatrixSource>>
Checkpoint::Source::open(std::string name, size_t layer, Role role) const {
  const FamilyLayout &layout = *contents->layout;
  Holder holder = *findHolder(layout, role);
  const FamilyTensor &tensor = layout.tensors[holder.tensor];
  MatrixShape shape = contents->matrixShape(role);
  int64_t parts = int64_t(tensor.holds.size());
  int64_t part = int64_t(holder.part);
  bool isTransposed = tensor.axes.back() == matrixAxes(role).first;

  // Each role has a run of a stored matrix, or every so many of its columns.
  bool isRun = isTransposed && tensor.split == Split::Blocks;
  int64_t runs = isRun ? parts : 1, run = isRun ? part : 0;
  MatrixShape wide = shape;
  if (!isRun)
    wide.cols *= parts;
  Result<std::shared_ptr<const MatrixSource>> whole =
      openPlaces(name, contents->places[layer][holder.tensor], wide, runs, run,
                 isTransposed);
  if (!whole || parts == 1 || isRun)
    return whole;
  bool isBlock = tensor.split == Split::Blocks;
  return std::shared_ptr<const MatrixSource>(
      std::make_shared<ColumnsOfMatrices>(
          std::move(name), shape, *std::move(whole),
          isBlock ? part * shape.cols : part, isBlock ? 1 : parts));
}

/// Matrices of `shape`, each the `run`-th of as many equal runs of a stored
/// one.
Result<std::shared_ptr<const MatrixSource>>
Checkpoint::Source::openPlaces(std::string name,
                               const std::vector<Place> &places,
                               const MatrixShape &shape, int64_t runs,
                               int64_t run, bool isTransposed) const {
  size_t count = size_t(shape.entries) / places.size();
  bool isQuantized = places.front().nf4 != nullptr;
  std::vector<StoredMatrix> plain;
  std::vector<weights::Nf4Matrix> quantized;
  for (const Place &place : places) {
    if ((place.nf4 != nullptr) != isQuantized)
      return Error{name + ": expected all matrices in " +
                   (isQuantized ? "nf4" : "plain numbers") + " as " +
                   quote(places.front().tensor->name) + ", found " +
                   quote(place.tensor->name) + " in " +
                   (isQuantized ? "plain numbers" : "nf4")};
    std::span<const uint8_t> bytes = place.shard->file.data(*place.tensor);
    size_t size = bytes.size() / count / size_t(runs);
    for (size_t i = 0; i < count; ++i) {
      size_t number = i * size_t(runs) + size_t(run);
      if (isQuantized)
        quantized.push_back(
            {place.nf4, int64_t(number) * shape.rows * shape.cols});
      else
        plain.push_back({bytes.subspan(number * size, size), place.type()});
    }
  }
  return isQuantized ? nf4Matrices(std::move(name), shape, std::move(quantized),
                                   isTransposed, contents)
                     : storedMatrices(std::move(name), shape, std::move(plain),
                                      isTransposed, contents);
}

std::shared_ptr<const TensorSource> Checkpoint::source() const {
  return std::make_shared<Source>(contents);
}

} // namespace moec::frontend
