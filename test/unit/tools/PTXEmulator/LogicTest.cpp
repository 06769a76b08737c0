// Tests of bitwise instructions.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

TEST(Logic, BitwiseOfAllWidths) {
  EXPECT_EQ(compute32("and.b32 %r4, %r1, %r2;", 12, 10), 8u);
  EXPECT_EQ(compute64("or.b64 %rd5, %rd2, %rd3;", 12, 3), 15u);
  EXPECT_EQ(compute16("xor.b16 %rs4, %rs1, %rs2;", 12, 10), 6);
  EXPECT_EQ(compute16("not.b16 %rs4, %rs1;", 1), 0xFFFE);
  EXPECT_TRUE(computeBool("xor.pred %p4, %p2, %p3;", 1, 0));
  EXPECT_TRUE(computeBool("not.pred %p4, %p2;", 0));
  EXPECT_FALSE(computeBool("and.pred %p4, %p2, %p3;", 1, 0));
}

TEST(Logic, ShiftsByTheWidthOrMore) {
  EXPECT_EQ(compute32("shl.b32 %r4, %r1, %r2;", 3, 31), 0x80000000u);
  EXPECT_EQ(compute32("shl.b32 %r4, %r1, %r2;", 3, 32), 0u);
  EXPECT_EQ(compute32("shr.u32 %r4, %r1, %r2;", ~0u, 40), 0u);
  EXPECT_EQ(compute32("shr.s32 %r4, %r1, %r2;", 0x80000000, 40), ~0u);
  EXPECT_EQ(compute64("shr.u64 %rd5, %rd2, 63;", uint64_t(1) << 63), 1u);
  EXPECT_EQ(compute16("shr.s16 %rs4, %rs1, 4;", 0x8000), 0xF800);
}

TEST(Logic, FunnelShifts) {
  EXPECT_EQ(compute32("shf.l.wrap.b32 %r4, %r1, %r2, %r3;", 0x80000001, 2, 33),
            5u);
  EXPECT_EQ(compute32("shf.l.clamp.b32 %r4, %r1, %r2, %r3;", 7, 2, 40), 7u);
  EXPECT_EQ(compute32("shf.r.wrap.b32 %r4, %r1, %r2, %r3;", 6, 1, 1),
            0x80000003u);
  EXPECT_EQ(compute32("shf.r.clamp.b32 %r4, %r1, %r2, %r3;", 6, 9, 32), 9u);
}

TEST(Logic, Lop3TakesEachRowOfItsTable) {
  // (a & b) | c, and the selection a ? b : c.
  EXPECT_EQ(compute32("lop3.b32 %r4, %r1, %r2, %r3, 0xEA;", 0xF0, 0x3C, 1),
            0x31u);
  EXPECT_EQ(compute32("lop3.b32 %r4, %r1, %r2, %r3, 0xCA;", 0xF0, 0x3C, 0x0F),
            0x3Fu);
  EXPECT_EQ(compute32("lop3.b32 %r4, %r1, %r2, %r3, 0x01;", 1, 2, 4), ~7u);
}

TEST(Logic, PermuteChoosesBytesAndSigns) {
  EXPECT_EQ(
      compute32("prmt.b32 %r4, %r1, %r2, 0x7531;", 0x44332211, 0x88776655),
      0x88664422u);
  EXPECT_EQ(
      compute32("prmt.b32 %r4, %r1, %r2, 0x0f08;", 0x00000080, 0x88000000),
      0x80FF80FFu);
  EXPECT_EQ(compute32("prmt.b32.rc16 %r4, %r1, %r2, 1;", 0x44332211, 0),
            0x44334433u);
  EXPECT_EQ(compute32("prmt.b32.b4e %r4, %r1, %r2, 0;", 0x44332211, 0x88776655),
            0x66778811u);
}

TEST(Logic, Fields) {
  EXPECT_EQ(compute32("bfe.u32 %r4, %r1, 4, 8;", 0xABCDE), 0xCDu);
  EXPECT_EQ(compute32("bfe.s32 %r4, %r1, 4, 8;", 0xABCDE), 0xFFFFFFCDu);
  EXPECT_EQ(compute32("bfe.s32 %r4, %r1, 28, 8;", 0x80000000), 0xFFFFFFF8u);
  EXPECT_EQ(compute32("bfe.u32 %r4, %r1, 4, 0;", 0xABCDE), 0u);
  EXPECT_EQ(compute64("bfe.u64 %rd5, %rd2, 32, 16;", 0x1234567800000000),
            0x5678u);
  EXPECT_EQ(compute32("bfi.b32 %r4, %r1, %r2, 8, 4;", 0xF5, 0xFFFFFFFF),
            0xFFFFF5FFu);
}

TEST(Logic, Counts) {
  EXPECT_EQ(compute32("popc.b32 %r4, %r1;", 0xF0F), 8u);
  EXPECT_EQ(compute32("clz.b64 %r4, %rd2;", 1), 63u);
  EXPECT_EQ(compute32("clz.b32 %r4, %r1;", 0), 32u);
  EXPECT_EQ(compute32("brev.b32 %r4, %r1;", 3), 0xC0000000u);
  EXPECT_EQ(compute32("bfind.u32 %r4, %r1;", 0x100), 8u);
  EXPECT_EQ(compute32("bfind.u32 %r4, %r1;", 0), ~0u);
  EXPECT_EQ(compute32("bfind.shiftamt.u32 %r4, %r1;", 0x100), 23u);
  EXPECT_EQ(compute32("bfind.s32 %r4, %r1;", ~0u), ~0u);
  EXPECT_EQ(compute32("fns.b32 %r4, %r1, 0, 2;", 0b1010), 3u);
  EXPECT_EQ(compute32("fns.b32 %r4, %r1, 3, -2;", 0b1010), 1u);
}
