/* Which variant of an entry runs.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "variant.h"

#include <stdbool.h>
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

static bool fits(const moert_variant *variant, const moert_hardware *hardware) {
  const moert_device_code *device = variant->device;
  if (!device)
    return (variant->features & ~hardware->features) == 0;
  return device->is_exact ? device->capability == hardware->capability : device->capability <= hardware->capability;
}

/* Appends "<separator>sm_80" to a message that has `length` bytes. */
static int append(char *message, size_t capacity, int length, const char *separator, const char *name) {
  if (length < 0 || (size_t)length >= capacity)
    return length;
  return length + snprintf(message + length, capacity - (size_t)length, "%s%s", separator, name);
}

/* Appends the names of all variants, or of the one that was asked for. */
static int appendNames(const moert_entry *entry, const char *isa, char *message, size_t capacity, int length) {
  if (isa)
    return append(message, capacity, length, " ", isa);
  for (int32_t i = 0; i < entry->variant_count; ++i)
    length = append(message, capacity, length, i ? " or " : " ", entry->variants[i].name);
  return length;
}

int32_t moert_choose_variant(const moert_entry *entry, const char *isa, const moert_hardware *hardware,
                             const moert_variant **variant, char *message, size_t capacity) {
  const moert_variant *nearest = NULL;
  *variant = NULL;
  for (int32_t i = 0; i < entry->variant_count; ++i) {
    const moert_variant *candidate = &entry->variants[i];
    if (isa && strcmp(isa, candidate->name) != 0)
      continue;
    if (fits(candidate, hardware))
      *variant = candidate;
    else if (!nearest)
      nearest = candidate;
  }
  if (*variant)
    return MOERT_OK;
  if (!nearest) {
    int length = snprintf(message, capacity, "got the instruction set '%s', expected", isa ? isa : "");
    appendNames(entry, NULL, message, capacity, length);
    return MOERT_INVALID_ARGUMENT;
  }
  if (nearest->device) {
    char found[64];
    snprintf(found, sizeof found, ", device %d is sm_%d", (int)hardware->device, (int)hardware->capability);
    append(message, capacity, appendNames(entry, isa, message, capacity, snprintf(message, capacity, "needs")), found, "");
  } else {
    snprintf(message, capacity, "needs %s, this CPU or its system lacks %s", nearest->name,
             firstOf(nearest->features & ~hardware->features));
  }
  return MOERT_INCOMPATIBLE;
}
