// Small kernels that use everything that can go wrong: rings of buffers that
// copies fill, products of them, stores from shared memory, clusters.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_PIPELINES_H
#define MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_PIPELINES_H

#include "test/unit/tools/PTXEmulator/Fragments.h"
#include "test/unit/tools/PTXEmulator/Kernel.h"

#include "tools/PTXEmulator/TensorMap.h"

#include <cmath>
#include <functional>

namespace moec::ptx {

/// 128 bytes for a parameter.
struct TensorMapParameter {
  TensorMapParameter(const TensorMap &map) {
    std::memcpy(bytes, &map, sizeof map);
  }
  char bytes[128] = {};
};

/// A map of a row-major matrix of bf16.
inline TensorMap matrixMap(uint64_t base, uint64_t rows, uint64_t columns,
                           uint16_t boxRows, uint16_t boxColumns,
                           Swizzle swizzle = Swizzle::Bytes128) {
  TensorMap map;
  map.type = 9;
  map.rank = 2;
  map.swizzle = swizzle;
  map.base = base;
  map.dimensions = {columns, rows};
  map.strides = {columns * 2};
  map.box = {boxColumns, boxRows};
  map.elementStrides = {1, 1};
  EXPECT_EQ(checkTensorMap(map).error(), "");
  return map;
}

/// A warp that fills a ring of two stages by tensor copies, and a warpgroup
/// that multiplies: out[64][16] = a[64][64 steps] * b[16][64 steps]^T.
inline const std::string ringKernel = moduleHead + R"(
.extern .shared .align 1024 .b8 ring[];
.visible .entry kernel(.param .align 64 .b8 mapA[128],
                       .param .align 64 .b8 mapB[128],
                       .param .u64 out, .param .u32 steps)
{
  .reg .pred %p<8>;
  .reg .b32 %r<40>;
  .reg .b64 %rd<16>;
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, ring;
  ld.param.u32 %r2, [steps];
  setp.ne.u32 %p1, %r0, 0;
  @%p1 bra READY;
  mbarrier.init.shared.b64 [%r1+20480], 1;
  mbarrier.init.shared.b64 [%r1+20488], 1;
  mbarrier.init.shared.b64 [%r1+20496], 1;
  mbarrier.init.shared.b64 [%r1+20504], 1;
  fence.mbarrier_init.release.cluster;
READY:
  bar.sync 0;
  mov.u32 %r3, 0;
  setp.lt.u32 %p2, %r0, 128;
  @%p2 bra CONSUMER;
  setp.ne.u32 %p1, %r0, 128;
  @%p1 bra END;
  mov.b64 %rd1, mapA;
  cvta.param.u64 %rd1, %rd1;
  mov.b64 %rd2, mapB;
  cvta.param.u64 %rd2, %rd2;
PRODUCE:
  and.b32 %r4, %r3, 1;
  shr.u32 %r5, %r3, 1;
  mad.lo.u32 %r6, %r4, 10240, %r1;
  mad.lo.u32 %r7, %r4, 8, %r1;
  and.b32 %r8, %r5, 1;
  xor.b32 %r8, %r8, 1;
EMPTY:
  mbarrier.try_wait.parity.shared.b64 %p3, [%r7+20496], %r8;
  @!%p3 bra EMPTY;
  mbarrier.arrive.expect_tx.shared.b64 _, [%r7+20480], 10240;
  shl.b32 %r9, %r3, 6;
  mov.u32 %r10, 0;
  cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r6], [%rd1, {%r9, %r10}], [%r7+20480];
  cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r6+8192], [%rd2, {%r9, %r10}], [%r7+20480];
  add.u32 %r3, %r3, 1;
  setp.lt.u32 %p4, %r3, %r2;
  @%p4 bra PRODUCE;
  bra END;
CONSUMER:
  mov.b32 %r20, 0; mov.b32 %r21, 0; mov.b32 %r22, 0; mov.b32 %r23, 0;
  mov.b32 %r24, 0; mov.b32 %r25, 0; mov.b32 %r26, 0; mov.b32 %r27, 0;
CONSUME:
  and.b32 %r4, %r3, 1;
  shr.u32 %r5, %r3, 1;
  mad.lo.u32 %r6, %r4, 10240, %r1;
  mad.lo.u32 %r7, %r4, 8, %r1;
  and.b32 %r8, %r5, 1;
