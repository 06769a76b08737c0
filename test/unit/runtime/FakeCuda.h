// The fake CUDA driver as the one that the runtime opens.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_RUNTIME_FAKECUDA_H
#define MOEC_TEST_UNIT_RUNTIME_FAKECUDA_H

#include "test/unit/runtime/fake_cuda_driver.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <gtest/gtest.h>

/// Of launch.c, as libraries export it.
extern "C" void moec_release_devices(void);

namespace moec::test {

/// The environment's driver is the fake one while this lives; what libraries
/// keep is given back at the end.
class FakeCuda {
public:
  FakeCuda() {
    setenv("MOERT_CUDA_DRIVER", path(), 1);
    void *library = dlopen(path(), RTLD_NOW | RTLD_LOCAL);
    auto find = reinterpret_cast<fake_cuda *(*)()>(
        library ? dlsym(library, FAKE_CUDA_STATE) : nullptr);
    if (!find) {
      std::fprintf(stderr, "%s\n", dlerror());
      std::abort();
    }
    state = find();
    *state = {};
    state->version = 12040;
    state->device_count = fakeMostDevices;
    state->capability = 80;
    state->memory_type = 2;
    state->memory_device = -1;
  }
  ~FakeCuda() {
    moec_release_devices();
    unsetenv("MOERT_CUDA_DRIVER");
    EXPECT_EQ(state->retained, 0);
    EXPECT_EQ(state->loads, state->unloads);
    EXPECT_EQ(state->depth, 0);
    EXPECT_EQ(state->allocations, 0);
  }

  static const char *path() { return MOEC_TEST_FAKES "/fake_cuda_driver.so"; }

  /// Has a function of the driver fail.
  void fail(const char *function, int error) {
    std::snprintf(state->failing, sizeof state->failing, "%s", function);
    state->error = error;
  }

  fake_cuda *operator->() { return state; }

private:
  fake_cuda *state = nullptr;
};

} // namespace moec::test

#endif // MOEC_TEST_UNIT_RUNTIME_FAKECUDA_H
