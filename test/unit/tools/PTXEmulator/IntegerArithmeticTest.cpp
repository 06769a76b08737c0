// Tests of arithmetic of integers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

constexpr uint32_t minusOne = ~0u;
constexpr uint32_t lowest = 0x80000000;

TEST(IntegerArithmetic, SumsWrap) {
  EXPECT_EQ(compute32("add.s32 %r4, %r1, %r2;", minusOne, 2), 1u);
  EXPECT_EQ(compute32("sub.u32 %r4, %r1, %r2;", 1, 2), minusOne);
  EXPECT_EQ(compute16("add.u16 %rs4, %rs1, %rs2;", 0xFFFF, 3), 2);
  EXPECT_EQ(compute64("sub.s64 %rd5, %rd2, %rd3;", 1, 2), ~uint64_t(0));
}

TEST(IntegerArithmetic, HalvesOfProducts) {
  EXPECT_EQ(compute32("mul.lo.s32 %r4, %r1, %r2;", 0x10001, 0x10001), 0x20001u);
  EXPECT_EQ(compute32("mul.hi.u32 %r4, %r1, %r2;", minusOne, minusOne),
            0xFFFFFFFEu);
  EXPECT_EQ(compute32("mul.hi.s32 %r4, %r1, %r2;", minusOne, minusOne), 0u);
  EXPECT_EQ(compute64("mul.wide.u32 %rd5, %r1, %r2;", minusOne, minusOne),
            0xFFFFFFFE00000001u);
  EXPECT_EQ(compute64("mul.wide.s32 %rd5, %r1, %r2;", minusOne, 3),
            uint64_t(-3));
  EXPECT_EQ(compute32("mul.wide.s16 %r4, %rs1, %rs2;", 0xFFFE, 5),
            uint32_t(-10));
  EXPECT_EQ(compute64("mul.hi.u64 %rd5, %rd2, %rd3;", ~uint64_t(0), 16), 15u);
}

TEST(IntegerArithmetic, ProductsAndSums) {
  EXPECT_EQ(compute32("mad.lo.s32 %r4, %r1, %r2, %r3;", 3, 5, minusOne), 14u);
  EXPECT_EQ(compute64("mad.wide.u32 %rd5, %r1, %r2, %rd4;", minusOne, 2, 7),
            0x200000005u);
  EXPECT_EQ(compute32("mad.hi.u32 %r4, %r1, %r2, %r3;", minusOne, 16, 1), 16u);
  EXPECT_EQ(compute32("mul24.lo.s32 %r4, %r1, %r2;", 0xFFFFFF, 3),
            uint32_t(-3));
  EXPECT_EQ(compute32("sad.s32 %r4, %r1, %r2, %r3;", minusOne, 4, 10), 15u);
}

TEST(IntegerArithmetic, DivisionsRoundTowardsZero) {
  EXPECT_EQ(compute32("div.s32 %r4, %r1, %r2;", uint32_t(-7), 2), uint32_t(-3));
  EXPECT_EQ(compute32("rem.s32 %r4, %r1, %r2;", uint32_t(-7), 2), minusOne);
  EXPECT_EQ(compute32("div.u32 %r4, %r1, %r2;", uint32_t(-7), 2), 0x7FFFFFFCu);
  EXPECT_EQ(compute64("rem.u64 %rd5, %rd2, %rd3;", 100, 7), 2u);
}

TEST(IntegerArithmetic, DivisionsWithoutAResultDoNotTrap) {
  EXPECT_EQ(compute32("div.u32 %r4, %r1, %r2;", 5, 0), minusOne);
  EXPECT_EQ(compute32("div.s32 %r4, %r1, %r2;", lowest, minusOne), lowest);
  EXPECT_EQ(compute32("rem.s32 %r4, %r1, %r2;", lowest, minusOne), 0u);
}

TEST(IntegerArithmetic, OrderDependsOnTheSign) {
  EXPECT_EQ(compute32("min.s32 %r4, %r1, %r2;", minusOne, 1), minusOne);
  EXPECT_EQ(compute32("min.u32 %r4, %r1, %r2;", minusOne, 1), 1u);
  EXPECT_EQ(compute64("max.s64 %rd5, %rd2, %rd3;", ~uint64_t(0), 1), 1u);
  EXPECT_EQ(compute16("max.u16 %rs4, %rs1, %rs2;", 0xFFFF, 1), 0xFFFF);
}

TEST(IntegerArithmetic, Signs) {
  EXPECT_EQ(compute32("abs.s32 %r4, %r1;", minusOne), 1u);
  EXPECT_EQ(compute32("abs.s32 %r4, %r1;", lowest), lowest);
  EXPECT_EQ(compute32("neg.s32 %r4, %r1;", 5), uint32_t(-5));
}

TEST(IntegerArithmetic, OtherTypesAreRefused) {
  EXPECT_TRUE(
      has(loadError("rem.f32 %r4, %r1, %r2;"), "expected an integer type"));
  EXPECT_TRUE(has(loadError("mul.s32 %r4, %r1, %r2;"),
                  "expected one of .lo, .hi, .wide"));
  EXPECT_TRUE(has(loadError("add.cc.u32 %r4, %r1, %r2;"),
                  "the emulator does not know the modifier '.cc' here"));
}
