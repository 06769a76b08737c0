// Tests of mapped and atomically written files.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/File.h"

#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

using namespace moec::weights;

namespace {

std::span<const uint8_t> bytesOf(const std::string &text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

TEST(File, writesThePartsAndReplacesTheOldFile) {
  moec::test::TemporaryFolder folder;
  std::string path = folder.write("f", "the old one, longer");
  std::string first = "ab", second = "cd";
  std::span<const uint8_t> parts[] = {bytesOf(first), bytesOf(second)};
  ASSERT_TRUE(writeFileAtomically(path, parts));
  Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(file);
  EXPECT_EQ(std::string(file->bytes().begin(), file->bytes().end()), "abcd");
  // No temporary file is left behind.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path), {}),
            1);
}

TEST(File, leavesNothingWhenItCannotBeRenamed) {
  moec::test::TemporaryFolder folder;
  std::filesystem::create_directory(folder.file("taken"));
  std::string text = "x";
  std::span<const uint8_t> parts[] = {bytesOf(text)};
  Status status = writeFileAtomically(folder.file("taken"), parts);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().find("taken: cannot write: "), std::string::npos);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path), {}),
            1);
}

TEST(File, namesWhatIsNotAFile) {
  moec::test::TemporaryFolder folder;
  EXPECT_EQ(MappedFile::open(folder.path).error(),
            folder.path + ": expected a regular file, found a directory");
  EXPECT_EQ(MappedFile::open(folder.file("none")).error(),
            folder.file("none") + ": cannot open: No such file or directory");
  // A pipe without a writer must not be waited for.
  ASSERT_EQ(mkfifo(folder.file("pipe").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open(folder.file("pipe")).error(),
            folder.file("pipe") +
                ": expected a regular file, found a special file");
  std::string text;
  std::span<const uint8_t> parts[] = {bytesOf(text)};
  EXPECT_FALSE(writeFileAtomically(folder.file("no/such/folder"), parts));
}

TEST(File, mapsAnEmptyFile) {
  moec::test::TemporaryFolder folder;
  Result<MappedFile> file = MappedFile::open(folder.write("empty", ""));
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->bytes().empty());
}

} // namespace
