// Tests of reads by io_uring.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/runtime/store/Reads.h"

using namespace moec::store;

namespace {

TEST(ReadRing, readsSeveral) {
  OpenFile file(10000);
  auto ring = openReadRing(file.descriptor, 4);
  if (!ring)
    GTEST_SKIP() << ring.error();
  EXPECT_EQ((*ring)->name(), "io_uring");
  readSeveral(**ring, file);
}

TEST(ReadRing, endsAndErrors) {
  OpenFile file(10000);
  auto ring = openReadRing(file.descriptor, 4);
  if (!ring)
    GTEST_SKIP() << ring.error();
  readAtTheEnd(**ring, file);
}

TEST(ReadRing, isLetGoWhileReadsAreUnderWay) {
  OpenFile file(1 << 20);
  std::vector<uint8_t> buffer(1 << 20);
  {
    auto ring = openReadRing(file.descriptor, 8);
    if (!ring)
      GTEST_SKIP() << ring.error();
    for (uint64_t i = 0; i < 8; ++i)
      ASSERT_EQ((*ring)->begin(
                    {i << 17, std::span(buffer).subspan(i << 17, 1 << 17), i}),
                0);
  }
  EXPECT_EQ(std::string(buffer.begin(), buffer.end()), file.contents);
}

TEST(ReadRing, isRefused) {
  // No ring has no entries.
  EXPECT_EQ(openReadRing(0, 0).error(), "io_uring: Invalid argument");
}

} // namespace
