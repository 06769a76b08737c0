// What the machine can do at best, measured in the run that is judged by it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Machine.h"

#include "tools/moe-bench/Memory.h"

#include <algorithm>
#include <ctime>
#include <fstream>
#include <functional>
#include <sched.h>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace moec::bench {

namespace {

/// Results go here, so that no loop is left out.
volatile float sink;

// Each loop has twelve or more independent sums: an FMA has four or five cycles
// of latency, and two begin in each.
using FmaLoop = double (*)(int64_t rounds);

double plainFmas(int64_t rounds) {
  float sums[16];
  for (int i = 0; i < 16; ++i)
    sums[i] = float(i);
  for (int64_t n = 0; n < rounds; ++n)
    for (float &sum : sums)
      sum = sum * 0.999f + 0.001f;
  for (float sum : sums)
    sink = sum;
  return 2.0 * 16 * double(rounds);
}

using ReadLoop = void (*)(const uint8_t *data, size_t bytes);

void plainRead(const uint8_t *data, size_t bytes) {
  const uint64_t *words = reinterpret_cast<const uint64_t *>(data);
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= bytes / 8; i += 8)
    for (size_t j = 0; j < 8; ++j)
      sums[j] ^= words[i + j];
  uint64_t all = 0;
  for (uint64_t sum : sums)
    all ^= sum;
  sink = float(all & 1);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) double avx2Fmas(int64_t rounds) {
  __m256 sums[12];
  for (int i = 0; i < 12; ++i)
    sums[i] = _mm256_set1_ps(float(i));
  __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
  for (int64_t n = 0; n < rounds; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) {
      sums[i] = _mm256_fmadd_ps(sums[i], factor, term);
      __asm__ volatile("" : "+x"(sums[i]));
    }
  }
  for (__m256 &sum : sums)
    sink = _mm256_cvtss_f32(sum);
  return 2.0 * 12 * 8 * double(rounds);
}

__attribute__((target("avx512f"))) double avx512Fmas(int64_t rounds) {
  __m512 sums[16];
  for (int i = 0; i < 16; ++i)
    sums[i] = _mm512_set1_ps(float(i));
  __m512 factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
  for (int64_t n = 0; n < rounds; ++n) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      sums[i] = _mm512_fmadd_ps(sums[i], factor, term);
      __asm__ volatile("" : "+v"(sums[i]));
    }
  }
  for (__m512 &sum : sums)
    sink = _mm512_cvtss_f32(sum);
  return 2.0 * 16 * 16 * double(rounds);
}

/// Some streams at once, each over its part of blocks of streams * 64 KiB, as
/// kernels read panels of weights; with or without prefetch.
template <int streams, int ahead>
__attribute__((target("avx2"))) void readStreams(const uint8_t *data,
                                                 size_t bytes) {
  constexpr size_t panel = 65536;
  __m256i sums[streams];
  for (__m256i &sum : sums)
    sum = _mm256_setzero_si256();
  for (size_t block = 0; block + streams * panel <= bytes;
       block += streams * panel)
    for (size_t i = 0; i < panel; i += 64) {
#pragma GCC unroll 8
      for (int j = 0; j < streams; ++j) {
        const uint8_t *place = data + block + size_t(j) * panel + i;
        if (ahead > 0)
          _mm_prefetch(reinterpret_cast<const char *>(place + ahead),
                       _MM_HINT_T0);
        const __m256i *words = reinterpret_cast<const __m256i *>(place);
        sums[j] = _mm256_xor_si256(
            sums[j], _mm256_xor_si256(_mm256_loadu_si256(words),
                                      _mm256_loadu_si256(words + 1)));
      }
    }
  for (__m256i &sum : sums)
    sink = float(_mm256_extract_epi32(sum, 0) & 1);
}
#endif

std::vector<FmaLoop> fmaLoops() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return {avx512Fmas, avx2Fmas};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {avx2Fmas};
#endif
  return {plainFmas};
}

std::vector<ReadLoop> readLoops() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2"))
    return {readStreams<1, 0>, readStreams<1, 2048>, readStreams<4, 0>,
            readStreams<4, 2048>, readStreams<8, 2048>};
#endif
  return {plainRead};
}

/// The processors that this program was started with.
const cpu_set_t &startProcessors() {
  static const cpu_set_t set = [] {
    cpu_set_t found;
    CPU_ZERO(&found);
    ::sched_getaffinity(0, sizeof found, &found);
    return found;
  }();
  return set;
}

bool bindTo(int64_t first, int64_t count) {
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  int64_t place = 0;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &startProcessors())) {
      if (place >= first && place < first + count)
        CPU_SET(i, &wanted);
      ++place;
    }
  return CPU_COUNT(&wanted) > 0 &&
         ::sched_setaffinity(0, sizeof wanted, &wanted) == 0;
}

/// The rate of one thread: the best of some rounds.
double bestRate(int rounds, const std::function<double()> &round) {
  double best = 0;
  for (int i = 0; i < rounds; ++i) {
    double start = threadSeconds();
    double amount = round();
    best = std::max(best, amount / std::max(threadSeconds() - start, 1e-9));
  }
  return best;
}

Rates ratesOfThread(uint64_t readBytes) {
  Rates rates;
  for (FmaLoop loop : fmaLoops())
    rates.flopsPerSecond = std::max(rates.flopsPerSecond,
                                    bestRate(8, [&] { return loop(2000000); }));
  Memory memory(readBytes);
  std::fill_n(memory.bytes(), memory.size(), uint8_t(1));
  for (ReadLoop loop : readLoops())
    rates.bytesPerSecond = std::max(rates.bytesPerSecond, bestRate(3, [&] {
                                      loop(memory.bytes(), memory.size());
                                      return double(memory.size());
                                    }));
  return rates;
}

} // namespace

std::string cpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      if (size_t colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return "unknown CPU";
}

uint64_t largestCache() {
  uint64_t largest = 0;
  for (int i = 0; i < 8; ++i) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" +
                       std::to_string(i) + "/size");
    uint64_t size = 0;
    char unit = 0;
    if (file >> size >> unit)
      largest = std::max(largest, size << (unit == 'M' ? 20 : 10));
  }
  return largest > 0 ? largest : uint64_t(32) << 20;
}

std::string vectorInstructions() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return "AVX-512";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return "AVX2";
#endif
  return "plain";
}

Rates measureRates(int64_t threads, uint64_t readBytes) {
  if (threads <= 1)
    return ratesOfThread(readBytes);
  std::vector<Rates> rates{size_t(threads)};
  std::vector<std::thread> running;
  for (size_t i = 0; i < rates.size(); ++i)
    running.emplace_back([&, i] {
      bindTo(int64_t(i), 1);
      rates[i] = ratesOfThread(readBytes);
    });
  Rates sum;
  for (size_t i = 0; i < rates.size(); ++i) {
    running[i].join();
    sum.flopsPerSecond += rates[i].flopsPerSecond;
    sum.bytesPerSecond += rates[i].bytesPerSecond;
  }
  return sum;
}

bool pinThread() { return bindTo(0, 1); }

bool useProcessors(int64_t count) { return bindTo(0, count); }

static double secondsOf(clockid_t clock) {
  timespec time = {};
  ::clock_gettime(clock, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

double threadSeconds() { return secondsOf(CLOCK_THREAD_CPUTIME_ID); }

double wallSeconds() { return secondsOf(CLOCK_MONOTONIC); }

} // namespace moec::bench
