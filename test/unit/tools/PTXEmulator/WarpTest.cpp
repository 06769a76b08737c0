// Tests of faults of memory accesses: which are found, and what is said.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

static std::optional<Fault> faultOf(const std::string &body) {
  Kernel kernel(laneKernel(".shared .align 16 .b8 s[64];\n"
                           ".local .align 16 .b8 l[64];\n" +
                           body));
  uint64_t buffer = kernel.upload(std::vector<uint64_t>(4));
  return kernel.run({1, 1, 1}, {1, 1, 1}, 0, buffer);
}

static void expectFault(const std::string &body, FaultKind kind,
                        const std::string &message) {
  std::optional<Fault> fault = faultOf(body);
  ASSERT_TRUE(fault) << body;
  EXPECT_EQ(fault->kind, kind);
  EXPECT_TRUE(has(fault->message, message)) << fault->message;
}

TEST(Warp, SaysWhereAFaultIs) {
  std::optional<Fault> fault = faultOf("st.global.u64 [%rd1+32], %rd1;");
  ASSERT_TRUE(fault);
  EXPECT_TRUE(has(fault->message,
                  "kernel 'kernel', CTA (0, 0, 0), thread (0, 0, 0), line 19: "
                  "'st.global.u64 [%rd1+32], %rd1': write of 8 bytes at global "
                  "address"))
      << fault->message;
  EXPECT_TRUE(
      has(fault->message, "0 bytes past the end of an allocation of 32 bytes"))
      << fault->message;
}

TEST(Warp, AccessesOutsideAreFaults) {
  expectFault("ld.global.u32 %r1, [%rd1+-4];", FaultKind::IllegalAddress,
              "before every allocation");
  expectFault("mov.u64 %rd2, 16;\nld.global.u32 %r1, [%rd2];",
              FaultKind::IllegalAddress, "no address of the device's memory");
  expectFault("st.shared.u32 [s+64], %r1;", FaultKind::IllegalAddress,
              "the CTA has [0x400, 0x440)");
  expectFault("st.local.u32 [l+64], %r1;", FaultKind::IllegalAddress,
              "the thread has [0x40, 0x80)");
  expectFault("ld.param.u32 %r1, [buffer+8];", FaultKind::IllegalAddress,
              "the parameters have 8 bytes");
  expectFault("mov.u64 %rd2, 0;\nld.shared.u32 %r1, [%rd2];",
              FaultKind::IllegalAddress, "the CTA has [0x400");
}

TEST(Warp, MisalignedAccessesAreFaults) {
  expectFault("ld.global.u32 %r1, [%rd1+2];", FaultKind::MisalignedAddress,
              "it must be a multiple of 4");
  expectFault("st.shared.v4.u32 [s+8], {%r1, %r1, %r1, %r1};",
              FaultKind::MisalignedAddress, "it must be a multiple of 16");
}

TEST(Warp, UnwrittenMemoryIsNotRead) {
  expectFault("ld.shared.u32 %r1, [s];", FaultKind::LaunchFailed,
              "nothing was written there");
  expectFault("st.shared.u16 [s], 1;\nld.shared.u32 %r1, [s];",
              FaultKind::LaunchFailed, "nothing was written there");
  expectFault("ld.local.u32 %r1, [l];", FaultKind::LaunchFailed,
              "nothing was written there");
}
