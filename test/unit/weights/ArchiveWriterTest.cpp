// Tests of writing archives: order, threads, interruptions, failing calls.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/ArchiveWriter.h"

#include "test/unit/TemporaryFolder.h"
#include "test/unit/weights/ExampleArchive.h"
#include "weights/Archive.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <set>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

using namespace moec::test;
using namespace moec::weights;

namespace {

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Names in a folder, sorted, with blanks between.
std::string filesIn(const std::string &folder) {
  std::set<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    names.insert(entry.path().filename());
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : " ") + name;
  return text;
}

/// The bytes that an undisturbed run writes.
std::string expectedFile() {
  TemporaryFolder folder;
  EXPECT_TRUE(writeExample(folder.file("a")));
  return readFile(folder.file("a"));
}

TEST(ArchiveWriter, theOrderOfRecordsDoesNotMatter) {
  TemporaryFolder folder;
  std::string path = folder.file("a");
  Result<ArchiveWriter> writer = ArchiveWriter::open(path, exampleArchive());
  ASSERT_TRUE(writer) << writer.error();
  for (size_t i = writer->header().records.size(); i-- > 0;) {
    EXPECT_FALSE(writer->isWritten(i));
    ASSERT_TRUE(writeExampleRecord(*writer, i));
    EXPECT_TRUE(writer->isWritten(i));
  }
  // Nothing has the name before the end.
  EXPECT_EQ(filesIn(folder.path), "a.partial a.partial.journal");
  ASSERT_TRUE(writer->finish());
  EXPECT_EQ(filesIn(folder.path), "a");
  EXPECT_EQ(readFile(path), expectedFile());
}

TEST(ArchiveWriter, threadsWriteDifferentRecords) {
  ArchiveHeader plan;
  for (int i = 0; i < 200; ++i) {
    std::string name = "r" + std::to_string(i);
    plan.records.push_back(
        {name,
         RecordClass::Other,
         {floats(name + ".t", "bf16", Layout::Panel16, {10, 20})}});
  }
  TemporaryFolder folder;
  Result<ArchiveWriter> writer = ArchiveWriter::open(folder.file("a"), plan);
  ASSERT_TRUE(writer);
  std::atomic<size_t> next = 0;
  std::atomic<size_t> failures = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (size_t i; (i = next++) < 200;)
        failures += !writeExampleRecord(*writer, i);
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(failures, 0u);
  ASSERT_TRUE(writer->finish());
  Result<Archive> archive = Archive::open(folder.file("a"));
  ASSERT_TRUE(archive) << archive.error();
  for (const ArchiveRecord &record : archive->records())
    EXPECT_TRUE(archive->verify(record));
}

TEST(ArchiveWriter, goesOnBehindCompleteRecords) {
  TemporaryFolder folder;
  std::string path = folder.write("a", "old");
  {
    Result<ArchiveWriter> writer = ArchiveWriter::open(path, exampleArchive());
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writeExampleRecord(*writer, 0));
    ASSERT_TRUE(writeExampleRecord(*writer, 3));
    ASSERT_TRUE(writeExampleRecord(*writer, 5));
    EXPECT_EQ(writer->finish().error(),
              path + ": expected all records to be written, found "
                     "'layers.0.tables' missing");
  }
  EXPECT_EQ(filesIn(folder.path), "a a.partial a.partial.journal");
  EXPECT_EQ(readFile(path), "old");
  // Of these one is damaged, and the journal ends within a line.
  std::string journal = readFile(path + ".partial.journal");
  folder.write("a.partial.journal", journal + "6 0123456789abc");
  Result<ArchiveWriter> writer = ArchiveWriter::open(path, exampleArchive());
  ASSERT_TRUE(writer);
  EXPECT_TRUE(writer->isWritten(0));
  uint64_t place =
      writer->header().dataOffset + writer->header().records[3].offset;
  {
    ArchiveWriter closed = std::move(*writer);
  }
  std::fstream(path + ".partial",
               std::ios::in | std::ios::out | std::ios::binary)
      .seekp(std::streamoff(place))
      .put('?');
  writer = ArchiveWriter::open(path, exampleArchive());
  ASSERT_TRUE(writer);
  std::string kept;
  for (size_t i = 0; i < writer->header().records.size(); ++i)
    kept += writer->isWritten(i) ? 'x' : '.';
  EXPECT_EQ(kept, "x....x.....");
  // What is complete may come again, if it is the same.
  ASSERT_TRUE(writeExampleRecord(*writer, 0));
  std::vector<StoredTensor> other = exampleRecord(writer->header().records[0]);
  other[0].codes[0] ^= 1;
  std::vector<StoredTensorView> views(other.begin(), other.end());
  EXPECT_EQ(writer->write(0, views).error(),
            path +
                ": record 'layers.0.router': expected the bytes of the run "
                "before, XXH3 " +
                hashText(writer->header().records[0].hash) + ", found " +
                hashText(hash64(other[0].codes)));
  for (size_t i = 0; i < kept.size(); ++i)
    ASSERT_TRUE(writeExampleRecord(*writer, i));
  ASSERT_TRUE(writer->finish());
  EXPECT_EQ(filesIn(folder.path), "a");
  EXPECT_EQ(readFile(path), expectedFile());
}

