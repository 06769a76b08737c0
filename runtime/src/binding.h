// What a layer brings to its entry: pools and tables in memory, by epochs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_BINDING_H
#define MOEC_RUNTIME_BINDING_H

#include "manifest.h"
#include "moert/abi.h"
#include "weights/Archive.h"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace moec::runtime {

/// One epoch of a layer's weights. Never changed after it was made.
class Binding {
public:
  /// Brings the tensors that the layer names from the archive into memory of
  /// their own. Returns null and a message if one is missing or does not fit.
  static std::unique_ptr<Binding> load(const ManifestEntry &entry,
                                       const ManifestLayer &layer,
                                       const weights::Archive &archive,
                                       uint64_t epoch, std::string &error);

  const moert_layer_binding *view() const { return &seen.abi; }
  /// The binding that handed out this view.
  static Binding *of(const moert_layer_binding *view);
  uint64_t bytes() const { return totalBytes; }

  /// Who holds it: the layer, and calls that acquired it.
  std::atomic<int64_t> holders{1};

private:
  struct Free {
    void operator()(void *memory) const { std::free(memory); }
  };

  bool addTensor(const ManifestArgument &argument, std::string &error);
  uint8_t *data(size_t index) {
    return static_cast<uint8_t *>(memory[index].get());
  }

  std::vector<std::unique_ptr<void, Free>> memory;
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
