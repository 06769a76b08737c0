// Tests of making programs: layouts of memory, calls.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

using namespace moec::ptx;

TEST(ProgramBuilder, LaysOutParametersAndSharedMemory) {
  Kernel kernel(moduleHead + R"(
.extern .shared .align 128 .b8 dynamic[];
.shared .align 16 .b8 fixed[20];
.visible .entry kernel(.param .u32 a, .param .u64 b, .param .align 64 .b8 c[128])
.maxntid 96
{ .shared .b64 own; .local .align 16 .b8 depot[24]; ret; }
)");
  const Program *program = kernel.image->findProgram("kernel");
  ASSERT_NE(program, nullptr);
  ASSERT_EQ(program->parameters.size(), 3u);
  EXPECT_EQ(program->parameters[1].offset, 8u);
  EXPECT_EQ(program->parameters[2].offset, 64u);
  EXPECT_EQ(program->parameterBytes, 192u);
  EXPECT_EQ(program->sharedBytes, sharedBase + 8 + 8 + 20);
  EXPECT_EQ(program->dynamicSharedOffset, sharedBase + 128);
  EXPECT_EQ(program->localBytes, localBase + 24);
  EXPECT_EQ(program->threads[0], 96u);
}

TEST(ProgramBuilder, CallsMustHaveBodiesAndEnd) {
  DeviceMemory memory(1 << 20);
  auto error = [&](const std::string &text) {
    return Image::load(memory, moduleHead + text).error();
  };
  EXPECT_TRUE(has(error(".extern .func f;\n.entry k() { call f; }"),
                  "line 5: 'call f': expected a function with a body"));
  EXPECT_TRUE(has(error(".func f() { call g; }\n.func g() { call f; }\n"
                        ".entry k() { call f; }"),
                  "expected functions that do not call themselves, found 'f'"));
  EXPECT_TRUE(has(error(".func f(.param .b32 a) { ret; }\n"
                        ".entry k() { call f; }"),
                  "expected 1 arguments, found 0"));
}
