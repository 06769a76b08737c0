// The traffic of a run: what routers decided, added to a profile.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-run/Profile.h"

#include "weights/Profile.h"

#include <charconv>
#include <cstdio>
#include <filesystem>

using namespace moec::weights;

namespace moec::run {

namespace {

/// Tokens between two steps of the moving centroids.
constexpr int64_t batchTokens = 64;

Result<const Tensor *> find(const std::string &option,
                            std::span<const Tensor> tensors, const char *name,
                            ElementType type) {
  std::string found;
  for (const Tensor &tensor : tensors) {
    if (tensor.argument->name == std::string_view(name) &&
        tensor.type == type && tensor.shape.size() == 2)
      return &tensor;
    found += (found.empty() ? "" : ", ") + std::string(tensor.argument->name);
  }
  return Error{option + ": expected '" + std::string(name) + "', " +
               typeName(type) +
               " of two dimensions, as moe-compile --instrument makes it, "
               "found " +
               found};
}

template <typename T> std::span<const T> valuesOf(const Tensor &tensor) {
  return {reinterpret_cast<const T *>(tensor.data.data()),
          tensor.data.size() / sizeof(T)};
}

Result<int64_t> numberOf(const std::string &layer) {
  std::string_view text = layer;
  int64_t number = -1;
  if (text.starts_with("layer")) {
    text.remove_prefix(5);
    auto [end, code] =
        std::from_chars(text.data(), text.data() + text.size(), number);
    if (code == std::errc() && end == text.data() + text.size() && number >= 0)
      return number;
  }
  return Error{"--profile: expected a layer called layerN, found '" + layer +
               "'"};
}

} // namespace

Result<RoutedTensors> findRouted(const std::string &option,
                                 std::span<const Tensor> tensors) {
  Result<const Tensor *> x = find(option, tensors, "x", ElementType::F32);
  Result<const Tensor *> ids = find(option, tensors, "ids", ElementType::I32);
  Result<const Tensor *> gates =
      find(option, tensors, "gates", ElementType::F32);
  for (const Result<const Tensor *> *tensor : {&x, &ids, &gates})
    if (!*tensor)
      return Error{tensor->error()};
  return RoutedTensors{*x, *ids, *gates};
}

Result<std::string> addToProfile(const std::string &path, const std::string &model,
                    const std::string &layer, int64_t experts,
                    std::span<const Tensor> tensors) {
  Result<int64_t> number = numberOf(layer);
  if (!number)
    return Error{number.error()};
  Result<RoutedTensors> routed = findRouted("--profile", tensors);
  if (!routed)
    return Error{routed.error()};
  auto [x, ids, gates] = *routed;

  AccumulatorOptions options;
  options.experts = experts;
  options.width = x->shape[1];
  options.fullInputMoments = true;
  Result<ProfileAccumulator> accumulator = ProfileAccumulator::create(options);
  if (!accumulator)
    return Error{accumulator.error()};
  int64_t tokens = x->shape[0], slots = ids->shape[1];
  for (int64_t first = 0; first < tokens; first += batchTokens) {
    ProfileBatch batch;
    batch.tokens = std::min(batchTokens, tokens - first);
    batch.slots = slots;
    auto part = [&](auto values, int64_t width) {
      return values.subspan(size_t(first * width), size_t(batch.tokens * width));
    };
    batch.inputs = part(valuesOf<float>(*x), options.width);
    batch.ids = part(valuesOf<int32_t>(*ids), slots);
    batch.gates = part(valuesOf<float>(*gates), slots);
    if (Status status = accumulator->add(batch); !status)
      return Error{"--profile: " + status.error()};
  }
  Profile traffic;
  traffic.model = model;
  traffic.layers[*number] = accumulator->profile();
  if (std::filesystem::exists(path)) {
    Result<Profile> before = readProfile(path);
    if (!before)
      return Error{before.error()};
    if (Status status = mergeProfile(*before, traffic); !status)
      return Error{path + ": " + status.error()};
    traffic = *std::move(before);
  }
  if (Status status = writeProfile(path, traffic); !status)
    return Error{status.error()};
  const LayerProfile &all = traffic.layers[*number];
  LoadFigures load = loadFigures(all);
  char text[256];
  std::snprintf(text, sizeof text,
                "profile: %lld tokens, load per expert %.1f with CV %.3f, "
                "variance %.1f, entropy %.4f of its maximum",
                static_cast<long long>(all.tokens), load.mean,
                load.coefficientOfVariation, load.variance,
                load.relativeEntropy);
  return std::string(text);
}

} // namespace moec::run
