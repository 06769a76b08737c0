// Tests of the pool of threads: each item once, whoever calls, and no hang.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

struct Destroy {
  void operator()(moert_pool *pool) const {
    EXPECT_EQ(moert_pool_destroy(pool), MOERT_OK);
  }
};
using Pool = std::unique_ptr<moert_pool, Destroy>;

Pool makePool(int32_t threads) {
  moert_pool *pool = nullptr;
  char text[256] = "";
  moert_error_sink sink = {text, sizeof text};
  EXPECT_EQ(moert_pool_create(threads, &sink, &pool), MOERT_OK) << text;
  return Pool(pool);
}

const moert_executor *executorOf(const Pool &pool) {
  const moert_executor *executor = nullptr;
  EXPECT_EQ(moert_pool_executor(pool.get(), &executor), MOERT_OK);
  return executor;
}

using Function = std::function<void(int64_t, int64_t)>;

void parallelFor(const moert_executor *executor, int64_t count, int64_t grain,
                 Function function) {
  executor->parallel_for(
      executor->context, count, grain,
      [](void *data, int64_t first, int64_t last) {
        (*static_cast<Function *>(data))(first, last);
      },
      &function);
}

/// How often each item was named, which is to be once.
void expectEachOnce(const moert_executor *executor, int64_t count,
                    int64_t grain = 1) {
  std::vector<int> seen(size_t(std::max<int64_t>(count, 0)));
  parallelFor(executor, count, grain, [&](int64_t first, int64_t last) {
    EXPECT_LT(first, last);
    for (int64_t i = first; i < last; ++i)
      ++seen[size_t(i)];
  });
  for (int times : seen)
    ASSERT_EQ(times, 1) << count << " items";
}

TEST(Executor, namesEachItemOnce) {
  for (int32_t threads : {1, 2, 3, 8}) {
    Pool pool = makePool(threads);
    const moert_executor *executor = executorOf(pool);
    EXPECT_EQ(executor->threads, threads);
    EXPECT_EQ(executor->size, sizeof(moert_executor));
    for (int64_t count : {-3, 0, 1, 2, 3, 7, 8, 100, 1001})
      expectEachOnce(executor, count);
  }
}

