// Tests of running grids: schedules, residency, endings.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

#include <set>

using namespace moec::ptx;

/// Each of several CTAs writes the order in which it came.
static const std::string orderKernel = moduleHead + R"(
.visible .entry kernel(.param .u64 out)
{
  .reg .b32 %r<4>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %ctaid.x;
  atom.global.add.u32 %r2, [%rd1], 1;
  mul.wide.u32 %rd2, %r1, 4;
  add.u64 %rd2, %rd1, %rd2;
  st.global.u32 [%rd2+4], %r2;
  ret;
}
)";

static std::vector<uint32_t> orderOf(uint64_t seed) {
  Kernel kernel(orderKernel);
  kernel.settings.seed = seed;
  uint64_t out = kernel.upload(std::vector<uint32_t>(13));
  EXPECT_EQ(messageOf(kernel.run({12, 1, 1}, {1, 1, 1}, 0, out)), "");
  return kernel.download<uint32_t>(out, 13);
}

TEST(Machine, SeedsAreSchedules) {
  EXPECT_EQ(orderOf(3), orderOf(3));
  std::set<std::vector<uint32_t>> orders;
  for (uint64_t seed = 1; seed <= 10; ++seed)
    orders.insert(orderOf(seed));
  EXPECT_GT(orders.size(), 5u);
}

TEST(Machine, SeveralCtasRunAtATime) {
  // Each waits until the other has come.
  Kernel kernel(moduleHead + R"(
.visible .entry kernel(.param .u64 counter)
{
  .reg .pred %p<2>;
  .reg .b32 %r<4>;
  .reg .b64 %rd<2>;
  ld.param.u64 %rd1, [counter];
  red.global.add.u32 [%rd1], 1;
L:
  ld.acquire.gpu.global.u32 %r1, [%rd1];
  setp.lt.u32 %p1, %r1, 2;
  @%p1 bra L;
  ret;
}
)");
  kernel.settings.stepLimit = 1 << 20;
  uint64_t counter = kernel.upload(std::vector<uint32_t>(1));
  EXPECT_EQ(messageOf(kernel.run({2, 1, 1}, {1, 1, 1}, 0, counter)), "");
  kernel.settings.residentCtas = 1;
  counter = kernel.upload(std::vector<uint32_t>(1));
  std::optional<Fault> fault = kernel.run({2, 1, 1}, {1, 1, 1}, 0, counter);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, FaultKind::Timeout);
  EXPECT_TRUE(
      has(fault->message, "expected at most 1048576 thread instructions"))
      << fault->message;
}

TEST(Machine, ShapesAreChecked) {
  Kernel kernel(moduleHead + ".visible .entry kernel() .reqntid 64 { ret; }");
  auto check = [&](Extent blocks, Extent threads) {
    return messageOf(kernel.run(blocks, threads, 0));
  };
  EXPECT_EQ(check({1, 1, 1}, {64, 1, 1}), "");
  EXPECT_EQ(check({1, 1, 1}, {32, 1, 1}),
            "kernel 'kernel' expects 64 threads of a block, found 32");
  EXPECT_EQ(
      check({0, 1, 1}, {64, 1, 1}),
      "expected a grid, a block and a cluster of at least one, found none");
  EXPECT_EQ(check({1, 70000, 1}, {64, 1, 1}),
            "expected at most 65535 blocks along y and z");
  kernel.cluster = {2, 1, 1};
  EXPECT_EQ(check({3, 1, 1}, {64, 1, 1}),
            "expected the grid to be a multiple of the cluster");
  kernel.cluster = {32, 1, 1};
  EXPECT_EQ(check({32, 1, 1}, {64, 1, 1}),
            "expected at most 16 CTAs of a cluster, found 32");
}

TEST(Machine, CopiesMustNotOutliveTheirCta) {
  Kernel kernel(moduleHead + R"(
.visible .entry kernel(.param .u64 in)
{
  .reg .b32 %r<4>;
  .reg .b64 %rd<2>;
  .shared .align 16 .b8 tile[64];
  .shared .align 8 .b64 barrier;
  ld.param.u64 %rd1, [in];
  mov.u32 %r1, tile;
  mbarrier.init.shared.b64 [barrier], 1;
  fence.mbarrier_init.release.cluster;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd1], 64, [barrier];
  ret;
}
)");
  uint64_t in = kernel.upload(std::vector<uint32_t>(16));
  bool found = false;
  for (kernel.settings.seed = 1; kernel.settings.seed < 10;
       ++kernel.settings.seed)
    found |= has(messageOf(kernel.run({1, 1, 1}, {1, 1, 1}, 0, in)),
                 "expected no copy into shared memory to be pending");
  EXPECT_TRUE(found);
}

namespace {

/// One CTA writes 5, and lets dependents go before that.
const std::string primary = moduleHead + R"(
.visible .entry kernel(.param .u64 value)
{
  .reg .b64 %rd<2>;
  ld.param.u64 %rd1, [value];
  griddepcontrol.launch_dependents;
  nanosleep.u32 10;
  st.global.u32 [%rd1], 5;
  ret;
}
)";

/// Copies the value, after `wait`.
std::string dependent(const std::string &wait) {
  return moduleHead + R"(
.visible .entry kernel(.param .u64 value)
{
  .reg .b32 %r<2>;
  .reg .b64 %rd<2>;
  ld.param.u64 %rd1, [value];
)" + wait +
         R"(
  ld.global.u32 %r1, [%rd1];
  st.global.u32 [%rd1+4], %r1;
  ret;
}
)";
}

/// What the dependent read, or the fault.
std::string runDependent(const std::string &wait, uint64_t seed) {
  Kernel first(primary);
  auto second = Image::load(first.memory, dependent(wait));
  EXPECT_EQ(second.error(), "");
  uint64_t value = first.upload(std::vector<uint32_t>{1, 0});
  std::vector<uint8_t> parameters(8);
  std::memcpy(parameters.data(), &value, 8);
  Extent one = {1, 1, 1};
  std::vector<Grid> grids;
  for (const Program *program :
       {first.image->findProgram("kernel"), (*second)->findProgram("kernel")})
    grids.push_back({program, one, one, one, 0, parameters});
  Settings settings;
  settings.seed = seed;
  std::string message = messageOf(runGrids(first.memory, settings, grids));
  if (!message.empty())
    return message;
  return std::to_string(first.download<uint32_t>(value, 2)[1]);
}

} // namespace

TEST(Machine, DependentsWaitBeforeTheyAccessDeviceMemory) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(runDependent("griddepcontrol.wait;", seed), "5");
    EXPECT_TRUE(has(runDependent("", seed),
                    "expected a griddepcontrol.wait before device memory is "
                    "accessed"));
    EXPECT_TRUE(
        has(runDependent("cp.async.bulk.prefetch.L2.global [%rd1], 16;", seed),
            "expected a griddepcontrol.wait before device memory is "
            "accessed"));
  }
}
