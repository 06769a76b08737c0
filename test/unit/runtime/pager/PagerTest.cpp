// Tests of bases in slots: the right bytes or an error, whoever asks for what.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/pager/Pager.h"
#include "test/unit/runtime/store/Records.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <functional>
#include <sys/wait.h>

using namespace moec::pager;
using namespace moec::weights;
using moec::store::Fault;
using moec::store::FaultyQueue;
using moec::store::pageBytes;
using moec::store::ReadQueue;
using moec::store::RecordFile;

namespace {

using Clusters = std::vector<int32_t>;

/// A file of `layers` times `clusters` records, and pagers on it.
class Bases {
public:
  Bases(size_t layers, size_t clusters, uint64_t length = 5000)
      : Bases(std::vector<uint64_t>(layers, length), clusters) {}
  /// Of lengths that differ from layer to layer.
  Bases(std::vector<uint64_t> lengths, size_t clusters)
      : clusters(clusters), file(repeated(lengths, clusters)) {
    for (size_t i = 0; i < lengths.size(); ++i) {
      auto first = file.places.begin() + int64_t(i * clusters);
      layers.push_back(
          {"l" + std::to_string(i), {first, first + int64_t(clusters)}});
    }
    // Several chunks, several at a time, by threads.
    options.reading.chunkBytes = pageBytes;
    options.reading.depth = 3;
    options.reading.queue =
        [](int opened) -> Result<std::unique_ptr<ReadQueue>> {
      return moec::store::openReadThreads(opened, 3);
    };
  }

  std::unique_ptr<Pager, ClosePager> open(uint64_t slots) {
    options.budgetBytes =
        slots * moec::store::bufferBytes(layers[0].records[0].length);
    auto made = Pager::open(file.path, layers, options);
    EXPECT_TRUE(made) << made.error();
    if (!made)
      return nullptr;
    return *std::move(made);
  }
  std::string refusal() {
    auto made = Pager::open(file.path, layers, options);
    EXPECT_FALSE(made);
    return made.error();
  }

  /// Whether a layer's cluster is, whole and right, in the slot.
  bool isIn(const Pager &pager, uint32_t layer, size_t cluster,
            int32_t slot) const {
    Slots slots = pager.slotsOf(layer);
    const moec::store::RecordPlace &place = layers[layer].records[cluster];
    return slot >= 0 && uint32_t(slot) < slots.count &&
           std::memcmp(slots.memory + uint32_t(slot) * slots.stride,
                       file.contents.data() + place.offset, place.length) == 0;
  }

  size_t clusters;
  RecordFile file;
  std::vector<PagedLayer> layers;
  PagerOptions options;

private:
  static std::vector<uint64_t> repeated(const std::vector<uint64_t> &lengths,
                                        size_t clusters) {
    std::vector<uint64_t> all;
    for (uint64_t length : lengths)
      all.insert(all.end(), clusters, length);
    return all;
  }
};

/// What one acquire holds; released with it.
class Held {
public:
  Held(const Bases &bases, Pager &pager, uint32_t layer,
       const Clusters &clusters)
      : pager(pager), layer(layer), slots(bases.clusters, -7),
        status(pager.acquire(layer, clusters, slots)) {
    for (size_t c = 0; c < slots.size() && status; ++c) {
      bool isAsked =
          std::find(clusters.begin(), clusters.end(), c) != clusters.end();
      EXPECT_EQ(isAsked, slots[c] >= 0);
      EXPECT_TRUE(!isAsked || bases.isIn(pager, layer, c, slots[c]))
          << "layer " << layer << " cluster " << c;
    }
  }
  ~Held() {
    if (status)
      pager.release(layer, slots);
  }

