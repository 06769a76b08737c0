// Tests of the hashes: known answers, every length that matters, and text.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Hash.h"

#include <gtest/gtest.h>

#include <vector>

using namespace moec::weights;

namespace {

/// The bytes 0, 1, ... 250, 0, ...
std::vector<uint8_t> counting(size_t count) {
  std::vector<uint8_t> bytes(count);
  for (size_t i = 0; i < count; ++i)
    bytes[i] = uint8_t(i % 251);
  return bytes;
}

TEST(Hash, isXxh3) {
  // What `printf abc | xxhsum -H3` and -H2 print.
  EXPECT_EQ(hashText(hash64("")), "2d06800538d394c2");
  EXPECT_EQ(hashText(hash64("abc")), "78af5f94892f3950");
  EXPECT_EQ(hashText(hash128("")), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hashText(hash128("abc")), "06b05ab6733a618578af5f94892f3950");
  EXPECT_EQ(hashText(hash64(counting(100000))), "42c23aeead96750d");
  EXPECT_EQ(hashText(hash128(counting(100000))),
            "54182c58bbb1337c42c23aeead96750d");
}

TEST(Hash, inPiecesIsTheSame) {
  // Lengths around those where XXH3 changes its path: 16, 128, 240, 256, 1024.
  for (size_t length : {0, 1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 255, 256,
                        257, 1023, 1024, 1025, 5000}) {
    std::vector<uint8_t> bytes = counting(length);
    StreamingHash whole, single;
    whole.update(bytes);
    for (size_t i = 0; i < length; ++i)
      single.update(std::span(bytes).subspan(i, 1));
    EXPECT_EQ(whole.digest64(), hash64(bytes)) << length;
    EXPECT_EQ(whole.digest128(), hash128(bytes)) << length;
    EXPECT_EQ(single.digest64(), hash64(bytes)) << length;
    EXPECT_EQ(single.digest128(), hash128(bytes)) << length;
  }
}

TEST(Hash, streamsGoOnAndStartAgain) {
  StreamingHash hash;
  hash.update("");
  EXPECT_EQ(hash.digest64(), hash64(""));
  hash.update("ab");
  EXPECT_EQ(hash.digest64(), hash64("ab"));
  hash.update("c");
  EXPECT_EQ(hash.digest64(), hash64("abc"));
  StreamingHash moved = std::move(hash);
  EXPECT_EQ(moved.digest128(), hash128("abc"));
  moved.reset();
  EXPECT_EQ(moved.digest128(), hash128(""));
}

TEST(Hash, textAndBack) {
  EXPECT_EQ(hashText(uint64_t(0x1F)), "000000000000001f");
  EXPECT_EQ(hashText(Hash128{1, 2}), "00000000000000010000000000000002");
  EXPECT_EQ(hash64FromText("0123456789abcdef"), 0x0123456789ABCDEFu);
  EXPECT_EQ(hash64FromText("ffffffffffffffff"), ~uint64_t(0));
  EXPECT_EQ(hash128FromText("0123456789abcdef000000000000000a"),
            (Hash128{0x0123456789ABCDEFu, 10}));
  // One spelling only: no capitals, signs, blanks, nor other lengths.
  for (const char *text :
       {"", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF",
        "+123456789abcdef", " 123456789abcdef", "0123456789abcdeg"})
    EXPECT_FALSE(hash64FromText(text)) << text;
  for (const char *text :
       {"0123456789abcdef", "0123456789abcdef000000000000000",
        "g123456789abcdef000000000000000a", "0123456789abcdef000000000000000g"})
    EXPECT_FALSE(hash128FromText(text)) << text;
}

} // namespace
