// Tests of regrouping: there and back, what is refused, and every interruption.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Regrouping.h"

#include "test/unit/TemporaryFolder.h"
#include "test/unit/weights/ClusteredArchive.h"
#include "weights/Archive.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

using namespace moec::test;
using namespace moec::weights;

namespace {

// Numbered by their lowest member, as clusters are. The second cluster has the
// same members in both.
const Table tableA = {0, 1, 1, 0, 2, 2, 0, 0};
const Table tableB = {0, 1, 1, 2, 2, 0, 0, 2};

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class RegroupingTest : public testing::Test {
protected:
  RegroupingTest() { options.minGain = 0.05; }

  void write() { example.write(a, tableA); }

  Result<RegroupReport> regroup(const std::string &from, const Profile &traffic,
                                const std::string &to) {
    auto made = Regrouper::create(originals, options);
    EXPECT_TRUE(made) << made.error();
    return made->regroup(from, traffic, to);
  }
  /// One that succeeds.
  RegroupReport regrouped(const std::string &from, const Table &table,
                          const std::string &to) {
    auto report = regroup(from, example.traffic(table), to);
    EXPECT_TRUE(report) << report.error();
    return report ? *report : RegroupReport();
  }
  void expectRefused(const std::string &message) {
    auto report = regroup(a, example.traffic(tableB), b);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error(), message);
    EXPECT_FALSE(std::filesystem::exists(b));
    EXPECT_FALSE(std::filesystem::exists(b + ".partial"));
  }
  Table tableIn(const std::string &path, const std::string &tensor) {
    Result<Archive> archive = Archive::open(path);
    EXPECT_TRUE(archive) << archive.error();
    auto values = archive->decodeIntegers(*archive->findTensor(tensor));
    return {values->begin(), values->end()};
  }

  TemporaryFolder folder;
  std::string a = folder.file("a"), b = folder.file("b");
  ClusteredArchive example;
  std::optional<OriginalMatrices> originals = example.originals();
  RegroupOptions options = ClusteredArchive::options();
};

TEST_F(RegroupingTest, givesTheArchiveOfTheNewClusters) {
  write();
  std::string before = readFile(a);
  RegroupReport report = regrouped(a, tableB, b);
  EXPECT_TRUE(report.isWritten);
  ASSERT_EQ(report.layers.size(), 3u);
  for (const RegroupedLayer &layer : report.layers) {
    EXPECT_TRUE(layer.isRegrouped) << layer.reason;
    EXPECT_EQ(layer.movedExperts, 6);
    EXPECT_GT(layer.objectiveFound, layer.objective + options.minGain);
    EXPECT_GT(layer.largestError, 0);
    EXPECT_EQ(layer.errorBound, 1);
    EXPECT_EQ(layer.reason, "");
  }
  EXPECT_FALSE(report.layers[0].hasNewPrototypes);
  EXPECT_TRUE(report.layers[1].hasNewPrototypes);
  // Of each layer its tables, two clusters and their six experts.
  EXPECT_EQ(report.recordsComputed, 27u);
  EXPECT_EQ(report.recordsCopied, 9u);
  // What the compiler would have written for these clusters.
  example.write(folder.file("expected"), tableB);
  EXPECT_EQ(readFile(b), readFile(folder.file("expected")));
  EXPECT_EQ(readFile(a), before);
}

TEST_F(RegroupingTest, endsWhereItBeganThereAndBack) {
  for (const char *encoding : {"bf16", "int4 group 4", "f32"}) {
    for (bool hasFactors : {true, false}) {
      example.baseEncoding = encoding;
      example.hasFactors = hasFactors;
      write();
      EXPECT_TRUE(regrouped(a, tableB, b).isWritten);
      EXPECT_EQ(tableIn(b, "layer0.next.cluster"), tableB);
      EXPECT_EQ(tableIn(b, "layer0.next2.cluster"), tableB);
      EXPECT_TRUE(regrouped(b, tableA, folder.file("back")).isWritten);
      EXPECT_EQ(readFile(folder.file("back")), readFile(a)) << encoding;
      // The same file may be read and written.
      EXPECT_TRUE(regrouped(b, tableA, b).isWritten);
      EXPECT_EQ(readFile(b), readFile(a)) << encoding;
    }
  }
}

