// Tests of layouts: where elements go, padding, and the way back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Layout.h"

#include <gtest/gtest.h>

using namespace moec::weights;

namespace {

using Bytes = std::vector<uint8_t>;

Bytes counting(size_t count) {
  Bytes bytes(count);
  for (size_t i = 0; i < count; ++i)
    bytes[i] = uint8_t(i * 7 + i / 256 + 1);
  return bytes;
}

TEST(Layout, panel16IsPanelsOfSixteenColumns) {
  // Element (e, k, n) lies at [e][n/16][k][n%16].
  MatrixShape shape{2, 3, 20};
  for (int64_t elementBytes : {1, 2, 4}) {
    Bytes source = counting(size_t(2 * 3 * 20 * elementBytes));
    Result<Bytes> packed = pack(Layout::Panel16, shape, elementBytes, source);
    ASSERT_TRUE(packed) << packed.error();
    ASSERT_EQ(packed->size(), size_t(2 * 2 * 3 * 16 * elementBytes));
    for (int64_t e = 0; e < 2; ++e)
      for (int64_t k = 0; k < 3; ++k)
        for (int64_t n = 0; n < 32; ++n)
          for (int64_t b = 0; b < elementBytes; ++b) {
            int64_t to = (((e * 2 + n / 16) * 3 + k) * 16 + n % 16);
            uint8_t expected =
                n < 20
                    ? source[size_t(((e * 3 + k) * 20 + n) * elementBytes + b)]
                    : 0;
            ASSERT_EQ((*packed)[size_t(to * elementBytes + b)], expected)
                << e << " " << k << " " << n;
          }
    Result<Bytes> back = unpack(Layout::Panel16, shape, elementBytes, *packed);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, source);
  }
}

TEST(Layout, roundTripsAtAllTails) {
  for (Layout layout : {Layout::RowMajor, Layout::Panel16})
    for (int64_t cols : {0, 1, 15, 16, 17, 32, 33})
      for (int64_t rows : {0, 1, 5}) {
        MatrixShape shape{2, rows, cols};
        Bytes source = counting(size_t(2 * rows * cols * 2));
        Result<Bytes> packed = pack(layout, shape, 2, source);
        ASSERT_TRUE(packed);
        EXPECT_EQ(packed->size(), *packedBytes(layout, shape, 2));
        EXPECT_EQ(*unpack(layout, shape, 2, *packed), source);
      }
}

TEST(Layout, paddingIsNotRead) {
  MatrixShape shape{1, 1, 1};
  Bytes packed = *pack(Layout::Panel16, shape, 1, Bytes{9});
  EXPECT_EQ(packed, (Bytes{9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  packed[1] = 77;
  EXPECT_EQ(*unpack(Layout::Panel16, shape, 1, packed), Bytes{9});
}

TEST(Layout, rowMajorIsACopy) {
  Bytes source = counting(24);
  EXPECT_EQ(*pack(Layout::RowMajor, {1, 2, 3}, 4, source), source);
}

TEST(Layout, refusesWhatItCannot) {
  EXPECT_EQ(pack(Layout::Vnni2, {1, 1, 1}, 1, Bytes(1)).error(),
            "layout vnni2 is not supported yet; expected row_major or panel16");
  EXPECT_EQ(unpack(Layout::WgmmaAFrag, {1, 1, 1}, 1, Bytes(1)).error(),
            "layout wgmma_a_frag is not supported yet; expected row_major or "
            "panel16");
  EXPECT_EQ(pack(Layout::Panel16, {1, 1, 1}, 3, Bytes(3)).error(),
            "expected elements of 1, 2 or 4 bytes, found 3");
  EXPECT_EQ(pack(Layout::Panel16, {1, 2, 2}, 2, Bytes(7)).error(),
            "expected 8 bytes to pack, found 7");
  EXPECT_EQ(unpack(Layout::Panel16, {1, 2, 2}, 2, Bytes(8)).error(),
            "expected 64 bytes of layout panel16, found 8");
  EXPECT_EQ(pack(Layout::Panel16, {1, -2, 2}, 2, Bytes(7)).error(),
            "expected a shape [entries, rows, columns] of at most 2^63 bytes, "
            "found [1, -2, 16]");
  EXPECT_FALSE(packedBytes(Layout::Panel16, {1, 2, INT64_MAX}, 4));
}

TEST(Layout, namesGoThereAndBack) {
  for (int i = 0; i <= int(Layout::WgmmaAFrag); ++i)
    EXPECT_EQ(layoutFromName(layoutName(Layout(i))), Layout(i));
  EXPECT_EQ(layoutFromName("panel32"), std::nullopt);
}

} // namespace
