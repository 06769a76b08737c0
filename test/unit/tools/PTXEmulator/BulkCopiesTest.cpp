// Tests of bulk copies: plain and of tensors, with edges, swizzles, reductions
// and several destinations.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Pipelines.h"

using namespace moec::ptx;

namespace {

/// One thread issues `copy` with %r1 the tile, %rd1 a map or an address, %rd2
/// the output; then 64 threads store the tile of `bytes` to the output.
std::string loadKernel(const std::string &copy, unsigned bytes) {
  return moduleHead + R"(
.visible .entry kernel(.param .align 64 .b8 map[128], .param .u64 in,
                       .param .u64 out)
{
  .reg .pred %p<8>;
  .reg .b16 %rs<4>;
  .reg .b32 %r<16>;
  .reg .b64 %rd<16>;
  .shared .align 1024 .b8 tile[4096];
  .shared .align 8 .b64 barrier;
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, tile;
  mov.b64 %rd1, map;
  cvta.param.u64 %rd1, %rd1;
  ld.param.u64 %rd2, [in];
  setp.ne.u32 %p1, %r0, 0;
  @%p1 bra WAIT;
  mbarrier.init.shared.b64 [barrier], 1;
  fence.mbarrier_init.release.cluster;
  mbarrier.arrive.expect_tx.shared.b64 _, [barrier], )" +
         std::to_string(bytes) + ";\n" + copy + R"(
WAIT:
  bar.sync 0;
DONE:
  mbarrier.try_wait.parity.shared.b64 %p2, [barrier], 0;
  @!%p2 bra DONE;
  ld.param.u64 %rd3, [out];
NEXT:
  setp.ge.u32 %p3, %r0, )" +
         std::to_string(bytes / 4) + R"(;
  @%p3 bra END;
  mad.lo.u32 %r2, %r0, 4, %r1;
  ld.shared.b32 %r3, [%r2];
  mul.wide.u32 %rd4, %r0, 4;
  add.u64 %rd4, %rd3, %rd4;
  st.global.b32 [%rd4], %r3;
  add.u32 %r0, %r0, 64;
  bra NEXT;
END:
  ret;
}
)";
}

std::vector<uint16_t> numbered(size_t count) {
  std::vector<uint16_t> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = uint16_t(i + 1);
  return values;
}

/// The tile that a copy leaves, as 16-bit elements.
std::vector<uint16_t> runLoad(const std::string &copy, unsigned bytes,
                              const std::vector<uint16_t> &in,
                              const std::function<TensorMap(uint64_t)> &makeMap,
                              std::string *fault = nullptr) {
  Kernel kernel(loadKernel(copy, bytes));
  uint64_t input = kernel.upload(in);
  uint64_t out = kernel.upload(std::vector<uint16_t>(bytes / 2));
  TensorMapParameter map(makeMap(input));
  std::string message =
      messageOf(kernel.run({1, 1, 1}, {64, 1, 1}, 0, map, input, out));
  if (fault)
    *fault = message;
  else
    EXPECT_EQ(message, "");
  return kernel.download<uint16_t>(out, bytes / 2);
}

const std::string tensor2 = "cp.async.bulk.tensor.2d.shared::cluster.global."
                            "tile.mbarrier::complete_tx::"
                            "bytes [%r1], [%rd1, {%r4, %r5}], [barrier];";

std::string at(int x, int y) {
  return "mov.s32 %r4, " + std::to_string(x) + ";\nmov.s32 %r5, " +
         std::to_string(y) + ";\n";
}

} // namespace

TEST(BulkCopies, OutsideTheTensorIsZero) {
  // 10 x 24 elements; boxes of 4 x 16 from several corners.
  constexpr int rows = 10, width = 24;
  std::vector<uint16_t> in = numbered(rows * width);
  for (auto [x, y] : {std::pair(0, 0), {16, 8}, {-3, -1}, {20, 9}, {100, 0}}) {
    std::vector<uint16_t> tile =
        runLoad(at(x, y) + tensor2, 128, in, [](uint64_t base) {
          return matrixMap(base, rows, width, 4, 16, Swizzle::None);
        });
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 16; ++j) {
        int row = y + i, column = x + j;
        bool inside = row >= 0 && row < rows && column >= 0 && column < width;
        EXPECT_EQ(tile[i * 16 + j], inside ? in[row * width + column] : 0)
            << x << " " << y << " " << i << " " << j;
      }
  }
}

