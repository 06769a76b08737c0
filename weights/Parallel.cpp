// Work spread over threads, with results that do not depend on their number.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Parallel.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace moec::weights {

Result<int64_t> threadsOf(const ParallelOptions &options) {
  if (options.threads < 0)
    return Error{"expected a number of threads, or 0 for the machine's, "
                 "found " +
                 std::to_string(options.threads)};
  if (options.threads > 0)
    return options.threads;
  return int64_t(std::max(1u, std::thread::hardware_concurrency()));
}

Status parallelFor(int64_t count, const ParallelOptions &options,
                   const std::function<Status(int64_t)> &body) {
  Result<int64_t> threads = threadsOf(options);
  if (!threads)
    return Error{threads.error()};

  // What is started is started in order, so when one fails, all before it have
  // been started and will be known: the lowest failure is the same every time.
  std::mutex mutex;
  int64_t next = 0, done = 0, failedAt = count;
  std::string message;
  auto work = [&] {
    while (true) {
      int64_t index;
      {
        std::lock_guard lock(mutex);
        if (next == count || failedAt != count)
          return;
        index = next++;
      }
      Status status = body(index);
      std::lock_guard lock(mutex);
      if (!status) {
        if (index < failedAt) {
          failedAt = index;
          message = status.error();
        }
        continue;
      }
      ++done;
      if (options.progress)
        options.progress(done, count);
    }
  };

  std::vector<std::thread> others;
  for (int64_t i = 1; i < std::min(*threads, count); ++i)
    others.emplace_back(work);
  work();
  for (std::thread &thread : others)
    thread.join();
  if (failedAt != count)
    return Error{message};
  return success();
}

} // namespace moec::weights