TEST(ArchiveWriter, everyRunAddsToTheJournal) {
  TemporaryFolder folder;
  for (size_t run = 0; run < 4; ++run) {
    Result<ArchiveWriter> writer =
        ArchiveWriter::open(folder.file("a"), exampleArchive());
    ASSERT_TRUE(writer);
    for (size_t i = 0; i < 4; ++i)
      EXPECT_EQ(writer->isWritten(i), i < run) << run << " " << i;
    ASSERT_TRUE(writeExampleRecord(*writer, run));
  }
}

TEST(ArchiveWriter, anotherPlanStartsAfresh) {
  TemporaryFolder folder;
  std::string path = folder.file("a");
  // Nothing of it may shine through where the other has padding.
  ArchiveHeader full;
  full.records.push_back(
      {"r",
       RecordClass::Other,
       {{"t", {ElementType::U8, Layout::RowMajor, {40000}}, {}, {}}}});
  full.records.push_back(full.records[0]);
  full.records[1].name = full.records[1].tensors[0].name = "s";
  {
    Result<ArchiveWriter> writer = ArchiveWriter::open(path, full);
    ASSERT_TRUE(writer);
    std::vector<uint8_t> ones(40000, 0xFF);
    StoredTensorView view;
    view.codes = ones;
    ASSERT_TRUE(writer->write(0, {&view, 1}));
  }
  Result<ArchiveWriter> writer = ArchiveWriter::open(path, exampleArchive());
  ASSERT_TRUE(writer);
  for (size_t i = 0; i < writer->header().records.size(); ++i) {
    EXPECT_FALSE(writer->isWritten(i));
    ASSERT_TRUE(writeExampleRecord(*writer, i));
  }
  ASSERT_TRUE(writer->finish());
  EXPECT_EQ(readFile(path), expectedFile());
  // A plan that differs in what it was made from alone is another one.
  {
    Result<ArchiveWriter> first = ArchiveWriter::open(path, exampleArchive());
    ASSERT_TRUE(first);
    ASSERT_TRUE(writeExampleRecord(*first, 0));
  }
  ArchiveHeader plan = exampleArchive();
  plan.source.hash = "00fe";
  writer = ArchiveWriter::open(path, plan);
  ASSERT_TRUE(writer);
  EXPECT_FALSE(writer->isWritten(0));
}

TEST(ArchiveWriter, leavesNothingWhenNothingIsComplete) {
  TemporaryFolder folder;
  {
    ASSERT_TRUE(ArchiveWriter::open(folder.file("a"), exampleArchive()));
  }
  EXPECT_EQ(filesIn(folder.path), "");
  {
    Result<ArchiveWriter> writer =
        ArchiveWriter::open(folder.file("a"), exampleArchive());
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writeExampleRecord(*writer, 0));
    writer->discard();
  }
  EXPECT_EQ(filesIn(folder.path), "");
}