TEST(BulkCopies, SwizzlesExchangeUnitsOf16Bytes) {
  struct Case {
    Swizzle swizzle;
    int width, rowsOfPattern;
  };
  for (Case test : {Case{Swizzle::Bytes128, 64, 1},
                    {Swizzle::Bytes64, 32, 2},
                    {Swizzle::Bytes32, 16, 4}}) {
    constexpr int rows = 16;
    std::vector<uint16_t> in = numbered(rows * test.width);
    std::vector<uint16_t> tile =
        runLoad(at(0, 0) + tensor2, unsigned(rows * test.width * 2), in,
                [&](uint64_t base) {
                  return matrixMap(base, rows, uint64_t(test.width), rows,
                                   uint16_t(test.width), test.swizzle);
                });
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < test.width; ++column) {
        int units = test.width / 8;
        int unit = (column / 8) ^ (row / test.rowsOfPattern % units);
        EXPECT_EQ(tile[row * test.width + unit * 8 + column % 8],
                  in[row * test.width + column]);
      }
  }
}

TEST(BulkCopies, ThreeDimensionsAndStrides) {
  std::vector<uint16_t> in = numbered(4 * 6 * 16);
  std::vector<uint16_t> tile = runLoad(
      at(0, 1) +
          "mov.s32 %r6, 2;\n"
          "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::"
          "complete_tx::bytes [%r1], [%rd1, {%r4, %r5, %r6}], [barrier];",
      128, in, [](uint64_t base) {
        TensorMap map = matrixMap(base, 6, 16, 4, 16, Swizzle::None);
        map.rank = 3;
        map.dimensions[2] = 4;
        map.strides[1] = 6 * 16 * 2;
        map.box = {16, 4, 2};
        map.elementStrides = {1, 2, 1};
        return map;
      });
  for (unsigned plane = 0; plane < 2; ++plane)
    for (unsigned row = 0; row < 2; ++row)
      for (unsigned column = 0; column < 16; ++column)
        EXPECT_EQ(tile[plane * 32 + row * 16 + column],
                  in[(2 + plane) * 96 + (1 + 2 * row) * 16 + column]);
}

TEST(BulkCopies, PlainLoadsAndPrefetches) {
  std::vector<uint16_t> in = numbered(128);
  EXPECT_EQ(runLoad("cp.async.bulk.prefetch.L2.global [%rd2], 256;\n"
                    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx"
                    "::bytes [%r1], [%rd2], 256, [barrier];",
                    256, in,
                    [](uint64_t base) {
                      return matrixMap(base, 8, 16, 4, 16, Swizzle::None);
                    }),
            in);
}

TEST(BulkCopies, WrongUsesAreReported) {
  auto fault = [](const std::string &copy) {
    std::string message;
    runLoad(
        copy, 128, numbered(128),
        [](uint64_t base) {
          return matrixMap(base, 8, 16, 4, 16, Swizzle::None);
        },
        &message);
    return message;
  };
  EXPECT_TRUE(
      has(fault("cp.async.bulk.shared::cluster.global.mbarrier::complete"
                "_tx::bytes [%r1], [%rd2+240], 128, [barrier];"),
          "read of 128 bytes: byte 240 of an allocation of 256 bytes"));
  EXPECT_TRUE(
      has(fault("cp.async.bulk.shared::cluster.global.mbarrier::complete"
                "_tx::bytes [%r1], [%rd2+8], 128, [barrier];"),
          "expected addresses that are multiples of 16"));
  EXPECT_TRUE(has(fault("mov.s32 %r4, 0;\n"
                        "cp.async.bulk.tensor.1d.shared::cluster.global.tile."
                        "mbarrier::complete_tx::bytes [%r1], [%rd1, {%r4}], "
                        "[barrier];"),
                  "expected a tensor of 1 dimensions, found 2"));
  EXPECT_TRUE(has(fault(at(0, 0) + "mov.u64 %rd1, %rd2;\n" + tensor2),
                  "expected a tensor map made by cuTensorMapEncodeTiled"));
  EXPECT_TRUE(has(
      fault(at(0, 0) + "mov.b16 %rs1, 2;\n"
                       "cp.async.bulk.tensor.2d.shared::cluster.global.tile."
                       "mbarrier::complete_tx::bytes.multicast::cluster [%r1], "
                       "[%rd1, {%r4, %r5}], [barrier], %rs1;"),
      "expected a mask of CTAs that the cluster has, found 2"));
}

