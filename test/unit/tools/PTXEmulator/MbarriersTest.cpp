// Tests of mbarrier objects.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

/// One lane runs `body` with an mbarrier at `b`; it leaves %rd5.
static std::string runBody(const std::string &body,
                           uint64_t *result = nullptr) {
  Kernel kernel(laneKernel(".shared .align 8 .b64 b;\nmov.u64 %rd5, 0;\n" +
                           body + "\nst.global.u64 [%rd1], %rd5;"));
  kernel.settings.stepLimit = 1 << 20;
  uint64_t buffer = kernel.upload(std::vector<uint64_t>(32));
  std::string message = messageOf(kernel.run({1, 1, 1}, {1, 1, 1}, 0, buffer));
  if (result)
    *result = kernel.download<uint64_t>(buffer, 1)[0];
  return message;
}

/// Whether the phase of a parity has ended after `body`.
static bool hasEnded(const std::string &body, unsigned parity) {
  uint64_t result = 0;
  EXPECT_EQ(runBody(body + "\nmbarrier.test_wait.parity.shared.b64 %p1, [b], " +
                        std::to_string(parity) + ";\nselp.b64 %rd5, 1, 0, %p1;",
                    &result),
            "");
  return result;
}

static const std::string init2 = "mbarrier.init.shared.b64 [b], 2;\n";
static const std::string arrive1 = "mbarrier.arrive.shared.b64 %rd6, [b];\n";

TEST(Mbarriers, PhasesEndWhenAllHaveArrived) {
  EXPECT_TRUE(hasEnded(init2, 1));
  EXPECT_FALSE(hasEnded(init2 + arrive1, 0));
  EXPECT_TRUE(hasEnded(init2 + arrive1 + arrive1, 0));
  EXPECT_FALSE(hasEnded(init2 + arrive1 + arrive1, 1));
  EXPECT_TRUE(
      hasEnded(init2 + "mbarrier.arrive.shared.b64 %rd6, [b], 2;\n", 0));
}

TEST(Mbarriers, PhasesWaitForBytes) {
  EXPECT_FALSE(hasEnded(
      init2 + arrive1 + "mbarrier.arrive.expect_tx.shared.b64 _, [b], 16;\n",
      0));
  EXPECT_FALSE(hasEnded(
      init2 + "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [b], 16;\n" +
          arrive1 + arrive1,
      0));
}

TEST(Mbarriers, WhoDropsIsNotExpectedAgain) {
  EXPECT_TRUE(hasEnded(init2 + "mbarrier.arrive_drop.shared.b64 %rd6, [b];\n" +
                           arrive1 + arrive1,
                       1));
}

TEST(Mbarriers, TokensAreOfAPhase) {
  uint64_t result = 0;
  EXPECT_EQ(runBody(init2 + arrive1 + arrive1 +
                        "mbarrier.try_wait.shared.b64 %p1, [b], %rd6;\n"
                        "mbarrier.arrive.shared.b64 %rd7, [b];\n"
                        "mbarrier.test_wait.shared.b64 %p2, [b], %rd7;\n"
                        "selp.b64 %rd5, 1, 0, %p1;\n"
                        "@%p2 add.u64 %rd5, %rd5, 10;",
                    &result),
            "");
  EXPECT_EQ(result, 1u);
}

TEST(Mbarriers, ArriveOnCopies) {
  EXPECT_EQ(runBody(R"(
    .shared .align 16 .b8 tile[16];
    mbarrier.init.shared.b64 [b], 1;
    mov.u32 %r1, tile;
    cp.async.ca.shared.global [%r1], [%rd1], 16;
    cp.async.mbarrier.arrive.noinc.shared.b64 [b];
  L:
    mbarrier.try_wait.parity.shared.b64 %p1, [b], 0;
    @!%p1 bra L;
    ld.shared.u64 %rd5, [tile];
  )"),
            "");
}

TEST(Mbarriers, FaultsAreReported) {
  EXPECT_TRUE(
      has(runBody(arrive1), "expected an mbarrier that was initialised"));
  EXPECT_TRUE(has(runBody("mbarrier.init.shared.b64 [b], 0;"),
                  "expected a count from 1 to 1048575, found 0"));
  EXPECT_TRUE(has(runBody(init2 + "mbarrier.arrive.shared.b64 %rd6, [b], 3;"),
                  "expected at most 2 more arrivals in the phase of the "
                  "mbarrier, found 3"));
  EXPECT_TRUE(
      has(runBody(init2 + "ld.shared.u64 %rd5, [b];"), "an mbarrier is there"));
  EXPECT_TRUE(has(runBody(init2 + "mbarrier.inval.shared.b64 [b];\n" + arrive1),
                  "expected an mbarrier that was initialised"));
  EXPECT_TRUE(has(runBody(init2 + "mbarrier.init.shared.b64 [b], 2;"),
                  "an mbarrier is there"));
  EXPECT_TRUE(has(runBody(init2 + R"(
  L:
    mbarrier.try_wait.parity.shared.b64 %p1, [b], 0;
    @!%p1 bra L;
  )"),
                  "deadlock"));
  EXPECT_TRUE(
      has(runBody("mov.u32 %r1, b;\nmbarrier.init.shared.b64 [%r1+4], 2;"),
          "expected the address of an mbarrier to be a multiple of 8"));
}
