// What routers decided in a run: experts and clusters per token, and how two runs agree.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-run/Routing.h"

#include <algorithm>
#include <cstdio>
#include <set>

using namespace moec::weights;

namespace moec::run {

namespace {

/// An output of that name, T x k; null without.
const Tensor *find(std::span<const Tensor> tensors, std::string_view name) {
  for (const Tensor &tensor : tensors)
    if (tensor.argument->role == MOERT_OUTPUT &&
        tensor.argument->name == name && tensor.shape.size() == 2)
      return &tensor;
  return nullptr;
}

const Tensor *findIds(std::span<const Tensor> tensors) {
  const Tensor *ids = find(tensors, "ids");
  return ids && ids->type == ElementType::I32 ? ids : nullptr;
}

int64_t idAt(const Tensor &ids, int64_t token, int64_t slot) {
  return int64_t(ids.valueAt(size_t(token * ids.shape[1] + slot)));
}

/// The table `cluster` of a layer; empty without.
std::vector<int32_t> clusterTable(const Callable &callable) {
  std::vector<int32_t> table;
  const moert_layer_binding *binding = nullptr;
  if (!callable.layer ||
      moert_layer_acquire(callable.layer, &binding) != MOERT_OK)
    return table;
  const moert_argument *argument = nullptr;
  for (int32_t i = 0, bound = 0;
       moert_library_argument(callable.entry, i, &argument) == MOERT_OK; ++i) {
    if (argument->role != MOERT_BINDING)
      continue;
    const DLTensor &tensor = *binding->tensors[bound++];
    if (argument->name == std::string_view("cluster") && tensor.ndim == 1 &&
        tensor.dtype.bits == 32) {
      const int32_t *values = static_cast<const int32_t *>(tensor.data);
      table.assign(values, values + tensor.shape[0]);
    }
  }
  moert_layer_release(callable.layer, binding);
  return table;
}

} // namespace

std::string describeRouting(const Callable &callable,
                            std::span<const Tensor> tensors) {
  const Tensor *ids = findIds(tensors);
  if (!ids || ids->shape[0] == 0)
    return "";
  std::vector<int32_t> table = clusterTable(callable);
  size_t experts = 0, clusters = 0;
  for (int64_t token = 0; token < ids->shape[0]; ++token) {
    std::set<int32_t> met;
    for (int64_t slot = 0; slot < ids->shape[1]; ++slot) {
      int64_t id = idAt(*ids, token, slot);
      if (id < 0)
        continue;
      ++experts;
      if (size_t(id) < table.size())
        met.insert(table[size_t(id)]);
    }
    clusters += met.size();
  }
  double tokens = double(ids->shape[0]);
  char text[128];
  std::snprintf(text, sizeof text, "routing: %.2f experts",
                double(experts) / tokens);
  std::string line = text;
  if (!table.empty()) {
    std::snprintf(text, sizeof text, " and %.2f clusters",
                  double(clusters) / tokens);
    line += text;
  }
  return line + " per token";
}

std::string compareRouting(std::span<const Tensor> tensors,
                           std::span<const Tensor> others) {
  const Tensor *ids = findIds(tensors), *otherIds = findIds(others);
  const Tensor *gates = find(tensors, "gates");
  if (!ids || !otherIds || !gates || ids->shape != otherIds->shape ||
      ids->shape != gates->shape)
    return "";
  double choices = 0, kept = 0, mass = 0, keptMass = 0;
  int64_t slots = ids->shape[1];
  for (int64_t token = 0; token < ids->shape[0]; ++token)
    for (int64_t slot = 0; slot < slots; ++slot) {
      int64_t id = idAt(*ids, token, slot);
      if (id < 0)
        continue;
      double gate = gates->valueAt(size_t(token * slots + slot));
      bool isKept = false;
      for (int64_t other = 0; other < slots; ++other)
        isKept |= idAt(*otherIds, token, other) == id;
      choices += 1;
      mass += gate;
      kept += isKept ? 1 : 0;
      keptMass += isKept ? gate : 0;
    }
  char text[128];
  std::snprintf(text, sizeof text,
                "routing: %.1f %% of the choices and %.1f %% of the gate "
                "weight kept",
                choices > 0 ? 100 * kept / choices : 100.0,
                mass > 0 ? 100 * keptMass / mass : 100.0);
  return text;
}

} // namespace moec::run
