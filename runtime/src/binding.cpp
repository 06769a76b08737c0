// What a layer brings to its entry: pools and tables in memory, by epochs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "binding.h"

#include <cstddef>
#include <cstring>
#include <new>
#include <optional>

namespace moec::runtime {

using weights::Archive;
using weights::ArchiveTensor;
using weights::StoredTensor;
using weights::StoredTensorView;
using weights::TensorPart;

/// Pools begin at cache lines and vectors of any width.
static constexpr size_t poolAlignment = 64;

bool Binding::addTensor(const ManifestArgument &argument, std::string &error) {
  const moert_argument &wanted = argument.description;
  uint64_t bytes = (wanted.bits + 7) / 8;
  for (unsigned d = 0; d < wanted.rank; ++d)
    if (wanted.shape[d] < 0 ||
        __builtin_mul_overflow(bytes, uint64_t(wanted.shape[d]), &bytes)) {
      error = "'" + argument.name + "': expected extents that are known";
      return false;
    }
  uint64_t room = (bytes + poolAlignment) / poolAlignment * poolAlignment;
  memory.emplace_back(std::aligned_alloc(poolAlignment, room));
  if (!memory.back())
    throw std::bad_alloc();
  std::memset(memory.back().get(), 0, room);
  tensors.push_back({memory.back().get(),
                     {kDLCPU, 0},
                     int32_t(wanted.rank),
                     {wanted.code, wanted.bits, 1},
                     const_cast<int64_t *>(wanted.shape),
                     nullptr,
                     0});
  totalBytes += bytes;
  return true;
}

/// The tensor of that name, or null and a message.
static const ArchiveTensor *find(const Archive &archive,
                                 const std::string &name, std::string &error) {
  const ArchiveTensor *tensor = archive.findTensor(name);
  if (!tensor)
    error = archive.path() + ": expected a tensor '" + name + "', found none";
  return tensor;
}

static std::optional<TensorPart> partOf(const std::string &part) {
  if (part == "codes")
    return TensorPart::Codes;
  if (part == "scales")
    return TensorPart::Scales;
  if (part == "zero_points")
    return TensorPart::ZeroPoints;
  return std::nullopt;
}

/// Copies a part of a tensor to `place`, which has `bytes`.
static bool copyPart(const Archive &archive, const ArchiveTensor &tensor,
                     TensorPart part, uint8_t *place, uint64_t bytes,
                     std::string &error) {
  StoredTensor made;
  StoredTensorView view;
  if (tensor.splat) {
    std::optional<int64_t> count = weights::elementCount(tensor.form.shape);
    weights::Result<StoredTensor> stored = weights::storeFloats(
        tensor.form,
        std::vector<float>(size_t(count.value_or(0)), float(*tensor.splat)));
    if (!stored) {
      error = archive.path() + ": " + tensor.name + ": " + stored.error();
      return false;
    }
    made = std::move(*stored);
    view = made;
  } else {
    view = archive.bytes(tensor);
  }
  std::span<const uint8_t> source = view[part];
  if (source.size() != bytes) {
    error = archive.path() + ": " + tensor.name + ": expected " +
            std::to_string(bytes) + " bytes of " +
            std::string(part == TensorPart::Codes    ? "codes"
                        : part == TensorPart::Scales ? "scales"
                                                     : "zero points") +
            ", found " + std::to_string(source.size()) + " of " +
            toString(tensor.form);
    return false;
  }
  if (bytes != 0)
    std::memcpy(place, source.data(), bytes);
  return true;
}

static bool loadTable(const Archive &archive, const std::string &name,
                      int64_t below, std::span<int32_t> table,
                      std::string &error) {
  const ArchiveTensor *tensor = find(archive, name, error);
  if (!tensor)
    return false;
  weights::Result<std::vector<int64_t>> values = archive.decodeIntegers(*tensor);
  if (!values) {
    error = archive.path() + ": " + values.error();
    return false;
  }
  if (values->size() != table.size()) {
    error = archive.path() + ": " + name + ": expected " +
            std::to_string(table.size()) + " entries, found " +
            std::to_string(values->size());
    return false;
  }
  for (size_t i = 0; i < table.size(); ++i) {
    if ((*values)[i] < 0 || (*values)[i] >= below) {
      error = archive.path() + ": " + name + ": expected entries from 0 to " +
              std::to_string(below - 1) + ", found " +
              std::to_string((*values)[i]) + " at " + std::to_string(i);
      return false;
    }
    table[i] = int32_t((*values)[i]);
  }
  return true;
}

Binding *Binding::of(const moert_layer_binding *view) {
  // The view is the first member of a standard-layout struct.
  static_assert(offsetof(Seen, abi) == 0);
  return reinterpret_cast<const Seen *>(view)->owner;
}

std::unique_ptr<Binding> Binding::load(const ManifestEntry &entry,
                                       const ManifestLayer &layer,
                                       const Archive &archive, uint64_t epoch,
                                       std::string &error) {
  auto binding = std::make_unique<Binding>();
  size_t next = 0;
  for (const ManifestArgument &argument : entry.arguments) {
    if (argument.description.role != MOERT_BINDING)
      continue;
    // parseManifest has seen to it that they are as many.
    const ManifestBound &bound = layer.binding[next];
    if (!binding->addTensor(argument, error)) {
      error = "layer '" + layer.name + "': " + error;
      return nullptr;
    }
    uint8_t *data = binding->data(next);
    const moert_argument &wanted = argument.description;
    int64_t entries = wanted.rank > 0 ? wanted.shape[0] : 1;
    ++next;

    if (bound.part == "slots" || bound.part == "table") {
      std::span<int32_t> table(reinterpret_cast<int32_t *>(data),
                               size_t(entries));
      if (bound.part == "table") {
        if (!loadTable(archive, bound.tensor, argument.below, table, error))
          return nullptr;
        continue;
      }
      // All is resident: each cluster has the place of its own number.
      for (int64_t i = 0; i < entries; ++i)
        table[size_t(i)] = int32_t(i);
      continue;
    }

    std::optional<TensorPart> part = partOf(bound.part);
    if (!part) {
      error = "layer '" + layer.name + "': '" + argument.name +
              "': expected a part codes, scales, zero_points, slots or table, "
              "found '" +
              bound.part + "'";
      return nullptr;
    }
    size_t star = bound.tensor.find('*');
    if (star == std::string::npos)
      entries = 1;
    uint64_t size = (wanted.bits + 7) / 8;
    for (unsigned d = star == std::string::npos ? 0 : 1; d < wanted.rank; ++d)
      size *= uint64_t(wanted.shape[d]);
    for (int64_t i = 0; i < entries; ++i) {
      std::string name = bound.tensor;
      if (star != std::string::npos)
        name.replace(star, 1, std::to_string(i));
      const ArchiveTensor *tensor = find(archive, name, error);
      if (!tensor || !copyPart(archive, *tensor, *part, data + uint64_t(i) * size,
                               size, error))
        return nullptr;
    }
  }
  for (DLTensor &tensor : binding->tensors)
    binding->pointers.push_back(&tensor);
  binding->seen = {{sizeof(moert_layer_binding),
                    int32_t(binding->pointers.size()),
                    binding->pointers.data(), epoch},
                   binding.get()};
  return binding;
}

} // namespace moec::runtime