FULL:
  mbarrier.try_wait.parity.shared.b64 %p3, [%r7+20480], %r8;
  @!%p3 bra FULL;
  shr.u32 %r11, %r6, 4;
  cvt.u64.u32 %rd3, %r11;
  or.b64 %rd3, %rd3, 0x4000004000010000;
  add.u64 %rd4, %rd3, 512;
  wgmma.fence.sync.aligned;
  wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%r20, %r21, %r22, %r23, %r24, %r25, %r26, %r27}, %rd3, %rd4, 1, 1, 1, 0, 0;
  add.u64 %rd5, %rd3, 2; add.u64 %rd6, %rd4, 2;
  wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%r20, %r21, %r22, %r23, %r24, %r25, %r26, %r27}, %rd5, %rd6, 1, 1, 1, 0, 0;
  add.u64 %rd5, %rd3, 4; add.u64 %rd6, %rd4, 4;
  wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%r20, %r21, %r22, %r23, %r24, %r25, %r26, %r27}, %rd5, %rd6, 1, 1, 1, 0, 0;
  add.u64 %rd5, %rd3, 6; add.u64 %rd6, %rd4, 6;
  wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%r20, %r21, %r22, %r23, %r24, %r25, %r26, %r27}, %rd5, %rd6, 1, 1, 1, 0, 0;
  wgmma.commit_group.sync.aligned;
  wgmma.wait_group.sync.aligned 0;
  setp.eq.u32 %p5, %r0, 0;
  @%p5 mbarrier.arrive.shared.b64 _, [%r7+20496];
  add.u32 %r3, %r3, 1;
  setp.lt.u32 %p4, %r3, %r2;
  @%p4 bra CONSUME;
  ld.param.u64 %rd7, [out];
  shr.u32 %r12, %r0, 5;
  and.b32 %r13, %r0, 31;
  shr.u32 %r14, %r13, 2;
  mad.lo.u32 %r12, %r12, 16, %r14;
  and.b32 %r13, %r13, 3;
  shl.b32 %r13, %r13, 1;
  mad.lo.u32 %r12, %r12, 16, %r13;
  mul.wide.u32 %rd8, %r12, 4;
  add.u64 %rd7, %rd7, %rd8;
  st.global.v2.b32 [%rd7], {%r20, %r21};
  st.global.v2.b32 [%rd7+512], {%r22, %r23};
  st.global.v2.b32 [%rd7+32], {%r24, %r25};
  st.global.v2.b32 [%rd7+544], {%r26, %r27};
END:
  ret;
}
)";

/// What is wrong with a run: the fault, or "wrong values"; empty if it is
/// right.
inline std::string runRing(const std::string &text, uint64_t seed) {
  constexpr unsigned steps = 5, depth = 64 * steps;
  Kernel kernel(text);
  kernel.settings.seed = seed;
  kernel.settings.stepLimit = 1 << 24;
  std::vector<float> a = smallIntegers(64 * depth, 1),
                     b = smallIntegers(16 * depth, 2);
  auto encode = [](const std::vector<float> &values) {
    std::vector<uint16_t> codes;
    for (float value : values)
      codes.push_back(bf16Of(value));
    return codes;
  };
  TensorMapParameter mapA(
      matrixMap(kernel.upload(encode(a)), 64, depth, 64, 64));
  TensorMapParameter mapB(
      matrixMap(kernel.upload(encode(b)), 16, depth, 16, 64));
  uint64_t out = kernel.upload(std::vector<float>(64 * 16, NAN));
  if (auto fault =
          kernel.run({1, 1, 1}, {160, 1, 1}, 20512, mapA, mapB, out, steps))
    return fault->message;
  std::vector<float> results = kernel.download<float>(out, 64 * 16);
  for (unsigned m = 0; m < 64; ++m)
    for (unsigned n = 0; n < 16; ++n) {
      float expected = 0;
      for (unsigned k = 0; k < depth; ++k)
        expected += a[m * depth + k] * b[n * depth + k];
      if (results[m * 16 + n] != expected)
        return "wrong values";
    }
  return "";
}

/// Two warps that copy tiles of 1 KB ahead into two buffers and add up what
/// their neighbours copied: out[t] = sum over steps of in[step][63 - t].
inline const std::string aheadKernel = moduleHead + R"(
.visible .entry kernel(.param .u64 in, .param .u64 out, .param .u32 steps)
{
  .reg .pred %p<8>;
  .reg .b32 %r<32>;
  .reg .b64 %rd<16>;
  .shared .align 16 .b8 tile[2048];
  mov.u32 %r0, %tid.x;
  ld.param.u64 %rd1, [in];
  ld.param.u32 %r1, [steps];
  mul.wide.u32 %rd2, %r0, 16;
  add.u64 %rd1, %rd1, %rd2;
  mov.u32 %r2, tile;
  mad.lo.u32 %r3, %r0, 16, %r2;
  sub.u32 %r4, 63, %r0;
  mad.lo.u32 %r4, %r4, 16, %r2;
  mov.b32 %r10, 0;
  mov.u32 %r5, 0;
  cp.async.cg.shared.global [%r3], [%rd1], 16;
  cp.async.commit_group;
STEP:
  add.u32 %r6, %r5, 1;
  setp.ge.u32 %p1, %r6, %r1;
  @%p1 bra LAST;
  and.b32 %r7, %r6, 1;
  mad.lo.u32 %r8, %r7, 1024, %r3;
  mul.wide.u32 %rd3, %r6, 1024;
  add.u64 %rd3, %rd1, %rd3;
  cp.async.cg.shared.global [%r8], [%rd3], 16;
  cp.async.commit_group;
  cp.async.wait_group 1;
  bra.uni COMPUTE;
LAST:
  cp.async.wait_group 0;
COMPUTE:
  bar.sync 0;
  and.b32 %r7, %r5, 1;
  mad.lo.u32 %r8, %r7, 1024, %r4;
  ld.shared.b32 %r9, [%r8];
  add.f32 %r10, %r10, %r9;
  bar.sync 0;
  mov.u32 %r5, %r6;
  setp.lt.u32 %p2, %r5, %r1;
  @%p2 bra STEP;
  ld.param.u64 %rd4, [out];
  mul.wide.u32 %rd5, %r0, 4;
  add.u64 %rd4, %rd4, %rd5;
  st.global.b32 [%rd4], %r10;
  ret;
}
)";