TEST_F(RegroupingTest, doesNotDependOnThreads) {
  write();
  regrouped(a, tableB, b);
  options.parallel.threads = 3;
  regrouped(a, tableB, folder.file("c"));
  EXPECT_EQ(readFile(folder.file("c")), readFile(b));
}

TEST_F(RegroupingTest, keepsClustersThatGainTooLittle) {
  write();
  options.minGain = 0.9;
  RegroupReport report = regrouped(a, tableB, b);
  EXPECT_FALSE(report.layers[0].isRegrouped);
  EXPECT_TRUE(report.layers[0].reason.starts_with(
      "expected a gain of more than 0.9, found 0."))
      << report.layers[0].reason;
  // Prototypes follow the traffic, whose means are others.
  EXPECT_TRUE(report.isWritten);
  EXPECT_EQ(report.recordsComputed, 3u);
  EXPECT_EQ(tableIn(b, "layer1.cluster"), tableA);
}

TEST_F(RegroupingTest, writesNothingWhereNothingIsNew) {
  write();
  RegroupReport report = regrouped(a, tableA, b);
  EXPECT_FALSE(report.isWritten);
  EXPECT_FALSE(std::filesystem::exists(b));
  EXPECT_EQ(report.layers[1].reason,
            "expected a gain of more than 0.05, found 0");
}

TEST_F(RegroupingTest, keepsLayersWithoutTraffic) {
  write();
  Profile traffic = example.traffic(tableB);
  traffic.layers.erase(0);
  auto report = regroup(a, traffic, b);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(report->layers[0].reason, "no traffic of this layer");
  EXPECT_EQ(tableIn(b, "layer0.cluster"), tableA);
  EXPECT_EQ(tableIn(b, "layer0.next.cluster"), tableB);
  EXPECT_EQ(tableIn(b, "layer1.cluster"), tableB);
}

TEST_F(RegroupingTest, keepsClustersWhoseErrorsWouldBeTooLarge) {
  write();
  options.maxError = 0.01;
  RegroupReport report = regrouped(a, tableB, b);
  for (const RegroupedLayer &layer : report.layers) {
    EXPECT_FALSE(layer.isRegrouped);
    EXPECT_TRUE(layer.reason.starts_with(
        "expected relative errors of gate up to 0.01, found 0."))
        << layer.reason;
  }
  EXPECT_EQ(tableIn(b, "layer1.cluster"), tableA);
  // Of the other way, whose experts in one cluster of four are further from
  // their mean: no matrix may be worse than the worst one today.
  options.maxError = 0;
  example.write(a, tableB);
  RegroupReport back = regrouped(a, tableA, folder.file("c"));
  EXPECT_FALSE(back.layers[0].isRegrouped);
  EXPECT_GT(back.layers[0].largestError, back.layers[0].errorBound);
  EXPECT_GT(back.layers[0].errorBound, 0);
}

TEST_F(RegroupingTest, limitsClusters) {
  write();
  options.slack = 1;
  RegroupReport report = regrouped(a, tableA, b);
  EXPECT_FALSE(report.layers[0].isRegrouped);
  options.minGain = 0;
  report = regrouped(a, tableB, b);
  EXPECT_TRUE(report.layers[0].isRegrouped);
  Table table = tableIn(b, "layer0.cluster");
  for (int32_t cluster : {0, 1, 2})
    EXPECT_LE(std::count(table.begin(), table.end(), cluster), 3);
}

TEST_F(RegroupingTest, changesPrototypesAloneWithoutOriginals) {
  write();
  originals = std::nullopt;
  RegroupReport report = regrouped(a, tableB, b);
  EXPECT_EQ(report.layers[1].reason,
            "no originals: clusters stay, only prototypes can change");
  EXPECT_FALSE(report.layers[0].hasNewPrototypes);
  EXPECT_TRUE(report.layers[1].hasNewPrototypes);
  EXPECT_EQ(report.recordsComputed, 3u);
  Result<Archive> after = Archive::open(b);
  ASSERT_TRUE(after) << after.error();
  auto learned = after->decode(*after->findTensor("layer1.prototypes"));
  EXPECT_EQ(*learned,
            *learnPrototypes(example.traffic(tableB).layers.at(1), tableA, 3));
  EXPECT_EQ(*after->decode(*after->findTensor("layer0.next.prototypes")),
            *learned);
}

