// Tests of loads, stores and addresses.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

/// One lane runs `body`; what it leaves in %rd5.
static uint64_t leave(const std::string &body, uint64_t input) {
  return runLanes<uint64_t>(body + "\nst.global.u64 [%rd1], %rd5;", {input})[0];
}

TEST(MemoryAccess, LoadsExtend) {
  EXPECT_EQ(leave("ld.global.s8 %rd5, [%rd1];", 0xFE), ~uint64_t(1));
  EXPECT_EQ(leave("ld.global.u8 %rd5, [%rd1];", 0x1FE), 0xFEu);
  EXPECT_EQ(leave("ld.global.s16 %r1, [%rd1];\ncvt.u64.u32 %rd5, %r1;", 0xFFFE),
            0xFFFFFFFEu);
  EXPECT_EQ(leave("ld.global.s8 %rs1, [%rd1];\ncvt.u64.u16 %rd5, %rs1;", 0xFE),
            0xFFFEu);
}

TEST(MemoryAccess, Vectors) {
  EXPECT_EQ(leave("ld.global.v2.u32 {%r1, %r2}, [%rd1];\n"
                  "mov.b64 %rd5, {%r2, %r1};",
                  0x100000002),
            0x200000001u);
  EXPECT_EQ(leave("ld.global.v4.b16 {%rs1, _, _, %rs2}, [%rd1];\n"
                  "mov.b32 %r1, {%rs2, %rs1};\ncvt.u64.u32 %rd5, %r1;",
                  0x0004000300020001),
            0x10004u);
  EXPECT_EQ(leave("st.global.v2.b16 [%rd1+4], {7, 9};\n"
                  "ld.global.u64 %rd5, [%rd1];",
                  1),
            0x0009000700000001u);
}

TEST(MemoryAccess, HintsChangeNothing) {
  EXPECT_EQ(leave("createpolicy.fractional.L2::evict_first.b64 %rd6;\n"
                  "ld.global.nc.L1::no_allocate.L2::cache_hint.u64 %rd5, "
                  "[%rd1], %rd6;\nprefetch.global.L2 [%rd1];",
                  42),
            42u);
  EXPECT_EQ(leave("ld.relaxed.sys.global.u64 %rd5, [%rd1];", 42), 42u);
}

TEST(MemoryAccess, GenericAddressesReachEverySpace) {
  EXPECT_EQ(leave(R"(
    .shared .align 8 .b64 s;
    .local .align 8 .b64 l;
    mov.u64 %rd6, s;
    cvta.shared.u64 %rd7, %rd6;
    st.u64 [%rd7], 5;
    mov.u64 %rd8, l;
    cvta.local.u64 %rd9, %rd8;
    st.u64 [%rd9], 6;
    ld.shared.u64 %rd10, [s];
    ld.local.u64 %rd11, [l];
    cvta.to.shared.u64 %rd12, %rd7;
    setp.eq.u64 %p1, %rd12, %rd6;
    isspacep.shared %p2, %rd7;
    isspacep.global %p3, %rd1;
    isspacep.local %p4, %rd7;
    add.u64 %rd5, %rd10, %rd11;
    @%p1 add.u64 %rd5, %rd5, 100;
    @%p2 add.u64 %rd5, %rd5, 1000;
    @%p3 add.u64 %rd5, %rd5, 10000;
    @%p4 add.u64 %rd5, %rd5, 100000;
  )",
                  0),
            11111u);
}

TEST(MemoryAccess, ElementsMustBeAsManyAsSaid) {
  EXPECT_TRUE(has(loadError("ld.global.v2.u32 {%r1, %r2, %r3}, [%rd1];"),
                  "expected 2 elements, found 3"));
}
