// Tests of the memory of the emulated device.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/DeviceMemory.h"

#include <gtest/gtest.h>

using namespace moec::ptx;

TEST(DeviceMemory, AllocationsAreAlignedApartAndFilled) {
  DeviceMemory memory(1 << 20);
  uint64_t a = memory.allocate(100), b = memory.allocate(100);
  EXPECT_EQ(a % 256, 0u);
  EXPECT_GE(b, a + 100 + 4096);
  EXPECT_EQ(*memory.backing(a + 99), 0xFF);
  EXPECT_EQ(memory.used(), 200u);
}

TEST(DeviceMemory, OnlyWholeRangesOfOneAllocationAreTranslated) {
  DeviceMemory memory(1 << 20);
  uint64_t a = memory.allocate(100);
  EXPECT_NE(memory.translate(a, 100), nullptr);
  EXPECT_EQ(memory.translate(a, 101), nullptr);
  EXPECT_EQ(memory.translate(a - 1, 1), nullptr);
  EXPECT_EQ(memory.describe(a + 104),
            "4 bytes past the end of an allocation of 100 bytes");
  EXPECT_EQ(memory.describe(16), "no address of the device's memory");
}

TEST(DeviceMemory, FreedMemoryIsGone) {
  DeviceMemory memory(1 << 20);
  uint64_t a = memory.allocate(100);
  EXPECT_TRUE(memory.free(a));
  EXPECT_FALSE(memory.free(a));
  EXPECT_EQ(memory.translate(a, 1), nullptr);
  EXPECT_NE(memory.allocate(100), a);
}

TEST(DeviceMemory, HasALimit) {
  DeviceMemory memory(1000);
  uint64_t a = memory.allocate(900);
  EXPECT_EQ(memory.allocate(200), 0u);
  memory.free(a);
  EXPECT_NE(memory.allocate(1000), 0u);
  EXPECT_EQ(memory.allocate(0), 0u);
}

TEST(DeviceMemoryDeathTest, TheHostCannotTouchItsAddresses) {
  DeviceMemory memory(1 << 20);
  volatile uint8_t *byte =
      reinterpret_cast<volatile uint8_t *>(memory.allocate(16));
  EXPECT_DEATH(*byte = 1, "");
}
