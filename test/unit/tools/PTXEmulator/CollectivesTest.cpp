// Tests of what lanes of a warp do together.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

/// Results of 32 lanes, whose %r1 is 10 times the lane; they leave %r4.
static std::vector<uint64_t> runWarp(const std::string &body) {
  return runLanes("mul.lo.u32 %r1, %r0, 10;\n" + body +
                      "\ncvt.u64.u32 %rd2, %r4;\nst.global.u64 [%rd1], %rd2;",
                  std::vector<uint64_t>(32));
}

static std::string faultOf(const std::string &body) {
  Kernel kernel(laneKernel(body));
  uint64_t buffer = kernel.upload(std::vector<uint64_t>(32));
  return messageOf(kernel.run({1, 1, 1}, {32, 1, 1}, 0, buffer));
}

TEST(Collectives, Shuffles) {
  auto lane = [](const std::string &body, size_t index) {
    return runWarp(body)[index];
  };
  EXPECT_EQ(lane("shfl.sync.up.b32 %r4, %r1, 3, 0, -1;", 10), 70u);
  EXPECT_EQ(lane("shfl.sync.up.b32 %r4, %r1, 3, 0, -1;", 2), 20u);
  EXPECT_EQ(lane("shfl.sync.down.b32 %r4, %r1, 3, 31, -1;", 10), 130u);
  EXPECT_EQ(lane("shfl.sync.down.b32 %r4, %r1, 3, 31, -1;", 30), 300u);
  EXPECT_EQ(lane("shfl.sync.bfly.b32 %r4, %r1, 5, 31, -1;", 10), 150u);
  EXPECT_EQ(lane("shfl.sync.idx.b32 %r4, %r1, 7, 31, -1;", 10), 70u);
  // Segments of 8 lanes.
  EXPECT_EQ(lane("shfl.sync.idx.b32 %r4, %r1, 1, 0x181F, -1;", 20), 170u);
  EXPECT_EQ(lane("shfl.sync.down.b32 %r4|%p1, %r1, 4, 0x181F, -1;\n"
                 "selp.b32 %r4, %r4, 999, %p1;",
                 20),
            999u);
}

TEST(Collectives, Votes) {
  EXPECT_EQ(runWarp("setp.lt.u32 %p1, %r0, 4;\n"
                    "vote.sync.ballot.b32 %r4, %p1, -1;")[9],
            15u);
  EXPECT_EQ(
      runWarp("setp.lt.u32 %p1, %r0, 4;\nvote.sync.any.pred %p2, %p1, -1;\n"
              "vote.sync.all.pred %p3, %p1, -1;\n"
              "selp.b32 %r4, 1, 0, %p2;\n@%p3 add.u32 %r4, %r4, 2;")[9],
      1u);
  EXPECT_EQ(
      runWarp("setp.lt.u32 %p1, %r0, 4;\nvote.sync.uni.pred %p2, %p1, -1;\n"
              "selp.b32 %r4, 1, 0, %p2;")[9],
      0u);
}

TEST(Collectives, MatchesAndReductions) {
  EXPECT_EQ(runWarp("and.b32 %r2, %r0, 3;\n"
                    "match.any.sync.b32 %r4, %r2, -1;")[5],
            0x22222222u);
  EXPECT_EQ(runWarp("mov.b32 %r2, 5;\nmatch.all.sync.b32 %r4|%p1, %r2, -1;")[5],
            ~0u);
  EXPECT_EQ(runWarp("redux.sync.add.u32 %r4, %r1, -1;")[5], 4960u);
  EXPECT_EQ(runWarp("redux.sync.max.s32 %r4, %r1, -1;")[5], 310u);
  EXPECT_EQ(runWarp("redux.sync.min.u32 %r4, %r1, 0xFFFFFFFF;")[5], 0u);
}

TEST(Collectives, OneLaneIsElected) {
  std::vector<uint64_t> results =
      runWarp("elect.sync %r5|%p1, -1;\nselp.b32 %r4, 1, 0, %p1;");
  uint64_t sum = 0;
  for (uint64_t result : results)
    sum += result;
  EXPECT_EQ(sum, 1u);
}

TEST(Collectives, GroupsOfAMaskGoOnByThemselves) {
  std::vector<uint64_t> results = runWarp(R"(
    setp.lt.u32 %p1, %r0, 16;
    selp.b32 %r2, 0xFFFF, 0xFFFF0000, %p1;
    redux.sync.add.u32 %r4, 1, %r2;
  )");
  EXPECT_EQ(results[3], 16u);
  EXPECT_EQ(results[20], 16u);
}

TEST(Collectives, WrongMembersAreReported) {
  EXPECT_TRUE(has(faultOf("shfl.sync.idx.b32 %r4, %r0, 0, 31, 1;"),
                  "expected the lane to be in its member mask"));
  EXPECT_TRUE(
      has(faultOf(R"(
    setp.ge.u32 %p1, %r0, 16;
    @%p1 bra E;
    shfl.sync.idx.b32 %r4, %r0, 20, 31, 0xFFFF;
  E:
  )"),
          "expected the value of a lane that takes part, found lane 20"));
  EXPECT_TRUE(has(faultOf(R"(
    setp.ge.u32 %p1, %r0, 16;
    @%p1 bra E;
    shfl.sync.idx.b32 %r4, %r0, 0, 31, -1;
  E:
    bar.warp.sync -1;
  )"),
                  "deadlock"));
}