TEST_F(RegroupingTest, readsEachWeightOnceForAllRegroups) {
  // Counts how often gate of layer 0 is opened to be compared.
  class Counting final : public TensorSource {
  public:
    explicit Counting(int &count) : count(count) {}
    Result<MatrixSourcePtr>
    openMatrices(const std::string &name, std::string_view key,
                 std::span<const int64_t> shape) const override {
      count += key == "layers.0.gate";
      return source.openMatrices(name, key, shape);
    }
    Result<std::vector<int32_t>>
    loadIntegers(const std::string &name, std::string_view key,
                 std::span<const int64_t> shape) const override {
      return source.loadIntegers(name, key, shape);
    }
    ClusteredArchive::Source source;
    int &count;
  };
  write();
  int count = 0;
  originals->source = std::make_shared<Counting>(count);
  auto regrouper = Regrouper::create(originals, options);
  ASSERT_TRUE(regrouper) << regrouper.error();
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(regrouper->regroup(a, example.traffic(tableA), b));
  EXPECT_EQ(count, 1);
}

TEST_F(RegroupingTest, refusesOtherOriginalsAndTraffic) {
  write();
  originals->hash = "beef";
  expectRefused(a + ": expected the checkpoint of the model that it was made "
                    "from, 'cafe', found that of 'beef'");
  originals->hash = "cafe";
  Profile traffic = example.traffic(tableB);
  traffic.model = "beef";
  auto report = regroup(a, traffic, b);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error(), a + ": expected a profile of the model that it was "
                                "made from, 'cafe', found that of 'beef'");
  traffic = example.traffic(tableB);
  traffic.layers[1].experts = 9;
  report = regroup(a, traffic, b);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error(), a + ": expected traffic of 8 experts of layer1, "
                                "found that of 9");
}

TEST_F(RegroupingTest, refusesPrototypesWithoutMoments) {
  write();
  Profile traffic = example.traffic(tableB);
  traffic.layers[1].inputMomentsFull.clear();
  auto report = regroup(a, traffic, b);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error(),
            a + ": prototypes of layer1: expected a profile with full second "
                "moments and means of the inputs, found one without");
  EXPECT_FALSE(std::filesystem::exists(b + ".partial"));
}

TEST_F(RegroupingTest, refusesAnArchiveOfAnotherRecipe) {
  example.meanWeights = {1, 2, 3, 4, 5, 6, 7, 8};
  write();
  expectRefused(a + ": expected 'layer0.cluster.0.gate.base' to be what the "
                    "originals give with base=mean and residual=svd, found "
                    "other bytes: the archive was made with other options, or "
                    "on a machine that rounds otherwise");
}

TEST_F(RegroupingTest, refusesDamagedRecords) {
  write();
  // A byte of the cluster that stays.
  Result<Archive> archive = Archive::open(a);
  ASSERT_TRUE(archive) << archive.error();
  const ArchiveRecord *record = archive->findRecord("layer0.cluster.1");
  std::fstream file(a, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(std::streamoff(archive->fileOffset(*record)));
  file.put('\x55');
  file.close();
  auto report = regroup(a, example.traffic(tableB), b);
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().find("record 'layer0.cluster.1'"), std::string::npos)
      << report.error();
  EXPECT_FALSE(std::filesystem::exists(b));
  EXPECT_FALSE(std::filesystem::exists(b + ".partial"));
}

TEST_F(RegroupingTest, refusesOptionsOutOfRange) {
  options.alpha = 2;
  auto made = Regrouper::create(originals, options);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), "expected alpha from 0 to 1, found 2");
  options = ClusteredArchive::options();
  options.minGain = -1;
  made = Regrouper::create(originals, options);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), "expected a least gain of 0 or more, found -1");
}

TEST_F(RegroupingTest, stopsWhenItIsAsked) {
  write();
  std::stop_source stop;
  options.stop = stop.get_token();
  // At the first write of a record.
  auto write = options.calls.write;
  options.calls.write = [&](int file, const void *bytes, size_t size,
                            off_t offset) {
    stop.request_stop();
    return write(file, bytes, size, offset);
  };
  expectRefused("stopped");
}

