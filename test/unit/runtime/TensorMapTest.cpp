// Tests of tensor maps: what the driver is asked for, and what it is spared.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "cuda/launch.h"
#include "test/unit/runtime/FakeCuda.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

using moec::test::FakeCuda;

namespace {

class TensorMapTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(moert_cuda_open_device(0, &run.device, message, sizeof message),
              MOERT_OK);
    run.message = message;
    run.capacity = sizeof message;
  }

  int32_t make(uint8_t code, int32_t bits, std::vector<int64_t> extents,
               std::vector<int64_t> strides, std::vector<int64_t> box,
               int32_t swizzle, void *address = nullptr) {
    run.status = MOERT_OK;
    moert_cuda_tensor_map(&run, map, code, bits, int32_t(extents.size()),
                          address ? address : data, extents.data(),
                          strides.data(), box.data(), swizzle);
    return run.status;
  }

  FakeCuda cuda;
  moert_cuda_run run = {};
  char message[512] = "";
  alignas(64) char map[128] = {};
  alignas(16) char data[64] = {};
};

TEST_F(TensorMapTest, turnsAViewAround) {
  ASSERT_EQ(make(kDLBfloat, 16, {3, 5, 64}, {640, 128, 1}, {1, 2, 32}, 64),
            MOERT_OK)
      << message;
  const fake_map &made = cuda->map;
  EXPECT_EQ(cuda->map_count, 1);
  EXPECT_EQ(made.type, 9);
  EXPECT_EQ(made.rank, 3u);
  EXPECT_EQ(made.address, data);
  EXPECT_EQ(std::vector<uint64_t>(made.extents, made.extents + 3),
            (std::vector<uint64_t>{64, 5, 3}));
  EXPECT_EQ(std::vector<uint64_t>(made.strides, made.strides + 2),
            (std::vector<uint64_t>{256, 1280}));
  EXPECT_EQ(std::vector<uint32_t>(made.box, made.box + 3),
            (std::vector<uint32_t>{32, 2, 1}));
  EXPECT_EQ(made.swizzle, 2);
}

TEST_F(TensorMapTest, knowsTheElementsOfWeights) {
  struct {
    uint8_t code;
    int32_t bits, type;
  } const types[] = {{kDLFloat, 16, 6}, {kDLBfloat, 16, 9}, {kDLFloat, 32, 7},
                     {kDLInt, 32, 3},   {kDLInt, 8, 0},     {kDLUInt, 8, 0}};
  for (auto [code, bits, type] : types) {
    ASSERT_EQ(make(code, bits, {16}, {1}, {16}, 0), MOERT_OK) << message;
    EXPECT_EQ(cuda->map.type, type);
  }
  int32_t swizzles[] = {0, 32, 64, 128};
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(make(kDLFloat, 32, {8}, {1}, {8}, swizzles[i]), MOERT_OK);
    EXPECT_EQ(cuda->map.swizzle, i);
  }
}

TEST_F(TensorMapTest, ofNothingThereIsNone) {
  EXPECT_EQ(make(kDLFloat, 32, {0, 4}, {4, 1}, {1, 4}, 0), MOERT_OK);
  EXPECT_EQ(cuda->map_count, 0);
  run.status = MOERT_INTERNAL;
  int64_t one = 1;
  moert_cuda_tensor_map(&run, map, kDLFloat, 32, 1, data, &one, &one, &one, 0);
  EXPECT_EQ(cuda->map_count, 0);
}

TEST_F(TensorMapTest, refusesWhatTheDeviceCannotCopy) {
  EXPECT_EQ(make(kDLFloat, 16, {2, 12}, {12, 1}, {1, 8}, 0),
            MOERT_INVALID_ARGUMENT);
  EXPECT_STREQ(message, "got a tensor with stride[0] = 12, its copies need a "
                        "multiple of 8 elements");
  EXPECT_EQ(make(kDLFloat, 16, {8}, {1}, {8}, 0, data + 8),
            MOERT_INVALID_ARGUMENT);
  char expected[128];
  std::snprintf(
      expected, sizeof expected,
      "got a tensor at %#llx, its copies need alignment to 16 bytes",
      static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(data + 8)));
  EXPECT_STREQ(message, expected);
  cuda.fail("cuTensorMapEncodeTiled", 1);
  EXPECT_EQ(make(kDLFloat, 16, {64}, {1}, {512}, 0), MOERT_DEVICE_ERROR);
  EXPECT_STREQ(message, "the tensor map of rank 1, extent 64 and box 512 (of "
                        "the innermost dimension) cannot be made: "
                        "CUDA_ERROR_INVALID_VALUE (words of the fake driver)");
}

TEST_F(TensorMapTest, refusesWhatNoCodeMayAskFor) {
  EXPECT_EQ(make(kDLFloat, 64, {8}, {1}, {8}, 0), MOERT_INTERNAL);
  EXPECT_STREQ(message, "the compiled code asks for a tensor map of type code "
                        "2 with 64 bits, rank 1 and swizzle 0");
  EXPECT_EQ(make(kDLFloat, 32, {8}, {1}, {8}, 16), MOERT_INTERNAL);
  EXPECT_EQ(make(kDLFloat, 32, {8}, {2}, {8}, 0), MOERT_INTERNAL);
  std::vector<int64_t> six(6, 1);
  EXPECT_EQ(make(kDLFloat, 32, six, six, six, 0), MOERT_INTERNAL);
  EXPECT_EQ(cuda->map_count, 0);
}

} // namespace
