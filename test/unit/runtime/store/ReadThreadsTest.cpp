// Tests of reads by pread.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/runtime/store/Reads.h"

using namespace moec::store;

namespace {

TEST(ReadThreads, readsSeveral) {
  OpenFile file(10000);
  auto threads = openReadThreads(file.descriptor, 4);
  EXPECT_EQ(threads->name(), "pread");
  readSeveral(*threads, file);
}

TEST(ReadThreads, endsAndErrors) {
  OpenFile file(10000);
  readAtTheEnd(*openReadThreads(file.descriptor, 4), file);
}

TEST(ReadThreads, areLetGoWhileReadsAreUnderWay) {
  OpenFile file(1 << 20);
  std::vector<uint8_t> buffer(1 << 20);
  {
    auto threads = openReadThreads(file.descriptor, 8);
    for (uint64_t i = 0; i < 8; ++i)
      ASSERT_EQ(threads->begin(
                    {i << 17, std::span(buffer).subspan(i << 17, 1 << 17), i}),
                0);
  }
  EXPECT_EQ(std::string(buffer.begin(), buffer.end()), file.contents);
}

} // namespace
