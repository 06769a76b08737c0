// Tests of opening the CUDA driver and its devices.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "cuda/driver.h"
#include "test/unit/runtime/FakeCuda.h"

#include <gtest/gtest.h>

#include <string>

using moec::test::FakeCuda;

namespace {

class DriverTest : public testing::Test {
protected:
  int32_t open(int32_t index) {
    return moert_cuda_open_device(index, &device, message, sizeof message);
  }
  void expectRefused(int32_t status, const std::string &text,
                     int32_t index = 0) {
    EXPECT_EQ(open(index), status);
    EXPECT_EQ(device, nullptr);
    EXPECT_EQ(message, text);
  }

  FakeCuda cuda;
  const moert_cuda_device *device = nullptr;
  char message[512] = "";
};

TEST_F(DriverTest, opensADeviceOnce) {
  ASSERT_EQ(open(1), MOERT_OK) << message;
  EXPECT_EQ(device->index, 1);
  EXPECT_EQ(device->capability, 80);
  EXPECT_EQ(device->maxThreads, 1024);
  EXPECT_EQ(device->maxSharedBytes, 166912);
  EXPECT_EQ(device->maxBlock[2], 64);
  EXPECT_EQ(device->maxGrid[0], 2147483647);
  EXPECT_EQ(device->maxGrid[1], 65535);
  EXPECT_EQ(device->driver->version, 12040);
  const moert_cuda_device *first = device;
  EXPECT_EQ(open(1), MOERT_OK);
  EXPECT_EQ(device, first);
  EXPECT_EQ(cuda->retained, 1);
  EXPECT_EQ(open(0), MOERT_OK);
  EXPECT_NE(device, first);
  EXPECT_EQ(cuda->retained, 2);
}

TEST_F(DriverTest, saysThatThereIsNoDriver) {
  setenv("MOERT_CUDA_DRIVER", "/absent/libcuda.so.1", 1);
  expectRefused(MOERT_NOT_FOUND,
                "needs the CUDA driver, found none: /absent/libcuda.so.1: "
                "cannot open shared object file: No such file or directory");
}

TEST_F(DriverTest, asksForANewEnoughDriver) {
  cuda->version = 11040;
  expectRefused(MOERT_INCOMPATIBLE,
                std::string("needs a driver for CUDA 12.0 or later, found ") +
                    FakeCuda::path() + " for CUDA 11.4");
  // It is looked at again, and any library may be named.
  setenv("MOERT_CUDA_DRIVER", MOEC_TEST_FAKES "/fake_library.so", 1);
  expectRefused(MOERT_INCOMPATIBLE,
                "needs a driver for CUDA 12.0 or later, found " MOEC_TEST_FAKES
                "/fake_library.so for CUDA 0.0 without cuInit");
}

TEST_F(DriverTest, saysWhyADriverCannotBeUsed) {
  cuda.fail("cuInit", 100);
  expectRefused(MOERT_DEVICE_ERROR,
                std::string(FakeCuda::path()) +
                    " cannot be used: cuInit: CUDA_ERROR_OF_THE_FAKE (words of "
                    "the fake driver)");
  for (const char *function : {"cuDeviceGetCount", "cuDeviceGetAttribute"}) {
    cuda.fail(function, 1);
    expectRefused(MOERT_DEVICE_ERROR,
                  "CUDA device 0 cannot be used: CUDA_ERROR_INVALID_VALUE "
                  "(words of the fake driver)");
  }
  cuda.fail("cuDevicePrimaryCtxRetain", 2);
  expectRefused(MOERT_OUT_OF_MEMORY,
                "CUDA device 0 cannot be used: CUDA_ERROR_OUT_OF_MEMORY (words "
                "of the fake driver)");
}

TEST_F(DriverTest, saysWhichDevicesThereAre) {
  expectRefused(MOERT_NOT_FOUND, "needs CUDA device 2, found 2 devices", 2);
  expectRefused(MOERT_NOT_FOUND, "needs CUDA device -1, found 2 devices", -1);
  cuda->device_count = 1;
  expectRefused(MOERT_NOT_FOUND, "needs CUDA device 1, found 1 device", 1);
}

} // namespace
