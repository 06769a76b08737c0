// Tests of entries whose kernels run on a CUDA device: with a driver of none.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/abi.h"
#include "test/unit/runtime/FakeCuda.h"
#include "test/unit/runtime/TestTensor.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using moec::test::FakeCuda;
using moec::test::TestCall;
using moec::test::TestTensor;

namespace {

struct Memory {
  void *allocated, *aligned;
  int64_t offset, sizes[1], strides[1];
};

const moert_argument arguments[] = {
    {"x", kDLFloat, 32, MOERT_INPUT, 1, {-2}, 1, 16},
    {"y", kDLFloat, 32, MOERT_OUTPUT, 1, {-2}, 1, 16},
};
const moert_device_image images[] = {{"cubin", "C", 2}, {"PTX", "P", 2}};
const char *const kernelNames[] = {"add_one", "nothing"};
const uint32_t sharedBytes[] = {0, 64 * 1024};
const moert_kernel_attributes attributes[] = {{{0, 0, 0}, 0}, {{2, 1, 1}, 1}};
void *state80, *state90;
const moert_device_code code80 = {sizeof(moert_device_code),
                                  80,
                                  0,
                                  2,
                                  images,
                                  2,
                                  kernelNames,
                                  sharedBytes,
                                  &state80,
                                  &moert_cuda_runtime,
                                  attributes};
const moert_device_code code90 = {sizeof(moert_device_code),
                                  90,
                                  1,
                                  2,
                                  images,
                                  1,
                                  kernelNames,
                                  sharedBytes,
                                  &state90,
                                  &moert_cuda_runtime,
                                  nullptr};

/// What compiled code does; each test says.
std::function<void(void *context, void **descriptors)> body;
void kernel(void **descriptors) { body(descriptors[3], descriptors); }
void askWorkspace(void **descriptors) {
  *static_cast<int64_t *>(descriptors[2]) = 256;
}
const moert_variant variants[] = {{"sm_80", 0, kernel, askWorkspace, &code80},
                                  {"sm_90a", 0, kernel, askWorkspace, &code90}};
const moert_entry entry = {sizeof(moert_entry), 2,        "moec_layer",
                           arguments,           variants, 2};

/// y = x + 1 in blocks of 128.
void addOne(void *context, void **descriptors) {
  auto *x = static_cast<Memory *>(descriptors[0]);
  auto *y = static_cast<Memory *>(descriptors[1]);
  void *parameters[] = {&y->aligned, &x->aligned, &x->sizes[0]};
  moert_cuda_launch(context, 0, (x->sizes[0] + 127) / 128, 1, 1, 128, 1, 1, 0,
                    parameters);
}

class LaunchTest : public testing::Test {
protected:
  void SetUp() override {
    body = addOne;
    x.view.device = y.view.device = {kDLCUDA, 0};
    call.call.workspace = workspace;
    call.call.workspace_bytes = sizeof workspace;
  }

  int32_t run() {
    call.text[0] = '\0';
    return moert_entry_call(&entry, &call.call, args, 2);
  }
  void expectRefused(int32_t status, const std::string &message) {
    EXPECT_EQ(run(), status);
    EXPECT_EQ(call.message(), "moec_layer: " + message);
    EXPECT_EQ(cuda->launch_count, 0);
  }
  /// Runs a launch of kernel 1, which has attributes and shared memory.
  int32_t launch(std::array<int64_t, 3> grid, std::array<int64_t, 3> block,
                 int64_t shared = 0) {
    body = [=](void *context, void **) {
      moert_cuda_launch(context, 1, grid[0], grid[1], grid[2], block[0],
                        block[1], block[2], shared, nullptr);
    };
    return run();
  }

