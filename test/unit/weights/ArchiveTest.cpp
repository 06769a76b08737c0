// Tests of archives as they are read, and of every flipped byte.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Archive.h"

#include "test/unit/TemporaryFolder.h"
#include "test/unit/weights/ExampleArchive.h"
#include "weights/Safetensors.h"

#include <gtest/gtest.h>

using namespace moec::test;
using namespace moec::weights;

namespace {

std::string readFile(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  EXPECT_TRUE(file) << file.error();
  return std::string(file->bytes().begin(), file->bytes().end());
}

/// The first record that does not verify, with its message.
std::string verifyAll(const Archive &archive) {
  for (const ArchiveRecord &record : archive.records())
    if (Status status = archive.verify(record); !status)
      return status.error();
  return "";
}

TEST(Archive, readsBackWhatWasWritten) {
  TemporaryFolder folder;
  std::string path = folder.file("a.moec");
  Status written = writeExample(path);
  ASSERT_TRUE(written) << written.error();
  Result<Archive> archive = Archive::open(path);
  ASSERT_TRUE(archive) << archive.error();
  EXPECT_EQ(archive->header().source, exampleArchive().source);
  EXPECT_EQ(archive->header().layoutHash, exampleArchive().layoutHash);
  ASSERT_EQ(archive->records().size(), exampleArchive().records.size());
  EXPECT_EQ(verifyAll(*archive), "");
  for (const ArchiveRecord &record : archive->records()) {
    EXPECT_EQ(archive->findRecord(record.name), &record);
    EXPECT_EQ(archive->fileOffset(record) % 4096, 0u);
    std::vector<StoredTensor> stored = exampleRecord(record);
    size_t next = 0;
    for (const ArchiveTensor &tensor : record.tensors) {
      EXPECT_EQ(archive->findTensor(tensor.name), &tensor);
      EXPECT_EQ(archive->recordOf(tensor), &record);
      if (!tensor.form.encoding()) {
        EXPECT_EQ(*archive->decodeIntegers(tensor),
                  tensor.splat ? (std::vector<int64_t>{2, 2, 2, 2})
                               : (std::vector<int64_t>{0, 1, 1, 0}));
        EXPECT_FALSE(archive->decode(tensor));
        next += !tensor.splat;
        continue;
      }
      Result<std::vector<float>> values = archive->decode(tensor);
      ASSERT_TRUE(values) << values.error();
      EXPECT_FALSE(archive->decodeIntegers(tensor));
      StoredTensorView bytes = archive->bytes(tensor);
      if (tensor.splat) {
        EXPECT_EQ(*values, std::vector<float>(16, 0.5f));
        EXPECT_TRUE(bytes.codes.empty());
        continue;
      }
      EXPECT_EQ(*values, *loadFloats(tensor.form, stored[next]));
      EXPECT_EQ(std::vector<uint8_t>(bytes.codes.begin(), bytes.codes.end()),
                stored[next].codes);
      EXPECT_EQ(std::vector<uint8_t>(bytes.scales.begin(), bytes.scales.end()),
                stored[next].scales);
      EXPECT_EQ(std::vector<uint8_t>(bytes.zeroPoints.begin(),
                                     bytes.zeroPoints.end()),
                stored[next].zeroPoints);
      ++next;
    }
  }
  EXPECT_EQ(archive->findRecord("layers.0"), nullptr);
  EXPECT_EQ(archive->findTensor("layers.0.clusters.0"), nullptr);
}

TEST(Archive, isASafetensorsFile) {
  TemporaryFolder folder;
  std::string path = folder.file("a.moec");
  ASSERT_TRUE(writeExample(path));
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  ASSERT_TRUE(file) << file.error();
  const TensorRecord *router = file->find("layers.0.router.weight");
  ASSERT_NE(router, nullptr);
  EXPECT_EQ(router->type, ElementType::F32);
  EXPECT_EQ(router->shape, (std::vector<int64_t>{8, 4}));
  EXPECT_EQ(router->begin, 0u);
  ASSERT_NE(file->find("layers.0.experts.3.gate.b.scales"), nullptr);
  ASSERT_NE(file->find("__pad__.0"), nullptr);
  EXPECT_EQ(file->find("__pad__.0")->begin, 128u);
  EXPECT_EQ(file->find("__pad__.0")->end, 4096u);
  EXPECT_EQ(file->find("layers.0.prototypes"), nullptr);
}

TEST(Archive, everyFlippedByteOfDataIsFound) {
  TemporaryFolder folder;
  ASSERT_TRUE(writeExample(folder.file("a.moec")));
  std::string good = readFile(folder.file("a.moec"));
  Result<Archive> archive = Archive::open(folder.file("a.moec"));
  ASSERT_TRUE(archive);
  uint64_t start = archive->header().dataOffset;
  // In one file that is written to while it is mapped, which Linux shows: a
  // file for each flip would take long.
  std::string path = folder.write("b.moec", good);
  Result<Archive> damaged = Archive::open(path);
  ASSERT_TRUE(damaged);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  for (size_t i = start; i < good.size(); ++i) {
    file.seekp(std::streamoff(i)).put(char(good[i] ^ (1 << i % 8))).flush();
    std::string message = verifyAll(*damaged);
    ASSERT_NE(message, "") << i;
    // It names the record that has the byte, or that it pads.
    const ArchiveRecord *owner = nullptr;
    for (const ArchiveRecord &record : damaged->records())
      if (record.length && damaged->fileOffset(record) <= i)
        owner = &record;
    ASSERT_NE(message.find("record '" + owner->name + "' at " +
                           std::to_string(damaged->fileOffset(*owner)) + " ("),
              std::string::npos)
        << i << message;
    file.seekp(std::streamoff(i)).put(good[i]).flush();
  }
  EXPECT_EQ(verifyAll(*damaged), "");
}

TEST(Archive, saysWhatVerifyExpectedAndFound) {
  TemporaryFolder folder;
  std::string path = folder.file("a.moec");
  ASSERT_TRUE(writeExample(path));
  std::string good = readFile(path);
  ArchiveHeader header = *parseArchive(
      "f", {reinterpret_cast<const uint8_t *>(good.data()), good.size()});
  std::string bad = good;
  bad[header.dataOffset] ^= 1;
  Result<Archive> archive = Archive::open(folder.write("b", bad));
  ASSERT_TRUE(archive);
  EXPECT_EQ(verifyAll(*archive),
            folder.file("b") + ": record 'layers.0.router' at " +
                std::to_string(header.dataOffset) +
                " (128 bytes): expected XXH3 " +
                hashText(header.records[0].hash) + ", found " +
                hashText(hash64(
                    std::string_view(bad).substr(header.dataOffset, 128))));
  bad = good;
  bad[header.dataOffset + 200] = 3;
  archive = Archive::open(folder.write("c", bad));
  ASSERT_TRUE(archive);
  EXPECT_EQ(verifyAll(*archive),
            folder.file("c") + ": record 'layers.0.router' at " +
                std::to_string(header.dataOffset) +
                " (128 bytes): expected zeros as padding, found 3 at " +
                std::to_string(header.dataOffset + 200));
}

TEST(Archive, everyFlippedByteOfTheHeaderIsAnErrorOrMeansTheSame) {
  TemporaryFolder folder;
  ASSERT_TRUE(writeExample(folder.file("a.moec")));
  std::string file = readFile(folder.file("a.moec"));
  std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t *>(file.data()),
                                 file.size());
  Result<ArchiveHeader> good = parseArchive("f", bytes);
  ASSERT_TRUE(good) << good.error();
  size_t refused = 0, same = 0;
  size_t end = file.find_last_of('}', good->dataOffset);
  // Of the blanks that pad it, a few are as good as all.
  for (size_t i = 0; i < good->dataOffset; i += i < end + 8 ? 1 : 61)
    for (int flip : {1 << i % 8, 255}) {
      char old = file[i];
      file[i] = char(old ^ flip);
      if (Result<ArchiveHeader> header = parseArchive("f", bytes)) {
        EXPECT_EQ(*header, *good) << i << " " << flip;
        ++same;
      } else {
        EXPECT_NE(header.error(), "");
        ++refused;
      }
      file[i] = old;
    }
  // Blanks and the numbers of paddings are all that may change.
  EXPECT_GT(refused, same);
}

TEST(Archive, refusesEveryShorterFile) {
  TemporaryFolder folder;
  ASSERT_TRUE(writeExample(folder.file("a.moec")));
  std::string file = readFile(folder.file("a.moec"));
  for (size_t length = 0; length < file.size();
       length += length < 5000 ? 7 : 1001)
    EXPECT_FALSE(parseArchive(
        "f", {reinterpret_cast<const uint8_t *>(file.data()), length}))
        << length;
}

TEST(Archive, saysWhyItCannotBeOpened) {
  TemporaryFolder folder;
  std::string none = folder.file("none");
  EXPECT_EQ(Archive::open(none).error(),
            none + ": cannot open: No such file or directory");
  std::vector<uint8_t> data = {1};
  std::vector<TensorToWrite> one = {{"a", ElementType::U8, {1}, data}};
  std::string plain = folder.file("plain.safetensors");
  ASSERT_TRUE(writeSafetensors(plain, one));
  EXPECT_EQ(Archive::open(plain).error(),
            plain + ": expected a weight archive, found a safetensors file "
                    "without moec.archive in its __metadata__");
}

} // namespace
