/* A call's paging of bases, which compiled code hands to moert_paging_acquire, _release and _prefetch.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOEC_RUNTIME_ENTRY_PAGING_H
#define MOEC_RUNTIME_ENTRY_PAGING_H

#include "moert/abi.h"

/** Lives as long as the call. Zero but for `paging` at first. */
typedef struct {
  const moert_paging *paging; /**< null: all clusters are where the binding's tables say */
  int32_t status;             /**< of the first acquire that failed; nothing is acquired after it */
  int32_t held;               /**< how many of `slots` are acquired and not yet released */
  const int32_t *slots[MOERT_MAX_ACQUIRED];
  char message[1024];         /**< of that acquire */
} moert_call_paging;

#endif /* MOEC_RUNTIME_ENTRY_PAGING_H */