  Pager &pager;
  uint32_t layer;
  Clusters slots;
  Status status;
};

/// Waits for what another thread does.
void waitUntil(const std::function<bool()> &condition) {
  for (int i = 0; i < 10000 && !condition(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(condition());
}

TEST(Pager, bringsBasesAndKeepsThem) {
  Bases bases(2, 3);
  auto pager = bases.open(4);
  ASSERT_TRUE(pager);
  EXPECT_EQ(pager->clustersOf(1), 3u);
  EXPECT_EQ(pager->slotsOf(0).count, 4u);
  EXPECT_EQ(pager->slotsOf(0).stride, 8192u);
  // What is no cluster of the layer is none.
  EXPECT_TRUE(Held(bases, *pager, 0, {2, -1, 2, 3, -9, 0}).status);
  EXPECT_TRUE(Held(bases, *pager, 1, {}).status);
  EXPECT_TRUE(Held(bases, *pager, 0, {0, 1}).status);
  PagerStatistics counted = pager->statistics();
  EXPECT_EQ(counted.hits, 1u);
  EXPECT_EQ(counted.misses, 3u);
  EXPECT_EQ(counted.late, 0u);
  EXPECT_EQ(counted.reads, 3u);
  EXPECT_EQ(counted.bytesRead, 15000u);
  EXPECT_EQ(counted.residentBytes, 3 * 8192u);
  EXPECT_EQ(counted.slotBytes, 4 * 8192u);
  EXPECT_EQ(counted.baseBytes, 6 * 8192u);
  EXPECT_GT(counted.stallSeconds, 0);
  EXPECT_GT(counted.readSeconds, 0);
}

TEST(Pager, hasTheLeastRecentlyUsedLeaveOfThoseThatNobodyHolds) {
  Bases bases(3, 2);
  auto pager = bases.open(3);
  ASSERT_TRUE(pager);
  Held first(bases, *pager, 0, {0});
  EXPECT_TRUE(Held(bases, *pager, 1, {1}).status);
  EXPECT_TRUE(Held(bases, *pager, 2, {0}).status);
  // Held by the first call, which came before all: layer 1's cluster leaves.
  EXPECT_TRUE(Held(bases, *pager, 2, {1}).status);
  EXPECT_TRUE(bases.isIn(*pager, 0, 0, first.slots[0]));
  EXPECT_TRUE(Held(bases, *pager, 0, {0}).status);
  EXPECT_TRUE(Held(bases, *pager, 2, {0, 1}).status);
  EXPECT_EQ(pager->statistics().misses, 4u);
  EXPECT_TRUE(Held(bases, *pager, 1, {1}).status);
  EXPECT_EQ(pager->statistics().misses, 5u);
}

TEST(Pager, hasCallsWaitForSlotsInLine) {
  Bases bases(2, 2);
  auto pager = bases.open(2);
  ASSERT_TRUE(pager);
  auto all = std::make_unique<Held>(bases, *pager, 0, Clusters{0, 1});
  std::atomic<int> ended = 0;
  auto call = [&](uint32_t layer, Clusters clusters) {
    EXPECT_TRUE(Held(bases, *pager, layer, clusters).status);
    ++ended;
  };
  std::thread wide(call, 1, Clusters{0, 1});
  waitUntil([&] { return pager->statistics().misses == 4; });
  std::thread narrow(call, 1, Clusters{1});
  waitUntil([&] { return pager->statistics().misses == 5; });
  // Who needs no slot does not stand in line.
  EXPECT_TRUE(Held(bases, *pager, 0, {1}).status);
  EXPECT_EQ(ended, 0);
  all.reset();
  wide.join();
  narrow.join();
  EXPECT_EQ(pager->statistics().reads, 4u);
}

TEST(Pager, sharesTheBudgetAmongSizes) {
  // 10 bases of 8 kB and 5 of 16 kB; two layers need 5 of each.
  Bases bases({5000, 5001, 12289}, 5);
  bases.options.budgetBytes = 5 * 8192 + 5 * 16384;
  auto pager = Pager::open(bases.file.path, bases.layers, bases.options);
  ASSERT_TRUE(pager) << pager.error();
  EXPECT_EQ((*pager)->slotsOf(0).memory, (*pager)->slotsOf(1).memory);
  EXPECT_EQ((*pager)->slotsOf(1).count, 5u);
  EXPECT_EQ((*pager)->slotsOf(2).count, 5u);
  EXPECT_EQ((*pager)->slotsOf(2).stride, 16384u);
  for (uint32_t layer : {0u, 1u, 2u, 0u})
    EXPECT_TRUE(Held(bases, **pager, layer, {0, 1, 2, 3, 4}).status);
  bases.options.budgetBytes += 2 * 8192;
  pager = Pager::open(bases.file.path, bases.layers, bases.options);
  EXPECT_EQ((*pager)->slotsOf(0).count, 7u);
  // More than there is to bring.
  bases.options.budgetBytes = uint64_t(1) << 62;
  pager = Pager::open(bases.file.path, bases.layers, bases.options);
  EXPECT_EQ((*pager)->slotsOf(0).count, 10u);
  EXPECT_EQ((*pager)->slotsOf(2).count, 5u);
  bases.options.budgetBytes = 5 * 8192 + 5 * 16384 - 1;
  EXPECT_EQ(bases.refusal(),
            "expected a memory budget of at least 122880 bytes, which all "
            "bases of one layer of each size take, found 122879");
}

TEST(Pager, refusesWhatCannotBe) {
  Bases bases(2, 2);
  bases.options.budgetBytes = 16383;
  EXPECT_EQ(bases.refusal(), "expected a memory budget of at least 16384 "
                             "bytes, which all bases of one layer take, found "
                             "16383");
  bases.options.budgetBytes = 16384;
  bases.options.eviction = "clairvoyant";
  EXPECT_EQ(bases.refusal(), "expected an eviction of lru, lfu, next_use, "
                             "found 'clairvoyant'");
  bases.options.eviction = "next_use";
  EXPECT_EQ(bases.refusal(),
            "expected a predictor for the eviction next_use, found none");
  bases.options.lookahead = 2;
  EXPECT_EQ(bases.refusal(),
            "expected a predictor for a lookahead of 2, found none");
  bases.options.predictor = "luck";
  EXPECT_EQ(bases.refusal(), "expected a predictor of none, rolling, "
                             "past_request, hint, exact_hint, found 'luck'");
  bases.options.predictor = "rolling";
  bases.layers[1].records[1].length = 17;
  EXPECT_EQ(bases.refusal(),
            "layer 'l1': expected bases of one length, found record 'r3' of "
            "17 bytes beside one of 5000");
  bases.layers[1].records[1].length = 5000;
  std::filesystem::remove(bases.file.path);
  EXPECT_EQ(bases.refusal(), bases.file.path + ": No such file or directory");
}

//===----------------------------------------------------------------------===//
// Ahead of time
//===----------------------------------------------------------------------===//

TEST(Pager, readsWhatHintsSayAheadOfTime) {
  Bases bases(3, 2);
  bases.options.predictor = "exact_hint";
  bases.options.lookahead = 2;
  auto pager = bases.open(5);
  ASSERT_TRUE(pager);
  // It knows what a read takes when there was one.
  EXPECT_TRUE(Held(bases, *pager, 0, {0}).status);
  int32_t said[] = {1, -1, 5, 1};
  pager->hint(2, said);
  waitUntil([&] { return pager->statistics().bytesRead == 10000; });
  EXPECT_EQ(pager->statistics().readsAhead, 1u);
  EXPECT_TRUE(Held(bases, *pager, 2, {1}).status);
  EXPECT_EQ(pager->statistics().hits, 1u);
  // One that no step meets, and that leaves, was read in vain.
  EXPECT_TRUE(Held(bases, *pager, 0, {}).status);
  int32_t wrong[] = {0};
  pager->hint(1, wrong);
  waitUntil([&] { return pager->statistics().bytesRead == 15000; });
  for (uint32_t layer : {0u, 1u, 2u, 0u, 2u})
    EXPECT_TRUE(
        Held(bases, *pager, layer, layer == 1 ? Clusters{1} : Clusters{0, 1})
            .status);
  EXPECT_EQ(pager->statistics().readsAhead, 2u);
  EXPECT_EQ(pager->statistics().wasted, 1u);
}

TEST(Pager, readsAtOnceWhatIsExpected) {
  Bases bases(2, 3);
  auto pager = bases.open(3);
  ASSERT_TRUE(pager);
  EXPECT_TRUE(Held(bases, *pager, 0, {0}).status);
  EXPECT_TRUE(Held(bases, *pager, 1, {1, 2}).status);
  // Its own present one, which came first, does not make room.
  int32_t expected[] = {2, 0, -1, 2};
  pager->expect(0, expected);
  waitUntil([&] { return pager->statistics().bytesRead == 20000; });
  EXPECT_EQ(pager->statistics().readsAhead, 1u);
  EXPECT_TRUE(Held(bases, *pager, 0, {0, 2}).status);
  EXPECT_EQ(pager->statistics().hits, 2u);
  EXPECT_EQ(pager->statistics().misses, 3u);
  // Nothing that is held does.
  Held held(bases, *pager, 0, {0, 1, 2});
  pager->expect(1, expected);
  EXPECT_EQ(pager->statistics().readsAhead, 1u);
  EXPECT_EQ(pager->statistics().failures, 0u);
}

TEST(Pager, readsNothingAheadThatDoesNotPay) {
  Bases bases(2, 2);
  bases.options.predictor = "rolling";
  bases.options.lookahead = 1;
  auto pager = bases.open(2);
  ASSERT_TRUE(pager);
  // All that could leave is as likely.
  for (int step = 0; step < 10; ++step)
    for (uint32_t layer : {0u, 1u})
      EXPECT_TRUE(Held(bases, *pager, layer, {0}).status);
  EXPECT_EQ(pager->statistics().readsAhead, 0u);
  EXPECT_EQ(pager->statistics().misses, 2u);
}

TEST(Pager, knowsRequestsByTheirBeginning) {
  Bases bases(2, 4);
  bases.options.predictor = "past_request";
  bases.options.lookahead = 1;
  auto pager = bases.open(8);
  ASSERT_TRUE(pager);
  auto step = [&](int32_t first, int32_t second) {
    EXPECT_TRUE(Held(bases, *pager, 0, {first}).status);
    EXPECT_TRUE(Held(bases, *pager, 1, {second}).status);
  };
  pager->beginRequest();
  step(0, 1);
  pager->beginRequest();
  step(2, 3);
  EXPECT_EQ(pager->statistics().reads, 4u);
  EXPECT_EQ(pager->statistics().hits, 0u);
}

TEST(Pager, givesBackWhatIsIdle) {
  Bases bases(2, 2);
  bases.options.idleSteps = 3;
  auto pager = bases.open(4);
  ASSERT_TRUE(pager);
  Held held(bases, *pager, 0, {0});
  EXPECT_TRUE(Held(bases, *pager, 0, {1}).status);
  EXPECT_TRUE(Held(bases, *pager, 1, {1}).status);
  EXPECT_EQ(pager->statistics().residentBytes, 3 * 8192u);
  for (int step = 0; step < 5; ++step)
    EXPECT_TRUE(Held(bases, *pager, 1, {0}).status);
  // Held ones stay.
  waitUntil([&] { return pager->statistics().demoted == 2; });
  EXPECT_EQ(pager->statistics().residentBytes, 2 * 8192u);
  EXPECT_TRUE(bases.isIn(*pager, 0, 0, held.slots[0]));
  EXPECT_TRUE(Held(bases, *pager, 0, {0, 1}).status);
  EXPECT_TRUE(Held(bases, *pager, 1, {0, 1}).status);
  EXPECT_EQ(pager->statistics().misses, 6u);
}

//===----------------------------------------------------------------------===//
// Faults
//===----------------------------------------------------------------------===//

class PagerUnder : public testing::TestWithParam<Fault> {};

TEST_P(PagerUnder, faultsAtEveryRead) {
  Bases bases(2, 2);
  int places = 0;
  for (bool hasHappened = true; hasHappened; ++places) {
    hasHappened = false;
    bases.options.reading.queue =
        [&](int opened) -> Result<std::unique_ptr<ReadQueue>> {
      return std::unique_ptr<ReadQueue>(
          new FaultyQueue(opened, GetParam(), places, hasHappened));
    };
    auto pager = bases.open(3);
    ASSERT_TRUE(pager);
    int failures = 0;
    for (int step = 0; step < 2; ++step)
      for (uint32_t layer : {0u, 1u}) {
        Held held(bases, *pager, layer, {0, 1});
        failures += !held.status;
        if (held.status)
          continue;
        EXPECT_EQ(held.slots, (Clusters{-1, -1}));
        EXPECT_EQ(held.status.error().find("layer 'l" + std::to_string(layer) +
                                           "': " + bases.file.path +
                                           ": record 'r"),
                  0u)
            << held.status.error();
        // The next one is right.
        EXPECT_TRUE(Held(bases, *pager, layer, {0, 1}).status);
      }
    EXPECT_EQ(failures, hasHappened && !isMended(GetParam()));
    EXPECT_EQ(pager->statistics().failures, uint64_t(failures));
  }
  EXPECT_GE(places, 8);
}

INSTANTIATE_TEST_SUITE_P(
    Each, PagerUnder,
    testing::Values(Fault::InterruptedOnce, Fault::ShortOfAPage, Fault::Broken,
                    Fault::BrokenToBegin, Fault::Ends, Fault::Flipped),
    [](const auto &info) { return "fault" + std::to_string(int(info.param)); });

TEST(Pager, saysThatTheArchiveHasChanged) {
  Bases bases(2, 2);
  auto pager = bases.open(2);
  ASSERT_TRUE(pager);
  EXPECT_TRUE(Held(bases, *pager, 0, {0, 1}).status);
  std::ofstream(bases.file.path, std::ios::app) << "more";
  // What is there stays right.
  EXPECT_TRUE(Held(bases, *pager, 0, {0, 1}).status);
  Held held(bases, *pager, 1, {0});
  EXPECT_EQ(
      held.status.error(),
      "layer 'l1': " +
          bases.file.messageOf(2, "the file has changed since it was opened"));
}

TEST(Pager, refusesAChildOfFork) {
  Bases bases(2, 2);
  auto pager = bases.open(2);
  ASSERT_TRUE(pager);
  EXPECT_TRUE(Held(bases, *pager, 0, {0}).status);
  pid_t child = ::fork();
  if (child == 0) {
    int32_t slots[2], wanted[] = {0};
    Status status = pager->acquire(0, wanted, slots);
    pager->hint(1, wanted);
    pager->expect(1, wanted);
    pager->beginRequest();
    bool isRight =
        status.error() ==
            "layer 'l0': expected the process that opened the model with a "
            "memory budget, found a child of its fork(), which has to open it "
            "again" &&
        slots[0] == -1 && pager->statistics().reads == 0;
    pager.reset();
    ::_exit(isRight ? 0 : 1);
  }
  int result = -1;
  ASSERT_EQ(::waitpid(child, &result, 0), child);
  EXPECT_EQ(result, 0);
  EXPECT_TRUE(Held(bases, *pager, 0, {0, 1}).status);
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

/// Calls of several threads on everything, with slots for little of it.
void callAtOnce(const Bases &bases, Pager &pager, int threads, int steps) {
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t)
    all.emplace_back([&, t] {
      std::mt19937 random(unsigned(t) + 1);
      for (int step = 0; step < steps; ++step)
        for (uint32_t layer = 0; layer < bases.layers.size(); ++layer) {
          Clusters clusters;
          for (size_t i = random() % bases.clusters; i-- > 0;)
            clusters.push_back(int32_t(random() % bases.clusters));
          if (random() % 3 == 0 && layer + 1 < bases.layers.size())
            pager.hint(layer + 1, clusters);
          if (random() % 3 == 0)
            pager.expect(layer, clusters);
          Held held(bases, pager, layer, clusters);
          EXPECT_TRUE(held.status) << held.status.error();
          // Bases it holds may be asked for again.
          EXPECT_TRUE(Held(bases, pager, layer, clusters).status);
          // A part of what a kernel reads.
          for (size_t c = 0; c < bases.clusters; ++c)
            EXPECT_TRUE(held.slots[c] < 0 ||
                        bases.isIn(pager, layer, c, held.slots[c]));
          if (step % 16 == 0)
            pager.beginRequest();
          EXPECT_LE(pager.statistics().residentBytes,
                    pager.statistics().slotBytes);
        }
    });
  for (std::thread &thread : all)
    thread.join();
}

TEST(Pager, servesThreadsThatCallAtOnce) {
  for (const char *predictor : {"none", "rolling", "past_request", "hint"})
    for (const char *eviction : {"lru", "lfu", "next_use"}) {
      Bases bases({9000, 5000, 9000, 5000}, 5);
      bases.options.predictor = predictor;
      bases.options.eviction = eviction;
      bool isBlind = predictor == std::string("none");
      if (isBlind && eviction == std::string("next_use"))
        continue;
      bases.options.lookahead = isBlind ? 0 : 2;
      bases.options.idleSteps = 4;
      bases.options.budgetBytes = 7 * (12288 + 8192);
      auto pager = Pager::open(bases.file.path, bases.layers, bases.options);
      ASSERT_TRUE(pager) << pager.error();
      callAtOnce(bases, **pager, 4, 40);
      PagerStatistics counted = (*pager)->statistics();
      EXPECT_GT(counted.hits, 0u);
      EXPECT_GT(counted.misses, 0u);
      EXPECT_EQ(counted.failures, 0u);
    }
}

} // namespace