TEST(Executor, servesManyLoopsOneAfterTheOther) {
  Pool pool = makePool(4);
  const moert_executor *executor = executorOf(pool);
  std::atomic<int64_t> sum = 0;
  for (int round = 0; round < 3000; ++round) {
    parallelFor(executor, 9, 1, [&](int64_t first, int64_t last) {
      sum.fetch_add(last - first, std::memory_order_relaxed);
    });
    ASSERT_EQ(sum, 9 * (round + 1));
    // Long enough for threads to fall asleep, now and then.
    if (round % 500 == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST(Executor, usesTheThreads) {
  Pool pool = makePool(3);
  std::atomic<int> inside = 0;
  std::atomic<bool> all = false;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  parallelFor(executorOf(pool), 3, 1, [&](int64_t, int64_t) {
    if (++inside == 3)
      all = true;
    while (!all && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
  });
  EXPECT_TRUE(all);
}

TEST(Executor, keepsRangesOfTheGrain) {
  Pool pool = makePool(4);
  std::atomic<int> calls = 0;
  parallelFor(executorOf(pool), 100, 40, [&](int64_t first, int64_t last) {
    EXPECT_EQ(first % 40, 0);
    EXPECT_EQ(last, std::min<int64_t>(first + 40, 100));
    ++calls;
  });
  EXPECT_EQ(calls, 3);
  calls = 0;
  for (int64_t grain : {int64_t(100), std::numeric_limits<int64_t>::max()})
    parallelFor(executorOf(pool), 100, grain, [&](int64_t first, int64_t last) {
      EXPECT_EQ(last - first, 100);
      ++calls;
    });
  EXPECT_EQ(calls, 2);
}

TEST(Executor, countsAsFarAsNumbersGo) {
  Pool pool = makePool(2);
  constexpr int64_t most = std::numeric_limits<int64_t>::max();
  std::atomic<uint64_t> sum = 0;
  parallelFor(executorOf(pool), most, most / 2 + 1,
              [&](int64_t first, int64_t last) {
                sum += uint64_t(last) - uint64_t(first);
              });
  EXPECT_EQ(sum, uint64_t(most));
}

TEST(Executor, runsLoopsInsideLoopsAlone) {
  Pool pool = makePool(3);
  const moert_executor *executor = executorOf(pool);
  std::atomic<int> sum = 0;
  parallelFor(executor, 6, 1, [&](int64_t, int64_t) {
    auto caller = std::this_thread::get_id();
    parallelFor(executor, 5, 1, [&](int64_t first, int64_t last) {
      EXPECT_EQ(std::this_thread::get_id(), caller);
      sum += int(last - first);
    });
  });
  EXPECT_EQ(sum, 30);
}

TEST(Executor, servesCallersSideBySide) {
  Pool pool = makePool(2);
  const moert_executor *executor = executorOf(pool);
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round)
        expectEachOnce(executor, 33);
    });
  for (std::thread &caller : callers)
    caller.join();
}

TEST(Executor, takesTheCpusOfTheProcessForZero) {
  Pool pool = makePool(0);
  EXPECT_GE(executorOf(pool)->threads, 1);
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  EXPECT_EQ(executorOf(pool)->threads, CPU_COUNT(&set));
}

TEST(Executor, leavesSignalsToOtherThreads) {
  Pool pool = makePool(2);
  sigset_t mine;
  pthread_sigmask(SIG_SETMASK, nullptr, &mine);
  EXPECT_FALSE(sigismember(&mine, SIGUSR1));
  auto caller = std::this_thread::get_id();
  std::atomic<bool> other = false;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  parallelFor(executorOf(pool), 2, 1, [&](int64_t, int64_t) {
    if (std::this_thread::get_id() != caller) {
      sigset_t its;
      pthread_sigmask(SIG_SETMASK, nullptr, &its);
      EXPECT_TRUE(sigismember(&its, SIGUSR1));
      other = true;
    }
    while (!other && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
  });
  EXPECT_TRUE(other);
}

TEST(Executor, sleepsWithoutWork) {
  Pool pool = makePool(2);
  expectEachOnce(executorOf(pool), 100);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  getrusage(RUSAGE_SELF, &after);
  auto used = [](const rusage &usage) {
    return usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec;
  };
  EXPECT_LT(used(after) - used(before), 100000);
}

TEST(Executor, runsAloneInAChildOfFork) {
  Pool pool = makePool(3);
  const moert_executor *executor = executorOf(pool);
  expectEachOnce(executor, 100);
  // Loops of another thread may be anywhere when the process is copied.
  std::atomic<bool> stop = false;
  std::thread other([&] {
    while (!stop)
      parallelFor(executor, 50, 1, [](int64_t, int64_t) {});
  });
  for (int round = 0; round < 20; ++round) {
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(20);
      int64_t sum = 0;
      auto add = [](void *data, int64_t first, int64_t last) {
        *static_cast<int64_t *>(data) += last - first;
      };
      executor->parallel_for(executor->context, 100, 1, add, &sum);
      moert_pool_destroy(pool.release());
      _exit(sum == 100 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  stop = true;
  other.join();
  expectEachOnce(executor, 100);
}

TEST(Executor, refusesNumbersAndNulls) {
  char text[256] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_pool *pool = nullptr;
  EXPECT_EQ(moert_pool_create(-1, &sink, &pool), MOERT_INVALID_ARGUMENT);
  EXPECT_STREQ(text, "moert_pool_create: expected 0 to 1024 threads, found -1");
  EXPECT_EQ(moert_pool_create(1025, &sink, &pool), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(pool, nullptr);
  EXPECT_EQ(moert_pool_create(1, &sink, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_STREQ(text, "moert_pool_create: expected a place for the pool, found "
                     "null");
  EXPECT_EQ(moert_pool_executor(nullptr, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_pool_destroy(nullptr), MOERT_OK);
}

} // namespace
