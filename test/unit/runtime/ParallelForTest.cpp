// Tests of what compiled code calls for a parallel loop.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/abi.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace {

using Range = std::array<int64_t, 2>;

void note(void *data, int64_t first, int64_t last) {
  static_cast<std::vector<Range> *>(data)->push_back({first, last});
}

struct Asked {
  int64_t count = -1, grain = -1;
};

/// Notes what it was asked for, and splits after the first item.
void inTwo(void *context, int64_t count, int64_t grain,
           void (*body)(void *, int64_t, int64_t), void *data) {
  *static_cast<Asked *>(context) = {count, grain};
  body(data, 0, 1);
  body(data, 1, count);
}

TEST(ParallelFor, callsTheBodyOnceWithoutThreadsToShareWith) {
  Asked asked;
  moert_executor alone = {sizeof(moert_executor), 1, &asked, inTwo};
  for (const moert_executor *executor :
       {static_cast<const moert_executor *>(nullptr),
        static_cast<const moert_executor *>(&alone)}) {
    std::vector<Range> ranges;
    moert_parallel_for(executor, 7, 1, note, &ranges);
    EXPECT_EQ(ranges, (std::vector<Range>{{0, 7}}));
  }
  EXPECT_EQ(asked.count, -1);
}

TEST(ParallelFor, callsTheExecutorForTwoItemsOrMore) {
  Asked asked;
  moert_executor executor = {sizeof(moert_executor), 2, &asked, inTwo};
  std::vector<Range> ranges;
  moert_parallel_for(&executor, 1, 3, note, &ranges);
  EXPECT_EQ(ranges, (std::vector<Range>{{0, 1}}));
  EXPECT_EQ(asked.count, -1);
  ranges.clear();
  moert_parallel_for(&executor, 5, 3, note, &ranges);
  EXPECT_EQ(ranges, (std::vector<Range>{{0, 1}, {1, 5}}));
  EXPECT_EQ(asked.count, 5);
  EXPECT_EQ(asked.grain, 3);
}

TEST(ParallelFor, doesNothingForNoItems) {
  std::vector<Range> ranges;
  moert_parallel_for(nullptr, 0, 1, note, &ranges);
  moert_parallel_for(nullptr, -4, 1, note, &ranges);
  EXPECT_TRUE(ranges.empty());
}

} // namespace
