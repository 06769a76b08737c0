// Tests of the fundamental types.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Types.h"

#include <gtest/gtest.h>

using namespace moec::ptx;

TEST(Types, RowsStandInTheOrderOfTheEnumeration) {
  EXPECT_EQ(parseType("pred"), Type::Pred);
  EXPECT_EQ(parseType("e5m2x2"), Type::E5M2x2);
  EXPECT_EQ(bitsOf(Type::E5M2x2), 16u);
  EXPECT_EQ(bitsOf(Type::F32x2), 64u);
  EXPECT_EQ(bitsOf(Type::E4M3), 8u);
  EXPECT_EQ(bitsOf(Type::B128), 128u);
  EXPECT_EQ(parseType("f33"), std::nullopt);
}

TEST(Types, Kinds) {
  EXPECT_TRUE(isSigned(Type::S16));
  EXPECT_TRUE(isFloat(Type::BF16x2));
  EXPECT_TRUE(isInteger(Type::U64));
  EXPECT_FALSE(isInteger(Type::B64));
  EXPECT_EQ(bytesOf(Type::Pred), 1u);
}
