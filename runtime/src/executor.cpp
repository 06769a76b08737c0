// A pool of threads for the parallel loops of compiled code.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// One loop at a time is open. Threads that see it open enter it, are counted while they are inside, and take ranges from a
// shared counter. The caller works too, closes the loop when nothing is left to take, and waits for those inside alone: a
// thread that wakes late finds the loop closed and has delayed nobody.
#include "moert/executor.h"

#include "library.h"
#include "runtime/store/SignalsBlocked.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <sched.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

using moec::runtime::report;

namespace {

using Body = void (*)(void *data, int64_t first, int64_t last);

/// How long a thread looks out for work, or its caller for the others, before it sleeps.
constexpr std::chrono::microseconds patience(40);

/// Ranges for each thread: enough to even out threads of different speed.
constexpr int64_t rangesPerThread = 8;

/// CPUs that this process may run on.
int32_t countCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 1)
    return int32_t(std::max(1u, std::thread::hardware_concurrency()));
  return CPU_COUNT(&set);
}

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// What is open, and who is inside, in one number that changes at once: the loop's number in the upper half, then whether
/// it is open, then how many threads are inside.
constexpr uint64_t oneLoop = uint64_t(1) << 32;
constexpr uint64_t isOpen = uint64_t(1) << 31;
constexpr uint64_t insideMask = isOpen - 1;

uint64_t loopOf(uint64_t state) { return state / oneLoop; }

} // namespace

struct moert_pool {
  moert_executor executor = {};
  pid_t process = getpid();
  bool mayLookOut = false;

  /// The loop; written by its caller while it is closed and empty.
  Body body = nullptr;
  void *data = nullptr;
  int64_t count = 0;
  int64_t range = 0;
  std::atomic<int64_t> next = 0;

  std::atomic<uint64_t> state = 0;
  /// Held by the caller whose loop it is.
  std::atomic<bool> isTaken = false;
  std::atomic<bool> stop = false;
  /// Threads asleep, each about to be, or just woken; and whether the caller is.
  std::atomic<int32_t> asleep = 0;
  std::atomic<bool> callerAsleep = false;
  std::mutex mutex;
  std::condition_variable opened, emptied;
  std::vector<std::thread> threads;

  ~moert_pool() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    opened.notify_all();
    for (std::thread &thread : threads)
      thread.join();
  }

  /// Whether `holds` within the time to look out.
  template <typename Condition> bool lookOut(Condition holds) {
    if (holds())
      return true;
    if (!mayLookOut)
      return false;
    auto end = std::chrono::steady_clock::now() + patience;
    do {
      for (int i = 0; i < 32; ++i) {
        if (holds())
          return true;
        relax();
      }
      // Whom it waits for may be waiting for this CPU.
      std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < end);
    return false;
  }

  void work() {
    int64_t first = next.load(std::memory_order_relaxed);
    while (first < count) {
      int64_t last = count - first > range ? first + range : count;
      if (!next.compare_exchange_weak(first, last, std::memory_order_relaxed))
        continue;
      body(data, first, last);
      first = next.load(std::memory_order_relaxed);
    }
  }

  /// What each thread does until the pool ends.
  void serve() {
    uint64_t seen = 0;
    auto isNew = [&] {
      uint64_t now = state.load();
      return stop.load() || ((now & isOpen) && loopOf(now) != seen);
    };
    while (true) {
      if (!lookOut(isNew)) {
        std::unique_lock lock(mutex);
        asleep.fetch_add(1);
        opened.wait(lock, isNew);
        asleep.fetch_sub(1);
      }
      if (stop.load())
        return;
      uint64_t now = state.load();
      bool isInside = false;
      while ((now & isOpen) && loopOf(now) != seen && !isInside)
        isInside = state.compare_exchange_weak(now, now + 1);
      if (!isInside)
        continue;
      seen = loopOf(now);
      work();
      uint64_t left = state.fetch_sub(1) - 1;
      if ((left & (isOpen | insideMask)) == 0 && callerAsleep.load()) {
        std::lock_guard lock(mutex);
        emptied.notify_all();
      }
    }
  }

  void run(int64_t items, int64_t grain, Body call, void *argument) {
    int64_t sharers = int64_t(threads.size()) + 1;
    int64_t size = std::max({int64_t(1), grain,
                             items / (sharers * rangesPerThread)});
    // Alone: nothing to share, a child of fork(), or a loop that is running already, around this one or elsewhere.
    if (items <= size || sharers == 1 || getpid() != process ||
        isTaken.exchange(true, std::memory_order_acquire)) {
      if (items > 0)
        call(argument, 0, items);
      return;
    }
    body = call;
    data = argument;
    count = items;
    range = size;
    next.store(0, std::memory_order_relaxed);
    state.store((state.load(std::memory_order_relaxed) & ~(oneLoop - 1)) +
                oneLoop + isOpen);
    // Either a thread going to sleep sees the loop, or it is seen here.
    int64_t wanted = (items - 1) / size;
    if (int32_t sleepers = asleep.load(); sleepers > 0) {
      std::lock_guard lock(mutex);
      for (int64_t i = 0; i < std::min<int64_t>(wanted, sleepers); ++i)
        opened.notify_one();
    }
    work();
    auto isEmpty = [&] { return (state.load() & insideMask) == 0; };
    state.fetch_and(~isOpen);
    if (!lookOut(isEmpty)) {
      std::unique_lock lock(mutex);
      callerAsleep = true;
      emptied.wait(lock, isEmpty);
      callerAsleep = false;
    }
    isTaken.store(false, std::memory_order_release);
  }
};

moert_status_t moert_pool_create(int32_t threads, const moert_error_sink *error,
                                 moert_pool **pool) try {
  if (!pool)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_pool_create: expected a place for the pool, found "
                  "null");
  *pool = nullptr;
  if (threads < 0 || threads > MOERT_MAX_THREADS)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_pool_create: expected 0 to " +
                      std::to_string(MOERT_MAX_THREADS) + " threads, found " +
                      std::to_string(threads));
  int32_t cpus = countCpus();
  if (threads == 0)
    threads = std::min(cpus, MOERT_MAX_THREADS);
  auto made = std::make_unique<moert_pool>();
  made->mayLookOut = threads <= cpus;
  made->executor.size = sizeof(moert_executor);
  made->executor.threads = threads;
  made->executor.context = made.get();
  made->executor.parallel_for = [](void *context, int64_t count, int64_t grain,
                                   Body body, void *data) {
    static_cast<moert_pool *>(context)->run(count, grain, body, data);
  };
  moec::store::SignalsBlocked blocked;
  made->threads.reserve(size_t(threads) - 1);
  for (int32_t i = 1; i < threads; ++i) {
    try {
      made->threads.emplace_back([served = made.get()] { served->serve(); });
    } catch (const std::system_error &refusal) {
      return report(error, MOERT_OUT_OF_MEMORY,
                    "moert_pool_create: cannot start thread " +
                        std::to_string(i + 1) + " of " +
                        std::to_string(threads) + ": " + refusal.what());
    }
  }
  *pool = made.release();
  return MOERT_OK;
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_status_t moert_pool_executor(const moert_pool *pool,
                                   const moert_executor **executor) {
  if (!pool || !executor)
    return MOERT_INVALID_ARGUMENT;
  *executor = &pool->executor;
  return MOERT_OK;
}

moert_status_t moert_pool_destroy(moert_pool *pool) {
  // In a child of fork() the threads are the parent's, and what they wait for was copied as it was: neither can be ended,
  // and the memory stays.
  if (pool && pool->process == getpid())
    delete pool;
  return MOERT_OK;
}
