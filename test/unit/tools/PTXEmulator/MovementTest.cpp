// Tests of mov.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

TEST(Movement, PacksTheFirstElementLowest) {
  EXPECT_EQ(compute64("mov.b64 %rd5, {%r1, %r2};", 1, 2), 0x200000001u);
  EXPECT_EQ(compute32("mov.b32 %r4, {%rs1, %rs2};", 1, 2), 0x20001u);
}

TEST(Movement, Unpacks) {
  EXPECT_EQ(compute32("mov.b64 {_, %r4}, %rd2;\n", 0, 0), 0u);
  EXPECT_EQ(
      compute32("mov.b64 %rd6, {%r1, %r2};\nmov.b64 {%r5, %r4}, %rd6;", 1, 2),
      2u);
  EXPECT_EQ(
      compute16("mov.b32 %r5, {%rs1, %rs2};\nmov.b32 {%rs4, %rs5}, %r5;", 7, 9),
      7);
}

TEST(Movement, Of128Bits) {
  EXPECT_EQ(compute64("mov.b128 %q1, {%rd2, %rd3};\nmov.b128 %q2, %q1;\n"
                      "mov.b128 {%rd6, %rd5}, %q2;",
                      5, 6),
            6u);
}

TEST(Movement, PredicatesAndConstants) {
  EXPECT_TRUE(computeBool("mov.pred %p4, -1;", 0));
  EXPECT_FALSE(computeBool("mov.pred %p4, 0;", 1));
  EXPECT_EQ(compute32("mov.b32 %r4, 0f3F800000;", 0), 0x3F800000u);
  EXPECT_EQ(compute16("mov.b16 %rs4, -1;", 0), 0xFFFF);
}

TEST(Movement, ClocksGoForward) {
  EXPECT_TRUE(computeBool("mov.u64 %rd6, %clock64;\nadd.s32 %r5, %r1, 1;\n"
                          "mov.u64 %rd7, %clock64;\n"
                          "setp.gt.u64 %p4, %rd7, %rd6;",
                          0));
}

TEST(Movement, WidthsMustAgree) {
  EXPECT_TRUE(has(loadError("mov.b32 %r4, %rd2;"),
                  "expected '%rd2' to have 32 bits, found 64"));
  EXPECT_TRUE(has(loadError("mov.b64 %rd5, {%rs1, %rs2};"),
                  "expected '%rs1' to have 32 bits, found 16"));
}
