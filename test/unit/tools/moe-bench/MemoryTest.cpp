// Tests of large memory.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Memory.h"

#include <gtest/gtest.h>
#include <new>
#include <utility>

using moec::bench::Memory;

namespace {

TEST(Memory, isZeroedAlignedAndLarge) {
  for (size_t size : {size_t(0), size_t(1), size_t(5) << 20}) {
    Memory memory(size);
    EXPECT_EQ(memory.size(), size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.bytes()) % 64, 0u);
    // A vector may be read beyond the end.
    for (size_t i = 0; i < size + 64; i += 63)
      ASSERT_EQ(memory.bytes()[i], 0);
  }
}

TEST(Memory, largeOnesBeginAtHugePages) {
  Memory memory(size_t(3) << 20);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.bytes()) % (2 << 20), 0u);
}

TEST(Memory, moves) {
  Memory first(16);
  first.bytes()[3] = 7;
  Memory second = std::move(first);
  EXPECT_EQ(second.bytes()[3], 7);
  second = Memory(8);
  EXPECT_EQ(second.size(), 8u);
}

TEST(Memory, tooMuchIsSaidByAnException) {
  EXPECT_THROW(Memory(SIZE_MAX - 5), std::bad_alloc);
  EXPECT_THROW(Memory(size_t(1) << 60), std::bad_alloc);
}

} // namespace
