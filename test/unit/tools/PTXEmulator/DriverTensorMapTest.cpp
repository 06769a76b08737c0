// Tests of the driver's function that makes tensor maps.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/EmulatedDriver.h"

using namespace moec::ptx;

static CUresult encode(EmulatedDriver &driver, void *map, uint64_t base,
                       uint64_t stride, int swizzle = 3, int fill = 0) {
  uint64_t dimensions[] = {64, 32}, strides[] = {stride};
  uint32_t box[] = {64, 8}, steps[] = {1, 1};
  return driver
      .call<void *, int, unsigned, void *, const uint64_t *, const uint64_t *,
            const uint32_t *, const uint32_t *, int, int, int, int>(
          "cuTensorMapEncodeTiled", map, 9, 2u, reinterpret_cast<void *>(base),
          dimensions, strides, box, steps, 0, swizzle, 2, fill);
}

TEST(DriverTensorMap, ChecksWhatTheDriverDemands) {
  EmulatedDriver driver;
  alignas(64) char map[192];
  EXPECT_EQ(encode(driver, map, 4096, 128), CUDA_SUCCESS);
  EXPECT_EQ(encode(driver, map + 8, 4096, 128), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(encode(driver, map, 4100, 128), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(encode(driver, map, 4096, 136), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(encode(driver, map, 4096, 128, 2), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(encode(driver, map, 4096, 128, 9), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(encode(driver, map, 4096, 128, 3, 1), CUDA_ERROR_NOT_SUPPORTED);
}
