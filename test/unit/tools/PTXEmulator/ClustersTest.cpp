// Tests of what CTAs of a cluster do with each other's shared memory.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

/// Each CTA of a pair does `send` to the place %r5 and the mbarrier %r6 of the
/// other, waits for 4 bytes, and stores what is in its own place.
static std::vector<uint32_t> runPair(const std::string &send) {
  Kernel kernel(moduleHead + R"(
.visible .entry kernel(.param .u64 out)
{
  .reg .pred %p<4>;
  .reg .b32 %r<16>;
  .reg .b64 %rd<8>;
  .shared .align 16 .b32 place;
  .shared .align 8 .b64 barrier;
  mov.u32 %r1, %cluster_ctarank;
  xor.b32 %r2, %r1, 1;
  st.shared.b32 [place], 100;
  mbarrier.init.shared.b64 [barrier], 1;
  mbarrier.arrive.expect_tx.shared.b64 _, [barrier], 4;
  fence.proxy.async;
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
  mov.u32 %r3, place;
  mov.u32 %r4, barrier;
  mapa.shared::cluster.u32 %r5, %r3, %r2;
  mapa.shared::cluster.u32 %r6, %r4, %r2;
  getctarank.shared::cluster.u32 %r7, %r5;
  add.u32 %r8, %r7, 7;
)" + send + R"(
DONE:
  mbarrier.try_wait.parity.shared.b64 %p2, [barrier], 0;
  @!%p2 bra DONE;
  ld.shared.b32 %r9, [place];
  ld.param.u64 %rd1, [out];
  mul.wide.u32 %rd2, %r1, 4;
  add.u64 %rd1, %rd1, %rd2;
  st.global.b32 [%rd1], %r9;
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
  ret;
}
)");
  kernel.cluster = {2, 1, 1};
  uint64_t out = kernel.upload(std::vector<uint32_t>(2));
  EXPECT_EQ(messageOf(kernel.run({2, 1, 1}, {1, 1, 1}, 0, out)), "");
  return kernel.download<uint32_t>(out, 2);
}

TEST(Clusters, AsynchronousStoresTellTheMbarrier) {
  EXPECT_EQ(
      runPair("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes."
              "b32 [%r5], %r8, [%r6];"),
      (std::vector<uint32_t>{7, 8}));
}

TEST(Clusters, AsynchronousReductionsToo) {
  EXPECT_EQ(runPair("red.async.relaxed.cluster.shared::cluster.mbarrier::"
                    "complete_tx::bytes.add.u32 [%r5], %r8, [%r6];"),
            (std::vector<uint32_t>{107, 108}));
}

TEST(Clusters, GenericAddressesAreMappedToo) {
  EXPECT_EQ(runPair(R"(
  mov.u64 %rd3, place;
  cvta.shared.u64 %rd3, %rd3;
  mapa.u64 %rd4, %rd3, %r2;
  getctarank.u32 %r10, %rd4;
  add.u32 %r10, %r10, 20;
  st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [%r5], %r10, [%r6];
)"),
            (std::vector<uint32_t>{20, 21}));
}
