// Tests of arithmetic of floats against values worked out by hand.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

#include <cmath>

using namespace moec::ptx;

constexpr uint32_t canonicalNaN = 0x7FFFFFFF;

TEST(FloatArithmetic, F32) {
  EXPECT_EQ(computeFloat("add.rn.f32 %r4, %r1, %r2;", 1.5f, 2), 3.5f);
  EXPECT_EQ(computeFloat("sub.f32 %r4, %r1, %r2;", 1.5f, 2), -0.5f);
  EXPECT_EQ(computeFloat("mul.f32 %r4, %r1, %r2;", 1.5f, 2), 3);
  EXPECT_EQ(computeFloat("div.rn.f32 %r4, %r1, %r2;", 1, 3), 1.0f / 3);
}

TEST(FloatArithmetic, FmaRoundsOnce) {
  // (1 + 2^-23)^2 - (1 + 2^-22) = 2^-46, which a product rounded first loses.
  float a = 1 + 0x1p-23f;
  EXPECT_EQ(
      computeFloat("fma.rn.f32 %r4, %r1, %r1, %r3;", a, 0, -(1 + 0x1p-22f)),
      0x1p-46f);
  // A tie of the double sum that the exact sum is not: 2^24 + 1 + 2^-40.
  EXPECT_EQ(computeFloat("fma.rn.f32 %r4, %r1, %r2, %r3;", 1 + 0x1p-20f,
                         1 - 0x1p-20f, 0x1p24f),
            0x1p24f);
}

TEST(FloatArithmetic, OtherRoundings) {
  EXPECT_EQ(computeFloat("add.rz.f32 %r4, %r1, %r2;", 1, 0x1.8p-24f), 1);
  EXPECT_EQ(computeFloat("add.rn.f32 %r4, %r1, %r2;", 1, 0x1.8p-24f),
            1 + 0x1p-23f);
  EXPECT_EQ(computeFloat("add.rp.f32 %r4, %r1, %r2;", 1, 0x1p-60f),
            1 + 0x1p-23f);
  EXPECT_EQ(computeFloat("add.rm.f32 %r4, %r1, %r2;", -1, -0x1p-60f),
            -(1 + 0x1p-23f));
}

TEST(FloatArithmetic, NaNIsCanonicalAndSubnormalsAreKept) {
  EXPECT_EQ(compute32("add.f32 %r4, %r1, %r2;", 0x7FC12345, 0), canonicalNaN);
  EXPECT_EQ(compute32("add.f32 %r4, %r1, %r2;", 1, 1), 2u);
  EXPECT_EQ(compute32("add.ftz.f32 %r4, %r1, %r2;", 1, 0x80000001), 0u);
  EXPECT_EQ(computeFloat("add.sat.f32 %r4, %r1, %r2;", 3, 1), 1);
  EXPECT_EQ(computeFloat("add.sat.f32 %r4, %r1, %r2;", NAN, 1), 0);
}

TEST(FloatArithmetic, MinimumAndMaximum) {
  EXPECT_EQ(computeFloat("min.f32 %r4, %r1, %r2;", NAN, 3), 3);
  EXPECT_EQ(compute32("max.NaN.f32 %r4, %r1, %r2;", canonicalNaN, 0),
            canonicalNaN);
  EXPECT_EQ(compute32("min.f32 %r4, %r1, %r2;", 0, 0x80000000), 0x80000000u);
  EXPECT_EQ(compute32("max.f32 %r4, %r1, %r2;", 0x80000000, 0), 0u);
  EXPECT_EQ(computeFloat("max.xorsign.abs.f32 %r4, %r1, %r2;", -3, 2), -3);
  EXPECT_EQ(computeFloat("min.xorsign.abs.f32 %r4, %r1, %r2;", -3, -2), 2);
}

