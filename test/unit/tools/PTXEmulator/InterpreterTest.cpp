// Tests of running warps: divergence, loops, calls.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

static std::vector<uint64_t> lanes(size_t count) {
  std::vector<uint64_t> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = i;
  return values;
}

TEST(Interpreter, LanesLoopAsOftenAsEachWants) {
  std::vector<uint64_t> results = runLanes(R"(
    mov.u64 %rd2, 0;
  L:
    setp.ge.u64 %p1, %rd2, 5;
    @%p1 bra E;
    add.s64 %rd2, %rd2, 1;
    cvt.u64.u32 %rd3, %r0;
    setp.le.u64 %p2, %rd2, %rd3;
    @%p2 bra L;
  E:
    st.global.u64 [%rd1], %rd2;
  )",
                                           lanes(32));
  for (size_t i = 0; i < 32; ++i)
    EXPECT_EQ(results[i], i < 4 ? i + 1 : 5) << i;
}

TEST(Interpreter, LanesThatPartMeetAtAShuffle) {
  std::vector<uint64_t> results = runLanes(R"(
    and.b32 %r1, %r0, 1;
    setp.eq.u32 %p1, %r1, 0;
    mov.u32 %r2, 100;
    @%p1 bra M;
    mov.u32 %r2, %r0;
  M:
    shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1;
    cvt.u64.u32 %rd2, %r3;
    st.global.u64 [%rd1], %rd2;
  )",
                                           lanes(32));
  for (size_t i = 0; i < 32; ++i)
    EXPECT_EQ(results[i], i & 1 ? 100 : i + 1) << i;
}

TEST(Interpreter, IndexedBranchesGoWhereTheTableSays) {
  const std::string body = R"(
    ld.global.u64 %rd2, [%rd1];
    cvt.u32.u64 %r1, %rd2;
    T: .branchtargets A, B;
    brx.idx %r1, T;
  A: mov.u64 %rd3, 10; bra.uni E;
  B: mov.u64 %rd3, 20;
  E: st.global.u64 [%rd1], %rd3;
  )";
  EXPECT_EQ(runLanes<uint64_t>(body, {0, 1, 1, 0}),
            (std::vector<uint64_t>{10, 20, 20, 10}));
  Kernel kernel(laneKernel(body));
  uint64_t buffer = kernel.upload<uint64_t>({7});
  EXPECT_TRUE(has(messageOf(kernel.run({1, 1, 1}, {1, 1, 1}, 0, buffer)),
                  "expected an index below 2, found 7"));
}

TEST(Interpreter, CallsPassBytesBothWays) {
  std::string text = laneKernel(R"(
    ld.global.u64 %rd2, [%rd1];
    { .param .b64 a; .param .b64 r;
      st.param.b64 [a], %rd2;
      call.uni (r), triple, (a);
      ld.param.b64 %rd3, [r]; }
    st.global.u64 [%rd1], %rd3;
  )");
  text.insert(moduleHead.size(), R"(
.func (.param .b64 r) triple(.param .b64 a)
{
  .reg .b64 %rd<4>;
  ld.param.b64 %rd1, [a];
  mul.lo.s64 %rd2, %rd1, 3;
  st.param.b64 [r], %rd2;
  ret;
}
)");
  Kernel kernel(text);
  uint64_t buffer = kernel.upload<uint64_t>({5, 6, 7});
  EXPECT_EQ(messageOf(kernel.run({1, 1, 1}, {3, 1, 1}, 0, buffer)), "");
  EXPECT_EQ(kernel.download<uint64_t>(buffer, 3),
            (std::vector<uint64_t>{15, 18, 21}));
}

TEST(Interpreter, GuardsLeaveLanesAlone) {
  EXPECT_EQ(runLanes<uint64_t>(R"(
    ld.global.u64 %rd2, [%rd1];
    setp.gt.u64 %p1, %rd2, 4;
    @!%p1 add.s64 %rd2, %rd2, 100;
    st.global.u64 [%rd1], %rd2;
  )",
                               {3, 9}),
            (std::vector<uint64_t>{103, 9}));
}
