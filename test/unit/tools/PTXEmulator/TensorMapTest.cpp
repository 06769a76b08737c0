// Tests of descriptors of tensors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/TensorMap.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

using namespace moec::ptx;

static TensorMap example() {
  TensorMap map;
  map.type = 9;
  map.rank = 2;
  map.swizzle = Swizzle::Bytes128;
  map.base = 4096;
  map.dimensions = {100, 50};
  map.strides = {208};
  map.box = {64, 32};
  map.elementStrides = {1, 1};
  return map;
}

static std::string errorOf(const std::function<void(TensorMap &)> &change) {
  TensorMap map = example();
  change(map);
  return checkTensorMap(map).error();
}

TEST(TensorMap, CountsBytes) {
  TensorMap map = example();
  EXPECT_EQ(checkTensorMap(map).error(), "");
  EXPECT_EQ(map.boxBytes(), 4096u);
  map.elementStrides = {1, 3};
  EXPECT_EQ(map.boxBytes(), 64 * 11 * 2u);
  EXPECT_EQ(elementBytesOf(9), 2);
  EXPECT_EQ(elementBytesOf(4), 8);
  EXPECT_EQ(elementBytesOf(13), 0);
}

TEST(TensorMap, SaysWhatIsWrong) {
  EXPECT_EQ(
      errorOf([](TensorMap &map) { map.base = 8; }),
      "tensor map: expected an address that is a multiple of 16, found 8");
  EXPECT_EQ(
      errorOf([](TensorMap &map) { map.strides[0] = 200; }),
      "tensor map: expected a stride below 2^40 that is a multiple of 16, "
      "found 200");
  EXPECT_EQ(errorOf([](TensorMap &map) { map.box[0] = 128; }),
            "tensor map: expected an innermost extent within the 128 bytes of "
            "the swizzle, found 256");
  EXPECT_EQ(
      errorOf([](TensorMap &map) { map.box[0] = 4; }),
      "tensor map: expected an innermost extent of a multiple of 16 bytes, "
      "found 8");
  EXPECT_EQ(
      errorOf([](TensorMap &map) { map.box[1] = 257; }),
      "tensor map: expected an extent of the box from 1 to 256, found 257");
  EXPECT_EQ(errorOf([](TensorMap &map) { map.rank = 6; }),
            "tensor map: expected 1 to 5 dimensions, found 6");
  EXPECT_EQ(errorOf([](TensorMap &map) { map.dimensions[1] = 0; }),
            "tensor map: expected a dimension from 1 to 2^32, found 0");
  EXPECT_EQ(errorOf([](TensorMap &map) { map.elementStrides[0] = 9; }),
            "tensor map: expected an element stride from 1 to 8, found 9");
  EXPECT_EQ(
      errorOf([](TensorMap &map) { map.elementBytes = 0; }),
      "tensor map: expected a data type that the emulator knows, found 9");
}

TEST(TensorMap, SwizzlesExchangeUnits) {
  EXPECT_EQ(swizzled(0x400 + 128 * 3 + 16, Swizzle::Bytes128),
            0x400u + 128 * 3 + 32);
  EXPECT_EQ(swizzled(0x400 + 128 * 3 + 16, Swizzle::Bytes64),
            0x400u + 128 * 3 + 32);
  EXPECT_EQ(swizzled(0x400 + 128 * 5, Swizzle::Bytes64), 0x400u + 128 * 5 + 16);
  EXPECT_EQ(swizzled(0x400 + 128 * 3 + 16, Swizzle::Bytes32), 0x400u + 128 * 3);
  EXPECT_EQ(swizzled(0x480, Swizzle::None), 0x480u);
}
