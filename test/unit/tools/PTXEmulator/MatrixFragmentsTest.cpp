// Tests of matrices in registers: elements of all types of factors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

#include "tools/PTXEmulator/MatrixFragments.h"

using namespace moec::ptx;

TEST(MatrixFragments, ElementsOfARegister) {
  EXPECT_EQ(elementOf(0x3F804000, Type::BF16, 0), 2);
  EXPECT_EQ(elementOf(0x3F804000, Type::BF16, 1), 1);
  EXPECT_EQ(elementOf(0x3C004000, Type::F16, 1), 1);
  EXPECT_EQ(elementOf(0x3F801FFF, Type::TF32, 0), 1);
  EXPECT_EQ(elementOf(0x38400000, Type::E4M3, 2), 2);
  EXPECT_EQ(elementOf(0x3C400000, Type::E5M2, 3), 1);
  EXPECT_TRUE(isFactorType(Type::E4M3));
  EXPECT_FALSE(isFactorType(Type::F32));
}

TEST(MatrixFragments, AWarpMustBeFull) {
  Kernel kernel(laneKernel("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 "
                           "{%r1, %r2, %r3, %r4}, {%r5, %r6}, {%r7}, "
                           "{%r1, %r2, %r3, %r4};"));
  uint64_t buffer = kernel.upload(std::vector<uint64_t>(32));
  EXPECT_TRUE(has(messageOf(kernel.run({1, 1, 1}, {31, 1, 1}, 0, buffer)),
                  "expected all 32 lanes of the warp, found 31"));
}
