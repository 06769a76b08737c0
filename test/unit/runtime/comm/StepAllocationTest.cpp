// That a step like an earlier one allocates nothing.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/comm/Exchange.h"

#include "test/unit/runtime/comm/Conformance.h"

#include <gtest/gtest.h>

#include <atomic>

// <sanitizer/allocator_interface.h>, which g++ does not have.
extern "C" int __sanitizer_install_malloc_and_free_hooks(
    void (*allocated)(const volatile void *, size_t),
    void (*freed)(const volatile void *));

using namespace moec::test;

namespace {

/// Of all threads while they are counted.
std::atomic<uint64_t> allocations = 0;

void count(const volatile void *, size_t) { ++allocations; }
void ignore(const volatile void *) {}

TEST(StepAllocation, isNoneOnceBuffersHaveGrown) {
  ASSERT_NE(__sanitizer_install_malloc_and_free_hooks(count, ignore), 0);
  std::vector<uint64_t> counted(3);
  auto answers = LocalRanks(3).run([&](moert_communicator &on) -> std::string {
    moec::comm::Exchange exchange(on);
    moec::comm::LayerExchange layer(
        exchange, 0, "l", moec::comm::LayerPlacement::roundRobin(on.ranks));
    std::mt19937 random(uint32_t(on.rank));
    Step step(32, 8, 3, 2, random, [&] { return int32_t(random() % 8); });
    std::string wrong;
    for (int i = 0; i < 6 && wrong.empty(); ++i) {
      if (i == 2) {
        // The ranks are at one place, so that none still makes its buffers.
        on.barrier(on.context, nullptr);
        counted[size_t(on.rank)] = allocations;
        on.barrier(on.context, nullptr);
      }
      wrong = step.run(*layer.view());
    }
    on.barrier(on.context, nullptr);
    counted[size_t(on.rank)] = allocations - counted[size_t(on.rank)];
    on.barrier(on.context, nullptr);
    return wrong;
  });
  EXPECT_EQ(answers, std::vector<std::string>(3));
  EXPECT_EQ(counted, std::vector<uint64_t>(3));
  EXPECT_GT(allocations, 0u);
}

} // namespace
