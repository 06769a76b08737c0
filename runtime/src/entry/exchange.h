/* A call's exchange of rows with other ranks, which compiled code hands to the functions moert_exchange_*.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOEC_RUNTIME_ENTRY_EXCHANGE_H
#define MOEC_RUNTIME_ENTRY_EXCHANGE_H

#include "paging.h"

/** Lives as long as the call. Zero but for `exchange` and `paging` at first. */
typedef struct {
  const moert_exchange *exchange;  /**< null: one rank computes everything */
  const moert_call_paging *paging; /**< of the same call */
  int32_t status;                  /**< the first error; nothing is sent after it */
  moert_routing routing;           /**< of the layer that is under way */
  char message[1024];              /**< of that error */
} moert_call_exchange;

#endif /* MOEC_RUNTIME_ENTRY_EXCHANGE_H */
