// Tests of memory for equally long records.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/pager/SlotMemory.h"

#include <gtest/gtest.h>

#include <sys/mman.h>

#include <cstring>
#include <string>

using namespace moec::pager;

namespace {

constexpr uint64_t slotBytes = uint64_t(1) << 20;

/// How many pages of a slot are in memory.
size_t residentPages(const SlotMemory &memory, uint32_t slot) {
  std::vector<unsigned char> pages(slotBytes / 4096);
  EXPECT_EQ(::mincore(memory.slot(slot).data(), slotBytes, pages.data()), 0);
  size_t count = 0;
  for (unsigned char page : pages)
    count += page & 1;
  return count;
}

TEST(SlotMemory, isResidentWhereItWasWritten) {
  auto memory = SlotMemory::reserve(slotBytes, 3);
  ASSERT_TRUE(memory) << memory.error();
  EXPECT_EQ(memory->count(), 3u);
  EXPECT_EQ(memory->slotBytes(), slotBytes);
  EXPECT_EQ(uintptr_t(memory->data()) % 4096, 0u);
  // Huge pages would have neighbours, too.
  ::madvise(memory->data(), 3 * slotBytes, MADV_NOHUGEPAGE);
  for (uint32_t slot : {0u, 2u, 2u}) {
    std::memset(memory->slot(slot).data(), 7, slotBytes);
    memory->noteWritten(slot, true);
  }
  EXPECT_EQ(memory->residentBytes(), 2 * slotBytes);
  EXPECT_EQ(residentPages(*memory, 1), 0u);
  EXPECT_EQ(residentPages(*memory, 2), slotBytes / 4096);
  EXPECT_EQ(memory->slot(1)[5], 0);

  memory->giveBack(2);
  EXPECT_EQ(residentPages(*memory, 2), 0u);
  memory->noteWritten(2, false);
  memory->noteWritten(2, false);
  EXPECT_EQ(memory->residentBytes(), slotBytes);
  EXPECT_EQ(memory->slot(2)[5], 0);
  EXPECT_EQ(memory->slot(0)[5], 7);
}

TEST(SlotMemory, saysThatThereAreNoAddresses) {
  auto memory = SlotMemory::reserve(uint64_t(1) << 40, 1 << 20);
  EXPECT_EQ(memory.error(), "1048576 slots of 1099511627776 bytes: Cannot "
                            "allocate memory");
}

} // namespace
