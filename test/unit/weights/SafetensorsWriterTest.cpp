// Tests of streamed safetensors files: the same bytes as at once, or nothing.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/SafetensorsWriter.h"

#include "test/unit/TemporaryFolder.h"
#include "weights/Safetensors.h"

#include <gtest/gtest.h>

#include <sys/resource.h>

#include <csignal>

using namespace moec::weights;

namespace {

using Bytes = std::vector<uint8_t>;

size_t filesIn(const std::string &folder) {
  return size_t(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(SafetensorsWriter, writesWhatWritingAtOnceDoes) {
  moec::test::TemporaryFolder folder;
  Bytes first = {1, 2, 3, 4, 5, 6, 7, 8}, second = {9, 10, 11};
  std::vector<TensorToWrite> whole = {{"a", ElementType::F32, {2}, first},
                                      {"e", ElementType::I8, {0, 4}, {}},
                                      {"b", ElementType::U8, {3}, second}};
  ASSERT_TRUE(writeSafetensors(folder.file("whole"), whole, {{"k", "v"}}));
  std::vector<TensorToStream> tensors = {{"a", ElementType::F32, {2}},
                                         {"e", ElementType::I8, {0, 4}},
                                         {"b", ElementType::U8, {3}}};
  {
    Result<SafetensorsWriter> writer =
        SafetensorsWriter::open(folder.file("f"), tensors, {{"k", "v"}});
    ASSERT_TRUE(writer) << writer.error();
    ASSERT_TRUE(writer->append(std::span(first).first(5)));
    ASSERT_TRUE(writer->append(std::span(first).last(3)));
    EXPECT_EQ(writer->finish().error(),
              folder.file("f") +
                  ": expected 3 more bytes of tensors, found the end");
    ASSERT_TRUE(writer->append(second));
    EXPECT_EQ(writer->append(second).error(),
              folder.file("f") + ": expected 0 more bytes of tensors, found 3");
    ASSERT_TRUE(writer->finish());
  }
  Result<MappedFile> streamed = MappedFile::open(folder.file("f"));
  Result<MappedFile> expected = MappedFile::open(folder.file("whole"));
  ASSERT_TRUE(streamed && expected);
  EXPECT_EQ(Bytes(streamed->bytes().begin(), streamed->bytes().end()),
            Bytes(expected->bytes().begin(), expected->bytes().end()));
  EXPECT_EQ(filesIn(folder.path), 2u);
}

TEST(SafetensorsWriter, leavesTheOldFileWhenItStops) {
  moec::test::TemporaryFolder folder;
  std::string path = folder.write("f", "old");
  std::vector<TensorToStream> tensors = {{"a", ElementType::U8, {100000}}};
  {
    Result<SafetensorsWriter> writer = SafetensorsWriter::open(path, tensors);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append(Bytes(10)));
  }
  EXPECT_EQ(filesIn(folder.path), 1u);
  EXPECT_EQ(std::filesystem::file_size(path), 3u);
  {
    Result<SafetensorsWriter> writer = SafetensorsWriter::open(path, tensors);
    ASSERT_TRUE(writer);
    // A disk that ends here.
    rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    rlimit small = {50000, old.rlim_max};
    auto handler = std::signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    Status status = writer->append(Bytes(100000));
    setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, handler);
    EXPECT_EQ(status.error(), path + ": cannot write: File too large");
  }
  EXPECT_EQ(filesIn(folder.path), 1u);
  EXPECT_EQ(std::filesystem::file_size(path), 3u);
}

TEST(SafetensorsWriter, refusesWhatCannotBeAFile) {
  moec::test::TemporaryFolder folder;
  auto refusal = [&](std::vector<TensorToStream> tensors) {
    Result<SafetensorsWriter> writer =
        SafetensorsWriter::open(folder.file("f"), tensors);
    EXPECT_FALSE(writer);
    return writer.error().substr(folder.file("f: ").size());
  };
  EXPECT_EQ(refusal({{"a", ElementType::U8, {1}}, {"a", ElementType::U8, {1}}}),
            "tensor 'a': expected each name once, and not __metadata__");
  EXPECT_EQ(refusal({{"a", ElementType::F4, {3}}}),
            "tensor 'a': expected whole bytes, below 2^62 with those before "
            "it, found shape [3] of F4");
  int64_t large = int64_t(1) << 62;
  EXPECT_EQ(
      refusal({{"a", ElementType::U8, {1}}, {"b", ElementType::U8, {large}}}),
      "tensor 'b': expected whole bytes, below 2^62 with those before it, "
      "found shape [4611686018427387904] of U8");
  EXPECT_EQ(SafetensorsWriter::open(folder.file("no/f"), {}).error(),
            folder.file("no/f") +
                ": cannot create a temporary file beside it: No such file or "
                "directory");
  EXPECT_EQ(filesIn(folder.path), 0u);
}

} // namespace
