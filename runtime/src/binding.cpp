// What a layer brings to its entry: pools and tables in memory, by epochs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "binding.h"

#include "library.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>

namespace moec::runtime {

using weights::Archive;
using weights::ArchiveTensor;
using weights::StoredTensor;
using weights::StoredTensorView;
using weights::TensorPart;

/// Bytes of one of its elements.
static uint64_t elementBytes(const moert_argument &argument) {
  return (argument.bits + 7u) / 8u;
}

/// Bytes of what lies in one place of a pool.
static uint64_t placeBytes(const moert_argument &argument) {
  uint64_t bytes = elementBytes(argument);
  for (unsigned d = 1; d < argument.rank; ++d)
    bytes *= uint64_t(argument.shape[d]);
  return bytes;
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

static std::string nameOf(TensorPart part) {
  return part == TensorPart::Codes    ? "codes"
         : part == TensorPart::Scales ? "scales"
                                      : "zero points";
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
            std::to_string(bytes) + " bytes of " + nameOf(part) + ", found " +
            std::to_string(source.size()) + " of " + toString(tensor.form);
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
  weights::Result<std::vector<int64_t>> values =
      archive.decodeIntegers(*tensor);
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

/// A bound tensor's name for a cluster.
static std::string nameFor(const ManifestBound &bound, int64_t cluster) {
  std::string name = bound.tensor;
  if (size_t star = name.find('*'); star != std::string::npos)
    name.replace(star, 1, std::to_string(cluster));
  return name;
}

//===----------------------------------------------------------------------===//
// Paged pools
//===----------------------------------------------------------------------===//

namespace {

/// Where in its record a part of a tensor is.
struct PartPlace {
  const weights::ArchiveRecord *record = nullptr;
  uint64_t offset = 0;
};

moert_status_t findPart(const ManifestArgument &argument,
                        const ManifestBound &bound, const Archive &archive,
                        int64_t cluster, PartPlace &place, std::string &error) {
  std::string name = nameFor(bound, cluster);
  const ArchiveTensor *tensor = find(archive, name, error);
  std::optional<TensorPart> part = partOf(bound.part);
  if (!tensor || !part) {
    if (!part)
      error = "'" + argument.name +
              "': expected a paged part codes, scales or "
              "zero_points, found '" +
              bound.part + "'";
    return MOERT_INCOMPATIBLE;
  }
  std::span<const uint8_t> bytes = archive.bytes(*tensor)[*part];
  uint64_t wanted = placeBytes(argument.description);
  if (bytes.size() != wanted) {
    error = archive.path() + ": " + name + ": expected " +
            std::to_string(wanted) + " bytes of " + nameOf(*part) +
            " to page, found " + std::to_string(bytes.size()) +
            (tensor->splat ? " of a splat" : "");
    return MOERT_INCOMPATIBLE;
  }
  place.record = archive.recordOf(*tensor);
  place.offset = uint64_t(bytes.data() - archive.bytes(*place.record).data());
  return MOERT_OK;
}

} // namespace

moert_status_t findPagedRecords(const ManifestEntry &entry,
                                const ManifestLayer &layer,
                                const Archive &archive,
                                std::vector<store::RecordPlace> &records,
                                std::string &error) {
  records.clear();
  std::vector<const weights::ArchiveRecord *> found(size_t(layer.pagedClusters),
                                                    nullptr);
  moert_status_t status = MOERT_OK;
  forEachBound(entry, layer, [&](const auto &argument, const auto &bound) {
    PartPlace first;
    for (int64_t c = 0; argument.isPaged && !status && c < layer.pagedClusters;
         ++c) {
      PartPlace place;
      status = findPart(argument, bound, archive, c, place, error);
      if (status)
        return;
      if (c == 0)
        first = place;
      const weights::ArchiveRecord *&record = found[size_t(c)];
      if (!record)
        record = place.record;
      if (record != place.record)
        error = "one record of all that is paged of a cluster, found '" +
                record->name + "' and '" + place.record->name + "'";
      else if (place.offset != first.offset ||
               record->length != found[0]->length)
        error = "place " + std::to_string(first.offset) + " of a record of " +
                std::to_string(found[0]->length) +
                " bytes, as for cluster 0, found place " +
                std::to_string(place.offset) + " of one of " +
                std::to_string(record->length);
      else
        continue;
      error = archive.path() + ": " + nameFor(bound, c) + ": expected " + error;
      status = MOERT_INCOMPATIBLE;
    }
  });
  for (const weights::ArchiveRecord *record : found)
    if (!status)
      records.push_back(store::placeOf(archive, *record));
  return status;
}

/// A view of the pager's slots: a place of the pool is a part of a slot.
moert_status_t Binding::addPagedTensor(const ManifestArgument &argument,
                                       const ManifestBound &bound,
                                       const Source &source,
                                       std::string &error) {
  PartPlace place;
  if (moert_status_t status =
          findPart(argument, bound, source.archive, 0, place, error))
    return status;
  const moert_argument &wanted = argument.description;
  pager::Slots slots = paging.pager->slotsOf(paging.layer);
  int64_t *extents = places.emplace_back().data();
  int64_t *strides = extents + wanted.rank;
  std::copy_n(wanted.shape, wanted.rank, extents);
  extents[0] = slots.count;
  int64_t compact = 1;
  for (unsigned d = wanted.rank; d-- > 1; compact *= extents[d])
    strides[d] = compact;
  strides[0] = int64_t(slots.stride / elementBytes(wanted));
  tensors.push_back({slots.memory + place.offset,
                     source.device.where,
                     int32_t(wanted.rank),
                     {wanted.code, wanted.bits, 1},
                     extents,
                     strides,
                     0});
  return MOERT_OK;
}

int32_t Binding::acquire(void *context, const int32_t *clusters, int64_t count,
                         int32_t *slots, const moert_error_sink *error) try {
  const LayerPaging &own = static_cast<Binding *>(context)->paging;
  weights::Status status =
      own.pager->acquire(own.layer, {clusters, size_t(count)},
                         {slots, own.pager->clustersOf(own.layer)});
  return status ? MOERT_OK : report(error, MOERT_IO_ERROR, status.error());
}
MOERT_CATCH_OUT_OF_MEMORY(error)

void Binding::release(void *context, const int32_t *slots) {
  const LayerPaging &own = static_cast<Binding *>(context)->paging;
  own.pager->release(own.layer, {slots, own.pager->clustersOf(own.layer)});
}

void Binding::prefetch(void *context, int32_t ahead, const int32_t *clusters,
                       int64_t count) {
  const LayerPaging &own = static_cast<Binding *>(context)->paging;
  int64_t layer = int64_t(own.layer) + ahead;
  if (ahead == 0)
    own.pager->expect(own.layer, {clusters, size_t(count)});
  else if (ahead > 0 && layer < own.pager->layerCount())
    own.pager->hint(uint32_t(layer), {clusters, size_t(count)});
}

//===----------------------------------------------------------------------===//
// All of a layer
//===----------------------------------------------------------------------===//

moert_status_t Binding::addTensor(const ManifestArgument &argument,
                                  const Source &source, std::string &error) {
  const moert_argument &wanted = argument.description;
  int64_t *extents = places.emplace_back().data();
  std::copy_n(wanted.shape, wanted.rank, extents);
  if (argument.isPaged)
    extents[0] = source.layer.pagedClusters;
  uint64_t bytes = elementBytes(wanted);
  for (unsigned d = 0; d < wanted.rank; ++d)
    if (extents[d] < 0 ||
        __builtin_mul_overflow(bytes, uint64_t(extents[d]), &bytes)) {
      error = "'" + argument.name + "': expected extents that are known";
      return MOERT_INCOMPATIBLE;
    }
  void *data = nullptr;
  if (bytes > 0)
    if (moert_status_t status = source.device.allocate(bytes, data, error))
      return status;
  memory.emplace_back(data, FreeOnDevice{&source.device});
  tensors.push_back({data,
                     source.device.where,
                     int32_t(wanted.rank),
                     {wanted.code, wanted.bits, 1},
                     extents,
                     nullptr,
                     0});
  totalBytes += bytes;
  return MOERT_OK;
}

Binding *Binding::of(const moert_layer_binding *view) {
  // The view is the first member of a standard-layout struct.
  static_assert(offsetof(Seen, abi) == 0);
  return reinterpret_cast<const Seen *>(view)->owner;
}

moert_status_t Binding::loadTable(const ManifestArgument &argument,
                                  const ManifestBound &bound,
                                  const Source &source, std::string &error) {
  const moert_argument &wanted = argument.description;
  std::vector<int32_t> table(size_t(wanted.rank > 0 ? wanted.shape[0] : 1), 0);
  // All is resident: each cluster has the place of its own number. With a pager
  // nobody reads it.
  if (!paging.pager)
    std::iota(table.begin(), table.end(), 0);
  if (bound.part == "table" &&
      !readTable(source.archive, bound.tensor, argument.below, table, error))
    return MOERT_INCOMPATIBLE;
  return table.empty()
             ? MOERT_OK
             : source.device.write(memory.back().get(), table.data(),
                                   table.size() * sizeof table[0], error);
}

/// Whether the places of a pool are of clusters: a table says where each is.
static bool hasSlots(const ManifestLayer &layer, const ManifestBound &pool) {
  return std::any_of(layer.binding.begin(), layer.binding.end(),
                     [&](const ManifestBound &bound) {
                       return bound.part == "slots" &&
                              bound.tensor == pool.tensor;
                     });
}

moert_status_t Binding::load(const ManifestArgument &argument,
                             const ManifestBound &bound, const Source &source,
                             std::string &error) {
  std::string where = "layer '" + source.layer.name + "': ";
  if (argument.isPaged && paging.pager)
    return addPagedTensor(argument, bound, source, error);
  if (moert_status_t status = addTensor(argument, source, error)) {
    error = where + error;
    return status;
  }
  if (bound.part == "slots" || bound.part == "table")
    return loadTable(argument, bound, source, error);
  std::optional<TensorPart> part = partOf(bound.part);
  if (!part) {
    error = where + "'" + argument.name +
            "': expected a part codes, scales, zero_points, slots or table, "
            "found '" +
            bound.part + "'";
    return MOERT_INCOMPATIBLE;
  }
  // Without a place for each cluster all of it is one tensor.
  const DLTensor &made = tensors.back();
  bool isPool = bound.tensor.find('*') != std::string::npos;
  int64_t entries = isPool && made.ndim > 0 ? made.shape[0] : 1;
  uint64_t size = placeBytes(argument.description);
  if (!isPool && made.ndim > 0)
    size *= uint64_t(made.shape[0]);
  auto *data = static_cast<uint8_t *>(made.data);
  bool isOfClusters = hasSlots(source.layer, bound);
  for (int64_t i = 0; i < entries; ++i) {
    if (isOfClusters && !source.share.has(int32_t(i))) {
      source.device.discard(data + uint64_t(i) * size, size);
      totalBytes -= size;
      continue;
    }
    const ArchiveTensor *tensor =
        find(source.archive, nameFor(bound, i), error);
    if (!tensor)
      return MOERT_INCOMPATIBLE;
    if (moert_status_t status =
            copyPart(source.archive, *tensor, *part, source.device,
                     data + uint64_t(i) * size, size, error))
      return status;
  }
  return MOERT_OK;
}

moert_status_t
Binding::load(const ManifestEntry &entry, const ManifestLayer &layer,
              const Archive &archive, uint64_t epoch, moert_device &device,
              const LayerPaging &paging, std::unique_ptr<Binding> &result,
              std::string &error, const comm::ClusterShare &share) {
  auto binding = std::make_unique<Binding>();
  if (layer.pagedClusters)
    binding->paging = paging;
  moert_status_t status = MOERT_OK;
  // parseManifest has seen to it that they are as many.
  forEachBound(entry, layer, [&](const auto &argument, const auto &bound) {
    if (!status)
      status = binding->load(argument, bound, {layer, archive, device, share},
                             error);
  });
  if (status)
    return status;
  for (DLTensor &tensor : binding->tensors)
    binding->pointers.push_back(&tensor);
  binding->seen = {
      {sizeof(moert_layer_binding), int32_t(binding->pointers.size()),
       binding->pointers.data(), epoch,
       binding->paging.pager ? &binding->pagingTable : nullptr, nullptr},
      binding.get()};
  result = std::move(binding);
  return MOERT_OK;
}

} // namespace moec::runtime
