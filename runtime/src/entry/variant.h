/* Which variant of an entry runs.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOEC_RUNTIME_ENTRY_VARIANT_H
#define MOEC_RUNTIME_ENTRY_VARIANT_H

#include "moert/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The variant of that name, or with null the last one that a CPU of these features can run. MOERT_INVALID_ARGUMENT where no
 * variant has the name, MOERT_INCOMPATIBLE where the CPU lacks something; then `message` says so in up to `capacity` bytes. */
int32_t moert_choose_variant(const moert_entry *entry, const char *isa, uint64_t features,
                             const moert_variant **variant, char *message, size_t capacity);

#ifdef __cplusplus
}
#endif
#endif /* MOEC_RUNTIME_ENTRY_VARIANT_H */
