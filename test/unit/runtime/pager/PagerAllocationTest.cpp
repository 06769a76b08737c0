// That a pager allocates nothing once it is open, as the sanitizer counts it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/pager/Pager.h"
#include "test/unit/runtime/store/Records.h"

#include <gtest/gtest.h>

#include <atomic>

// <sanitizer/allocator_interface.h>, which g++ does not have.
extern "C" int __sanitizer_install_malloc_and_free_hooks(
    void (*allocated)(const volatile void *, size_t),
    void (*freed)(const volatile void *));

using namespace moec::pager;

namespace {

std::atomic<uint64_t> allocations = 0;

void count(const volatile void *, size_t) { ++allocations; }
void ignore(const volatile void *) {}

TEST(PagerAllocation, isNoneOnceItIsOpen) {
  moec::store::RecordFile file(std::vector<uint64_t>(12, 5000));
  std::vector<PagedLayer> layers;
  for (size_t i = 0; i < 3; ++i) {
    auto first = file.places.begin() + int64_t(i * 4);
    layers.push_back({"l", {first, first + 4}});
  }
  PagerOptions options;
  options.budgetBytes = 6 * 8192;
  options.predictor = "hint";
  options.eviction = "next_use";
  options.lookahead = 2;
  options.idleSteps = 2;
  options.reading.queue = [](int opened)
      -> moec::weights::Result<std::unique_ptr<moec::store::ReadQueue>> {
    return moec::store::openReadThreads(opened, 2);
  };
  auto pager = Pager::open(file.path, layers, options);
  ASSERT_TRUE(pager) << pager.error();

  ASSERT_NE(__sanitizer_install_malloc_and_free_hooks(count, ignore), 0);
  int *volatile made = new int;
  delete made;
  EXPECT_GT(allocations, 0u);
  std::mt19937 random(3);
  int32_t slots[4], clusters[3];
  uint64_t before = allocations;
  for (int step = 0; step < 200; ++step) {
    (*pager)->beginRequest();
    for (uint32_t layer = 0; layer < 3; ++layer) {
      for (int32_t &cluster : clusters)
        cluster = int32_t(random() % 4);
      (*pager)->hint((layer + 1) % 3, clusters);
      (*pager)->expect(layer, clusters);
      ASSERT_TRUE((*pager)->acquire(layer, clusters, slots));
      (*pager)->release(layer, slots);
    }
  }
  EXPECT_EQ(allocations, before);
  EXPECT_GT((*pager)->statistics().reads, 100u);
}

} // namespace
