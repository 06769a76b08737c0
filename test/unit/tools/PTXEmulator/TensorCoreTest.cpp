// Tests of mma, ldmatrix, stmatrix and movmatrix on fragments that are laid out
// by the tables of the PTX ISA.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Fragments.h"
#include "test/unit/tools/PTXEmulator/Kernel.h"

#include "weights/FloatFormats.h"

using namespace moec::ptx;

namespace {

/// Runs `body` in one warp. Each lane has `inWords` words of inputs at [%rd2]
/// and stores results of `outWords` words to [%rd3].
std::vector<uint32_t> runWarpKernel(const std::string &body,
                                    const std::vector<uint32_t> &inputs,
                                    unsigned inWords, unsigned outWords,
                                    std::string *fault = nullptr) {
  Kernel kernel(moduleHead + R"(
.visible .entry kernel(.param .u64 in, .param .u64 out)
{
  .reg .pred %p<8>;
  .reg .b32 %r<64>;
  .reg .b64 %rd<16>;
  .shared .align 128 .b8 tile[2048];
  ld.param.u64 %rd2, [in];
  ld.param.u64 %rd3, [out];
  mov.u32 %r0, %tid.x;
  mul.wide.u32 %rd4, %r0, )" +
                std::to_string(4 * inWords) + R"(;
  add.s64 %rd2, %rd2, %rd4;
  mul.wide.u32 %rd4, %r0, )" +
                std::to_string(4 * outWords) + R"(;
  add.s64 %rd3, %rd3, %rd4;
)" + body + "\n ret;\n}\n");
  uint64_t in = kernel.upload(inputs);
  uint64_t out = kernel.upload(std::vector<uint32_t>(32 * outWords));
  std::string message =
      messageOf(kernel.run({1, 1, 1}, {32, 1, 1}, 0, in, out));
  if (fault)
    *fault = message;
  else
    EXPECT_EQ(message, "");
  return kernel.download<uint32_t>(out, 32 * outWords);
}

/// The product of 16 x k and k x 8 plus c.
std::vector<float> product(const std::vector<float> &a,
                           const std::vector<float> &b,
                           const std::vector<float> &c, unsigned depth) {
  std::vector<float> d = c;
  for (unsigned m = 0; m < 16; ++m)
    for (unsigned n = 0; n < 8; ++n)
      for (unsigned k = 0; k < depth; ++k)
        d[m * 8 + n] += a[m * depth + k] * b[k * 8 + n];
  return d;
}

/// A body that loads A, B and C from [%rd2], multiplies and stores D.
std::string mmaBody(const std::string &modifiers, unsigned registersOfA) {
  std::string a = registersOfA == 4 ? "{%r1, %r2, %r3, %r4}" : "{%r1, %r2}";
  std::string b = registersOfA == 4 ? "{%r5, %r6}" : "{%r5}";
  return R"(
  ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%rd2];
  ld.global.v2.b32 {%r5, %r6}, [%rd2+16];
  ld.global.v2.b32 {%r7, %r8}, [%rd2+24];
  ld.global.v2.b32 {%r9, %r10}, [%rd2+32];
  mma.sync.aligned.)" +
         modifiers + " {%r11, %r12, %r13, %r14}, " + a + ", " + b +
         R"(, {%r7, %r8, %r9, %r10};
  st.global.v2.b32 [%rd3], {%r11, %r12};
  st.global.v2.b32 [%rd3+8], {%r13, %r14};
)";
}

void expectProduct(const std::vector<uint32_t> &results,
                   const std::vector<float> &expected) {
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 4; ++i) {
      Element at = elementOfC(lane, i);
      EXPECT_EQ(std::bit_cast<float>(results[4 * lane + i]),
                expected[at.row * 8 + at.column])
          << lane << " " << i;
    }
}