TEST(FloatArithmetic, Functions) {
  EXPECT_EQ(computeFloat("ex2.approx.ftz.f32 %r4, %r1;", 5), 32);
  EXPECT_EQ(computeFloat("lg2.approx.f32 %r4, %r1;", 8), 3);
  EXPECT_EQ(computeFloat("rcp.approx.ftz.f32 %r4, %r1;", 4), 0.25f);
  EXPECT_EQ(computeFloat("rsqrt.approx.f32 %r4, %r1;", 16), 0.25f);
  EXPECT_EQ(computeFloat("sqrt.rn.f32 %r4, %r1;", 2), std::sqrt(2.0f));
  EXPECT_EQ(computeFloat("tanh.approx.f32 %r4, %r1;", INFINITY), 1);
  EXPECT_EQ(computeFloat("tanh.approx.f32 %r4, %r1;", 0), 0);
  EXPECT_EQ(computeFloat("sin.approx.f32 %r4, %r1;", 0), 0);
  EXPECT_EQ(computeFloat("cos.approx.f32 %r4, %r1;", 0), 1);
}

TEST(FloatArithmetic, TanhIsAsWrongAsItMayBe) {
  float largest = 0;
  for (float x = -6; x < 6; x += 0.03125f) {
    float exact = std::tanh(x);
    float found = computeFloat("tanh.approx.f32 %r4, %r1;", x);
    EXPECT_EQ(std::signbit(found), std::signbit(x));
    if (x != 0)
      largest = std::max(largest, std::abs(found / exact - 1));
  }
  EXPECT_LE(largest, 0x1p-11f);
  EXPECT_GT(largest, 0x1p-12f);
}

TEST(FloatArithmetic, SignsAreBits) {
  EXPECT_EQ(compute32("neg.f32 %r4, %r1;", 0x7FC00001), 0xFFC00001u);
  EXPECT_EQ(compute32("abs.f32 %r4, %r1;", 0x80000001), 1u);
  EXPECT_EQ(compute32("abs.ftz.f32 %r4, %r1;", 0x80000001), 0u);
  EXPECT_EQ(compute32("neg.bf16x2 %r4, %r1;", 0x3F803F80), 0xBF80BF80u);
  EXPECT_EQ(computeFloat("copysign.f32 %r4, %r1, %r2;", -1, 5), -5);
}

TEST(FloatArithmetic, NarrowFloatsRoundOnce) {
  // 1 + 2^-8 is between two bf16; with 2^-16 more it is above the middle.
  EXPECT_EQ(compute16("add.rn.bf16 %rs4, %rs1, %rs2;", 0x3F80, 0x3B80), 0x3F80);
  EXPECT_EQ(
      compute16("fma.rn.bf16 %rs4, %rs1, %rs2, %rs3;", 0x3B81, 0x3F80, 0x3F80),
      0x3F81);
  EXPECT_EQ(
      compute16("fma.rn.f16 %rs4, %rs1, %rs2, %rs3;", 0x4000, 0x4200, 0x3C00),
      0x4700);
  EXPECT_EQ(compute32("mul.rn.f16x2 %r4, %r1, %r2;", 0x40003C00, 0x42003800),
            0x46003800u);
  EXPECT_EQ(compute32("fma.rn.relu.bf16x2 %r4, %r1, %r2, %r3;", 0xBF803F80,
                      0x3F803F80, 0),
            0x00003F80u);
  EXPECT_EQ(compute32("max.NaN.bf16x2 %r4, %r1, %r2;", 0x7FC03F80, 0x3F804000),
            0x7FFF4000u);
}

TEST(FloatArithmetic, F64) {
  auto bits = [](double value) { return std::bit_cast<uint64_t>(value); };
  EXPECT_EQ(compute64("fma.rn.f64 %rd5, %rd2, %rd3, %rd4;", bits(1 + 0x1p-52),
                      bits(1 + 0x1p-52), bits(-(1 + 0x1p-51))),
            bits(0x1p-104));
}

TEST(FloatArithmetic, Properties) {
  EXPECT_TRUE(computeBool("testp.notanumber.f32 %p4, %r1;", canonicalNaN));
  EXPECT_TRUE(computeBool("testp.subnormal.f32 %p4, %r1;", 1));
  EXPECT_FALSE(computeBool("testp.normal.f32 %p4, %r1;", 1));
  EXPECT_TRUE(computeBool("testp.infinite.f32 %p4, %r1;", 0x7F800000));
}

TEST(FloatArithmetic, AFloatIsNoInteger) {
  EXPECT_TRUE(has(loadError("add.f32 %r4, %r1, 1;"),
                  "expected a float as 0f or 0d, found an integer"));
}
