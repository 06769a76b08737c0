// Where the values of external weights come from: scope::key to tensors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/WeightProvider.h"

#include <charconv>
#include <cmath>
#include <optional>

namespace moec::weights {

static std::string fullName(std::string_view scope, std::string_view key) {
  return std::string(scope) + "::" + std::string(key);
}

template <typename T> static std::optional<T> parseNumber(std::string_view text) {
  T value{};
  const char *end = text.data() + text.size();
  auto [stop, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc() || stop != end)
    return std::nullopt;
  return value;
}

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
    return bind(std::move(scope), splatSource(*value));
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
    return bind(std::move(scope), seededSource(*seed, *scale));
  }
  Result<std::shared_ptr<const TensorSource>> file =
      openSafetensorsSource(std::string(source));
  if (!file)
    return Error{file.error()};
  return bind(std::move(scope), *std::move(file));
}

Status WeightProvider::bind(std::string scope,
                            std::shared_ptr<const TensorSource> source) {
  auto [place, isNew] = sources.try_emplace(std::move(scope), std::move(source));
  if (!isNew)
    return Error{"expected each scope to be bound once, found '" +
                 place->first + "' bound again"};
  return success();
}

bool WeightProvider::isBound(std::string_view scope) const {
  return sources.find(scope) != sources.end();
}

Result<const TensorSource *>
WeightProvider::sourceOf(std::string_view scope, std::string_view key) const {
  auto place = sources.find(scope);
  if (place != sources.end())
    return place->second.get();
  std::string bound;
  for (const auto &[name, source] : sources)
    bound += (bound.empty() ? "" : ", ") + name;
  return Error{fullName(scope, key) + ": expected scope '" +
               std::string(scope) + "' to be bound, found " +
               (bound.empty() ? "no scope bound" : "only " + bound)};
}

Result<std::shared_ptr<const MatrixSource>>
WeightProvider::openMatrices(std::string_view scope, std::string_view key,
                             std::span<const int64_t> shape) const {
  Result<const TensorSource *> source = sourceOf(scope, key);
  if (!source)
    return Error{source.error()};
  return (*source)->openMatrices(fullName(scope, key), key, shape);
}

Result<std::vector<int32_t>>
WeightProvider::loadIntegers(std::string_view scope, std::string_view key,
                             std::span<const int64_t> shape) const {
  Result<const TensorSource *> source = sourceOf(scope, key);
  if (!source)
    return Error{source.error()};
  return (*source)->loadIntegers(fullName(scope, key), key, shape);
}

} // namespace moec::weights