void checkMma16(bool isBF16) {
  std::vector<float> a = smallIntegers(256, 1), b = smallIntegers(128, 2),
                     c = smallIntegers(128, 3);
  auto code = [&](float value) {
    return isBF16 ? bf16Of(value) : moec::weights::floatToF16(value);
  };
  std::vector<uint32_t> inputs(32 * 12);
  for (unsigned lane = 0; lane < 32; ++lane) {
    uint32_t *words = &inputs[lane * 12];
    for (unsigned i = 0; i < 8; ++i) {
      Element at = elementOfA16(lane, i);
      words[i / 2] |= uint32_t(code(a[at.row * 16 + at.column]))
                      << (16 * (i % 2));
    }
    for (unsigned i = 0; i < 4; ++i) {
      Element at = elementOfB16(lane, i);
      words[4 + i / 2] |= uint32_t(code(b[at.row * 8 + at.column]))
                          << (16 * (i % 2));
      Element of = elementOfC(lane, i);
      words[6 + i] = std::bit_cast<uint32_t>(c[of.row * 8 + of.column]);
    }
  }
  std::string type = isBF16 ? "bf16" : "f16";
  expectProduct(
      runWarpKernel(
          mmaBody("m16n8k16.row.col.f32." + type + "." + type + ".f32", 4),
          inputs, 12, 4),
      product(a, b, c, 16));
}

} // namespace

TEST(TensorCore, MmaOfBF16) { checkMma16(true); }

TEST(TensorCore, MmaOfF16) { checkMma16(false); }

TEST(TensorCore, MmaOfDepth8HasTheFirstHalfOfTheFragments) {
  std::vector<float> a = smallIntegers(128, 1), b = smallIntegers(64, 2),
                     c = smallIntegers(128, 3);
  std::vector<uint32_t> inputs(32 * 12);
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 4; ++i) {
      uint32_t *words = &inputs[lane * 12];
      Element at = elementOfA16(lane, i), of = elementOfC(lane, i);
      words[i / 2] |= uint32_t(bf16Of(a[at.row * 8 + at.column]))
                      << (16 * (i % 2));
      if (i < 2) {
        Element of = elementOfB16(lane, i);
        words[4] |= uint32_t(bf16Of(b[of.row * 8 + of.column])) << (16 * i);
      }
      words[6 + i] = std::bit_cast<uint32_t>(c[of.row * 8 + of.column]);
    }
  expectProduct(runWarpKernel(mmaBody("m16n8k8.row.col.f32.bf16.bf16.f32", 2),
                              inputs, 12, 4),
                product(a, b, c, 8));
}

TEST(TensorCore, MmaOfE4M3HasFourElementsOfARegister) {
  std::vector<float> a = smallIntegers(512, 1), b = smallIntegers(256, 2),
                     c = smallIntegers(128, 3);
  std::vector<uint32_t> inputs(32 * 12);
  for (unsigned lane = 0; lane < 32; ++lane) {
    uint32_t *words = &inputs[lane * 12];
    for (unsigned i = 0; i < 16; ++i) {
      unsigned row = lane / 4 + ((i / 4) % 2 ? 8 : 0);
      unsigned column = (lane % 4) * 4 + i % 4 + (i >= 8 ? 16 : 0);
      words[i / 4] |=
          uint32_t(moec::weights::floatToF8E4M3(a[row * 32 + column]))
          << (8 * (i % 4));
    }
    for (unsigned i = 0; i < 8; ++i) {
      unsigned row = (lane % 4) * 4 + i % 4 + (i >= 4 ? 16 : 0);
      words[4 + i / 4] |=
          uint32_t(moec::weights::floatToF8E4M3(b[row * 8 + lane / 4]))
          << (8 * (i % 4));
    }
    for (unsigned i = 0; i < 4; ++i) {
      Element of = elementOfC(lane, i);
      words[6 + i] = std::bit_cast<uint32_t>(c[of.row * 8 + of.column]);
    }
  }
  expectProduct(runWarpKernel(mmaBody("m16n8k32.row.col.f32.e4m3.e4m3.f32", 4),
                              inputs, 12, 4),
                product(a, b, c, 32));
}

