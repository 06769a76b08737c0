// Tests of atom and red.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

#include "tools/PTXEmulator/Atomics.h"

using namespace moec::ptx;

/// What 32 lanes make of one value, by an instruction on [%rd0].
static uint64_t atomically(const std::string &instruction, uint64_t initial) {
  Kernel kernel(laneKernel(instruction));
  uint64_t buffer = kernel.upload(std::vector<uint64_t>(64, initial));
  EXPECT_EQ(messageOf(kernel.run({1, 1, 1}, {32, 1, 1}, 0, buffer)), "");
  return kernel.download<uint64_t>(buffer, 1)[0];
}

TEST(Atomics, EveryLaneTakesPart) {
  EXPECT_EQ(atomically("red.global.add.u64 [%rd0], 2;", 5), 69u);
  EXPECT_EQ(uint32_t(atomically("red.global.max.s32 [%rd0], %r0;", 7)), 31u);
  EXPECT_EQ(uint32_t(atomically("red.global.min.u32 [%rd0], %r0;", 7)), 0u);
  EXPECT_EQ(uint32_t(atomically("red.global.inc.u32 [%rd0], 9;", 0)), 2u);
  EXPECT_EQ(uint32_t(atomically("red.global.or.b32 [%rd0], %r0;", 64)), 95u);
}

TEST(Atomics, OldValuesDiffer) {
  Kernel kernel(laneKernel("atom.global.add.u32 %r1, [%rd0+256], 1;\n"
                           "cvt.u64.u32 %rd2, %r1;\n"
                           "st.global.u64 [%rd1], %rd2;"));
  uint64_t buffer = kernel.upload(std::vector<uint64_t>(64));
  EXPECT_EQ(messageOf(kernel.run({1, 1, 1}, {32, 1, 1}, 0, buffer)), "");
  std::vector<uint64_t> old = kernel.download<uint64_t>(buffer, 32);
  std::sort(old.begin(), old.end());
  for (uint64_t i = 0; i < 32; ++i)
    EXPECT_EQ(old[i], i);
}

TEST(Atomics, SwapsCompare) {
  EXPECT_EQ(uint32_t(atomically("atom.global.cas.b32 %r1, [%rd0], 5, 9;", 5)),
            9u);
  EXPECT_EQ(uint32_t(atomically("atom.global.cas.b32 %r1, [%rd0], 6, 9;", 5)),
            5u);
  EXPECT_EQ(uint32_t(atomically("atom.global.exch.b32 %r1, [%rd0], 3;", 5)),
            3u);
}

TEST(Atomics, Floats) {
  EXPECT_EQ(uint32_t(atomically("red.global.add.f32 [%rd0], 0f3F800000;", 0)),
            bitsOfFloat(32));
  EXPECT_EQ(uint32_t(atomically("mov.b32 %r1, 0x3F803F80;\n"
                                "red.global.add.noftz.bf16x2 [%rd0], %r1;",
                                0x40000000)),
            0x42084200u);
  EXPECT_EQ(atomically("mov.b32 %r1, 0f3F800000;\n"
                       "red.global.add.v2.f32 [%rd0], {%r1, %r1};",
                       0),
            0x4200000042000000u);
}

TEST(Atomics, Changes) {
  EXPECT_EQ(changed(Change::Decrement, Type::U32, 0, 7), 7u);
  EXPECT_EQ(changed(Change::Decrement, Type::U32, 9, 7), 7u);
  EXPECT_EQ(changed(Change::Increment, Type::U32, 7, 7), 0u);
  EXPECT_EQ(changed(Change::Minimum, Type::S32, 1, 0xFFFFFFFF), 0xFFFFFFFFu);
  EXPECT_EQ(changed(Change::Maximum, Type::BF16, 0x3F80, 0x4000), 0x4000u);
}

TEST(Atomics, TypesMustFit) {
  EXPECT_TRUE(has(loadError("red.global.min.f32 [%rd0], %r1;"),
                  "expected a type that the operation has"));
  EXPECT_TRUE(has(loadError("red.global.add.v2.f32 [%rd0], %r1;"),
                  "expected 2 elements, found 1"));
}
