// Tests of wgmma: layouts of factors in shared memory and in registers, written
// out as the PTX ISA draws them, apart from the emulator.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Fragments.h"
#include "test/unit/tools/PTXEmulator/Kernel.h"

#include "weights/FloatFormats.h"

#include <functional>

using namespace moec::ptx;

namespace {

constexpr unsigned columns = 16, depth = 16;

/// How a factor lies in shared memory: the byte of element (row, k), and the
/// descriptor without its address.
struct Layout {
  const char *name;
  bool isTransposed;
  unsigned mode, leading, stride;
  std::function<unsigned(unsigned row, unsigned k)> place;
};

/// Rows of `span` bytes whose units of 16 bytes change places.
Layout depthMajor(const char *name, unsigned mode, unsigned span,
                  unsigned rowsOfPattern) {
  return {name, false, mode, 16, 8 * span, [=](unsigned row, unsigned k) {
            unsigned units = span / 16;
            unsigned unit = (k / 8) ^ (row / rowsOfPattern % units);
            return row * span + unit * 16 + k % 8 * 2;
          }};
}

/// The same with rows along the depth: `span` bytes of one k, then the next.
Layout rowMajor(const char *name, unsigned mode, unsigned span,
                unsigned rowsOfPattern) {
  unsigned block = 16 * span;
  return {name, true, mode, block, 8 * span, [=](unsigned row, unsigned k) {
            unsigned units = span / 16;
            unsigned unit = (row / 8 % units) ^ (k / rowsOfPattern % units);
            return row / (8 * units) * block + k * span + unit * 16 +
                   row % 8 * 2;
          }};
}

std::vector<Layout> layouts() {
  return {
      depthMajor("128 bytes", 1, 128, 1),
      depthMajor("64 bytes", 2, 64, 2),
      depthMajor("32 bytes", 3, 32, 4),
      {"no swizzle", false, 0, 128, 256,
       [](unsigned row, unsigned k) {
         return row / 8 * 256 + k / 8 * 128 + row % 8 * 16 + k % 8 * 2;
       }},
      rowMajor("transposed, 128 bytes", 1, 128, 1),
      rowMajor("transposed, 64 bytes", 2, 64, 2),
      rowMajor("transposed, 32 bytes", 3, 32, 4),
      {"transposed, no swizzle", true, 0, 1024, 128,
       [](unsigned row, unsigned k) {
         return row / 8 * 128 + k / 8 * 1024 + k % 8 * 16 + row % 8 * 2;
       }},
  };
}

uint64_t descriptor(const Layout &layout, unsigned address) {
  return uint64_t(address >> 4) | uint64_t(layout.leading >> 4) << 16 |
         uint64_t(layout.stride >> 4) << 32 | uint64_t(layout.mode) << 62;
}

constexpr unsigned tileBytes = 8192;

/// A warpgroup that copies an image of 16 KB to shared memory and multiplies; A
/// is [%rd2] in registers if the instruction has %r16 to %r19.
std::string productKernel(const std::string &product) {
  return moduleHead + R"(
.visible .entry kernel(.param .u64 image, .param .u64 a, .param .u64 b,
                       .param .u64 fragments, .param .u64 out)
{
  .reg .pred %p<8>;
  .reg .b32 %r<40>;
  .reg .b64 %rd<16>;
  .shared .align 1024 .b8 tiles[16384];
  mov.u32 %r0, %tid.x;
  ld.param.u64 %rd1, [image];
  mul.wide.u32 %rd2, %r0, 128;
  add.u64 %rd1, %rd1, %rd2;
  mov.u32 %r1, tiles;
  mad.lo.u32 %r1, %r0, 128, %r1;
  mov.u32 %r2, 0;
COPY:
  ld.global.v4.b32 {%r3, %r4, %r5, %r6}, [%rd1];
  st.shared.v4.b32 [%r1], {%r3, %r4, %r5, %r6};
  add.u64 %rd1, %rd1, 16;
  add.u32 %r1, %r1, 16;
  add.u32 %r2, %r2, 1;
  setp.lt.u32 %p1, %r2, 8;
  @%p1 bra COPY;
  fence.proxy.async;
  bar.sync 0;
  ld.param.u64 %rd3, [a];
  ld.param.u64 %rd4, [b];
  ld.param.u64 %rd5, [fragments];
  mul.wide.u32 %rd6, %r0, 16;
  add.u64 %rd5, %rd5, %rd6;
  ld.global.v4.b32 {%r16, %r17, %r18, %r19}, [%rd5];
  mov.b32 %r8, 0f40000000; mov.b32 %r9, %r8; mov.b32 %r10, %r8; mov.b32 %r11, %r8;
  mov.b32 %r12, %r8; mov.b32 %r13, %r8; mov.b32 %r14, %r8; mov.b32 %r15, %r8;
  wgmma.fence.sync.aligned;
  wgmma.mma_async.sync.aligned.)" +
         product + R"(
  wgmma.commit_group.sync.aligned;
  wgmma.wait_group.sync.aligned 0;
  ld.param.u64 %rd7, [out];
  mul.wide.u32 %rd8, %r0, 32;
  add.u64 %rd7, %rd7, %rd8;
  st.global.v4.b32 [%rd7], {%r8, %r9, %r10, %r11};
  st.global.v4.b32 [%rd7+16], {%r12, %r13, %r14, %r15};
  ret;
}
)";
}

