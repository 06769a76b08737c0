// Tests of element types: names, sizes, counts.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/ElementType.h"

#include <gtest/gtest.h>

using namespace moec::weights;

namespace {

TEST(ElementType, namesGoThereAndBack) {
  for (int i = 0; i <= int(ElementType::F64); ++i)
    EXPECT_EQ(elementTypeFromName(elementTypeName(ElementType(i))),
              ElementType(i));
  EXPECT_EQ(elementTypeFromName("F32"), ElementType::F32);
  EXPECT_EQ(elementTypeFromName("F4"), ElementType::F4);
  EXPECT_EQ(elementTypeFromName("f32"), std::nullopt);
}

TEST(ElementType, countsBytes) {
  int64_t shape[] = {3, 5};
  EXPECT_EQ(tensorBytes(ElementType::F32, shape), 60u);
  EXPECT_EQ(tensorBytes(ElementType::BF16, shape), 30u);
  // 15 elements of 4 bits end within a byte.
  EXPECT_EQ(tensorBytes(ElementType::F4, shape), std::nullopt);
  EXPECT_EQ(tensorBytes(ElementType::F64, {}), 8u);
}

TEST(ElementType, refusesWhatDoesNotFit) {
  int64_t huge[] = {int64_t(1) << 40, int64_t(1) << 40};
  EXPECT_EQ(elementCount(huge), std::nullopt);
  int64_t wide[] = {int64_t(1) << 62};
  EXPECT_EQ(elementCount(wide), int64_t(1) << 62);
  EXPECT_EQ(tensorBytes(ElementType::F32, wide), std::nullopt);
  int64_t negative[] = {0, -1};
  EXPECT_EQ(elementCount(negative), std::nullopt);
  int64_t empty[] = {int64_t(1) << 40, int64_t(1) << 40, 0};
  EXPECT_EQ(elementCount(empty), 0);
  EXPECT_EQ(shapeToString(negative), "[0, -1]");
}

} // namespace