  FakeCuda cuda;
  alignas(256) char workspace[512] = {};
  alignas(256) float xData[200] = {}, yData[200] = {};
  TestTensor x{xData, kDLFloat, 32, {200}};
  TestTensor y{yData, kDLFloat, 32, {200}};
  DLTensor *args[2] = {&x.view, &y.view};
  TestCall call;
};

TEST_F(LaunchTest, launchesWhatTheCodeSays) {
  for (int i = 0; i < 200; ++i)
    xData[i] = float(i);
  call.call.stream = fake_stream(0);
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(yData[0], 1.0f);
  EXPECT_EQ(yData[199], 200.0f);
  ASSERT_EQ(cuda->launch_count, 1);
  const fake_launch &launched = cuda->launches[0];
  EXPECT_STREQ(launched.kernel, "add_one");
  EXPECT_EQ(launched.grid[0], 2u);
  EXPECT_EQ(launched.grid[1], 1u);
  EXPECT_EQ(launched.grid[2], 1u);
  EXPECT_EQ(launched.block[0], 128u);
  EXPECT_EQ(launched.shared_bytes, 0u);
  EXPECT_EQ(launched.stream, fake_stream(0));
  EXPECT_EQ(launched.cluster[0], 0u);
  EXPECT_EQ(launched.is_dependent, 0u);
}

TEST_F(LaunchTest, handsAttributesAndSharedMemoryOn) {
  ASSERT_EQ(launch({4, 5, 6}, {32, 2, 1}, 50000), MOERT_OK) << call.message();
  const fake_launch &launched = cuda->launches[0];
  EXPECT_STREQ(launched.kernel, "nothing");
  EXPECT_EQ(launched.grid[2], 6u);
  EXPECT_EQ(launched.block[1], 2u);
  EXPECT_EQ(launched.shared_bytes, 50000u);
  EXPECT_EQ(launched.cluster[0], 2u);
  EXPECT_EQ(launched.cluster[2], 1u);
  EXPECT_EQ(launched.is_dependent, 1u);
  // Leave is asked for once, for the most that the table says.
  EXPECT_EQ(cuda->shared_limit, 64 * 1024);
}

TEST_F(LaunchTest, kernelsOverlapWhereGraphsKnowIt) {
  cuda->version = 12020;
  ASSERT_EQ(launch({4, 5, 6}, {32, 2, 1}), MOERT_OK) << call.message();
  EXPECT_EQ(cuda->launches[0].is_dependent, 0u);
  EXPECT_EQ(cuda->launches[0].cluster[0], 2u);
}

TEST_F(LaunchTest, loadsOnceForEachDevice) {
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(cuda->loads, 1);
  x.view.device.device_id = y.view.device.device_id = 1;
  cuda->memory_device = 1;
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(cuda->loads, 2);
  x.view.device.device_id = y.view.device.device_id = 0;
  cuda->memory_device = 0;
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(cuda->loads, 2);
  // What was given back is loaded again.
  moec_release_devices();
  EXPECT_EQ(cuda->unloads, 2);
  EXPECT_EQ(cuda->retained, 0);
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(cuda->loads, 3);
}

TEST_F(LaunchTest, threadsLoadOnce) {
  std::atomic<int> waiting = 8, failures = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      alignas(256) char ownWorkspace[256] = {};
      alignas(16) float xOwn[4] = {1, 2, 3, 4}, yOwn[4] = {};
      TestTensor xOf{xOwn, kDLFloat, 32, {4}}, yOf{yOwn, kDLFloat, 32, {4}};
      xOf.view.device = yOf.view.device = {kDLCUDA, 0};
      DLTensor *argsOf[] = {&xOf.view, &yOf.view};
      TestCall callOf;
      callOf.call.workspace = ownWorkspace;
      callOf.call.workspace_bytes = sizeof ownWorkspace;
      --waiting;
      while (waiting > 0)
        std::this_thread::yield();
      failures +=
          moert_entry_call(&entry, &callOf.call, argsOf, 2) != MOERT_OK ||
          yOwn[3] != 5;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(cuda->launch_count, 8);
  EXPECT_EQ(cuda->loads, 1);
  EXPECT_EQ(cuda->retained, 1);
}

TEST_F(LaunchTest, takesTheVariantOfTheDevice) {
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_NE(state80, nullptr);
  EXPECT_EQ(state90, nullptr);
  moec_release_devices();
  cuda->capability = 90;
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(state80, nullptr);
  EXPECT_NE(state90, nullptr);
  call.call.isa = "sm_80";
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_NE(state80, nullptr);
}

TEST_F(LaunchTest, takesTheFirstImageThatTheDriverTakes) {
  cuda->failing_image = 'C';
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(cuda->loads, 1);
  moec_release_devices();
  cuda->launch_count = 0;
  cuda->failing_image = 'P';
  ASSERT_EQ(run(), MOERT_OK) << call.message();
}

TEST_F(LaunchTest, handsTheDriversLogOn) {
  static const moert_device_image one[] = {{"PTX", "P", 2}};
  moert_device_code ptx = code80;
  ptx.images = one;
  ptx.image_count = 1;
  const moert_variant variant = {"sm_80", 0, kernel, nullptr, &ptx};
  const moert_entry refused = {sizeof(moert_entry), 2,        "moec_layer",
                               arguments,           &variant, 1};
  cuda->failing_image = 'P';
  cuda->log = "line 1: unknown opcode";
  EXPECT_EQ(moert_entry_call(&refused, &call.call, args, 2),
            MOERT_INCOMPATIBLE);
  EXPECT_EQ(call.message(),
            "moec_layer: the driver, of CUDA 12.4, does not take the PTX of "
            "sm_80 for device 0: CUDA_ERROR_INVALID_PTX (words of the fake "
            "driver): line 1: unknown opcode");
  ptx.image_count = 0;
  EXPECT_EQ(moert_entry_call(&refused, &call.call, args, 2), MOERT_INTERNAL);
  EXPECT_EQ(call.message(), "moec_layer: the entry table is damaged: no device "
                            "code for sm_80");
}

TEST_F(LaunchTest, aGridWithoutBlocksIsNotLaunched) {
  ASSERT_EQ(launch({0, 5, 6}, {32, 2, 1}), MOERT_OK) << call.message();
  ASSERT_EQ(launch({4, 0, 6}, {32, 2, 1}), MOERT_OK) << call.message();
  ASSERT_EQ(launch({4, 5, 0}, {32, 2, 1}), MOERT_OK) << call.message();
  EXPECT_EQ(cuda->launch_count, 0);
}

TEST_F(LaunchTest, nothingIsLaunchedAfterAnError) {
  body = [](void *context, void **) {
    moert_cuda_launch(context, 7, 1, 1, 1, 1, 1, 1, 0, nullptr);
    moert_cuda_launch(context, 1, 1, 1, 1, 1, 1, 1, 0, nullptr);
  };
  expectRefused(MOERT_INTERNAL, "the compiled code asks for kernel 7 of 2");
  // The next call is a new one.
  ASSERT_EQ(launch({1, 1, 1}, {1, 1, 1}), MOERT_OK) << call.message();
}

TEST_F(LaunchTest, refusesWhatADeviceCannotHold) {
  EXPECT_EQ(launch({1, 65536, 2}, {32, 1, 1}), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(),
            "moec_layer: kernel 'nothing' needs a grid of 1, 65536, 2, device "
            "0 has at most 2147483647, 65535, 65535");
  EXPECT_EQ(launch({-1, 1, 1}, {32, 1, 1}), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(launch({1, 1, 1}, {32, 1, 65}), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(),
            "moec_layer: kernel 'nothing' needs a block of 32, 1, 65, device 0 "
            "has at most 1024, 1024, 64");
  EXPECT_EQ(launch({1, 1, 1}, {32, 33, 1}), MOERT_INCOMPATIBLE);
  EXPECT_EQ(call.message(), "moec_layer: kernel 'nothing' needs 1056 threads "
                            "in a block, device 0 has at most 1024");
  EXPECT_EQ(launch({1, 1, 1}, {32, 1, 1}, 65537), MOERT_INTERNAL);
  EXPECT_EQ(call.message(),
            "moec_layer: kernel 'nothing' is launched with 65537 bytes of "
            "shared memory, its table says at most 65536");
  EXPECT_EQ(cuda->launch_count, 0);
}

TEST_F(LaunchTest, refusesSharedMemoryThatADeviceLacks) {
  static const uint32_t much[] = {0, 200000};
  moert_device_code large = code80;
  large.shared_bytes = much;
  const moert_variant variant = {"sm_80", 0, kernel, nullptr, &large};
  const moert_entry refused = {sizeof(moert_entry), 2,        "moec_layer",
                               arguments,           &variant, 1};
  EXPECT_EQ(moert_entry_call(&refused, &call.call, args, 2),
            MOERT_INCOMPATIBLE);
  EXPECT_EQ(call.message(),
            "moec_layer: kernel 'nothing' needs 200000 bytes of "
            "shared memory, device 0 has at most 166912");
}

TEST_F(LaunchTest, refusesADeviceOfAnotherCapability) {
  cuda->capability = 75;
  expectRefused(MOERT_INCOMPATIBLE, "needs sm_80 or sm_90a, device 0 is sm_75");
  uint64_t bytes = 0;
  EXPECT_EQ(moert_entry_workspace(&entry, &call.call, args, 2, &bytes),
            MOERT_INCOMPATIBLE);
}

TEST_F(LaunchTest, neverRunsOnTheCpuInstead) {
  setenv("MOERT_CUDA_DRIVER", "/absent", 1);
  expectRefused(MOERT_NOT_FOUND,
                "needs the CUDA driver, found none: /absent: cannot open "
                "shared object file: No such file or directory");
}

TEST_F(LaunchTest, wantsTensorsOnOneDevice) {
  y.view.device = {kDLCPU, 0};
  expectRefused(MOERT_INVALID_ARGUMENT,
                "argument 1 'y' is on device type 1, expected 2 (CUDA)");
  y.view.device = {kDLCUDA, 1};
  expectRefused(MOERT_INVALID_ARGUMENT,
                "argument 1 'y' is on CUDA device 1, expected device 0, as "
                "argument 0 'x'");
  x.view.device = y.view.device = {kDLCUDA, 5};
  expectRefused(MOERT_NOT_FOUND, "needs CUDA device 5, found 2 devices");
}

TEST_F(LaunchTest, wantsAlignedTensors) {
  char expected[96];
  x.view.data = xData + 1;
  std::snprintf(expected, sizeof expected,
                "argument 0 'x' has data at %#llx, expected alignment to 16 "
                "bytes",
                static_cast<unsigned long long>(
                    reinterpret_cast<uintptr_t>(x.view.data)));
  x.view.shape[0] = y.view.shape[0] = 100;
  expectRefused(MOERT_INVALID_ARGUMENT, expected);
  x.view.data = xData;
  std::vector<int64_t> strides = {2};
  x.view.strides = strides.data();
  expectRefused(MOERT_INVALID_ARGUMENT,
                "argument 0 'x' has stride[0] = 2, expected 1: kernels read it "
                "as one run of elements");
}

TEST_F(LaunchTest, wantsAWorkspaceOnTheDevice) {
  cuda->memory_type = 0;
  expectRefused(MOERT_INVALID_ARGUMENT, "got a workspace in host memory, "
                                        "expected memory of CUDA device 0");
  cuda->memory_type = 1;
  expectRefused(MOERT_INVALID_ARGUMENT, "got a workspace in host memory, "
                                        "expected memory of CUDA device 0");
  cuda->memory_type = 2;
  cuda->memory_device = 1;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "got a workspace on CUDA device 1, expected device 0");
  cuda->memory_device = 0;
  call.call.workspace = workspace + 64;
  EXPECT_EQ(run(), MOERT_INVALID_ARGUMENT);
  EXPECT_NE(call.message().find("expected alignment to 256 bytes"),
            std::string::npos)
      << call.message();
  call.call.workspace = workspace;
  call.call.workspace_bytes = 255;
  expectRefused(MOERT_WORKSPACE_TOO_SMALL,
                "got a workspace of 255 bytes, expected at least 256");
}

TEST_F(LaunchTest, wantsAStreamOfTheDevice) {
  call.call.stream = fake_stream(1);
  expectRefused(MOERT_INVALID_ARGUMENT,
                "got a stream of CUDA device 1, expected one of device 0, "
                "where the arguments are");
  call.call.stream = static_cast<char *>(fake_stream(0)) + 1;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "got a stream of another context than the primary one of "
                "device 0, expected one of device 0, where the arguments are");
  call.call.stream = reinterpret_cast<void *>(7);
  expectRefused(MOERT_DEVICE_ERROR,
                "got a stream that the driver does not know: "
                "CUDA_ERROR_INVALID_HANDLE (words of the fake driver)");
}

