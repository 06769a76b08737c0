/* What compiled code calls around its reads of bases that may be elsewhere.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "paging.h"

#include <stdio.h>
#include <string.h>

static void acquire(moert_call_paging *call, const int32_t *clusters, int64_t count, int32_t *slots) {
  if (call->held == MOERT_MAX_ACQUIRED) {
    call->status = MOERT_INTERNAL;
    snprintf(call->message, sizeof call->message, "clusters are acquired %d times at once, expected at most %d",
             (int)call->held + 1, MOERT_MAX_ACQUIRED);
    return;
  }
  moert_error_sink sink = {call->message, sizeof call->message};
  call->status = call->paging->acquire(call->paging->context, clusters, count, slots, &sink);
  if (call->status == MOERT_OK)
    call->slots[call->held++] = slots;
}

void moert_paging_acquire(void *paging, const int32_t *clusters, int64_t count, const int32_t *table, int64_t count_of_clusters,
                          int32_t *slots) {
  moert_call_paging *call = paging;
  if (!call->paging) {
    memcpy(slots, table, (size_t)count_of_clusters * sizeof *slots);
    return;
  }
  if (call->status == MOERT_OK)
    acquire(call, clusters, count, slots);
  if (call->status != MOERT_OK)
    memset(slots, 0, (size_t)count_of_clusters * sizeof *slots);
}

void moert_paging_release(void *paging, const int32_t *slots) {
  moert_call_paging *call = paging;
  for (int32_t i = 0; i < call->held; ++i) {
    if (call->slots[i] != slots)
      continue;
    call->slots[i] = call->slots[--call->held];
    call->paging->release(call->paging->context, slots);
    return;
  }
}

void moert_paging_prefetch(void *paging, int32_t ahead, const int32_t *clusters, int64_t count) {
  moert_call_paging *call = paging;
  if (call->paging && call->status == MOERT_OK)
    call->paging->prefetch(call->paging->context, ahead, clusters, count);
}
