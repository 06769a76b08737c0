/* Which variant of an entry runs.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOEC_RUNTIME_ENTRY_VARIANT_H
#define MOEC_RUNTIME_ENTRY_VARIANT_H

#include "moert/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What code is chosen for. */
typedef struct {
  uint64_t features;          /**< of this CPU, for its code: MOERT_CPU_* */
  int32_t device, capability; /**< for device code: moert_device_code.capability */
} moert_hardware;

/** The variant of that name, or with null the last one that the hardware can run. MOERT_INVALID_ARGUMENT where no variant has the
 * name, MOERT_INCOMPATIBLE where CPU or device lack something; then `message` says so in up to `capacity` bytes. */
int32_t moert_choose_variant(const moert_entry *entry, const char *isa, const moert_hardware *hardware,
                             const moert_variant **variant, char *message, size_t capacity);

#ifdef __cplusplus
}
#endif
#endif /* MOEC_RUNTIME_ENTRY_VARIANT_H */