const std::string accumulators =
    "{%r8, %r9, %r10, %r11, %r12, %r13, %r14, %r15}";

struct Problem {
  std::vector<float> a = smallIntegers(64 * depth, 1);
  std::vector<float> b = smallIntegers(columns * depth, 2);
  std::vector<uint8_t> image = std::vector<uint8_t>(2 * tileBytes);
  std::vector<uint32_t> fragments = std::vector<uint32_t>(512);

  void put(unsigned byte, uint16_t code) {
    std::memcpy(&image[byte], &code, 2);
  }

  std::vector<float> run(const std::string &product, uint64_t descriptorA,
                         uint64_t descriptorB) {
    Kernel kernel(productKernel(product));
    uint64_t memory = kernel.upload(image);
    uint64_t registers = kernel.upload(fragments);
    uint64_t out = kernel.upload(std::vector<float>(1024));
    EXPECT_EQ(messageOf(kernel.run({1, 1, 1}, {128, 1, 1}, 0, memory,
                                   descriptorA, descriptorB, registers, out)),
              "");
    return kernel.download<float>(out, 1024);
  }

  /// D = scale A B^T + initial, with the accumulators of thread t in order.
  void expect(const std::vector<float> &results, float scale, float initial,
              const std::string &what) {
    for (unsigned thread = 0; thread < 128; ++thread)
      for (unsigned i = 0; i < 8; ++i) {
        Element at = elementOfC(thread % 32, i % 4);
        unsigned row = thread / 32 * 16 + at.row,
                 column = i / 4 * 8 + at.column;
        float expected = initial;
        for (unsigned k = 0; k < depth; ++k)
          expected += scale * a[row * depth + k] * b[column * depth + k];
        ASSERT_EQ(results[thread * 8 + i], expected)
            << what << ", thread " << thread << ", accumulator " << i;
      }
  }
};

} // namespace

TEST(WarpgroupProducts, FactorsLieInAnyLayout) {
  for (const Layout &ofA : layouts())
    for (const Layout &ofB : layouts()) {
      Problem problem;
      for (unsigned k = 0; k < depth; ++k) {
        for (unsigned row = 0; row < 64; ++row)
          problem.put(ofA.place(row, k), bf16Of(problem.a[row * depth + k]));
        for (unsigned row = 0; row < columns; ++row)
          problem.put(tileBytes + ofB.place(row, k),
                      bf16Of(problem.b[row * depth + k]));
      }
      std::string product = "m64n16k16.f32.bf16.bf16 " + accumulators +
                            ", %rd3, %rd4, 1, 1, 1, " +
                            std::to_string(ofA.isTransposed) + ", " +
                            std::to_string(ofB.isTransposed) + ";";
      problem.expect(problem.run(product, descriptor(ofA, sharedBase),
                                 descriptor(ofB, sharedBase + tileBytes)),
                     1, 2, std::string(ofA.name) + " by " + ofB.name);
    }
}

