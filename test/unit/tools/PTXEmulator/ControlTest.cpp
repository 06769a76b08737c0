// Tests of traps, fences and what else changes where a thread is.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

TEST(Control, FencesAndHintsAreUnderstood) {
  EXPECT_EQ(
      loadError("fence.acq_rel.gpu;\nfence.sc.sys;\nmembar.gl;\n"
                "fence.proxy.async;\nfence.proxy.async.global;\n"
                "fence.mbarrier_init.release.cluster;\n"
                "setmaxnreg.inc.sync.aligned.u32 232;\n"
                "griddepcontrol.wait;\ngriddepcontrol.launch_dependents;\n"
                "nanosleep.u32 20;\nexit;"),
      "");
}

TEST(Control, WrongFormsAreRefused) {
  EXPECT_TRUE(has(loadError("setmaxnreg.inc.sync.aligned.u32 233;"),
                  "expected a multiple of 8 from 24 to 256"));
  EXPECT_TRUE(has(loadError("fence.fast;"),
                  "the emulator does not know the modifier '.fast' here"));
  EXPECT_TRUE(has(loadError("fence.proxy.alias;"), "expected one of .async"));
}

TEST(Control, TrapsEndTheLaunch) {
  Kernel kernel(laneKernel("setp.eq.u32 %p1, %r0, 3;\n@%p1 trap;"));
  uint64_t buffer = kernel.upload(std::vector<uint64_t>(32));
  std::string message = messageOf(kernel.run({1, 1, 1}, {32, 1, 1}, 0, buffer));
  EXPECT_TRUE(has(message, "thread (3, 0, 0)")) << message;
  EXPECT_TRUE(has(message, "the thread trapped")) << message;
}
