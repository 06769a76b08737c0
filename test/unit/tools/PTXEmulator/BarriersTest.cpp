// Tests of barriers of a CTA.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

/// Runs a kernel of `threads` threads whose lanes each have 8 bytes at [%rd1].
static std::string runThreads(const std::string &body, uint32_t threads,
                              std::vector<uint64_t> *results = nullptr) {
  Kernel kernel(laneKernel(body));
  kernel.settings.stepLimit = 1 << 22;
  uint64_t buffer = kernel.upload(std::vector<uint64_t>(threads));
  std::string message =
      messageOf(kernel.run({1, 1, 1}, {threads, 1, 1}, 0, buffer));
  if (results)
    *results = kernel.download<uint64_t>(buffer, threads);
  return message;
}

TEST(Barriers, WaitForAllThreadsThatHaveNotExited) {
  std::vector<uint64_t> results;
  EXPECT_EQ(runThreads(R"(
    setp.ge.u32 %p1, %r0, 64;
    @%p1 ret;
    mov.u64 %rd2, 1;
    st.global.u64 [%rd1], %rd2;
    bar.sync 0;
    xor.b32 %r1, %r0, 32;
    mul.wide.u32 %rd3, %r1, 8;
    add.u64 %rd3, %rd0, %rd3;
    ld.global.u64 %rd4, [%rd3];
    bar.sync 0;
    st.global.u64 [%rd1], %rd4;
  )",
                       96, &results),
            "");
  EXPECT_EQ(results[0], 1u);
  EXPECT_EQ(results[63], 1u);
  EXPECT_EQ(results[64], 0u);
}

TEST(Barriers, SomeArriveAndOthersWait) {
  EXPECT_EQ(runThreads(R"(
    setp.lt.u32 %p1, %r0, 32;
    @%p1 bra A;
    bar.sync 3, 64;
    bra E;
  A:
    bar.arrive 3, 64;
  E:
  )",
                       64),
            "");
}

TEST(Barriers, Reduce) {
  std::vector<uint64_t> results;
  EXPECT_EQ(runThreads(R"(
    setp.lt.u32 %p1, %r0, 40;
    bar.red.popc.u32 %r1, 0, %p1;
    bar.red.and.pred %p2, 0, %p1;
    bar.red.or.pred %p3, 0, %p1;
    selp.b32 %r2, 100, 0, %p2;
    selp.b32 %r3, 1000, 0, %p3;
    add.u32 %r1, %r1, %r2;
    add.u32 %r1, %r1, %r3;
    cvt.u64.u32 %rd2, %r1;
    st.global.u64 [%rd1], %rd2;
  )",
                       64, &results),
            "");
  EXPECT_EQ(results[0], 1040u);
  EXPECT_EQ(results[63], 1040u);
}

TEST(Barriers, ThreadsThatNeverComeAreNamed) {
  std::string message = runThreads(R"(
    setp.lt.u32 %p1, %r0, 32;
    @%p1 bra E;
    bar.sync 3, 64;
  E:
    bar.sync 0;
  )",
                                   64);
  EXPECT_TRUE(has(message, "deadlock")) << message;
  EXPECT_TRUE(has(message, "wait at a barrier at line")) << message;
}

TEST(Barriers, AlignedBarriersNeedTheWholeWarp) {
  EXPECT_TRUE(has(runThreads(R"(
    setp.lt.u32 %p1, %r0, 16;
    @%p1 bra A;
    bar.sync 0;
  A:
    bar.warp.sync -1;
  )",
                             32),
                  "deadlock"));
}

TEST(Barriers, WrongCountsAreReported) {
  EXPECT_TRUE(has(runThreads("bar.sync 0, 33;", 32),
                  "expected a multiple of 32 threads, found 33"));
  EXPECT_TRUE(has(runThreads("bar.sync 16;", 32),
                  "expected a barrier below 16, found 16"));
  EXPECT_TRUE(has(runThreads(R"(
    setp.lt.u32 %p1, %r0, 32;
    selp.b32 %r1, 64, 96, %p1;
    bar.sync 1, %r1;
  )",
                             64),
                  "threads, as those that came before"));
}