inline std::string runAhead(const std::string &text, uint64_t seed) {
  constexpr unsigned steps = 7;
  Kernel kernel(text);
  kernel.settings.seed = seed;
  kernel.settings.stepLimit = 1 << 24;
  std::vector<float> in = smallIntegers(steps * 256, 4);
  uint64_t input = kernel.upload(in);
  uint64_t out = kernel.upload(std::vector<float>(64, NAN));
  if (auto fault = kernel.run({1, 1, 1}, {64, 1, 1}, 0, input, out, steps))
    return fault->message;
  std::vector<float> results = kernel.download<float>(out, 64);
  for (unsigned t = 0; t < 64; ++t) {
    float expected = 0;
    for (unsigned step = 0; step < steps; ++step)
      expected += in[step * 256 + (63 - t) * 4];
    if (results[t] != expected)
      return "wrong values";
  }
  return "";
}

/// CTAs that each add up a part; the last to arrive adds the parts in order and
/// sets the counter back: out[t] = sum of in[][t]. Run twice.
inline const std::string splitKernel = moduleHead + R"(
.visible .entry kernel(.param .u64 in, .param .u64 parts, .param .u64 counter,
                       .param .u64 out)
{
  .reg .pred %p<8>;
  .reg .b32 %r<32>;
  .reg .b64 %rd<16>;
  .shared .align 4 .b32 last;
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %nctaid.x;
  mad.lo.u32 %r3, %r1, 64, %r0;
  mul.wide.u32 %rd1, %r3, 4;
  ld.param.u64 %rd2, [in];
  add.u64 %rd2, %rd2, %rd1;
  ld.global.b32 %r4, [%rd2];
  ld.param.u64 %rd3, [parts];
  add.u64 %rd4, %rd3, %rd1;
  st.global.b32 [%rd4], %r4;
  membar.gl;
  bar.sync 0;
  setp.ne.u32 %p1, %r0, 0;
  @%p1 bra DECIDED;
  ld.param.u64 %rd5, [counter];
  atom.global.add.u32 %r5, [%rd5], 1;
  st.shared.b32 [last], %r5;
DECIDED:
  bar.sync 0;
  ld.shared.b32 %r5, [last];
  sub.u32 %r6, %r2, 1;
  setp.ne.u32 %p2, %r5, %r6;
  @%p2 bra END;
  mov.b32 %r7, 0;
  mov.u32 %r8, 0;
ADD:
  mad.lo.u32 %r9, %r8, 64, %r0;
  mul.wide.u32 %rd6, %r9, 4;
  add.u64 %rd6, %rd3, %rd6;
  ld.global.b32 %r10, [%rd6];
  add.f32 %r7, %r7, %r10;
  add.u32 %r8, %r8, 1;
  setp.lt.u32 %p3, %r8, %r2;
  @%p3 bra ADD;
  ld.param.u64 %rd7, [out];
  mul.wide.u32 %rd8, %r0, 4;
  add.u64 %rd7, %rd7, %rd8;
  st.global.b32 [%rd7], %r7;
  @!%p1 st.global.b32 [%rd5], 0;
END:
  ret;
}
)";

