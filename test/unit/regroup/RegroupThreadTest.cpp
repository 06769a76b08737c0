// Tests of regrouping in the background: when, what it loads, what it leaves.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "regroup/RegroupThread.h"

#include "test/unit/TemporaryFolder.h"
#include "test/unit/weights/ClusteredArchive.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

using namespace moec::regroup;
using namespace moec::test;
using namespace moec::weights;

namespace {

const Table tableA = {0, 1, 1, 0, 2, 2, 0, 0};
const Table tableB = {0, 1, 1, 2, 2, 0, 0, 2};

/// A model that notes what it is told to load.
struct FakeRunner {
  RunningModel functions() {
    return {[this](const std::string &archive) -> Status {
              std::lock_guard lock(mutex);
              if (refuses)
                return Error{"no place for it"};
              loaded.push_back(archive);
              return success();
            },
            [this] {
              std::lock_guard lock(mutex);
              return uint64_t(loaded.size() + 1);
            },
            [this] { return held ? held.load() : uint64_t(1000); }};
  }
  size_t count() {
    std::lock_guard lock(mutex);
    return loaded.size();
  }
  std::string at(size_t place) {
    std::lock_guard lock(mutex);
    return loaded.at(place);
  }

  std::mutex mutex;
  std::vector<std::string> loaded;
  bool refuses = false;
  /// An old epoch that a step holds; 0: none.
  std::atomic<uint64_t> held = 0;
};

class RegroupThreadTest : public testing::Test {
protected:
  RegroupThreadTest() {
    example.write(folder.file("a"), tableA);
    options.minGain = 0.05;
    plan.archive = folder.file("a");
    plan.directory = folder.path;
    plan.model = example.hash;
    plan.leastTokens = 16;
    for (int64_t layer = 0; layer < ClusteredArchive::layers; ++layer)
      plan.layers[layer] = {ClusteredArchive::experts, layer > 0};
  }

  std::unique_ptr<RegroupThread> start() {
    auto thread = std::make_unique<RegroupThread>(runner.functions(), plan,
                                                  example.originals(), options);
    Status status = thread->start();
    EXPECT_TRUE(status) << status.error();
    return thread;
  }

  /// Sixteen tokens of each layer, in which experts of one cluster are fed
  /// alike.
  void feed(RegroupThread &thread, const Table &table) {
    constexpr int64_t tokens = 16, width = ClusteredArchive::width;
    std::vector<float> rows, gates(tokens, 1);
    std::vector<int32_t> ids;
    for (int64_t t = 0; t < tokens; ++t) {
      int64_t expert = t % ClusteredArchive::experts;
      ids.push_back(int32_t(expert));
      for (int64_t d = 0; d < width; ++d)
        rows.push_back(d == table[size_t(expert)] ? 1.0f : 0.01f);
    }
    ProfileBatch batch;
    batch.tokens = tokens;
    batch.slots = 1;
    batch.inputs = rows;
    batch.ids = ids;
    batch.gates = gates;
    for (int64_t layer = 0; layer < ClusteredArchive::layers; ++layer)
      thread.observe(layer, width, batch);
  }

