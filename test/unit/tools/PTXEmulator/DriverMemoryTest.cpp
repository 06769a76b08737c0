// Tests of the driver's functions on memory.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/EmulatedDriver.h"

using namespace moec::ptx;

TEST(DriverMemory, CopiesAndFills) {
  EmulatedDriver driver;
  CUdeviceptr a = driver.upload({1, 2, 3, 4}), b = driver.upload({0, 0, 0, 0});
  EXPECT_EQ((driver.call<CUdeviceptr, CUdeviceptr, size_t, CUstream>(
                "cuMemcpyDtoDAsync_v2", b, a + 4, 8, nullptr)),
            CUDA_SUCCESS);
  EXPECT_EQ(driver.download(b, 4), (std::vector<float>{2, 3, 0, 0}));
  EXPECT_EQ((driver.call<CUdeviceptr, unsigned, size_t, CUstream>(
                "cuMemsetD32Async", a, 0x40000000u, 3, nullptr)),
            CUDA_SUCCESS);
  EXPECT_EQ(driver.download(a, 4), (std::vector<float>{2, 2, 2, 4}));
  EXPECT_EQ((driver.call<CUdeviceptr, unsigned char, size_t>("cuMemsetD8_v2", a,
                                                             0, 16)),
            CUDA_SUCCESS);
  EXPECT_EQ(driver.download(a, 4), (std::vector<float>(4)));
}

TEST(DriverMemory, RangesAreChecked) {
  EmulatedDriver driver;
  CUdeviceptr a = driver.upload({1, 2});
  float value[4] = {};
  auto copy = [&](CUdeviceptr from, size_t bytes) {
    return driver.call<void *, CUdeviceptr, size_t>("cuMemcpyDtoH_v2", value,
                                                    from, bytes);
  };
  EXPECT_EQ(copy(a, 12), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(copy(a + 4, 4), CUDA_SUCCESS);
  EXPECT_EQ(copy(0, 0), CUDA_SUCCESS);
  EXPECT_EQ(driver.call<CUdeviceptr>("cuMemFree_v2", a + 4),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(driver.call<CUdeviceptr>("cuMemFree_v2", a), CUDA_SUCCESS);
  EXPECT_EQ(copy(a, 4), CUDA_ERROR_INVALID_VALUE);
}

TEST(DriverMemory, MemoryEnds) {
  EmulatedDriver driver;
  size_t available = 0, total = 0;
  EXPECT_EQ(
      (driver.call<size_t *, size_t *>("cuMemGetInfo_v2", &available, &total)),
      CUDA_SUCCESS);
  CUdeviceptr address = 0;
  EXPECT_EQ((driver.call<CUdeviceptr *, size_t>("cuMemAlloc_v2", &address,
                                                available + 1)),
            CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ((driver.call<CUdeviceptr *, size_t>("cuMemAlloc_v2", &address, 0)),
            CUDA_ERROR_INVALID_VALUE);
}

TEST(DriverMemory, PointersAreKnown) {
  EmulatedDriver driver;
  CUdeviceptr a = driver.upload({1, 2});
  unsigned kind = 0;
  auto attribute = [&](int number, void *value, CUdeviceptr address) {
    return driver.call<void *, int, CUdeviceptr>("cuPointerGetAttribute", value,
                                                 number, address);
  };
  EXPECT_EQ(attribute(2, &kind, a + 4), CUDA_SUCCESS);
  EXPECT_EQ(kind, 2u);
  int ordinal = -1;
  EXPECT_EQ(attribute(9, &ordinal, a), CUDA_SUCCESS);
  EXPECT_EQ(ordinal, 0);
  EXPECT_EQ(attribute(2, &kind, reinterpret_cast<CUdeviceptr>(&kind)),
            CUDA_ERROR_INVALID_VALUE);
}
