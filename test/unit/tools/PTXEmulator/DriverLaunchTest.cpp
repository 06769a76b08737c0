// Tests of the driver's functions, through the shared library as the runtime
// uses it: loading, launching, and what follows a fault.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/EmulatedDriver.h"

using namespace moec::ptx;

TEST(DriverLaunch, AKernelRunsOnCopiedMemory) {
  EmulatedDriver driver;
  CUfunction scale = driver.function(scaleKernel, "scale");
  CUdeviceptr buffer = driver.upload({1, 2, 3, 4, 5});
  float factor = 2;
  unsigned count = 5;
  void *arguments[] = {&buffer, &factor, &count};
  EXPECT_EQ(driver.launchKernel(scale, 2, 1, 1, 4, 1, 1, 0, nullptr, arguments,
                                nullptr),
            CUDA_SUCCESS);
  EXPECT_EQ(driver.download(buffer, 5), (std::vector<float>{2, 4, 6, 8, 10}));
}

TEST(DriverLaunch, WrongShapesAreRefused) {
  EmulatedDriver driver;
  CUfunction scale = driver.function(scaleKernel, "scale");
  CUdeviceptr buffer = driver.upload({1});
  float factor = 2;
  unsigned count = 1;
  void *arguments[] = {&buffer, &factor, &count};
  auto launch = [&](unsigned blocks, unsigned threads, unsigned shared) {
    return driver.launchKernel(scale, blocks, 1, 1, threads, 1, 1, shared,
                               nullptr, arguments, nullptr);
  };
  EXPECT_EQ(launch(0, 4, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(1, 2048, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(1, 4, 49 * 1024), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(driver.setFunctionAttribute(scale, 8, 49 * 1024), CUDA_SUCCESS);
  EXPECT_EQ(launch(1, 4, 49 * 1024), CUDA_SUCCESS);
}
