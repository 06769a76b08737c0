/* What this CPU can do.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "cpu_features.h"

#include "moert/abi.h"

#include <stddef.h>

/* A feature, its bit, and what the system must save for it. */
typedef struct {
  uint64_t feature;
  size_t word; /* offset in moert_cpuid */
  int bit;
  uint64_t saved;
} Row;

enum {
  savesVectors = 1 << 1 | 1 << 2,                               /* SSE and the upper halves of AVX */
  savesWideVectors = savesVectors | 1 << 5 | 1 << 6 | 1 << 7,   /* masks, and the registers of AVX-512 */
  savesTiles = savesWideVectors | 1 << 17 | 1 << 18             /* their shapes, and themselves */
};

#define LEAF1 offsetof(moert_cpuid, leaf1_ecx)
#define LEAF7 offsetof(moert_cpuid, leaf7_ebx)
#define LEAF7C offsetof(moert_cpuid, leaf7_ecx)
#define LEAF7D offsetof(moert_cpuid, leaf7_edx)
#define LEAF7_1 offsetof(moert_cpuid, leaf7_1_eax)
#define EXTENDED offsetof(moert_cpuid, extended1_ecx)
static const Row rows[] = {
    {MOERT_CPU_SSE3, LEAF1, 0, 0},
    {MOERT_CPU_SSSE3, LEAF1, 9, 0},
    {MOERT_CPU_SSE4_1, LEAF1, 19, 0},
    {MOERT_CPU_SSE4_2, LEAF1, 20, 0},
    {MOERT_CPU_POPCNT, LEAF1, 23, 0},
    {MOERT_CPU_CX16, LEAF1, 13, 0},
    {MOERT_CPU_SAHF, EXTENDED, 0, 0},
    {MOERT_CPU_AVX, LEAF1, 28, savesVectors},
    {MOERT_CPU_AVX2, LEAF7, 5, savesVectors},
    {MOERT_CPU_FMA, LEAF1, 12, savesVectors},
    {MOERT_CPU_F16C, LEAF1, 29, savesVectors},
    {MOERT_CPU_BMI, LEAF7, 3, 0},
    {MOERT_CPU_BMI2, LEAF7, 8, 0},
    {MOERT_CPU_MOVBE, LEAF1, 22, 0},
    {MOERT_CPU_LZCNT, EXTENDED, 5, 0},
    {MOERT_CPU_AVX512F, LEAF7, 16, savesWideVectors},
    {MOERT_CPU_AVX512BW, LEAF7, 30, savesWideVectors},
    {MOERT_CPU_AVX512CD, LEAF7, 28, savesWideVectors},
    {MOERT_CPU_AVX512DQ, LEAF7, 17, savesWideVectors},
    {MOERT_CPU_AVX512VL, LEAF7, 31, savesWideVectors},
    {MOERT_CPU_AVX512IFMA, LEAF7, 21, savesWideVectors},
    {MOERT_CPU_AVX512VBMI, LEAF7C, 1, savesWideVectors},
    {MOERT_CPU_AVX512VBMI2, LEAF7C, 6, savesWideVectors},
    {MOERT_CPU_GFNI, LEAF7C, 8, savesVectors},
    {MOERT_CPU_AVX512VNNI, LEAF7C, 11, savesWideVectors},
    {MOERT_CPU_AVX512BITALG, LEAF7C, 12, savesWideVectors},
    {MOERT_CPU_AVX512VPOPCNTDQ, LEAF7C, 14, savesWideVectors},
    {MOERT_CPU_AVX512FP16, LEAF7D, 23, savesWideVectors},
    {MOERT_CPU_AMX_BF16, LEAF7D, 22, savesTiles},
    {MOERT_CPU_AMX_TILE, LEAF7D, 24, savesTiles},
    {MOERT_CPU_AMX_INT8, LEAF7D, 25, savesTiles},
    {MOERT_CPU_AVXVNNI, LEAF7_1, 4, savesVectors},
    {MOERT_CPU_AVX512BF16, LEAF7_1, 5, savesWideVectors},
};
_Static_assert(sizeof rows / sizeof *rows == MOERT_CPU_FEATURE_COUNT, "each feature has a row");

uint64_t moert_features_of(const moert_cpuid *answers) {
  uint64_t features = 0;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    uint32_t word = *(const uint32_t *)((const char *)answers + rows[i].word);
    if ((word >> rows[i].bit & 1) && (answers->xcr0 & rows[i].saved) == rows[i].saved)
      features |= rows[i].feature;
  }
  return features;
}

#if defined(__x86_64__)
#include <cpuid.h>

/* Linux gives a process the registers of AMX when it asks for them; threads that it makes have them too. */
static int mayUseTiles(void) {
#if defined(__linux__)
  enum { archPrctl = 158, requestPermission = 0x1023, tileData = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"((long)archPrctl), "D"((long)requestPermission), "S"((long)tileData)
                   : "rcx", "r11", "memory");
  return result == 0;
#else
  return 0;
#endif
}

static moert_cpuid ask(void) {
  enum { systemSaves = 1 << 27 };
  moert_cpuid answers = {0, 0, 0, 0, 0, 0, 0};
  unsigned eax, ebx, ecx, edx;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
    answers.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
    answers.leaf7_ebx = ebx;
    answers.leaf7_ecx = ecx;
    answers.leaf7_edx = edx;
    unsigned subleaves = eax;
    if (subleaves >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx))
      answers.leaf7_1_eax = eax;
  }
  if (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx))
    answers.extended1_ecx = ecx;
  if (answers.leaf1_ecx & systemSaves) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    answers.xcr0 = (uint64_t)high << 32 | low;
  }
  const uint64_t tiles = savesTiles & ~(uint64_t)savesWideVectors;
  if ((answers.xcr0 & tiles) && !mayUseTiles())
    answers.xcr0 &= ~tiles;
  return answers;
}

uint64_t moert_cpu_features(void) {
  /* CPUID takes microseconds on a virtual machine. Whoever asks at the same time finds the same. */
  static uint64_t known;
  const uint64_t isKnown = UINT64_C(1) << 63;
  uint64_t features = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (!features) {
    moert_cpuid answers = ask();
    features = moert_features_of(&answers) | isKnown;
    __atomic_store_n(&known, features, __ATOMIC_RELAXED);
  }
  return features & ~isKnown;
}
#else
uint64_t moert_cpu_features(void) { return 0; }
#endif