TEST(ArchiveWriter, splatsNeedNotBeWritten) {
  TemporaryFolder folder;
  ArchiveHeader plan = exampleArchive();
  // A model of half a terabyte.
  for (ArchiveRecord &record : plan.records)
    for (ArchiveTensor &tensor : record.tensors)
      tensor.splat = 1;
  plan.records[2].tensors[0].form.shape = {1000000, 10000, 32};
  Result<ArchiveWriter> writer = ArchiveWriter::open(folder.file("a"), plan);
  ASSERT_TRUE(writer) << writer.error();
  ASSERT_TRUE(writer->finish());
  EXPECT_LE(std::filesystem::file_size(folder.file("a")), 8192u);
  Result<Archive> archive = Archive::open(folder.file("a"));
  ASSERT_TRUE(archive) << archive.error();
  EXPECT_TRUE(archive->verify(archive->records()[2]));
  // No record at all is an archive too.
  writer = ArchiveWriter::open(folder.file("b"), {});
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->finish());
  EXPECT_TRUE(Archive::open(folder.file("b")));
}

TEST(ArchiveWriter, refusesBytesThatAreNotThePlans) {
  TemporaryFolder folder;
  std::string path = folder.file("a");
  Result<ArchiveWriter> writer = ArchiveWriter::open(path, exampleArchive());
  ASSERT_TRUE(writer);
  std::vector<StoredTensor> stored = exampleRecord(writer->header().records[2]);
  std::vector<StoredTensorView> views(stored.begin(), stored.end());
  std::string where = path + ": record 'layers.0.clusters.0': ";
  EXPECT_EQ(writer->write(2, std::span(views).first(2)).error(),
            where + "expected bytes of tensor 'layers.0.clusters.0.down', "
                    "found none");
  views.push_back({});
  EXPECT_EQ(writer->write(2, views).error(),
            where + "expected bytes of 3 tensors, found 4");
  views.pop_back();
  views[1].scales = views[1].scales.first(10);
  EXPECT_EQ(writer->write(2, views).error(),
            where + "tensor 'layers.0.clusters.0.up.scales': expected 128 "
                    "bytes, found 10");
  EXPECT_FALSE(writer->isWritten(2));
}

TEST(ArchiveWriter, refusesPlacesItCannotWriteTo) {
  TemporaryFolder folder;
  auto refusal = [](const std::string &path) {
    Result<ArchiveWriter> writer = ArchiveWriter::open(path, exampleArchive());
    EXPECT_FALSE(writer);
    return writer.error();
  };
  EXPECT_EQ(refusal(folder.path),
            folder.path +
                ": expected a regular file or none, found a directory");
  std::string path = folder.file("no/a");
  EXPECT_EQ(refusal(path), path + ": cannot create " + path +
                               ".partial: No such file or directory");
  ArchiveHeader plan = exampleArchive();
  plan.records[1].name = "layers.0.router";
  EXPECT_EQ(ArchiveWriter::open("p", plan).error(),
            "p: record 'layers.0.router': expected each record once, found it "
            "twice");
  path = folder.file("a");
  {
    Result<ArchiveWriter> first = ArchiveWriter::open(path, exampleArchive());
    ASSERT_TRUE(first);
    EXPECT_EQ(refusal(path), path + ": expected to write it alone, found " +
                                 path + ".partial in use by another process");
    ASSERT_TRUE(writeExampleRecord(*first, 0));
  }
  // Who is refused removes nothing.
  EXPECT_EQ(filesIn(folder.path), "a.partial a.partial.journal");
  // A user without the right to write; root has every right.
  if (::geteuid() != 0) {
    TemporaryFolder sealed;
    std::filesystem::permissions(sealed.path,
                                 std::filesystem::perms::owner_read |
                                     std::filesystem::perms::owner_exec);
    path = sealed.file("a");
    EXPECT_EQ(refusal(path),
              path + ": cannot create " + path + ".partial: Permission denied");
  }
}