  /// Whether that comes true within a time that no working thread needs.
  template <typename Condition> bool eventually(Condition condition) {
    for (int i = 0; i < 3000; ++i) {
      if (condition())
        return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  /// Time in which a thread that should not would have begun.
  static void waitABit() {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
  }
  Table tableIn(const std::string &path) {
    Result<Archive> archive = Archive::open(path);
    EXPECT_TRUE(archive) << archive.error();
    auto values =
        archive->decodeIntegers(*archive->findTensor("layer1.cluster"));
    return {values->begin(), values->end()};
  }
  bool exists(const std::string &name) const {
    return std::filesystem::exists(folder.file(name));
  }

  TemporaryFolder folder;
  ClusteredArchive example;
  FakeRunner runner;
  RegroupPlan plan;
  RegroupOptions options = ClusteredArchive::options();
};

TEST_F(RegroupThreadTest, regroupsWhenItIsAsked) {
  auto thread = start();
  thread->request();
  waitABit();
  // There is no traffic yet.
  EXPECT_EQ(thread->counts().attempts, 0u);
  feed(*thread, tableB);
  ASSERT_TRUE(eventually([&] { return thread->counts().attempts == 1; }));
  RegroupCounts counts = thread->counts();
  EXPECT_EQ(counts.accepted, 1u);
  EXPECT_EQ(counts.failures, 0u);
  EXPECT_EQ(counts.layersRegrouped, 3u);
  EXPECT_EQ(counts.epoch, 2u);
  EXPECT_GT(counts.seconds, counts.loadSeconds);
  ASSERT_EQ(runner.count(), 1u);
  EXPECT_EQ(runner.at(0), folder.file("generation-1.safetensors"));
  EXPECT_EQ(tableIn(runner.at(0)), tableB);
  EXPECT_NE(thread->report().find("layer2: 6 experts in new clusters"),
            std::string::npos)
      << thread->report();
  // Once.
  feed(*thread, tableA);
  waitABit();
  EXPECT_EQ(thread->counts().attempts, 1u);
}

TEST_F(RegroupThreadTest, followsTrafficThereAndBack) {
  plan.drift = 0.2;
  plan.then = example.traffic(tableA);
  auto thread = start();
  feed(*thread, tableA);
  waitABit();
  EXPECT_EQ(thread->counts().attempts, 0u);
  EXPECT_LT(thread->counts().drift, 0.2);
  // The window still has what was; it fills with what is.
  auto isRegrouped = [&](const Table &table) {
    return eventually([&] {
      feed(*thread, table);
      return runner.count() > 0 &&
             tableIn(runner.at(runner.count() - 1)) == table;
    });
  };
  ASSERT_TRUE(isRegrouped(tableB));
  ASSERT_TRUE(isRegrouped(tableA));
}

TEST_F(RegroupThreadTest, regroupsOncePerPeriod) {
  plan.periodSeconds = 0.2;
  auto thread = start();
  auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(eventually([&] {
    feed(*thread, tableB);
    return thread->counts().attempts == 3;
  }));
  EXPECT_GE(std::chrono::steady_clock::now() - began,
            std::chrono::milliseconds(600));
  EXPECT_EQ(thread->counts().failures, 0u) << thread->report();
}

TEST_F(RegroupThreadTest, waitsForTokens) {
  plan.periodSeconds = 0.01;
  plan.leastTokens = 48;
  auto thread = start();
  feed(*thread, tableB);
  feed(*thread, tableB);
  waitABit();
  EXPECT_EQ(thread->counts().attempts, 0u);
  feed(*thread, tableB);
  EXPECT_TRUE(eventually([&] { return thread->counts().attempts == 1; }));
}

TEST_F(RegroupThreadTest, keepsGenerationsThatStepsRead) {
  auto thread = start();
  auto regroupTo = [&](const Table &table) {
    uint64_t before = thread->counts().accepted;
    thread->request();
    feed(*thread, table);
    return eventually([&] { return thread->counts().accepted == before + 1; });
  };
  ASSERT_TRUE(regroupTo(tableB));
  // A step of epoch 2, which is generation 1, goes on.
  runner.held = 2;
  ASSERT_TRUE(regroupTo(tableA));
  waitABit();
  EXPECT_TRUE(exists("generation-1.safetensors"));
  runner.held = 3;
  EXPECT_TRUE(eventually([&] { return !exists("generation-1.safetensors"); }));
  EXPECT_TRUE(exists("generation-2.safetensors"));
  EXPECT_TRUE(exists("a"));
  // A step that goes on to the end keeps what it reads.
  ASSERT_TRUE(regroupTo(tableB));
  thread.reset();
  EXPECT_TRUE(exists("generation-2.safetensors"));
  EXPECT_TRUE(exists("generation-3.safetensors"));
}

TEST_F(RegroupThreadTest, removesOldGenerationsInTheEnd) {
  runner.held = 2;
  auto thread = start();
  for (uint64_t n : {1, 2}) {
    thread->request();
    feed(*thread, n == 1 ? tableB : tableA);
    ASSERT_TRUE(eventually([&] { return thread->counts().accepted == n; }));
  }
  runner.held = 0;
  thread.reset();
  EXPECT_FALSE(exists("generation-1.safetensors"));
  EXPECT_TRUE(exists("generation-2.safetensors"));
}

TEST_F(RegroupThreadTest, keepsWhatTheModelHasWhenItRefuses) {
  runner.refuses = true;
  auto thread = start();
  thread->request();
  feed(*thread, tableB);
  ASSERT_TRUE(eventually([&] { return thread->counts().attempts == 1; }));
  EXPECT_EQ(thread->counts().failures, 1u);
  EXPECT_EQ(thread->counts().accepted, 0u);
  EXPECT_EQ(thread->counts().layersRegrouped, 0u);
  EXPECT_TRUE(thread->report().ends_with("no place for it\n"))
      << thread->report();
  EXPECT_FALSE(exists("generation-1.safetensors"));
  // From the first archive still.
  {
    std::lock_guard lock(runner.mutex);
    runner.refuses = false;
  }
  thread->request();
  feed(*thread, tableB);
  EXPECT_TRUE(eventually([&] { return thread->counts().accepted == 1; }));
}

TEST_F(RegroupThreadTest, saysWhatIsWrongWithTraffic) {
  auto thread = start();
  std::vector<float> row(ClusteredArchive::width, 1), gate(1, 1);
  std::vector<int32_t> id = {99};
  ProfileBatch wrong;
  wrong.tokens = wrong.slots = 1;
  wrong.inputs = row;
  wrong.ids = id;
  wrong.gates = gate;
  thread->observe(0, ClusteredArchive::width, wrong);
  EXPECT_TRUE(eventually(
      [&] { return thread->report().starts_with("traffic: layer0: "); }));
  EXPECT_EQ(thread->traffic().dropped(), 1u);
}

TEST_F(RegroupThreadTest, endsInTheMiddleOfARegroup) {
  // From the first write on, slowly.
  std::atomic<bool> hasBegun = false;
  options.calls.write =
      [&, write = options.calls.write](int file, const void *bytes, size_t size,
                                       off_t offset) {
        hasBegun = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        return write(file, bytes, size, offset);
      };
  auto thread = start();
  thread->request();
  feed(*thread, tableB);
  ASSERT_TRUE(eventually([&] { return hasBegun.load(); }));
  EXPECT_TRUE(thread->counts().isWorking);
  auto began = std::chrono::steady_clock::now();
  thread.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  EXPECT_EQ(runner.count(), 0u);
  std::set<std::string> files;
  for (const auto &entry : std::filesystem::directory_iterator(folder.path))
    files.insert(entry.path().filename());
  EXPECT_EQ(files, std::set<std::string>{"a"});
}

TEST_F(RegroupThreadTest, refusesOptionsThatNoRegroupCanHave) {
  options.alpha = 3;
  RegroupThread thread(runner.functions(), plan, example.originals(), options);
  Status status = thread.start();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error(), "expected alpha from 0 to 1, found 3");
}

} // namespace
