// Tests of modules on the device.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

TEST(Image, VariablesHaveTheirValuesAndAddresses) {
  Kernel kernel(moduleHead + R"(
.const .align 4 .b32 table[3] = {10, 20};
.global .align 8 .u64 place = table+4;
.visible .entry kernel() { ret; }
)");
  const DeviceMemory::Allocation *table = kernel.image->findVariable("table");
  const DeviceMemory::Allocation *place = kernel.image->findVariable("place");
  ASSERT_TRUE(table && place);
  EXPECT_EQ(kernel.download<uint32_t>(table->begin, 3),
            (std::vector<uint32_t>{10, 20, 0}));
  EXPECT_EQ(kernel.download<uint64_t>(place->begin, 1)[0], table->begin + 4);
  EXPECT_EQ(kernel.image->findVariable("other"), nullptr);
}

TEST(Image, VariablesGoWithTheModule) {
  DeviceMemory memory(1 << 20);
  {
    auto image = Image::load(memory, ".global .b32 x[16];");
    ASSERT_TRUE(bool(image));
    EXPECT_EQ(memory.used(), 64u);
  }
  EXPECT_EQ(memory.used(), 0u);
}

TEST(Image, WhatIsMissingIsNamed) {
  DeviceMemory memory(1 << 10);
  EXPECT_EQ(Image::load(memory, ".extern .global .b32 x;").error(),
            "line 1: 'x': expected a definition, found .extern");
  EXPECT_EQ(Image::load(memory, ".global .b8 x[4096];").error(),
            "line 1: 'x': out of device memory");
  EXPECT_EQ(Image::load(memory, ".global .u64 x = y;").error(),
            "line 1: expected a variable in global memory, found 'y'");
}