inline std::string runSplit(const std::string &text, uint64_t seed) {
  constexpr unsigned blocks = 9;
  Kernel kernel(text);
  kernel.settings.seed = seed;
  kernel.settings.stepLimit = 1 << 24;
  std::vector<float> in = smallIntegers(blocks * 64, 5);
  uint64_t input = kernel.upload(in);
  uint64_t parts = kernel.upload(std::vector<float>(blocks * 64, NAN));
  uint64_t counter = kernel.upload(std::vector<uint32_t>{0});
  for (unsigned launch = 0; launch < 2; ++launch) {
    uint64_t out = kernel.upload(std::vector<float>(64, NAN));
    if (auto fault = kernel.run({blocks, 1, 1}, {64, 1, 1}, 0, input, parts,
                                counter, out))
      return fault->message;
    std::vector<float> results = kernel.download<float>(out, 64);
    for (unsigned t = 0; t < 64; ++t) {
      float expected = 0;
      for (unsigned block = 0; block < blocks; ++block)
        expected += in[block * 64 + t];
      if (results[t] != expected)
        return "wrong values";
    }
  }
  return "";
}

/// Threads write a tile, one stores it by a bulk copy, and the tile is written
/// and stored again: out[step][t] = 100 step + t.
inline const std::string storeKernel = moduleHead + R"(
.visible .entry kernel(.param .u64 out)
{
  .reg .pred %p<8>;
  .reg .b32 %r<32>;
  .reg .b64 %rd<16>;
  .shared .align 128 .b8 tile[256];
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, tile;
  mad.lo.u32 %r2, %r0, 4, %r1;
  ld.param.u64 %rd1, [out];
  setp.ne.u32 %p1, %r0, 0;
  mov.u32 %r3, 0;
STEP:
  mad.lo.u32 %r4, %r3, 100, %r0;
  st.shared.b32 [%r2], %r4;
  fence.proxy.async.shared::cta;
  bar.sync 0;
  @%p1 bra STORED;
  cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r1], 256;
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group.read 0;
STORED:
  bar.sync 1;
  add.u64 %rd1, %rd1, 256;
  add.u32 %r3, %r3, 1;
  setp.lt.u32 %p2, %r3, 3;
  @%p2 bra STEP;
  ret;
}
)";

inline std::string runStore(const std::string &text, uint64_t seed) {
  Kernel kernel(text);
  kernel.settings.seed = seed;
  kernel.settings.stepLimit = 1 << 24;
  uint64_t out = kernel.upload(std::vector<uint32_t>(192, 7));
  if (auto fault = kernel.run({1, 1, 1}, {64, 1, 1}, 0, out))
    return fault->message;
  std::vector<uint32_t> results = kernel.download<uint32_t>(out, 192);
  for (unsigned i = 0; i < 192; ++i)
    if (results[i] != i / 64 * 100 + i % 64)
      return "wrong values";
  return "";
}

/// CTAs of a pair write into each other's shared memory, and arrive at each
/// other's mbarrier: out[cta][t] = 1000 (1 - cta) + t.
inline const std::string pairKernel = moduleHead + R"(
.visible .entry kernel(.param .u64 out)
.reqnctapercluster 2, 1, 1
{
  .reg .pred %p<8>;
  .reg .b32 %r<32>;
  .reg .b64 %rd<16>;
  .shared .align 16 .b8 inbox[128];
  .shared .align 8 .b64 arrived;
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, %cluster_ctarank;
  xor.b32 %r2, %r1, 1;
  setp.ne.u32 %p1, %r0, 0;
  @!%p1 mbarrier.init.shared.b64 [arrived], 32;
  @!%p1 fence.mbarrier_init.release.cluster;
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
  mov.u32 %r3, inbox;
  mad.lo.u32 %r4, %r0, 4, %r3;
  mapa.shared::cluster.u32 %r5, %r4, %r2;
  mad.lo.u32 %r6, %r1, 1000, %r0;
  st.shared::cluster.b32 [%r5], %r6;
  mov.u32 %r7, arrived;
  mapa.shared::cluster.u32 %r8, %r7, %r2;
  mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r8];
WAIT:
  mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p2, [arrived], 0;
  @!%p2 bra WAIT;
  ld.shared.b32 %r9, [%r4];
  mad.lo.u32 %r10, %r1, 32, %r0;
  ld.param.u64 %rd1, [out];
  mul.wide.u32 %rd2, %r10, 4;
  add.u64 %rd1, %rd1, %rd2;
  st.global.b32 [%rd1], %r9;
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
LEAVE:
  ret;
}
)";

inline std::string runPair(const std::string &text, uint64_t seed) {
  Kernel kernel(text);
  kernel.settings.seed = seed;
  kernel.settings.stepLimit = 1 << 24;
  kernel.cluster = {2, 1, 1};
  uint64_t out = kernel.upload(std::vector<uint32_t>(64, 7));
  if (auto fault = kernel.run({2, 1, 1}, {32, 1, 1}, 0, out))
    return fault->message;
  std::vector<uint32_t> results = kernel.download<uint32_t>(out, 64);
  for (unsigned i = 0; i < 64; ++i)
    if (results[i] != (1 - i / 32) * 1000 + i % 32)
      return "wrong values";
  return "";
}

} // namespace moec::ptx

#endif // MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_PIPELINES_H