TEST_F(RegroupingTest, doesNotGoOnWithWhatAnotherRunLeft) {
  write();
  {
    // Of the same plan, with other bytes.
    Result<Archive> archive = Archive::open(a);
    auto writer = ArchiveWriter::open(b, archive->header());
    ASSERT_TRUE(writer) << writer.error();
    const ArchiveRecord &record = archive->records()[1];
    std::vector<StoredTensorView> views;
    for (const ArchiveTensor &tensor : record.tensors)
      views.push_back(archive->bytes(tensor));
    std::reverse(views.begin(), views.end());
    std::vector<StoredTensorView> fitting = {views[5], views[4], views[3],
                                             views[2], views[1], views[0]};
    ASSERT_TRUE(writer->write(1, fitting));
  }
  ASSERT_TRUE(std::filesystem::exists(b + ".partial"));
  EXPECT_TRUE(regrouped(a, tableB, b).isWritten);
  example.write(folder.file("expected"), tableB);
  EXPECT_EQ(readFile(b), readFile(folder.file("expected")));
}

/// Every call of the file, one after the other, does something else once.
class RegroupingFaultTest : public RegroupingTest {
protected:
  /// `fault` happens at call number `at`; false where there are fewer.
  template <typename Fault> FileCalls callsWith(int &at, Fault fault) {
    FileCalls calls = FileCalls::system();
    calls.truncate = [=, &at, next = calls.truncate](int file, off_t size) {
      return at-- == 0 ? fault() : next(file, size);
    };
    calls.write = [=, &at, next = calls.write](int file, const void *bytes,
                                               size_t size, off_t offset) {
      return at-- == 0 ? ssize_t(fault()) : next(file, bytes, size, offset);
    };
    calls.sync = [=, &at, next = calls.sync](int file) {
      return at-- == 0 ? fault() : next(file);
    };
    calls.rename = [=, &at, next = calls.rename](const char *from,
                                                 const char *to) {
      return at-- == 0 ? fault() : next(from, to);
    };
    return calls;
  }
};

TEST_F(RegroupingFaultTest, leavesNothingWhereACallFails) {
  write();
  std::string before = readFile(a);
  int calls = 0;
  // The writes of records are alike; what is around them is not.
  for (int at = 0;; at += at < 6 || at > 320 ? 1 : 4) {
    int left = at;
    options.calls = callsWith(left, [] {
      errno = ENOSPC;
      return -1;
    });
    auto report = regroup(a, example.traffic(tableB), b);
    if (report)
      break;
    ++calls;
    EXPECT_NE(report.error().find("No space left on device"), std::string::npos)
        << at << ": " << report.error();
    EXPECT_FALSE(std::filesystem::exists(b)) << at;
    EXPECT_FALSE(std::filesystem::exists(b + ".partial")) << at;
    EXPECT_FALSE(std::filesystem::exists(b + ".partial.journal")) << at;
  }
  // Truncated twice, a write for each part and journal line, header, sync,
  // rename.
  EXPECT_GT(calls, 100);
  EXPECT_EQ(readFile(a), before);
}

TEST_F(RegroupingFaultTest, leavesAValidArchiveWhereverItIsKilled) {
  write();
  example.write(folder.file("expected"), tableB);
  std::string before = readFile(a),
              expected = readFile(folder.file("expected"));
  bool isFinished = false;
  int kills = 0;
  // The writes of records are alike; what is around them is not.
  for (int at = 0; !isFinished; at += at < 6 || at > 320 ? 1 : 41) {
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      int left = at;
      options.calls = callsWith(left, [] { return ::raise(SIGKILL); });
      auto report = regroup(a, example.traffic(tableB), b);
      ::_exit(report && report->isWritten ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    isFinished = WIFEXITED(status);
    if (isFinished)
      EXPECT_EQ(WEXITSTATUS(status), 0);
    else
      ++kills;
    EXPECT_EQ(readFile(a), before) << at;
    EXPECT_EQ(std::filesystem::exists(b), isFinished) << at;
  }
  EXPECT_GT(kills, 40);
  EXPECT_EQ(readFile(b), expected);
  EXPECT_FALSE(std::filesystem::exists(b + ".partial"));
}

} // namespace
