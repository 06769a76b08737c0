// Tests of what is measured of the machine: that it is something, not how much.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Machine.h"

#include <gtest/gtest.h>
#include <sched.h>

using namespace moec::bench;

namespace {

TEST(Machine, names) {
  EXPECT_FALSE(cpuName().empty());
  EXPECT_FALSE(vectorInstructions().empty());
  EXPECT_GT(largestCache(), 0u);
}

TEST(Machine, ratesOfOneAndTwoThreads) {
  for (int64_t threads : {1, 2}) {
    Rates rates = measureRates(threads, 1 << 20);
    EXPECT_GT(rates.flopsPerSecond, 0);
    EXPECT_GT(rates.bytesPerSecond, 0);
  }
}

TEST(Machine, clocksGoForward) {
  double thread = threadSeconds(), wall = wallSeconds();
  (void)measureRates(1, 1 << 20);
  EXPECT_GT(threadSeconds(), thread);
  EXPECT_GT(wallSeconds(), wall);
}

TEST(Machine, pinning) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_TRUE(pinThread());
  cpu_set_t pinned;
  ASSERT_EQ(::sched_getaffinity(0, sizeof pinned, &pinned), 0);
  EXPECT_EQ(CPU_COUNT(&pinned), 1);
  // Asking for more than there are gives those there are.
  EXPECT_TRUE(useProcessors(CPU_COUNT(&before) + 1));
  ASSERT_EQ(::sched_getaffinity(0, sizeof pinned, &pinned), 0);
  EXPECT_TRUE(CPU_EQUAL(&pinned, &before));
  EXPECT_FALSE(useProcessors(0));
}

} // namespace