TEST(ArchiveWriter, saysWhatStaysWhenTheDiskIsFull) {
  TemporaryFolder folder;
  std::string path = folder.write("a", "old");
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old;
  getrlimit(RLIMIT_FSIZE, &old);
  auto limit = [&](rlim_t bytes) {
    rlimit limited = {bytes, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limited);
  };
  // No room for the file at all.
  limit(10000);
  Result<ArchiveWriter> none = ArchiveWriter::open(path, exampleArchive());
  limit(old.rlim_cur);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().find(path + ": cannot make a file of "),
            std::string::npos);
  EXPECT_NE(none.error().find(" bytes: File too large"), std::string::npos);
  EXPECT_EQ(filesIn(folder.path), "a");
  // The room ends within a record: the write falls short, the next one fails.
  {
    Result<ArchiveWriter> writer = ArchiveWriter::open(path, exampleArchive());
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writeExampleRecord(*writer, 0));
    limit(rlim_t(writer->header().dataOffset +
                 writer->header().records[2].offset + 100));
    Status status = writeExampleRecord(*writer, 2);
    limit(old.rlim_cur);
    EXPECT_EQ(status.error(),
              path +
                  ": cannot write: File too large (record "
                  "'layers.0.clusters.0'); 1 of 11 records stay in " +
                  path + ".partial for the next run");
  }
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(readFile(path), "old");
  Result<ArchiveWriter> writer = ArchiveWriter::open(path, exampleArchive());
  ASSERT_TRUE(writer);
  EXPECT_TRUE(writer->isWritten(0));
  for (size_t i = 0; i < writer->header().records.size(); ++i)
    ASSERT_TRUE(writeExampleRecord(*writer, i));
  ASSERT_TRUE(writer->finish());
  EXPECT_EQ(readFile(path), expectedFile());
}

/// System calls of which number `failing` fails; writes before it fall short
/// and are interrupted now and then.
struct Faults {
  int failing;
  int count = 0;

  bool fails() { return ++count == failing; }
  FileCalls calls() {
    FileCalls system = FileCalls::system(), calls;
    calls.truncate = [=, this](int file, off_t size) {
      return fails() ? (errno = EIO, -1) : system.truncate(file, size);
    };
    calls.write = [=, this](int file, const void *bytes, size_t size,
                            off_t offset) -> ssize_t {
      if (fails())
        return errno = ENOSPC, -1;
      if (count % 7 == 3)
        return errno = EINTR, -1;
      if (count % 3 == 1 && size > 1)
        size /= 2;
      return system.write(file, bytes, size, offset);
    };
    calls.sync = [=, this](int file) {
      return fails() ? (errno = EIO, -1) : system.sync(file);
    };
    calls.rename = [=, this](const char *from, const char *to) {
      return fails() ? (errno = EACCES, -1) : system.rename(from, to);
    };
    return calls;
  }
};

TEST(ArchiveWriter, aFailureOfAnyCallLeavesTheOldFileAndTheNextRunSucceeds) {
  std::string expected = expectedFile();
  bool hasFailed = true;
  int failing = 1;
  for (; hasFailed; ++failing) {
    ASSERT_LT(failing, 1000);
    TemporaryFolder folder;
    std::string path = folder.write("a", "old");
    Faults faults{failing};
    {
      Result<ArchiveWriter> writer =
          ArchiveWriter::open(path, exampleArchive(), faults.calls());
      Status status = writer ? success() : Status(Error{writer.error()});
      for (size_t i = 0; status && i < writer->header().records.size(); ++i)
        status = writeExampleRecord(*writer, i);
      if (status)
        status = writer->finish();
      hasFailed = !status;
      // Whatever fails is noticed.
      EXPECT_EQ(hasFailed, faults.count >= failing);
      if (hasFailed) {
        EXPECT_EQ(status.error().substr(0, path.size() + 9),
                  path + ": cannot ");
      }
    }
    if (hasFailed) {
      EXPECT_EQ(readFile(path), "old") << failing;
      ASSERT_TRUE(writeExample(path)) << failing;
    }
    ASSERT_EQ(readFile(path), expected) << failing;
    EXPECT_EQ(filesIn(folder.path), "a");
  }
  // It has been through all of them.
  EXPECT_GT(failing, 40);
}

TEST(ArchiveWriter, aWriteThatWritesNothingIsAFailure) {
  TemporaryFolder folder;
  FileCalls calls = FileCalls::system();
  calls.write = [](int, const void *, size_t, off_t) { return ssize_t(0); };
  Result<ArchiveWriter> writer =
      ArchiveWriter::open(folder.file("a"), exampleArchive(), calls);
  ASSERT_FALSE(writer);
  EXPECT_NE(writer.error().find("bytes to be written, found none"),
            std::string::npos);
  EXPECT_EQ(filesIn(folder.path), "");
}

} // namespace
