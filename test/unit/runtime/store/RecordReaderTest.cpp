// Tests of records from disk: whole and right, or an error that names them, whatever fails.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/runtime/store/Records.h"

#include <gtest/gtest.h>

#include <fstream>

using namespace moec::store;
using namespace moec::weights;

namespace {

ReaderOptions byThreads() {
  ReaderOptions options;
  options.queue = [](int file) -> Result<std::unique_ptr<ReadQueue>> {
    return openReadThreads(file, 4);
  };
  options.depth = 4;
  options.chunkBytes = 2 * pageBytes;
  return options;
}

void readAll(const RecordFile &file, const ReaderOptions &options) {
  auto reader = RecordReader::open(file.path, options);
  ASSERT_TRUE(reader) << reader.error();
  for (int round = 0; round < 3; ++round)
    for (const RecordPlace &place : file.places) {
      Pages pages(bufferBytes(place.length) + pageBytes);
      Status status = reader->read(place, pages.all());
      ASSERT_TRUE(status) << status.error();
      EXPECT_EQ(std::string(pages.all().begin(),
                            pages.all().begin() + int64_t(place.length)),
                file.contents.substr(place.offset, place.length));
    }
}

TEST(RecordReader, readsWhatIsThere) {
  RecordFile file({1, 4096, 4097, 0, 100000, 8192, 70000, 5});
  for (unsigned depth : {1u, 3u, 8u})
    for (uint64_t chunk : {pageBytes, 4 * pageBytes, 64 * pageBytes}) {
      ReaderOptions options;
      options.depth = depth;
      options.chunkBytes = chunk;
      readAll(file, options);
      options.queue = byThreads().queue;
      readAll(file, options);
    }
}

TEST(RecordReader, saysWhatItDoesWithout) {
  RecordFile file({10000});
  ReaderOptions options;
  options.queue = [](int) -> Result<std::unique_ptr<ReadQueue>> {
    return Error{"io_uring: refused"};
  };
  auto reader = RecordReader::open(file.path, options);
  ASSERT_TRUE(reader) << reader.error();
  EXPECT_EQ(reader->queueName(), "pread");
  EXPECT_NE(
      reader->notice().find("io_uring: refused: reads by threads instead"),
      std::string::npos);
  readAll(file, options);
}

TEST(RecordReader, bytesThatAreOthers) {
  RecordFile file({5000, 20000});
  file.contents[file.places[1].offset + 19999] ^= 1;
  std::ofstream(file.path, std::ios::binary) << file.contents;
  auto reader = RecordReader::open(file.path);
  Pages pages(20480);
  EXPECT_TRUE(reader->read(file.places[0], pages.all()));
  std::string other = hashText(hash64(
      std::string_view(file.contents).substr(file.places[1].offset, 20000)));
  EXPECT_EQ(reader->read(file.places[1], pages.all()).error(),
            file.messageOf(1, "expected XXH3 " + hashText(file.places[1].hash) +
                                  ", found " + other));
  // Who does not ask is not told.
  ReaderOptions options;
  options.verifies = false;
  EXPECT_TRUE(RecordReader::open(file.path, options)
                  ->read(file.places[1], pages.all()));
}

TEST(RecordReader, filesThatEndOrChange) {
  RecordFile file({5000, 20000});
  auto reader = RecordReader::open(file.path, byThreads());
  ASSERT_TRUE(reader);
  Pages pages(20480);
  ASSERT_TRUE(reader->read(file.places[1], pages.all()));
  ASSERT_EQ(
      ::truncate(file.path.c_str(), int64_t(file.places[1].offset) + 9000), 0);
  EXPECT_EQ(reader->read(file.places[1], pages.all()).error(),
            file.messageOf(1, "the file ends after 9000 of them"));
  // What is still there was read, but it is not the file that was opened.
  EXPECT_EQ(reader->read(file.places[0], pages.all()).error(),
            file.messageOf(0, "the file has changed since it was opened"));
  auto again = RecordReader::open(file.path, byThreads());
  EXPECT_TRUE(again->read(file.places[0], pages.all()));
}

TEST(RecordReader, whatCannotBe) {
  RecordFile file({5000});
  auto open = [&](uint64_t chunk, unsigned depth) {
    ReaderOptions options;
    options.chunkBytes = chunk;
    options.depth = depth;
    return RecordReader::open(file.path, options).error();
  };
  EXPECT_EQ(open(4096, 1), "");
  EXPECT_EQ(open(4096, 0),
            file.path +
                ": expected a depth from 1 and chunks of whole pages of "
                "4096 bytes, found 0 and 4096");
  EXPECT_EQ(open(4097, 1),
            file.path +
                ": expected a depth from 1 and chunks of whole pages of "
                "4096 bytes, found 1 and 4097");
  EXPECT_EQ(RecordReader::open("/nowhere/at all").error(),
            "/nowhere/at all: No such file or directory");
  auto reader = RecordReader::open(file.path);
  Pages pages(12288);
  std::string expected = "expected whole pages of 4096 bytes, in the file and "
                         "in memory, and a buffer of 8192 bytes, found one of ";
  EXPECT_EQ(reader->read(file.places[0], pages.all().first(5000)).error(),
            file.messageOf(0, expected + "5000"));
  EXPECT_EQ(reader->read(file.places[0], pages.all().subspan(8)).error(),
            file.messageOf(0, expected + "12280"));
  RecordPlace odd = file.places[0];
  odd.offset = 512;
  EXPECT_FALSE(reader->read(odd, pages.all()));
}

//===----------------------------------------------------------------------===//
// Faults at every place
//===----------------------------------------------------------------------===//

class RecordReaderUnder : public testing::TestWithParam<Fault> {};

TEST_P(RecordReaderUnder, faultsAtEveryRead) {
  RecordFile file({3000, 70000, 16384});
  int places = 0;
  for (bool hasHappened = true; hasHappened; ++places) {
    hasHappened = false;
    ReaderOptions options;
    options.chunkBytes = 4 * pageBytes;
    options.queue = [&](int opened) -> Result<std::unique_ptr<ReadQueue>> {
      return std::unique_ptr<ReadQueue>(
          new FaultyQueue(opened, GetParam(), places, hasHappened));
    };
    auto reader = RecordReader::open(file.path, options);
    ASSERT_TRUE(reader) << reader.error();
    for (size_t i = 0; i < file.places.size(); ++i) {
      bool before = hasHappened;
      Pages pages(bufferBytes(file.places[i].length));
      Status status = reader->read(file.places[i], pages.all());
      bool isHit = hasHappened && !before;
      if (isHit && !isMended(GetParam())) {
        EXPECT_FALSE(status);
        EXPECT_EQ(status.error().find(file.messageOf(i, "")), 0u)
            << status.error();
        // It is over with what was asked; a reader that is not broken goes on.
        if (GetParam() == Fault::AlwaysTryAgain)
          break;
        continue;
      }
      ASSERT_TRUE(status) << status.error();
      EXPECT_EQ(
          std::string(pages.all().begin(),
                      pages.all().begin() + int64_t(file.places[i].length)),
          file.contents.substr(file.places[i].offset, file.places[i].length));
    }
  }
  // A read for each chunk, and one more round in which nothing happened.
  EXPECT_GE(places, 1 + 5 + 1 + 1);
}

INSTANTIATE_TEST_SUITE_P(
    Each, RecordReaderUnder,
    testing::Values(Fault::RefusedOnce, Fault::InterruptedOnce,
                    Fault::TryAgainOnce, Fault::Short, Fault::ShortOfAPage,
                    Fault::Broken, Fault::BrokenToBegin, Fault::Ends,
                    Fault::Flipped, Fault::AlwaysTryAgain),
    [](const auto &info) { return "fault" + std::to_string(int(info.param)); });

} // namespace