/// 32 threads write 1 to 32 as f32 and one thread stores them.
static std::vector<float> runReduction(const std::string &store,
                                       const TensorMap *map) {
  Kernel kernel(moduleHead + R"(
.visible .entry kernel(.param .align 64 .b8 map[128], .param .u64 out)
{
  .reg .pred %p<4>;
  .reg .b32 %r<8>;
  .reg .b64 %rd<8>;
  .shared .align 128 .b8 tile[128];
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, tile;
  mad.lo.u32 %r2, %r0, 4, %r1;
  add.u32 %r3, %r0, 1;
  cvt.rn.f32.u32 %r3, %r3;
  st.shared.b32 [%r2], %r3;
  fence.proxy.async.shared::cta;
  bar.sync 0;
  setp.ne.u32 %p1, %r0, 0;
  @%p1 ret;
  mov.b64 %rd1, map;
  cvta.param.u64 %rd1, %rd1;
  ld.param.u64 %rd2, [out];
  mov.u32 %r4, 0;
)" + store + R"(
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group 0;
  ret;
}
)");
  uint64_t out = kernel.upload(std::vector<float>(32, 100));
  TensorMap copy = map ? *map : TensorMap();
  copy.base = out;
  EXPECT_EQ(messageOf(kernel.run({1, 1, 1}, {32, 1, 1}, 0,
                                 TensorMapParameter(copy), out)),
            "");
  return kernel.download<float>(out, 32);
}

TEST(BulkCopies, StoresAndReductions) {
  TensorMap map;
  map.type = 7;
  map.elementBytes = 4;
  map.rank = 1;
  map.dimensions = {20};
  map.box = {32};
  map.elementStrides = {1};
  std::vector<float> added = runReduction(
      "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%rd2], "
      "[%r1], 128;",
      nullptr);
  std::vector<float> stored =
      runReduction("cp.async.bulk.tensor.1d.global.shared::cta.tile.bulk_group "
                   "[%rd1, {%r4}], "
                   "[%r1];",
                   &map);
  std::vector<float> tensorAdded = runReduction(
      "cp.reduce.async.bulk.tensor.1d.global.shared::cta.add.tile.bulk_group "
      "[%rd1, {%r4}], [%r1];",
      &map);
  for (unsigned i = 0; i < 32; ++i) {
    EXPECT_EQ(added[i], 101.0f + float(i));
    EXPECT_EQ(stored[i], i < 20 ? 1.0f + float(i) : 100);
    EXPECT_EQ(tensorAdded[i], i < 20 ? 101.0f + float(i) : 100);
  }
}

TEST(BulkCopies, MulticastsWriteToEachCta) {
  Kernel kernel(moduleHead + R"(
.visible .entry kernel(.param .u64 in, .param .u64 out)
{
  .reg .pred %p<4>;
  .reg .b16 %rs<2>;
  .reg .b32 %r<8>;
  .reg .b64 %rd<8>;
  .shared .align 128 .b8 tile[128];
  .shared .align 8 .b64 barrier;
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, tile;
  mov.u32 %r2, %cluster_ctarank;
  setp.ne.u32 %p1, %r0, 0;
  @%p1 bra READY;
  mbarrier.init.shared.b64 [barrier], 1;
  fence.mbarrier_init.release.cluster;
  mbarrier.arrive.expect_tx.shared.b64 _, [barrier], 128;
READY:
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
  setp.ne.or.u32 %p1, %r2, 1, %p1;
  @%p1 bra DONE;
  ld.param.u64 %rd1, [in];
  mov.b16 %rs1, 5;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r1], [%rd1], 128, [barrier], %rs1;
  mov.b16 %rs1, 2;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r1], [%rd1], 128, [barrier], %rs1;
DONE:
  mbarrier.try_wait.parity.shared.b64 %p2, [barrier], 0;
  @!%p2 bra DONE;
  mad.lo.u32 %r3, %r0, 4, %r1;
  ld.shared.b32 %r4, [%r3];
  mad.lo.u32 %r5, %r2, 32, %r0;
  ld.param.u64 %rd2, [out];
  mul.wide.u32 %rd3, %r5, 4;
  add.u64 %rd2, %rd2, %rd3;
  st.global.b32 [%rd2], %r4;
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
  ret;
}
)");
  kernel.cluster = {3, 1, 1};
  std::vector<uint32_t> values(32);
  for (uint32_t i = 0; i < 32; ++i)
    values[i] = i + 5;
  uint64_t in = kernel.upload(values);
  uint64_t out = kernel.upload(std::vector<uint32_t>(96));
  EXPECT_EQ(messageOf(kernel.run({3, 1, 1}, {32, 1, 1}, 0, in, out)), "");
  for (uint64_t rank = 0; rank < 3; ++rank)
    EXPECT_EQ(kernel.download<uint32_t>(out + 128 * rank, 32), values);
}
