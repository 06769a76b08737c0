// Work spread over threads, with results that do not depend on their number.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_PARALLEL_H
#define MOEC_WEIGHTS_PARALLEL_H

#include "weights/Result.h"

#include <cstdint>
#include <functional>

namespace moec::weights {

struct ParallelOptions {
  /// 0: as many as the machine runs at once.
  int64_t threads = 0;
  /// Called after each piece of work, by one thread at a time, with counts that
  /// only grow.
  std::function<void(int64_t done, int64_t total)> progress;
};

/// How many threads that is; a negative number is refused.
Result<int64_t> threadsOf(const ParallelOptions &options);

/// Calls body(0) ... body(count - 1), each once, starting them in this order.
/// After a failure nothing more is started; of several failures the one of the
/// lowest number is returned, whatever the number of threads.
Status parallelFor(int64_t count, const ParallelOptions &options,
                   const std::function<Status(int64_t)> &body);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_PARALLEL_H
