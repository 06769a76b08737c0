// An open library, and how errors leave the runtime.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_LIBRARY_H
#define MOEC_RUNTIME_LIBRARY_H

#include "manifest.h"
#include "moert/library.h"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <new>
#include <string>
#include <string_view>
#include <vector>

using CallFunction = int32_t (*)(const moert_call *, DLTensor *const *,
                                 int32_t);
using WorkspaceFunction = int32_t (*)(const moert_call *, DLTensor *const *,
                                      int32_t, uint64_t *);

struct moert_library_entry {
  const moec::runtime::ManifestEntry *manifest = nullptr;
  CallFunction call = nullptr;
  WorkspaceFunction workspace = nullptr;
};

struct moert_library {
  void *handle = nullptr;
  std::string json;
  moec::runtime::Manifest manifest;
  std::vector<moert_library_entry> entries;

  ~moert_library() {
    if (!handle)
      return;
    // Only libraries of device code have it.
    if (auto release = reinterpret_cast<void (*)()>(
            dlsym(handle, "moec_release_devices")))
      release();
    dlclose(handle);
  }
};

namespace moec::runtime {

/// Writes the message to the sink, cut to its capacity; returns the status.
inline moert_status_t report(const moert_error_sink *sink,
                             moert_status_t status, std::string_view message) {
  if (!sink || !sink->text || sink->capacity == 0)
    return status;
  size_t length = std::min(message.size(), sink->capacity - 1);
  std::memcpy(sink->text, message.data(), length);
  sink->text[length] = '\0';
  return status;
}

} // namespace moec::runtime

// The C++ library reports a lack of memory by an exception; it ends here.
#define MOERT_CATCH_OUT_OF_MEMORY(error)                                       \
  catch (const std::bad_alloc &) {                                             \
    return report(error, MOERT_OUT_OF_MEMORY, "out of memory");                \
  }

#endif // MOEC_RUNTIME_LIBRARY_H
