// What queues of reads have in common, for their tests.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_RUNTIME_STORE_READS_H
#define MOEC_TEST_UNIT_RUNTIME_STORE_READS_H

#include "runtime/store/ReadQueue.h"
#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <vector>

namespace moec::store {

/// An open file of so many bytes, each its own number.
class OpenFile {
public:
  explicit OpenFile(size_t bytes) {
    for (size_t i = 0; i < bytes; ++i)
      contents.push_back(char(i * 31 + i / 256));
    path = folder.write("file", contents);
    descriptor = ::open(path.c_str(), O_RDONLY);
  }
  ~OpenFile() { ::close(descriptor); }

  test::TemporaryFolder folder;
  std::string contents, path;
  int descriptor;
};

/// Several reads at a time end, each with its own bytes, however they are ordered.
inline void readSeveral(ReadQueue &queue, const OpenFile &file) {
  constexpr size_t bytes = 700;
  ASSERT_GE(queue.depth(), 4u);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::vector<uint8_t>> buffers(4, std::vector<uint8_t>(bytes));
    for (uint64_t i = 0; i < 4; ++i)
      ASSERT_EQ(queue.begin({i * 600 + uint64_t(round), buffers[i], 100 + i}),
                0);
    std::set<uint64_t> tags;
    for (int i = 0; i < 4; ++i) {
      EndedRead ended = queue.wait();
      ASSERT_EQ(ended.result, int64_t(bytes));
      tags.insert(ended.tag);
    }
    EXPECT_EQ(tags, (std::set<uint64_t>{100, 101, 102, 103}));
    for (uint64_t i = 0; i < 4; ++i)
      EXPECT_EQ(std::string(buffers[i].begin(), buffers[i].end()),
                file.contents.substr(i * 600 + uint64_t(round), bytes));
  }
}

/// What is cut off at the end, and what cannot be read.
inline void readAtTheEnd(ReadQueue &queue, const OpenFile &file) {
  std::vector<uint8_t> buffer(100);
  uint64_t size = file.contents.size();
  ASSERT_EQ(queue.begin({size - 40, buffer, 1}), 0);
  EXPECT_EQ(queue.wait().result, 40);
  ASSERT_EQ(queue.begin({size, buffer, 2}), 0);
  EXPECT_EQ(queue.wait().result, 0);
  ASSERT_EQ(queue.begin({uint64_t(1) << 63, buffer, 3}), 0);
  EndedRead ended = queue.wait();
  EXPECT_EQ(ended.tag, 3u);
  EXPECT_EQ(ended.result, -EINVAL);
}

} // namespace moec::store

#endif // MOEC_TEST_UNIT_RUNTIME_STORE_READS_H
