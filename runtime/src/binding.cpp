// What a layer brings to its entry: pools and tables in memory, by epochs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "binding.h"

#include <cstddef>
#include <numeric>
#include <optional>

namespace moec::runtime {

using weights::Archive;
using weights::ArchiveTensor;
using weights::StoredTensor;
using weights::StoredTensorView;
using weights::TensorPart;

moert_status_t Binding::addTensor(const ManifestArgument &argument,
                                  moert_device &device, std::string &error) {
  const moert_argument &wanted = argument.description;
  uint64_t bytes = (wanted.bits + 7) / 8;
  for (unsigned d = 0; d < wanted.rank; ++d)
    if (wanted.shape[d] < 0 ||
        __builtin_mul_overflow(bytes, uint64_t(wanted.shape[d]), &bytes)) {
      error = "'" + argument.name + "': expected extents that are known";
      return MOERT_INCOMPATIBLE;
    }
  void *data = nullptr;
  if (bytes > 0)
    if (moert_status_t status = device.allocate(bytes, data, error))
      return status;
  memory.emplace_back(data, FreeOnDevice{&device});
  tensors.push_back({data,
                     device.where,
                     int32_t(wanted.rank),
                     {wanted.code, wanted.bits, 1},
                     const_cast<int64_t *>(wanted.shape),
                     nullptr,
                     0});
  totalBytes += bytes;
  return MOERT_OK;
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

/// Copies a part of a tensor to `place` on the device, which has `bytes`.
static moert_status_t copyPart(const Archive &archive,
                               const ArchiveTensor &tensor, TensorPart part,
                               moert_device &device, uint8_t *place,
                               uint64_t bytes, std::string &error) {
  StoredTensor made;
  StoredTensorView view;
  if (tensor.splat) {
    std::optional<int64_t> count = weights::elementCount(tensor.form.shape);
    weights::Result<StoredTensor> stored = weights::storeFloats(
        tensor.form,
        std::vector<float>(size_t(count.value_or(0)), float(*tensor.splat)));
    if (!stored) {
      error = archive.path() + ": " + tensor.name + ": " + stored.error();
      return MOERT_INCOMPATIBLE;
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
    return MOERT_INCOMPATIBLE;
  }
  return bytes == 0 ? MOERT_OK
                    : device.write(place, source.data(), bytes, error);
}

static bool readTable(const Archive &archive, const std::string &name,
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

moert_status_t Binding::load(const ManifestEntry &entry,
                             const ManifestLayer &layer, const Archive &archive,
                             uint64_t epoch, moert_device &device,
                             std::unique_ptr<Binding> &result,
                             std::string &error) {
  auto binding = std::make_unique<Binding>();
  size_t next = 0;
  for (const ManifestArgument &argument : entry.arguments) {
    if (argument.description.role != MOERT_BINDING)
      continue;
    // parseManifest has seen to it that they are as many.
    const ManifestBound &bound = layer.binding[next];
    if (moert_status_t status = binding->addTensor(argument, device, error)) {
      error = "layer '" + layer.name + "': " + error;
      return status;
    }
    auto *data = static_cast<uint8_t *>(binding->memory.back().get());
    const moert_argument &wanted = argument.description;
    int64_t entries = wanted.rank > 0 ? wanted.shape[0] : 1;
    ++next;

    if (bound.part == "slots" || bound.part == "table") {
      std::vector<int32_t> table(size_t(entries), 0);
      // All is resident: each cluster has the place of its own number.
      std::iota(table.begin(), table.end(), 0);
      if (bound.part == "table" &&
          !readTable(archive, bound.tensor, argument.below, table, error))
        return MOERT_INCOMPATIBLE;
      if (moert_status_t status =
              table.empty() ? MOERT_OK
                            : device.write(data, table.data(),
                                           table.size() * sizeof table[0],
                                           error))
        return status;
      continue;
    }

    std::optional<TensorPart> part = partOf(bound.part);
    if (!part) {
      error = "layer '" + layer.name + "': '" + argument.name +
              "': expected a part codes, scales, zero_points, slots or table, "
              "found '" +
              bound.part + "'";
      return MOERT_INCOMPATIBLE;
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
      if (!tensor)
        return MOERT_INCOMPATIBLE;
      if (moert_status_t status =
              copyPart(archive, *tensor, *part, device,
                       data + uint64_t(i) * size, size, error))
        return status;
    }
  }
  for (DLTensor &tensor : binding->tensors)
    binding->pointers.push_back(&tensor);
  binding->seen = {{sizeof(moert_layer_binding),
                    int32_t(binding->pointers.size()),
                    binding->pointers.data(), epoch, nullptr},
                   binding.get()};
  result = std::move(binding);
  return MOERT_OK;
}

} // namespace moec::runtime