TEST(WarpgroupProducts, AMayBeInRegisters) {
  Problem problem;
  Layout layout = layouts()[0];
  for (unsigned row = 0; row < columns; ++row)
    for (unsigned k = 0; k < depth; ++k)
      problem.put(tileBytes + layout.place(row, k),
                  moec::weights::floatToF16(problem.b[row * depth + k]));
  for (unsigned thread = 0; thread < 128; ++thread)
    for (unsigned i = 0; i < 8; ++i) {
      Element at = elementOfA16(thread % 32, i);
      float value = problem.a[(thread / 32 * 16 + at.row) * depth + at.column];
      problem.fragments[thread * 4 + i / 2] |=
          uint32_t(moec::weights::floatToF16(value)) << (16 * (i % 2));
    }
  uint64_t b = descriptor(layout, sharedBase + tileBytes);
  std::string head = "m64n16k16.f32.f16.f16 " + accumulators +
                     ", {%r16, %r17, %r18, %r19}, %rd4, ";
  problem.expect(problem.run(head + "1, 1, 1, 0;", 0, b), 1, 2, "added");
  problem.expect(problem.run(head + "0, 1, 1, 0;", 0, b), 1, 0, "replaced");
  problem.expect(problem.run(head + "1, -1, 1, 0;", 0, b), -1, 2, "negated");
}

TEST(WarpgroupProducts, AccumulatorsMayBeF16) {
  Problem problem;
  Layout layout = layouts()[0];
  for (unsigned k = 0; k < depth; ++k) {
    for (unsigned row = 0; row < 64; ++row)
      problem.put(layout.place(row, k),
                  moec::weights::floatToF16(problem.a[row * depth + k]));
    for (unsigned row = 0; row < columns; ++row)
      problem.put(tileBytes + layout.place(row, k),
                  moec::weights::floatToF16(problem.b[row * depth + k]));
  }
  std::vector<float> results =
      problem.run("m64n16k16.f16.f16.f16 {%r8, %r9, %r10, %r11}, %rd3, %rd4, "
                  "0, 1, 1, 0, 0;",
                  descriptor(layout, sharedBase),
                  descriptor(layout, sharedBase + tileBytes));
  // Registers of a thread: row l / 4 of columns 0 to 7, the row 8 below, ...
  for (unsigned thread = 0; thread < 128; ++thread)
    for (unsigned i = 0; i < 8; ++i) {
      Element at = elementOfC(thread % 32, i % 4);
      unsigned row = thread / 32 * 16 + at.row, column = i / 4 * 8 + at.column;
      float expected = 0;
      for (unsigned k = 0; k < depth; ++k)
        expected += problem.a[row * depth + k] * problem.b[column * depth + k];
      uint32_t bits = bitsOfFloat(results[thread * 8 + i / 2]);
      EXPECT_EQ(moec::weights::f16ToFloat(uint16_t(bits >> (16 * (i % 2)))),
                expected);
    }
}

TEST(WarpgroupProducts, WrongFormsAreRefused) {
  auto error = [](const std::string &text) { return loadError(text); };
  EXPECT_TRUE(has(error("wgmma.mma_async.sync.aligned.m64n12k16.f32.bf16.bf16 "
                        "{%r1, %r2}, %rd1, %rd2, 1, 1, 1, 0, 0;"),
                  "expected a shape m64nNkK"));
  EXPECT_TRUE(has(error("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 "
                        "{%r1, %r2}, %rd1, %rd2, 1, 1, 1, 0, 0;"),
                  "expected operand 1 to have 4 registers"));
  EXPECT_TRUE(has(error("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 "
                        "{%r1, %r2, %r3, %r4}, %rd1, %rd2, 1, 2, 1, 0, 0;"),
                  "expected 1 or -1"));
}