namespace {

/// Puts four 8 x 8 matrices of the numbers 0 to 255 into shared memory, row by
/// row, and loads them.
std::vector<uint32_t> loadMatrices(const std::string &modifiers) {
  std::vector<uint32_t> inputs(128);
  for (unsigned i = 0; i < 128; ++i)
    inputs[i] = (2 * i) | (2 * i + 1) << 16;
  return runWarpKernel(R"(
  ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%rd2];
  mov.u32 %r5, tile;
  shl.b32 %r6, %r0, 4;
  add.s32 %r5, %r5, %r6;
  st.shared.v4.b32 [%r5], {%r1, %r2, %r3, %r4};
  bar.warp.sync -1;
  ldmatrix.sync.aligned.m8n8.x4)" +
                           modifiers +
                           R"(.shared.b16 {%r7, %r8, %r9, %r10}, [%r5];
  st.global.v4.b32 [%rd3], {%r7, %r8, %r9, %r10};
)",
                       inputs, 4, 4);
}

} // namespace

TEST(TensorCore, LoadMatrixGivesEachLaneTwoElementsOfARow) {
  std::vector<uint32_t> results = loadMatrices("");
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned matrix = 0; matrix < 4; ++matrix) {
      unsigned first = matrix * 64 + (lane / 4) * 8 + (lane % 4) * 2;
      EXPECT_EQ(results[lane * 4 + matrix], first | (first + 1) << 16);
    }
}

TEST(TensorCore, LoadMatrixTransposes) {
  std::vector<uint32_t> results = loadMatrices(".trans");
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned matrix = 0; matrix < 4; ++matrix) {
      unsigned first = matrix * 64 + (lane % 4) * 2 * 8 + lane / 4;
      EXPECT_EQ(results[lane * 4 + matrix], first | (first + 8) << 16);
    }
}

TEST(TensorCore, StoreMatrixIsTheInverseOfLoadMatrix) {
  std::vector<uint32_t> inputs(64);
  for (unsigned i = 0; i < 64; ++i)
    inputs[i] = i * 0x10001;
  for (std::string trans : {"", ".trans"})
    EXPECT_EQ(runWarpKernel(R"(
  ld.global.v2.b32 {%r1, %r2}, [%rd2];
  mov.u32 %r5, tile;
  and.b32 %r6, %r0, 15;
  shl.b32 %r6, %r6, 4;
  add.s32 %r5, %r5, %r6;
  stmatrix.sync.aligned.m8n8.x2)" +
                                trans +
                                R"(.shared.b16 [%r5], {%r1, %r2};
  ldmatrix.sync.aligned.m8n8.x2)" +
                                trans + R"(.shared.b16 {%r3, %r4}, [%r5];
  st.global.v2.b32 [%rd3], {%r3, %r4};
)",
                            inputs, 2, 2),
              inputs);
}

TEST(TensorCore, MoveMatrixTransposesAcrossLanes) {
  std::vector<uint32_t> inputs(32);
  for (unsigned lane = 0; lane < 32; ++lane) {
    unsigned first = (lane / 4) * 8 + (lane % 4) * 2;
    inputs[lane] = first | (first + 1) << 16;
  }
  std::vector<uint32_t> results = runWarpKernel(R"(
  ld.global.b32 %r1, [%rd2];
  movmatrix.sync.aligned.m8n8.trans.b16 %r2, %r1;
  st.global.b32 [%rd3], %r2;
)",
                                                inputs, 1, 1);
  for (unsigned lane = 0; lane < 32; ++lane) {
    unsigned first = (lane % 4) * 2 * 8 + lane / 4;
    EXPECT_EQ(results[lane], first | (first + 8) << 16);
  }
}

TEST(TensorCore, RowsMustBeAligned) {
  std::string fault;
  runWarpKernel(R"(
  mov.u32 %r5, tile;
  st.shared.b32 [%r5+8], %r0;
  ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, [%r5+8];
)",
                std::vector<uint32_t>(32), 1, 1, &fault);
  EXPECT_TRUE(has(fault, "it must be a multiple of 16")) << fault;
}
