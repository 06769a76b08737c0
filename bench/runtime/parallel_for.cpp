// How long a parallel loop takes to begin and end, and how arithmetic scales: runtime-parallel-for [THREADS].
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/executor.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;

static double microsecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start)
      .count();
}

static void nothing(void *, int64_t, int64_t) {}

/// Microseconds of loops without work, each `pause` behind the one before; sorted.
static std::vector<double> latencies(const moert_executor *executor, int rounds,
                                     std::chrono::microseconds pause) {
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    if (pause.count() > 0)
      std::this_thread::sleep_for(pause);
    auto start = Clock::now();
    executor->parallel_for(executor->context, executor->threads, 1, nothing,
                           nullptr);
    times.push_back(microsecondsSince(start));
  }
  std::sort(times.begin(), times.end());
  return times;
}

static void printLatencies(const char *what, const std::vector<double> &times) {
  std::printf("%-34s median %7.2f us, 90 %% %7.2f us, 99 %% %7.2f us\n", what,
              times[times.size() / 2], times[times.size() * 9 / 10],
              times[times.size() * 99 / 100]);
}

/// Multiply-adds that fit into registers: nothing but arithmetic is measured.
struct Arithmetic {
  int64_t steps;
  volatile float sink = 0;
};
static void multiplyAdd(void *data, int64_t first, int64_t last) {
  auto &work = *static_cast<Arithmetic *>(data);
  constexpr int chains = 32;
  float sums[chains];
  std::fill(sums, sums + chains, float(first));
  for (int64_t i = first; i < last; ++i)
    for (int64_t step = 0; step < work.steps; ++step)
      for (float &sum : sums)
        sum = sum * 0.999f + 0.5f;
  float all = 0;
  for (float sum : sums)
    all += sum;
  work.sink = all;
}

/// Microseconds of a loop of 64 tasks.
static double timeArithmetic(const moert_executor *executor, int64_t steps) {
  Arithmetic work{steps};
  auto start = Clock::now();
  executor->parallel_for(executor->context, 64, 1, multiplyAdd, &work);
  return microsecondsSince(start);
}

static moert_pool *makePool(int32_t threads, const moert_executor **executor) {
  char text[256] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_pool *pool = nullptr;
  if (moert_pool_create(threads, &sink, &pool) != MOERT_OK) {
    std::fprintf(stderr, "%s\n", text);
    std::exit(1);
  }
  moert_pool_executor(pool, executor);
  return pool;
}

int main(int argc, char **argv) {
  const moert_executor *alone = nullptr, *together = nullptr;
  moert_pool *one = makePool(1, &alone);
  moert_pool *many = makePool(argc > 1 ? std::atoi(argv[1]) : 2, &together);
  std::printf("%d threads\n", int(together->threads));

  latencies(together, 1000, std::chrono::microseconds(0));
  printLatencies("loops one after the other:",
                 latencies(together, 20000, std::chrono::microseconds(0)));
  printLatencies("20 us apart (others look out):",
                 latencies(together, 2000, std::chrono::microseconds(20)));
  printLatencies("2 ms apart (others sleep):",
                 latencies(together, 500, std::chrono::microseconds(2000)));

  for (int64_t steps : {100, 1000, 10000, 100000}) {
    // Turn by turn, so that other work on the machine meets both; the best of each.
    double single = 1e30, shared = 1e30;
    auto start = Clock::now();
    for (int round = 0; round < 25 || microsecondsSince(start) < 1e6; ++round) {
      single = std::min(single, timeArithmetic(alone, steps));
      shared = std::min(shared, timeArithmetic(together, steps));
    }
    std::printf("64 tasks, %9.1f us alone, %9.1f us shared: ratio %.2f\n",
                single, shared, single / shared);
  }
  moert_pool_destroy(many);
  moert_pool_destroy(one);
}
