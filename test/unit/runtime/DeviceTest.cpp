// Tests of devices by the C interface, on the CPU.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/device.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace {

class DeviceTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(moert_device_open({kDLCPU, 3}, nullptr, &device), MOERT_OK);
  }
  ~DeviceTest() override { moert_device_close(device); }

  moert_device *device = nullptr;
};

TEST_F(DeviceTest, hasMemoryOfItsOwn) {
  void *memory = nullptr;
  ASSERT_EQ(moert_device_allocate(device, 100, nullptr, &memory), MOERT_OK);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % MOERT_WORKSPACE_ALIGNMENT, 0);
  char in[] = "in and out", out[sizeof in] = "";
  EXPECT_EQ(moert_device_write(device, memory, in, sizeof in, nullptr),
            MOERT_OK);
  in[0] = '?';
  EXPECT_EQ(moert_device_read(device, out, memory, sizeof in, nullptr),
            MOERT_OK);
  EXPECT_STREQ(out, "in and out");
  EXPECT_EQ(moert_device_free(device, memory), MOERT_OK);
}

TEST_F(DeviceTest, nothingIsNullAndIsNotTouched) {
  void *memory = &device;
  EXPECT_EQ(moert_device_allocate(device, 0, nullptr, &memory), MOERT_OK);
  EXPECT_EQ(memory, nullptr);
  EXPECT_EQ(moert_device_write(device, nullptr, nullptr, 0, nullptr), MOERT_OK);
  EXPECT_EQ(moert_device_read(device, nullptr, nullptr, 0, nullptr), MOERT_OK);
  EXPECT_EQ(moert_device_free(device, nullptr), MOERT_OK);
  EXPECT_EQ(moert_device_close(nullptr), MOERT_OK);
}

TEST_F(DeviceTest, saysThatMemoryIsTooSmall) {
  if (MOEC_TEST_SANITIZED)
    GTEST_SKIP() << "sanitizers end the process instead";
  char text[128] = "";
  moert_error_sink sink = {text, sizeof text};
  void *memory = &device;
  EXPECT_EQ(moert_device_allocate(device, uint64_t(1) << 60, &sink, &memory),
            MOERT_OUT_OF_MEMORY);
  EXPECT_EQ(memory, nullptr);
  EXPECT_STREQ(text, "out of memory: needs 1152921504606846976 bytes");
}

TEST_F(DeviceTest, measuresTime) {
  double first = -1, second = -1;
  ASSERT_EQ(moert_device_start_timer(device, nullptr), MOERT_OK);
  EXPECT_EQ(moert_device_stop_timer(device, nullptr, &first), MOERT_OK);
  EXPECT_EQ(moert_device_synchronize(device, nullptr), MOERT_OK);
  EXPECT_EQ(moert_device_stop_timer(device, nullptr, &second), MOERT_OK);
  EXPECT_GE(first, 0);
  EXPECT_GT(second, first);
}

TEST_F(DeviceTest, saysWhatItIs) {
  const char *text = nullptr;
  void *stream = &device;
  EXPECT_EQ(moert_device_description(device, &text), MOERT_OK);
  EXPECT_STREQ(text, "CPU");
  DLDevice identity = {};
  EXPECT_EQ(moert_device_identity(device, &identity), MOERT_OK);
  EXPECT_EQ(identity.device_type, kDLCPU);
  EXPECT_EQ(identity.device_id, 0);
  EXPECT_EQ(moert_device_stream(device, &stream), MOERT_OK);
  EXPECT_EQ(stream, nullptr);
}

TEST_F(DeviceTest, refusesOtherKinds) {
  char text[128] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_device *other = device;
  EXPECT_EQ(moert_device_open({kDLCUDAHost, 0}, &sink, &other),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(other, nullptr);
  EXPECT_STREQ(text, "expected device type 1 (CPU) or 2 (CUDA), found 3");
}

TEST_F(DeviceTest, refusesNull) {
  double seconds = 0;
  void *memory = nullptr;
  const char *text = nullptr;
  EXPECT_EQ(moert_device_open({kDLCPU, 0}, nullptr, nullptr),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_allocate(nullptr, 1, nullptr, &memory),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_allocate(device, 1, nullptr, nullptr),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_free(nullptr, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_write(nullptr, nullptr, nullptr, 0, nullptr),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_read(nullptr, nullptr, nullptr, 0, nullptr),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_synchronize(nullptr, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_start_timer(nullptr, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_stop_timer(nullptr, nullptr, &seconds),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_stop_timer(device, nullptr, nullptr),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_description(nullptr, &text), MOERT_INVALID_ARGUMENT);
  DLDevice identity = {};
  EXPECT_EQ(moert_device_identity(nullptr, &identity), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_identity(device, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_device_stream(nullptr, &memory), MOERT_INVALID_ARGUMENT);
}

} // namespace
