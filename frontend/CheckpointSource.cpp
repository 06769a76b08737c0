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

Status Checkpoint::Contents::checkFinite() const {
  for (size_t layer = 0; layer < places.size(); ++layer) {
    for (size_t i = 0; i < places[layer].size(); ++i) {
      const FamilyTensor &tensor = layout->tensors[i];
      for (size_t number = 0; number < places[layer][i].size(); ++number) {
        const Place &place = places[layer][i][number];
        std::span<const uint8_t> bytes = place.shard->file.data(*place.tensor);
        ElementType type = place.tensor->type;
        size_t first =
            type == ElementType::F32
                ? firstNotFinite<uint32_t>(bytes, 0x7F800000)
                : firstNotFinite<uint16_t>(
                      bytes, type == ElementType::BF16 ? 0x7F80 : 0x7C00);
        if (first == bytes.size() * 8 / weights::elementTypeBits(type))
          continue;
        // The place in each axis, and from it the expert and the role.
        std::vector<int64_t> position(tensor.axes.size());
        int64_t expert = tensor.name.hasExpert() ? int64_t(number) : -1;
        size_t part = 0, rest = first;
        for (size_t axis = tensor.axes.size(); axis-- > 0;) {
          size_t extent = size_t(place.tensor->shape[axis]);
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

  // The stored matrices, as wide as all roles of the tensor together.
  std::vector<StoredMatrix> entries;
  const std::vector<Place> &found = contents->places[layer][holder.tensor];
  for (const Place &place : found) {
    std::span<const uint8_t> bytes = place.shard->file.data(*place.tensor);
    size_t count = size_t(shape.entries) / found.size();
    size_t size = bytes.size() / count;
    for (size_t i = 0; i < count; ++i)
      entries.push_back({bytes.subspan(i * size, size), place.tensor->type});
  }
  if (parts == 1)
    return storedMatrices(std::move(name), shape, std::move(entries),
                          isTransposed, contents);
  if (isTransposed && tensor.split == Split::Blocks) {
    // Columns of the matrix are rows as stored: a run of bytes.
    for (StoredMatrix &entry : entries) {
      size_t size = entry.bytes.size() / size_t(parts);
      entry.bytes = entry.bytes.subspan(size_t(part) * size, size);
    }
    return storedMatrices(std::move(name), shape, std::move(entries),
                          isTransposed, contents);
  }
  MatrixShape wide = shape;
  wide.cols *= parts;
  Result<std::shared_ptr<const MatrixSource>> whole =
      storedMatrices(name, wide, std::move(entries), isTransposed, contents);
  if (!whole)
    return Error{whole.error()};
  bool isBlock = tensor.split == Split::Blocks;
  return std::shared_ptr<const MatrixSource>(
      std::make_shared<ColumnsOfMatrices>(
          std::move(name), shape, *std::move(whole),
          isBlock ? part * shape.cols : part, isBlock ? 1 : parts));
}

std::shared_ptr<const TensorSource> Checkpoint::source() const {
  return std::make_shared<Source>(contents);
}

} // namespace moec::frontend
