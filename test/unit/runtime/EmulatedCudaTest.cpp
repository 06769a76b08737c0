// Tests of a library of device code on the emulated driver: graphs of calls.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "cuda/launch.h"
#include "moert/device.h"
#include "test/unit/runtime/TestTensor.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <dlfcn.h>
#include <string>

using moec::test::TestCall;
using moec::test::TestTensor;

// Handles of cuda.h that the runtime does not use.
struct CUgraph_st;
struct CUgraphExec_st;
using CUgraph = CUgraph_st *;
using CUgraphExec = CUgraphExec_st *;

namespace {

/// y = x + 1 of test/tools/moe-run/Inputs/on_cuda.c, all on the device.
class EmulatedCudaTest : public testing::Test {
protected:
  void SetUp() override {
    setenv("MOERT_CUDA_DRIVER", MOEC_TEST_EMULATED_CUDA, 1);
    driver = dlopen(MOEC_TEST_EMULATED_CUDA, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(driver, nullptr) << dlerror();
    ASSERT_EQ(moert_device_open({kDLCUDA, 0}, &sink, &device), MOERT_OK)
        << text;
    ASSERT_EQ(moert_library_open(MOEC_TEST_ON_CUDA, &sink, &library), MOERT_OK)
        << text;
    ASSERT_EQ(moert_library_entry_at(library, 0, &entry), MOERT_OK);
    for (void **memory : {&x.view.data, &y.view.data, &workspace})
      ASSERT_EQ(moert_device_allocate(device, 256, &sink, memory), MOERT_OK)
          << text;
    x.view.device = y.view.device = {kDLCUDA, 0};
    call.call.workspace = workspace;
    call.call.workspace_bytes = 256;
    moert_device_stream(device, &call.call.stream);
    stream = static_cast<CUstream>(call.call.stream);
    // The runtime leaves no context behind; captures need one.
    const moert_cuda_device *opened = nullptr;
    ASSERT_EQ(moert_cuda_open_device(0, &opened, text, sizeof text), MOERT_OK)
        << text;
    opened->driver->cuCtxPushCurrent(opened->context);
  }
  void TearDown() override {
    moert_library_close(library);
    if (device)
      for (void *memory : {x.view.data, y.view.data, workspace})
        moert_device_free(device, memory);
    moert_device_close(device);
    CUcontext popped;
    const moert_cuda_device *opened = nullptr;
    if (moert_cuda_open_device(0, &opened, text, sizeof text) == MOERT_OK)
      opened->driver->cuCtxPopCurrent(&popped);
    moert_cuda_close_devices();
    unsetenv("MOERT_CUDA_DRIVER");
  }

  /// A function of the driver that the runtime does not use.
  template <typename... Arguments>
  CUresult ask(const char *name, Arguments... arguments) {
    auto function =
        reinterpret_cast<CUresult (*)(Arguments...)>(dlsym(driver, name));
    EXPECT_NE(function, nullptr) << name;
    return function ? function(arguments...) : -1;
  }
  void beginCapture() {
    // 0: nothing unsafe may be called by any thread.
    ASSERT_EQ(ask("cuStreamBeginCapture_v2", stream, 0), CUDA_SUCCESS);
  }
  CUgraph endCapture() {
    CUgraph graph = nullptr;
    EXPECT_EQ(ask("cuStreamEndCapture", stream, &graph), CUDA_SUCCESS);
    return graph;
  }
  moert_status_t run() {
    DLTensor *args[] = {&x.view, &y.view};
    return moert_library_call(entry, &call.call, args, 2);
  }
  void writeX(float value) {
    float values[8] = {value};
    ASSERT_EQ(
        moert_device_write(device, x.view.data, values, sizeof values, nullptr),
        MOERT_OK);
  }
  float firstOfY() {
    float values[8] = {};
    EXPECT_EQ(
        moert_device_read(device, values, y.view.data, sizeof values, nullptr),
        MOERT_OK);
    return values[0];
  }

  char text[512] = "";
  moert_error_sink sink = {text, sizeof text};
  void *driver = nullptr, *workspace = nullptr;
  CUstream stream = nullptr;
  moert_device *device = nullptr;
  moert_library *library = nullptr;
  const moert_library_entry *entry = nullptr;
  TestTensor x{nullptr, kDLFloat, 32, {2, 4}}, y{nullptr, kDLFloat, 32, {2, 4}};
  TestCall call;
};

TEST_F(EmulatedCudaTest, aGraphRepeatsWhatWasCaptured) {
  writeX(1);
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(firstOfY(), 2);

  beginCapture();
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  CUgraph graph = endCapture();
  CUgraphExec executable = nullptr;
  ASSERT_EQ(ask("cuGraphInstantiateWithFlags", &executable, graph,
                static_cast<unsigned long long>(0)),
            CUDA_SUCCESS);
  for (float value : {5.0f, -3.0f}) {
    writeX(value);
    EXPECT_NE(firstOfY(), value + 1);
    ASSERT_EQ(ask("cuGraphLaunch", executable, stream), CUDA_SUCCESS);
    EXPECT_EQ(firstOfY(), value + 1);
  }
  EXPECT_EQ(ask("cuGraphExecDestroy", executable), CUDA_SUCCESS);
  EXPECT_EQ(ask("cuGraphDestroy", graph), CUDA_SUCCESS);
}

TEST_F(EmulatedCudaTest, theFirstCallIsNotCaptured) {
  writeX(1);
  beginCapture();
  EXPECT_EQ(run(), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(),
            "moec_next: got a stream that is being captured, expected a call "
            "on device 0 before: the first one loads its kernels");
  // The capture goes on.
  EXPECT_EQ(ask("cuGraphDestroy", endCapture()), CUDA_SUCCESS);
  EXPECT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(firstOfY(), 2);
}

TEST_F(EmulatedCudaTest, tensorMapsAreTheDriversOwn) {
  moert_cuda_run run = {};
  run.message = text;
  run.capacity = sizeof text;
  ASSERT_EQ(moert_cuda_open_device(0, &run.device, text, sizeof text),
            MOERT_OK);
  alignas(64) char map[128] = {};
  const int64_t extents[] = {2, 64}, strides[] = {64, 1}, box[] = {2, 32};
  moert_cuda_tensor_map(&run, map, kDLBfloat, 16, 2, x.view.data, extents,
                        strides, box, 64);
  EXPECT_EQ(run.status, MOERT_OK) << text;
  // A box's row of 128 bytes does not fit a swizzle of 64.
  const int64_t wide[] = {2, 64};
  moert_cuda_tensor_map(&run, map, kDLBfloat, 16, 2, x.view.data, extents,
                        strides, wide, 64);
  EXPECT_EQ(run.status, MOERT_DEVICE_ERROR);
}

TEST_F(EmulatedCudaTest, hostMemoryIsNoWorkspace) {
  call.call.workspace = aligned_alloc(256, 256);
  EXPECT_EQ(run(), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_next: got a workspace in host memory, "
                            "expected memory of CUDA device 0");
  std::free(call.call.workspace);
}

} // namespace
