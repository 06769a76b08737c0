// Tests of cp.async: what it copies, and what happens to those who do not wait.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

namespace {

/// One warp copies 16 bytes a lane to shared memory and reads them back.
std::string copyKernel(const std::string &copy, const std::string &wait,
                       unsigned lane = 0) {
  return moduleHead + R"(
.visible .entry kernel(.param .u64 buffer)
{
  .reg .pred %p<4>;
  .reg .b32 %r<16>;
  .reg .b64 %rd<8>;
  .shared .align 128 .b8 tile[1024];
  ld.param.u64 %rd1, [buffer];
  mov.u32 %r0, %tid.x;
  mul.wide.u32 %rd2, %r0, 16;
  add.s64 %rd1, %rd1, %rd2;
  mov.u32 %r1, tile;
  shl.b32 %r2, %r0, 4;
  add.s32 %r1, %r1, %r2;
  setp.eq.u32 %p1, %r0, )" +
         std::to_string(lane) + R"(;
)" + copy +
         wait + R"(
  ld.shared.v4.b32 {%r3, %r4, %r5, %r6}, [%r1];
  st.global.v4.b32 [%rd1], {%r4, %r3, %r6, %r5};
  ret;
}
)";
}

std::vector<uint32_t> words() {
  std::vector<uint32_t> values(128);
  for (unsigned i = 0; i < 128; ++i)
    values[i] = 1000 + i;
  return values;
}

std::string runCopy(const std::string &copy, const std::string &wait,
                    std::vector<uint32_t> *results = nullptr) {
  Kernel kernel(copyKernel(copy, wait));
  uint64_t buffer = kernel.upload(words());
  std::string message = messageOf(kernel.run({1, 1, 1}, {32, 1, 1}, 0, buffer));
  if (results)
    *results = kernel.download<uint32_t>(buffer, 128);
  return message;
}

const std::string copy16 = "cp.async.cg.shared.global [%r1], [%rd1], 16;\n";
const std::string commit = "cp.async.commit_group;\n";

} // namespace

TEST(AsyncCopies, CopiesWhenWaitedFor) {
  std::vector<uint32_t> expected = words();
  for (unsigned i = 0; i < 128; i += 2)
    std::swap(expected[i], expected[i + 1]);
  for (std::string wait : {commit + "cp.async.wait_group 0;\n",
                           std::string("cp.async.wait_all;\n")}) {
    std::vector<uint32_t> results;
    EXPECT_EQ(runCopy(copy16, wait, &results), "");
    EXPECT_EQ(results, expected);
  }
}

TEST(AsyncCopies, BytesBeyondTheSourceAreZero) {
  std::vector<uint32_t> results;
  EXPECT_EQ(runCopy("mov.u32 %r7, 8;\n"
                    "cp.async.cg.shared.global [%r1], [%rd1], 16, %r7;\n",
                    "cp.async.wait_all;\n", &results),
            "");
  EXPECT_EQ(results[0], 1001u);
  EXPECT_EQ(results[1], 1000u);
  EXPECT_EQ(results[2], 0u);
  EXPECT_EQ(results[3], 0u);
}

TEST(AsyncCopies, ASourceOfNoBytesMayBeAnywhere) {
  std::vector<uint32_t> results;
  EXPECT_EQ(runCopy("mov.u32 %r7, 0;\nmov.u64 %rd3, 0;\n"
                    "cp.async.cg.shared.global [%r1], [%rd3], 16, %r7;\n",
                    "cp.async.wait_all;\n", &results),
            "");
  EXPECT_EQ(results[4], 0u);
}

TEST(AsyncCopies, WhoReadsWithoutAWaitIsFound) {
  EXPECT_TRUE(has(runCopy(copy16, commit),
                  "a copy that nobody waited for writes there"));
}

TEST(AsyncCopies, AWaitThatLeavesTheGroupIsFound) {
  EXPECT_TRUE(has(runCopy(copy16, commit + "cp.async.wait_group 1;\n"),
                  "a copy that nobody waited for writes there"));
}

TEST(AsyncCopies, WritingWhatACopyWritesIsFound) {
  EXPECT_TRUE(has(runCopy(copy16, "st.shared.b32 [%r1], %r0;\n"),
                  "a copy that nobody waited for writes there"));
}

TEST(AsyncCopies, TheSourceIsCheckedWhenItIsRead) {
  EXPECT_TRUE(has(runCopy("cp.async.cg.shared.global [%r1], [%rd1+512], 16;\n",
                          "cp.async.wait_all;\n"),
                  "past the end of an allocation"));
  EXPECT_TRUE(has(runCopy("cp.async.cg.shared.global [%r1], [%rd1+8], 16;\n",
                          "cp.async.wait_all;\n"),
                  "it must be a multiple of 16"));
}
