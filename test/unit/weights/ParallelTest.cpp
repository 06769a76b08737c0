// Tests of work spread over threads.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace moec::weights;

namespace {

TEST(Parallel, callsEachOnce) {
  for (int64_t threads : {1, 2, 7}) {
    std::vector<std::atomic<int>> calls(20);
    Status status = parallelFor(20, {threads, {}}, [&](int64_t i) {
      ++calls[size_t(i)];
      return success();
    });
    EXPECT_TRUE(status);
    for (const std::atomic<int> &count : calls)
      EXPECT_EQ(count, 1);
  }
}

TEST(Parallel, usesSeveralThreads) {
  // Each waits until both have begun, which one thread alone never sees.
  std::mutex mutex;
  std::condition_variable arrived;
  int begun = 0;
  Status status = parallelFor(2, {2, {}}, [&](int64_t) {
    std::unique_lock lock(mutex);
    ++begun;
    arrived.notify_all();
    arrived.wait(lock, [&] { return begun == 2; });
    return success();
  });
  EXPECT_TRUE(status);
}

TEST(Parallel, nothingToDo) {
  EXPECT_TRUE(
      parallelFor(0, {}, [](int64_t) -> Status { return Error{"called"}; }));
}

TEST(Parallel, returnsTheLowestFailure) {
  for (int64_t threads : {1, 4}) {
    std::vector<std::atomic<int>> calls(200);
    Status status = parallelFor(200, {threads, {}}, [&](int64_t i) -> Status {
      ++calls[size_t(i)];
      // The lowest failure comes last in time.
      if (i == 3)
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
      if (i >= 3 && i < 7)
        return Error{"failed at " + std::to_string(i)};
      return success();
    });
    EXPECT_EQ(status.error(), "failed at 3");
    EXPECT_EQ(calls[199], 0) << "went on after a failure";
  }
}

TEST(Parallel, returnsTheLowestFailureAlsoWhenItComesFirst) {
  std::mutex mutex;
  std::condition_variable arrived;
  int begun = 0;
  Status status = parallelFor(2, {2, {}}, [&](int64_t i) -> Status {
    std::unique_lock lock(mutex);
    ++begun;
    arrived.notify_all();
    arrived.wait(lock, [&] { return begun == 2; });
    lock.unlock();
    if (i == 1)
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
    return Error{"failed at " + std::to_string(i)};
  });
  EXPECT_EQ(status.error(), "failed at 0");
}

TEST(Parallel, reportsProgressInOrder) {
  for (int64_t threads : {1, 3}) {
    std::vector<std::pair<int64_t, int64_t>> seen;
    ParallelOptions options{threads, [&](int64_t done, int64_t total) {
                              seen.emplace_back(done, total);
                            }};
    EXPECT_TRUE(parallelFor(5, options, [](int64_t) { return success(); }));
    EXPECT_EQ(seen, (std::vector<std::pair<int64_t, int64_t>>{
                        {1, 5}, {2, 5}, {3, 5}, {4, 5}, {5, 5}}));
  }
}

TEST(Parallel, countsThreads) {
  EXPECT_EQ(*threadsOf({3, {}}), 3);
  EXPECT_GE(*threadsOf({}), 1);
  const char *message =
      "expected a number of threads, or 0 for the machine's, found -2";
  EXPECT_EQ(threadsOf({-2, {}}).error(), message);
  EXPECT_EQ(parallelFor(1, {-2, {}}, [](int64_t) { return success(); }).error(),
            message);
}

} // namespace
