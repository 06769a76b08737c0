/* Which variant of an entry runs.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "variant.h"

#include <stdio.h>
#include <string.h>

/* What the CPU lacks first. */
static const char *firstOf(uint64_t features) {
  static const char *const names[MOERT_CPU_FEATURE_COUNT] = MOERT_CPU_FEATURE_NAMES;
  for (int i = 0; i < MOERT_CPU_FEATURE_COUNT; ++i)
    if (features >> i & 1)
      return names[i];
  return "what this runtime does not know";
}

int32_t moert_choose_variant(const moert_entry *entry, const char *isa, uint64_t features,
                             const moert_variant **variant, char *message, size_t capacity) {
  const moert_variant *nearest = NULL;
  *variant = NULL;
  for (int32_t i = 0; i < entry->variant_count; ++i) {
    const moert_variant *candidate = &entry->variants[i];
    if (isa && strcmp(isa, candidate->name) != 0)
      continue;
    if ((candidate->features & ~features) == 0)
      *variant = candidate;
    else if (!nearest)
      nearest = candidate;
  }
  if (*variant)
    return MOERT_OK;
  if (nearest) {
    snprintf(message, capacity, "needs %s, this CPU or its system lacks %s", nearest->name,
             firstOf(nearest->features & ~features));
    return MOERT_INCOMPATIBLE;
  }
  int written = snprintf(message, capacity, "got the instruction set '%s', expected", isa ? isa : "");
  for (int32_t i = 0; i < entry->variant_count && written >= 0 && (size_t)written < capacity; ++i)
    written += snprintf(message + written, capacity - (size_t)written, "%s %s", i ? " or" : "",
                        entry->variants[i].name);
  return MOERT_INVALID_ARGUMENT;
}
