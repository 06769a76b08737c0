// Tests of what CPUs can do: answers of CPUID taken apart, and this machine's against the compiler's.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "entry/cpu_features.h"

#include "moert/abi.h"

#include <gtest/gtest.h>

namespace {

constexpr uint64_t fourth = MOERT_CPU_AVX512VL * 2 - 1;
constexpr uint64_t all = (uint64_t(1) << MOERT_CPU_FEATURE_COUNT) - 1;
constexpr uint64_t third =
    (MOERT_CPU_LZCNT * 2 - 1) | MOERT_CPU_GFNI | MOERT_CPU_AVXVNNI;
constexpr uint64_t tiles =
    MOERT_CPU_AMX_TILE | MOERT_CPU_AMX_BF16 | MOERT_CPU_AMX_INT8;
constexpr moert_cpuid everything = {~0u, ~0u, ~0u, 0x600E7, ~0u, ~0u, ~0u};

TEST(CpuFeatures, countsWhatTheSystemSaves) {
  EXPECT_EQ(moert_features_of(&everything), all);
  moert_cpuid answers = everything;
  // AVX-512 without tiles, or with their shapes alone.
  answers.xcr0 = 0xE7;
  EXPECT_EQ(moert_features_of(&answers), all & ~tiles);
  answers.xcr0 = 0x200E7;
  EXPECT_EQ(moert_features_of(&answers), all & ~tiles);
  // Older CPUs have none of the later leaves.
  answers.leaf7_ecx = answers.leaf7_edx = answers.leaf7_1_eax = 0;
  EXPECT_EQ(moert_features_of(&answers) & ~MOERT_CPU_AVX512IFMA, fourth);
  answers = everything;
  // AVX without the masks and registers of AVX-512.
  answers.xcr0 = 0x7;
  EXPECT_EQ(moert_features_of(&answers), third);
  // Masks, but not all registers.
  answers.xcr0 = 0x67;
  EXPECT_EQ(moert_features_of(&answers), third);
  // A system that saves no vectors but those of SSE.
  answers.xcr0 = 0;
  EXPECT_EQ(moert_features_of(&answers),
            MOERT_CPU_SSE3 | MOERT_CPU_SSSE3 | MOERT_CPU_SSE4_1 |
                MOERT_CPU_SSE4_2 | MOERT_CPU_POPCNT | MOERT_CPU_CX16 |
                MOERT_CPU_SAHF | MOERT_CPU_BMI | MOERT_CPU_BMI2 |
                MOERT_CPU_MOVBE | MOERT_CPU_LZCNT);
}

TEST(CpuFeatures, readsTheRightBits) {
  auto features = [](uint32_t moert_cpuid::*leaf, int bit) {
    moert_cpuid answers = {};
    answers.xcr0 = 0x600E7;
    if (leaf)
      answers.*leaf = 1u << bit;
    return moert_features_of(&answers);
  };
  EXPECT_EQ(features(nullptr, 0), 0u);
  EXPECT_EQ(features(&moert_cpuid::leaf1_ecx, 12), MOERT_CPU_FMA);
  EXPECT_EQ(features(&moert_cpuid::leaf1_ecx, 29), MOERT_CPU_F16C);
  EXPECT_EQ(features(&moert_cpuid::leaf7_ebx, 5), MOERT_CPU_AVX2);
  EXPECT_EQ(features(&moert_cpuid::leaf7_ebx, 16), MOERT_CPU_AVX512F);
  EXPECT_EQ(features(&moert_cpuid::extended1_ecx, 5), MOERT_CPU_LZCNT);
  EXPECT_EQ(features(&moert_cpuid::leaf7_ecx, 11), MOERT_CPU_AVX512VNNI);
  EXPECT_EQ(features(&moert_cpuid::leaf7_edx, 24), MOERT_CPU_AMX_TILE);
  EXPECT_EQ(features(&moert_cpuid::leaf7_1_eax, 5), MOERT_CPU_AVX512BF16);
}

TEST(CpuFeatures, agreesWithTheCompilerOnThisMachine) {
  uint64_t features = moert_cpu_features();
  EXPECT_EQ(moert_cpu_features(), features);
#if defined(__x86_64__)
  __builtin_cpu_init();
  auto has = [&](uint64_t feature) { return (features & feature) != 0; };
  EXPECT_EQ(has(MOERT_CPU_SSE3), __builtin_cpu_supports("sse3") != 0);
  EXPECT_EQ(has(MOERT_CPU_SSSE3), __builtin_cpu_supports("ssse3") != 0);
  EXPECT_EQ(has(MOERT_CPU_SSE4_1), __builtin_cpu_supports("sse4.1") != 0);
  EXPECT_EQ(has(MOERT_CPU_SSE4_2), __builtin_cpu_supports("sse4.2") != 0);
  EXPECT_EQ(has(MOERT_CPU_POPCNT), __builtin_cpu_supports("popcnt") != 0);
  EXPECT_EQ(has(MOERT_CPU_AVX), __builtin_cpu_supports("avx") != 0);
  EXPECT_EQ(has(MOERT_CPU_AVX2), __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(has(MOERT_CPU_FMA), __builtin_cpu_supports("fma") != 0);
  EXPECT_EQ(has(MOERT_CPU_BMI), __builtin_cpu_supports("bmi") != 0);
  EXPECT_EQ(has(MOERT_CPU_BMI2), __builtin_cpu_supports("bmi2") != 0);
  EXPECT_EQ(has(MOERT_CPU_AVX512F), __builtin_cpu_supports("avx512f") != 0);
  EXPECT_EQ(has(MOERT_CPU_AVX512BW), __builtin_cpu_supports("avx512bw") != 0);
  EXPECT_EQ(has(MOERT_CPU_AVX512CD), __builtin_cpu_supports("avx512cd") != 0);
  EXPECT_EQ(has(MOERT_CPU_AVX512DQ), __builtin_cpu_supports("avx512dq") != 0);
  EXPECT_EQ(has(MOERT_CPU_AVX512VL), __builtin_cpu_supports("avx512vl") != 0);
  EXPECT_EQ(has(MOERT_CPU_AVX512VNNI),
            __builtin_cpu_supports("avx512vnni") != 0);
  EXPECT_EQ(has(MOERT_CPU_AVX512BF16),
            __builtin_cpu_supports("avx512bf16") != 0);
  EXPECT_EQ(has(MOERT_CPU_AVX512VBMI),
            __builtin_cpu_supports("avx512vbmi") != 0);
#else
  EXPECT_EQ(features, 0u);
#endif
}

} // namespace
