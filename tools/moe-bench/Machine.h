// What the machine can do at best, measured in the run that is judged by it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_MACHINE_H
#define MOEC_TOOLS_MOE_BENCH_MACHINE_H

#include <cstdint>
#include <string>

namespace moec::bench {

/// Rates of some threads together.
struct Rates {
  double flopsPerSecond = 0;
  double bytesPerSecond = 0;
};

/// "Intel(R) Xeon(R) ...", or "unknown CPU".
std::string cpuName();

/// Bytes of the largest cache that this machine reports; 32 MiB if it does not.
uint64_t largestCache();

/// Vector instructions that the FMA peak is measured with: "AVX-512".
std::string vectorInstructions();

/// The best of some rounds of independent f32 FMAs in registers, and of reading
/// `readBytes` of memory for each thread in streams.
Rates measureRates(int64_t threads, uint64_t readBytes);

/// Keeps this thread on one processor, the first that it may use. False if the
/// system refuses.
bool pinThread();

/// Lets this thread use the first `count` processors of those it started with.
bool useProcessors(int64_t count);

/// Seconds: processor time of this thread, and time of day.
double threadSeconds();
double wallSeconds();

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_MACHINE_H
