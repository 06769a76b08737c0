// Tests of cvt: every rounding, clamping and packing.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

#include <cmath>

using namespace moec::ptx;

TEST(Conversions, BetweenIntegers) {
  EXPECT_EQ(compute64("cvt.s64.s32 %rd5, %r1;", ~0u), ~uint64_t(0));
  EXPECT_EQ(compute64("cvt.u64.u32 %rd5, %r1;", ~0u), 0xFFFFFFFFu);
  EXPECT_EQ(compute32("cvt.s32.s8 %r4, %rs1;", 0x1FF), ~0u);
  EXPECT_EQ(compute32("cvt.u32.u8 %r4, %r1;", 0x1FF), 0xFFu);
  EXPECT_EQ(compute16("cvt.u8.u32 %rs4, %r1;", 0x1FF), 0xFF);
  EXPECT_EQ(compute32("cvt.sat.u8.s32 %r4, %r1;", 300), 255u);
  EXPECT_EQ(compute32("cvt.sat.s8.s32 %r4, %r1;", uint32_t(-300) & 0xFFFF),
            127u);
}

TEST(Conversions, FloatsToIntegers) {
  auto convert = [](const std::string &modifiers, float value) {
    return compute32("cvt." + modifiers + " %r4, %r1;", bitsOfFloat(value));
  };
  EXPECT_EQ(convert("rzi.s32.f32", -2.7f), uint32_t(-2));
  EXPECT_EQ(convert("rni.s32.f32", 2.5f), 2u);
  EXPECT_EQ(convert("rmi.s32.f32", -2.1f), uint32_t(-3));
  EXPECT_EQ(convert("rpi.u32.f32", 2.1f), 3u);
  EXPECT_EQ(convert("rzi.u32.f32", -1), 0u);
  EXPECT_EQ(convert("rzi.s32.f32", 1e20f), 0x7FFFFFFFu);
  EXPECT_EQ(convert("rzi.s32.f32", NAN), 0u);
  EXPECT_EQ(compute64("cvt.rzi.s64.f32 %rd5, %r1;", bitsOfFloat(NAN)),
            uint64_t(1) << 63);
}

TEST(Conversions, IntegersToFloatsRoundOnce) {
  EXPECT_EQ(compute32("cvt.rn.f32.u32 %r4, %r1;", 0xFFFFFFFF),
            bitsOfFloat(0x1p32f));
  EXPECT_EQ(compute32("cvt.rz.f32.u32 %r4, %r1;", 0xFFFFFFFF), 0x4F7FFFFFu);
  EXPECT_EQ(compute32("cvt.rn.f32.s32 %r4, %r1;", ~0u), bitsOfFloat(-1));
  // Just above a tie of f32, which a double in between would make one.
  EXPECT_EQ(compute("cvt.rn.f32.u64 %r4, %rd2;", "b32 [%rd1], %r4",
                    0x8000008000000001, 0, 0),
            0x5F000001u);
}

TEST(Conversions, NarrowFloats) {
  auto narrow = [](const std::string &modifiers, float value) {
    return compute("cvt." + modifiers + " %rs4, %r1;", "b16 [%rd1], %rs4",
                   bitsOfFloat(value), 0, 0);
  };
  EXPECT_EQ(narrow("rn.bf16.f32", 1 + 0x1p-8f), 0x3F80u);
  EXPECT_EQ(narrow("rn.bf16.f32", 1 + 0x1.8p-8f), 0x3F81u);
  EXPECT_EQ(narrow("rz.bf16.f32", 1 + 0x1.8p-8f), 0x3F80u);
  EXPECT_EQ(narrow("rn.bf16.f32", NAN), 0x7FFFu);
  EXPECT_EQ(narrow("rn.f16.f32", 65520), 0x7C00u);
  EXPECT_EQ(narrow("rz.f16.f32", 65520), 0x7BFFu);
  EXPECT_EQ(narrow("rn.f16.f32", 0x1p-25f), 0u);
  EXPECT_EQ(narrow("rn.f16.f32", 0x1.8p-25f), 1u);
  EXPECT_EQ(narrow("rn.relu.f16.f32", -1), 0u);
  EXPECT_EQ(compute32("cvt.f32.f16 %r4, %rs1;", 0x0001), bitsOfFloat(0x1p-24f));
  EXPECT_EQ(compute32("cvt.f32.bf16 %r4, %rs1;", 0xC040), bitsOfFloat(-3));
}

TEST(Conversions, TF32TiesGoAway) {
  EXPECT_EQ(compute32("cvt.rna.tf32.f32 %r4, %r1;", 0x3F801000), 0x3F802000u);
  EXPECT_EQ(compute32("cvt.rna.tf32.f32 %r4, %r1;", 0x3F800FFF), 0x3F800000u);
}

TEST(Conversions, TheSecondOfAPairIsTheLowerHalf) {
  EXPECT_EQ(compute32("cvt.rn.bf16x2.f32 %r4, %r1, %r2;", bitsOfFloat(1),
                      bitsOfFloat(2)),
            0x3F804000u);
  EXPECT_EQ(compute32("cvt.rn.f16x2.f32 %r4, %r1, %r2;", bitsOfFloat(1),
                      bitsOfFloat(2)),
            0x3C004000u);
  EXPECT_EQ(compute32("cvt.rz.bf16x2.f32 %r4, %r1, %r2;",
                      bitsOfFloat(1 + 0x1.8p-8f), bitsOfFloat(-2)),
            0x3F80C000u);
}

TEST(Conversions, E4M3) {
  auto pack = [](float a, float b) {
    return compute("cvt.rn.satfinite.e4m3x2.f32 %rs4, %r1, %r2;",
                   "b16 [%rd1], %rs4", bitsOfFloat(a), bitsOfFloat(b), 0);
  };
  // 448 is the largest; 0x7F is NaN; 2^-9 is the smallest subnormal.
  EXPECT_EQ(pack(1, 448), 0x387Eu);
  EXPECT_EQ(pack(1000, -1000), 0x7EFEu);
  EXPECT_EQ(pack(NAN, 0x1p-9f), 0x7F01u);
  EXPECT_EQ(pack(0x1p-10f, 17), 0x0058u);
  EXPECT_EQ(compute32("cvt.rn.f16x2.e4m3x2 %r4, %rs1;", 0x387E), 0x3C005F00u);
  EXPECT_EQ(compute16("cvt.rn.satfinite.e4m3x2.f16x2 %rs4, %r1;", 0x3C00),
            0x38);
  EXPECT_EQ(compute32("cvt.rn.f16x2.e5m2x2 %r4, %rs1;", 0x3C7C), 0x3C007C00u);
}

TEST(Conversions, RoundToIntegralAndSaturate) {
  EXPECT_EQ(computeFloat("cvt.rni.f32.f32 %r4, %r1;", 2.5f), 2);
  EXPECT_EQ(computeFloat("cvt.rpi.f32.f32 %r4, %r1;", 2.1f), 3);
  EXPECT_EQ(computeFloat("cvt.sat.f32.f32 %r4, %r1;", 7), 1);
  EXPECT_EQ(compute32("cvt.ftz.f32.f32 %r4, %r1;", 1), 0u);
  EXPECT_EQ(compute("cvt.rn.f32.f64 %r4, %rd2;", "b32 [%rd1], %r4",
                    std::bit_cast<uint64_t>(0.1), 0, 0),
            bitsOfFloat(0.1f));
}