TEST_F(LaunchTest, isCapturedOnceItsKernelsAreLoaded) {
  cuda->is_capturing = 1;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "got a stream that is being captured, expected a call on "
                "device 0 before: the first one loads its kernels");
  cuda->is_capturing = 0;
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  // The fake driver refuses what a capture forbids.
  cuda->is_capturing = 1;
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(cuda->loads, 1);
  cuda->is_capturing = 0;
}

TEST_F(LaunchTest, handsTheDriversErrorsOn) {
  cuda.fail("cuCtxPushCurrent_v2", 1);
  expectRefused(MOERT_DEVICE_ERROR, "device 0 cannot be used: "
                                    "CUDA_ERROR_INVALID_VALUE (words of the "
                                    "fake driver)");
  cuda.fail("cuStreamIsCapturing", 906);
  expectRefused(MOERT_DEVICE_ERROR,
                "kernels cannot be loaded for device 0 now: "
                "CUDA_ERROR_OF_THE_FAKE (words of the fake driver)");
  cuda.fail("cuModuleLoadDataEx", 2);
  expectRefused(MOERT_OUT_OF_MEMORY,
                "the driver, of CUDA 12.4, does not take the cubin of sm_80 "
                "for device 0: CUDA_ERROR_OUT_OF_MEMORY (words of the fake "
                "driver)");
  cuda.fail("cuModuleGetFunction", 500);
  expectRefused(MOERT_DEVICE_ERROR,
                "kernel 'add_one' with 0 bytes of shared memory cannot be "
                "loaded: CUDA_ERROR_NOT_FOUND (words of the fake driver)");
  cuda.fail("cuFuncSetAttribute", 1);
  expectRefused(MOERT_DEVICE_ERROR,
                "kernel 'nothing' with 65536 bytes of shared memory cannot be "
                "loaded: CUDA_ERROR_INVALID_VALUE (words of the fake driver)");
  cuda.fail("cuLaunchKernelEx", 700);
  expectRefused(MOERT_DEVICE_ERROR,
                "kernel 'add_one' could not be launched, or one before it "
                "failed: CUDA_ERROR_OF_THE_FAKE (words of the fake driver)");
}

TEST_F(LaunchTest, refusesADamagedTable) {
  moert_device_code damaged = code80;
  moert_variant mixed[] = {variants[0], variants[1]};
  const moert_entry refused = {sizeof(moert_entry), 2,     "moec_layer",
                               arguments,           mixed, 2};
  mixed[1].device = &damaged;
  for (int i = 0; i < 4; ++i) {
    damaged = code80;
    if (i == 0)
      damaged.size = 8;
    else if (i == 1)
      damaged.runtime = nullptr;
    else if (i == 2)
      damaged.state = nullptr;
    else
      mixed[1].device = nullptr;
    EXPECT_EQ(moert_entry_call(&refused, &call.call, args, 2), MOERT_INTERNAL)
        << i;
  }
}

} // namespace
