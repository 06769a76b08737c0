// An open library.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_LIBRARY_H
#define MOEC_RUNTIME_LIBRARY_H

#include "manifest.h"
#include "moert/library.h"
#include "report.h"

#include <dlfcn.h>
#include <string>
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

#endif // MOEC_RUNTIME_LIBRARY_H
