// What a layer brings to its entry: pools and tables in memory, by epochs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_BINDING_H
#define MOEC_RUNTIME_BINDING_H

#include "device.h"
#include "manifest.h"
#include "moert/abi.h"
#include "runtime/comm/Placement.h"
#include "runtime/pager/Pager.h"
#include "weights/Archive.h"

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <vector>

/// One epoch of all layers' weights (model.cpp).
struct moert_epoch;

namespace moec::runtime {

/// Who brings a layer's bases into slots, and which of its layers that is.
struct LayerPaging {
  std::shared_ptr<pager::Pager> pager;
  uint32_t layer = 0;
};

/// The records that a layer's paged pools are of, one for each cluster, and
/// none where it has no paged pools. Returns MOERT_INCOMPATIBLE and a message
/// if what belongs to a cluster is not in one record, or differs in its places.
moert_status_t findPagedRecords(const ManifestEntry &entry,
                                const ManifestLayer &layer,
                                const weights::Archive &archive,
                                std::vector<store::RecordPlace> &records,
                                std::string &error);

/// A layer's weights of one epoch. Never changed after it was made.
class Binding {
public:
  /// Brings the tensors that the layer names from the archive into memory of
  /// their own, on a device that lives longer; paged pools are left to the
  /// pager, if there is one, and places of clusters that other ranks have are
  /// empty. Returns MOERT_INCOMPATIBLE and a message if one is
  /// missing or does not fit, or what the device says.
  static moert_status_t
  load(const ManifestEntry &entry, const ManifestLayer &layer,
       const weights::Archive &archive, uint64_t epoch, moert_device &device,
       const LayerPaging &paging, std::unique_ptr<Binding> &binding,
       std::string &error, const comm::ClusterShare &share = {});

  const moert_layer_binding *view() const { return &seen.abi; }
  /// Rows of other ranks come and go by that; before anybody holds the binding.
  void bindExchange(const moert_exchange *exchange) {
    seen.abi.exchange = exchange;
  }
  /// The binding that handed out this view.
  static Binding *of(const moert_layer_binding *view);
  /// Of memory of its own, without the pager's.
  uint64_t bytes() const { return totalBytes; }

  /// The epoch that it is part of, for the way back from its view.
  moert_epoch *epoch = nullptr;

private:
  /// What one argument is loaded from.
  struct Source {
    const ManifestLayer &layer;
    const weights::Archive &archive;
    moert_device &device;
    const comm::ClusterShare &share;
  };

  moert_status_t load(const ManifestArgument &argument,
                      const ManifestBound &bound, const Source &source,
                      std::string &error);
  moert_status_t loadTable(const ManifestArgument &argument,
                           const ManifestBound &bound, const Source &source,
                           std::string &error);
  moert_status_t addTensor(const ManifestArgument &argument,
                           const Source &source, std::string &error);
  moert_status_t addPagedTensor(const ManifestArgument &argument,
                                const ManifestBound &bound,
                                const Source &source, std::string &error);

  static int32_t acquire(void *context, const int32_t *clusters, int64_t count,
                         int32_t *slots, const moert_error_sink *error);
  static void release(void *context, const int32_t *slots);
  static void prefetch(void *context, int32_t ahead, const int32_t *clusters,
                       int64_t count);

  std::vector<DeviceMemory> memory;
  std::vector<DLTensor> tensors;
  std::vector<DLTensor *> pointers;
  /// Extents, then strides, of pools whose first extent the entry leaves open.
  std::deque<std::array<int64_t, 2 * MOERT_MAX_RANK>> places;
  uint64_t totalBytes = 0;
  LayerPaging paging;
  moert_paging pagingTable = {sizeof(moert_paging), this, acquire, release,
                              prefetch};
  /// What callers see, and the way back from it.
  struct Seen {
    moert_layer_binding abi = {};
    Binding *owner = nullptr;
  } seen;
};

} // namespace moec::runtime

#endif // MOEC_RUNTIME_BINDING_H
