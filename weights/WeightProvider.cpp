// Where the values of external weights come from: scope::key to tensors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/WeightProvider.h"

#include "weights/ElementType.h"
#include "weights/FloatFormats.h"
#include "weights/Seeded.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

namespace moec::weights {

namespace {

/// Splats and seeds have no file that bounds them; 64 Gi values are more than
/// any weight has.
constexpr int64_t mostMadeValues = int64_t(1) << 36;

std::string fullName(std::string_view scope, std::string_view key) {
  return std::string(scope) + "::" + std::string(key);
}

template <typename T> std::optional<T> parseNumber(std::string_view text) {
  T value{};
  const char *end = text.data() + text.size();
  auto [stop, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc() || stop != end)
    return std::nullopt;
  return value;
}

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
  if (!std::equal(shape.begin(), shape.end(), tensor->shape.begin(),
                  tensor->shape.end()))
    return Error{name + ": expected shape " + shapeToString(shape) +
                 ", found " + shapeToString(tensor->shape)};
  return tensor;
}

Error wrongType(const std::string &name, const char *expected,
                ElementType found) {
  return Error{name + ": expected " + expected + ", found " +
               std::string(elementTypeName(found))};
}

Result<int64_t> madeCount(const std::string &name,
                          std::span<const int64_t> shape) {
  std::optional<int64_t> count = elementCount(shape);
  if (!count || *count > mostMadeValues)
    return Error{name + ": expected a shape of at most 2^36 values, found " +
                 shapeToString(shape)};
  return *count;
}

} // namespace

Status WeightProvider::bind(std::string_view text) {
  size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 ||
      equals + 1 == text.size())
    return Error{"expected scope=path.safetensors, scope=splat:VALUE or "
                 "scope=seeded:SEED[:SCALE], found '" +
                 std::string(text) + "'"};
  std::string scope(text.substr(0, equals));
  std::string_view source = text.substr(equals + 1);
  if (isBound(scope))
    return Error{"expected each scope to be bound once, found '" + scope +
                 "' bound again by '" + std::string(text) + "'"};

  constexpr std::string_view splat = "splat:", seeded = "seeded:";
  if (source.starts_with(splat)) {
    std::optional<double> value =
        parseNumber<double>(source.substr(splat.size()));
    if (!value)
      return Error{"expected a number behind splat:, found '" +
                   std::string(source.substr(splat.size())) + "'"};
    sources.emplace(scope, Splat{*value});
    return success();
  }
  if (source.starts_with(seeded)) {
    std::string_view rest = source.substr(seeded.size());
    size_t colon = rest.find(':');
    std::optional<uint32_t> seed = parseNumber<uint32_t>(rest.substr(0, colon));
    std::optional<double> scale = 1.0;
    if (colon != std::string_view::npos)
      scale = parseNumber<double>(rest.substr(colon + 1));
    if (!seed || !scale || !std::isfinite(*scale))
      return Error{"expected seeded:SEED or seeded:SEED:SCALE with a seed of "
                   "32 bits, found '" +
                   std::string(source) + "'"};
    sources.emplace(scope, Seeded{*seed, *scale});
    return success();
  }
  Result<SafetensorsFile> file = SafetensorsFile::open(std::string(source));
  if (!file)
    return Error{file.error()};
  sources.emplace(scope, std::make_shared<SafetensorsFile>(std::move(*file)));
  return success();
}

bool WeightProvider::isBound(std::string_view scope) const {
  return sources.find(scope) != sources.end();
}

Result<const WeightProvider::Source *>
WeightProvider::sourceOf(std::string_view scope, std::string_view key) const {
  auto place = sources.find(scope);
  if (place != sources.end())
    return &place->second;
  std::string bound;
  for (const auto &[name, source] : sources)
    bound += (bound.empty() ? "" : ", ") + name;
  return Error{fullName(scope, key) + ": expected scope '" +
               std::string(scope) + "' to be bound, found " +
               (bound.empty() ? "no scope bound" : "only " + bound)};
}

Result<std::vector<float>>
WeightProvider::loadFloats(std::string_view scope, std::string_view key,
                           std::span<const int64_t> shape) const {
  std::string name = fullName(scope, key);
  Result<const Source *> source = sourceOf(scope, key);
  if (!source)
    return Error{source.error()};
  const auto *file = std::get_if<std::shared_ptr<SafetensorsFile>>(*source);
  if (!file) {
    Result<int64_t> count = madeCount(name, shape);
    if (!count)
      return Error{count.error()};
    if (const auto *splat = std::get_if<Splat>(*source))
      return std::vector<float>(size_t(*count), float(splat->value));
    const Seeded &seeded = std::get<Seeded>(**source);
    return seededValues(seedForKey(seeded.seed, key), *count, seeded.scale);
  }

  Result<const TensorRecord *> tensor = findTensor(**file, name, key, shape);
  if (!tensor)
    return Error{tensor.error()};
  const uint8_t *data = (*file)->data(**tensor).data();
  size_t count = size_t(*elementCount(shape));
  std::vector<float> values(count);
  switch ((*tensor)->type) {
  case ElementType::F32:
    if (count != 0)
      std::memcpy(values.data(), data, 4 * count);
    break;
  case ElementType::F64:
    for (size_t i = 0; i < count; ++i)
      values[i] = float(loadElement<double>(data + 8 * i));
    break;
  case ElementType::F16:
    for (size_t i = 0; i < count; ++i)
      values[i] = f16ToFloat(loadElement<uint16_t>(data + 2 * i));
    break;
  case ElementType::BF16:
    for (size_t i = 0; i < count; ++i)
      values[i] = bf16ToFloat(loadElement<uint16_t>(data + 2 * i));
    break;
  default:
    return wrongType(name, "F32, F16, BF16 or F64", (*tensor)->type);
  }
  return values;
}

Result<std::vector<int32_t>>
WeightProvider::loadIntegers(std::string_view scope, std::string_view key,
                             std::span<const int64_t> shape) const {
  std::string name = fullName(scope, key);
  Result<const Source *> source = sourceOf(scope, key);
  if (!source)
    return Error{source.error()};
  if (const auto *splat = std::get_if<Splat>(*source)) {
    Result<int64_t> count = madeCount(name, shape);
    if (!count)
      return Error{count.error()};
    double value = splat->value;
    if (!(std::abs(value) <= std::numeric_limits<int32_t>::max()) ||
        value != std::trunc(value))
      return Error{name +
                   ": expected a splat of an integer of 32 bits, found "
                   "splat:" +
                   std::to_string(value)};
    return std::vector<int32_t>(size_t(*count), int32_t(value));
  }
  if (std::holds_alternative<Seeded>(**source))
    return Error{name + ": expected integers, found scope '" +
                 std::string(scope) + "' bound to seeded values"};

  const SafetensorsFile &file =
      *std::get<std::shared_ptr<SafetensorsFile>>(**source);
  Result<const TensorRecord *> tensor = findTensor(file, name, key, shape);
  if (!tensor)
    return Error{tensor.error()};
  const uint8_t *data = file.data(**tensor).data();
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
      return wrongType(name, "I64, I32, I16, I8 or U8", (*tensor)->type);
    }
  }
  return values;
}

} // namespace moec::weights
