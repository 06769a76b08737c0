// What a layer brings to its entry: pools and tables in memory, by epochs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_BINDING_H
#define MOEC_RUNTIME_BINDING_H

#include "device.h"
#include "manifest.h"
#include "moert/abi.h"
#include "weights/Archive.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace moec::runtime {

/// One epoch of a layer's weights. Never changed after it was made.
class Binding {
public:
  /// Brings the tensors that the layer names from the archive into memory of
  /// their own, on a device that lives longer. Returns MOERT_INCOMPATIBLE and a
  /// message if one is missing or does not fit, or what the device says.
  static moert_status_t load(const ManifestEntry &entry,
                             const ManifestLayer &layer,
                             const weights::Archive &archive, uint64_t epoch,
                             moert_device &device,
                             std::unique_ptr<Binding> &binding,
                             std::string &error);

  const moert_layer_binding *view() const { return &seen.abi; }
  /// The binding that handed out this view.
  static Binding *of(const moert_layer_binding *view);
  uint64_t bytes() const { return totalBytes; }

  /// Who holds it: the layer, and calls that acquired it.
  std::atomic<int64_t> holders{1};

private:
  moert_status_t addTensor(const ManifestArgument &argument,
                           moert_device &device, std::string &error);

  std::vector<DeviceMemory> memory;
  std::vector<DLTensor> tensors;
  std::vector<DLTensor *> pointers;
  uint64_t totalBytes = 0;
  /// What callers see, and the way back from it.
  struct Seen {
    moert_layer_binding abi = {};
    Binding *owner = nullptr;
  } seen;
};

} // namespace moec::runtime

#endif // MOEC_RUNTIME_BINDING_H
