// Tests of comparing and choosing.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

#include <cmath>

using namespace moec::ptx;

TEST(Comparisons, IntegersBySignAndWidth) {
  EXPECT_TRUE(computeBool("setp.lt.s32 %p4, %r1, %r2;", ~0u, 1));
  EXPECT_FALSE(computeBool("setp.lt.u32 %p4, %r1, %r2;", ~0u, 1));
  EXPECT_TRUE(computeBool("setp.hi.u32 %p4, %r1, %r2;", ~0u, 1));
  EXPECT_TRUE(computeBool("setp.ge.s16 %p4, %rs1, %rs2;", 1, 0xFFFF));
  EXPECT_TRUE(computeBool("setp.ne.b64 %p4, %rd2, %rd3;", 1, 2));
}

TEST(Comparisons, NaNIsUnordered) {
  uint32_t nan = bitsOfFloat(NAN), one = bitsOfFloat(1);
  for (std::string ordered : {"lt", "le", "gt", "ge", "eq", "ne", "num"})
    EXPECT_FALSE(
        computeBool("setp." + ordered + ".f32 %p4, %r1, %r2;", nan, one))
        << ordered;
  for (std::string unordered :
       {"ltu", "leu", "gtu", "geu", "equ", "neu", "nan"})
    EXPECT_TRUE(
        computeBool("setp." + unordered + ".f32 %p4, %r1, %r2;", nan, one))
        << unordered;
  EXPECT_TRUE(computeBool("setp.eq.f32 %p4, %r1, %r2;", 0x80000000, 0));
}

TEST(Comparisons, SubnormalsAreFlushedOnlyWhereAskedFor) {
  EXPECT_FALSE(computeBool("setp.eq.f32 %p4, %r1, %r2;", 1, 0));
  EXPECT_TRUE(computeBool("setp.eq.ftz.f32 %p4, %r1, %r2;", 1, 0));
}

TEST(Comparisons, NarrowFloats) {
  EXPECT_TRUE(computeBool("setp.gt.bf16 %p4, %rs1, %rs2;", 0x3F80, 0xBF80));
  EXPECT_TRUE(computeBool("setp.lt.f16 %p4, %rs1, %rs2;", 0x3C00, 0x4000));
  // Of a pair p is the lower half and q the upper one.
  EXPECT_TRUE(
      computeBool("setp.gt.bf16x2 %p4|%p5, %r1, %r2;", 0x00003F80, 0x3F800000));
  EXPECT_FALSE(
      computeBool("setp.gt.bf16x2 %p5|%p4, %r1, %r2;", 0x00003F80, 0x3F800000));
}

TEST(Comparisons, CombineWithAPredicate) {
  EXPECT_FALSE(computeBool("setp.eq.and.s32 %p4, %r1, %r1, %p3;", 5, 0));
  EXPECT_TRUE(computeBool("setp.eq.or.s32 %p4, %r1, %r2, %p2;", 5, 0));
  EXPECT_TRUE(computeBool("setp.eq.xor.s32 %p4, %r1, %r1, !%p2;", 5, 0));
  EXPECT_TRUE(computeBool("setp.ne.s32 %p5|%p4, %r1, %r1;", 5));
}

TEST(Comparisons, Choices) {
  EXPECT_EQ(compute32("selp.b32 %r4, %r1, %r2, %p3;", 7, 9), 7u);
  EXPECT_EQ(compute32("selp.b32 %r4, %r1, %r2, %p3;", 7, 0), 0u);
  EXPECT_EQ(compute64("selp.b64 %rd5, 1, 2, !%p2;", 1), 2u);
  EXPECT_EQ(compute32("slct.u32.s32 %r4, %r1, %r2, %r3;", 7, 9, ~0u), 9u);
  EXPECT_EQ(compute32("slct.u32.f32 %r4, %r1, %r2, %r3;", 7, 9, 0x3F800000),
            7u);
  EXPECT_EQ(compute32("set.lt.u32.s32 %r4, %r1, %r2;", 1, 2), ~0u);
  EXPECT_EQ(compute32("set.lt.f32.s32 %r4, %r1, %r2;", 1, 2), 0x3F800000u);
}
