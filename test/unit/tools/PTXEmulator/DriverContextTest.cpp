// Tests of the driver's functions on devices, contexts and errors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/EmulatedDriver.h"

#include <string>
#include <thread>

using namespace moec::ptx;

TEST(DriverContext, DescribesItsDevice) {
  EmulatedDriver driver;
  int value = 0;
  EXPECT_EQ(driver.call<int *>("cuDriverGetVersion", &value), CUDA_SUCCESS);
  EXPECT_EQ(value, 13000);
  EXPECT_EQ(driver.call<int *>("cuDeviceGetCount", &value), CUDA_SUCCESS);
  EXPECT_EQ(value, 1);
  EXPECT_EQ((driver.call<CUdevice *, int>("cuDeviceGet", &value, 1)),
            CUDA_ERROR_INVALID_DEVICE);
  auto attribute = [&](int number) {
    EXPECT_EQ((driver.call<int *, int, CUdevice>("cuDeviceGetAttribute", &value,
                                                 number, 0)),
              CUDA_SUCCESS);
    return value;
  };
  EXPECT_EQ(attribute(75), 9);
  EXPECT_EQ(attribute(97), 227 * 1024);
  EXPECT_EQ(attribute(10), 32);
  EXPECT_EQ((driver.call<int *, int, CUdevice>("cuDeviceGetAttribute", &value,
                                               9999, 0)),
            CUDA_ERROR_INVALID_VALUE);
  char name[8];
  EXPECT_EQ((driver.call<char *, int, CUdevice>("cuDeviceGetName", name, 8, 0)),
            CUDA_SUCCESS);
  EXPECT_EQ(std::string(name), "moec em");
}

TEST(DriverContext, EachThreadHasItsOwnContexts) {
  EmulatedDriver driver;
  CUcontext context = nullptr;
  EXPECT_EQ(driver.call<CUcontext *>("cuCtxGetCurrent", &context),
            CUDA_SUCCESS);
  EXPECT_NE(context, nullptr);
  std::thread([&] {
    CUdeviceptr address;
    EXPECT_EQ(
        (driver.call<CUdeviceptr *, size_t>("cuMemAlloc_v2", &address, 16)),
        CUDA_ERROR_INVALID_CONTEXT);
    EXPECT_EQ(driver.call<CUcontext>("cuCtxPushCurrent_v2", context),
              CUDA_SUCCESS);
    EXPECT_EQ(
        (driver.call<CUdeviceptr *, size_t>("cuMemAlloc_v2", &address, 16)),
        CUDA_SUCCESS);
    EXPECT_EQ(driver.call<CUcontext *>("cuCtxPopCurrent_v2", nullptr),
              CUDA_SUCCESS);
    EXPECT_EQ(driver.call<CUcontext *>("cuCtxPopCurrent_v2", nullptr),
              CUDA_ERROR_INVALID_CONTEXT);
  }).join();
}

TEST(DriverContext, ErrorsHaveNames) {
  EmulatedDriver driver;
  const char *text = nullptr;
  EXPECT_EQ((driver.call<CUresult, const char **>(
                "cuGetErrorName", CUDA_ERROR_ILLEGAL_ADDRESS, &text)),
            CUDA_SUCCESS);
  EXPECT_EQ(std::string(text), "CUDA_ERROR_ILLEGAL_ADDRESS");
  EXPECT_EQ((driver.call<CUresult, const char **>(
                "cuGetErrorString", CUDA_ERROR_OUT_OF_MEMORY, &text)),
            CUDA_SUCCESS);
  EXPECT_EQ(std::string(text), "out of memory");
  EXPECT_EQ(
      (driver.call<CUresult, const char **>("cuGetErrorName", 12345, &text)),
      CUDA_ERROR_INVALID_VALUE);
}
