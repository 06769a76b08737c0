/* What compiled code calls for a parallel loop.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "moert/abi.h"

void moert_parallel_for(const moert_executor *executor, int64_t count, int64_t grain,
                        void (*body)(void *data, int64_t first, int64_t last), void *data) {
  if (count <= 0)
    return;
  if (!executor || executor->threads <= 1 || count == 1)
    body(data, 0, count);
  else
    executor->parallel_for(executor->context, count, grain, body, data);
}
