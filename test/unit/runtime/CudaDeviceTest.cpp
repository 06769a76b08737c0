// Tests of a CUDA device's memory, stream and clock: with a driver of none.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/src/device.h"
#include "test/unit/runtime/FakeCuda.h"

#include <gtest/gtest.h>

using moec::test::FakeCuda;

namespace {

class CudaDeviceTest : public testing::Test {
protected:
  moert_status_t open(int32_t index = 1) {
    return moec::runtime::openDevice({kDLCUDA, index}, device, error);
  }

  FakeCuda cuda;
  std::unique_ptr<moert_device> device;
  std::string error;
};

TEST_F(CudaDeviceTest, hasMemoryAStreamAndAClock) {
  ASSERT_EQ(open(), MOERT_OK) << error;
  EXPECT_EQ(device->where.device_type, kDLCUDA);
  EXPECT_EQ(device->where.device_id, 1);
  EXPECT_EQ(device->description, "Fake 1, sm_80, driver of CUDA 12.4");
  EXPECT_EQ(device->stream, fake_stream(1));
  void *memory = nullptr;
  ASSERT_EQ(device->allocate(6, memory, error), MOERT_OK) << error;
  EXPECT_EQ(cuda->allocations, 1);
  char in[] = "bytes", out[sizeof in] = "";
  EXPECT_EQ(device->write(memory, in, sizeof in, error), MOERT_OK) << error;
  EXPECT_EQ(device->read(out, memory, sizeof in, error), MOERT_OK) << error;
  EXPECT_STREQ(out, "bytes");
  device->free(memory);
  EXPECT_EQ(cuda->allocations, 0);
  double seconds = 0;
  EXPECT_EQ(device->startTimer(error), MOERT_OK) << error;
  EXPECT_EQ(device->stopTimer(seconds, error), MOERT_OK) << error;
  EXPECT_FLOAT_EQ(float(seconds), 2e-3f);
  EXPECT_EQ(device->synchronize(error), MOERT_OK) << error;
  EXPECT_EQ(cuda->depth, 0);
}

TEST_F(CudaDeviceTest, isGivenBackByTheLastOne) {
  std::unique_ptr<moert_device> other;
  ASSERT_EQ(open(), MOERT_OK) << error;
  ASSERT_EQ(moec::runtime::openDevice({kDLCUDA, 1}, other, error), MOERT_OK);
  EXPECT_EQ(cuda->retained, 1);
  device.reset();
  EXPECT_EQ(cuda->retained, 1);
  other.reset();
  EXPECT_EQ(cuda->retained, 0);
}

TEST_F(CudaDeviceTest, handsTheDriversErrorsOn) {
  const std::string words = " (words of the fake driver)";
  EXPECT_EQ(open(4), MOERT_NOT_FOUND);
  EXPECT_EQ(error, "needs CUDA device 4, found 2 devices");
  for (const char *function : {"cuStreamCreate", "cuEventCreate"}) {
    cuda.fail(function, 1);
    EXPECT_EQ(open(), MOERT_DEVICE_ERROR);
    EXPECT_EQ(error, "CUDA device 1: it cannot be used: "
                     "CUDA_ERROR_INVALID_VALUE" +
                         words);
    EXPECT_EQ(device, nullptr);
  }
  cuda.fail("", 0);
  ASSERT_EQ(open(), MOERT_OK) << error;
  void *memory = nullptr;
  cuda.fail("cuMemAlloc_v2", 2);
  EXPECT_EQ(device->allocate(7, memory, error), MOERT_OUT_OF_MEMORY);
  EXPECT_EQ(error, "CUDA device 1: 7 bytes cannot be allocated: "
                   "CUDA_ERROR_OUT_OF_MEMORY" +
                       words);
  EXPECT_EQ(memory, nullptr);
  char byte = 0;
  cuda.fail("cuMemcpyHtoD_v2", 1);
  EXPECT_EQ(device->write(&byte, &byte, 1, error), MOERT_DEVICE_ERROR);
  EXPECT_EQ(error, "CUDA device 1: 1 bytes cannot be written: "
                   "CUDA_ERROR_INVALID_VALUE" +
                       words);
  cuda.fail("cuMemcpyDtoH_v2", 1);
  EXPECT_EQ(device->read(&byte, &byte, 1, error), MOERT_DEVICE_ERROR);
  EXPECT_EQ(error, "CUDA device 1: 1 bytes cannot be read: "
                   "CUDA_ERROR_INVALID_VALUE" +
                       words);
  cuda.fail("cuStreamSynchronize", 700);
  EXPECT_EQ(device->synchronize(error), MOERT_DEVICE_ERROR);
  EXPECT_EQ(error,
            "CUDA device 1: work on it failed: CUDA_ERROR_OF_THE_FAKE" + words);
  cuda.fail("cuCtxPushCurrent_v2", 1);
  EXPECT_EQ(device->startTimer(error), MOERT_DEVICE_ERROR);
  EXPECT_EQ(error, "CUDA device 1: time cannot be measured: "
                   "CUDA_ERROR_INVALID_VALUE" +
                       words);
  cuda.fail("", 0);
}

} // namespace
