/* What this CPU can do.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOEC_RUNTIME_ENTRY_CPU_FEATURES_H
#define MOEC_RUNTIME_ENTRY_CPU_FEATURES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What CPUID and XGETBV answer, as far as it is asked for. */
typedef struct {
  uint32_t leaf1_ecx;
  uint32_t leaf7_ebx;
  uint32_t extended1_ecx; /**< leaf 0x80000001 */
  uint64_t xcr0;          /**< 0 where the system has not enabled XGETBV; without tiles where it refuses them */
  uint32_t leaf7_ecx, leaf7_edx;
  uint32_t leaf7_1_eax;   /**< leaf 7, subleaf 1 */
} moert_cpuid;

/** MOERT_CPU_* that follow: of the CPU's features those whose registers the system saves. */
uint64_t moert_features_of(const moert_cpuid *answers);

/** MOERT_CPU_* of this machine: asked once, remembered in the library. 0 where it is no x86-64. */
uint64_t moert_cpu_features(void);

#ifdef __cplusplus
}
#endif
#endif /* MOEC_RUNTIME_ENTRY_CPU_FEATURES_H */
