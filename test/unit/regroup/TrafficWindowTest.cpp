// Tests of counting the traffic of a running model beside it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "regroup/TrafficWindow.h"

#include <gtest/gtest.h>

#include <thread>

using namespace moec::regroup;
using namespace moec::weights;

namespace {

/// Two tokens of width 2 that choose experts `first` and 0.
struct Example {
  explicit Example(int32_t first) : ids{first, 0} {}

  ProfileBatch batch() const {
    ProfileBatch batch;
    batch.tokens = 2;
    batch.slots = 1;
    batch.inputs = rows;
    batch.ids = ids;
    batch.gates = gates;
    return batch;
  }

  std::vector<float> rows = {1, 2, 3, 4};
  std::vector<int32_t> ids;
  std::vector<float> gates = {0.5f, 1};
};

class TrafficWindowTest : public testing::Test {
protected:
  TrafficWindow window{"cafe", {{0, {3, false}}, {7, {4, true}}}};
};

TEST_F(TrafficWindowTest, countsByLayerUntilItIsReset) {
  EXPECT_TRUE(window.watches(7));
  EXPECT_FALSE(window.watches(1));
  for (int i = 0; i < 3; ++i)
    window.observe(0, 2, Example(2).batch());
  window.observe(7, 2, Example(3).batch());
  // Nothing is counted where it is handed in.
  EXPECT_EQ(window.tokens(), 0u);
  ASSERT_TRUE(window.count());
  EXPECT_EQ(window.tokens(), 8u);
  EXPECT_EQ(window.fewestTokens(), 2);
  Profile profile = window.profile();
  EXPECT_EQ(profile.model, "cafe");
  ASSERT_EQ(profile.layers.size(), 2u);
  EXPECT_EQ(profile.layers.at(0).counts, (std::vector<int64_t>{3, 0, 3}));
  EXPECT_TRUE(profile.layers.at(0).inputMomentsFull.empty());
  EXPECT_EQ(profile.layers.at(7).tokens, 2);
  EXPECT_EQ(profile.layers.at(7).counts, (std::vector<int64_t>{1, 0, 0, 1}));
  // Needed for prototypes: sums of x_c x_d.
  EXPECT_EQ(profile.layers.at(7).inputMomentsFull,
            (std::vector<double>{10, 14, 14, 20}));
  window.reset();
  EXPECT_EQ(window.fewestTokens(), 0);
  EXPECT_TRUE(window.profile().layers.empty());
  EXPECT_EQ(window.tokens(), 8u);
}

TEST_F(TrafficWindowTest, copiesWhatItIsHanded) {
  {
    Example example(1);
    window.observe(0, 2, example.batch());
    example.ids[0] = 2;
  }
  ASSERT_TRUE(window.count());
  EXPECT_EQ(window.profile().layers.at(0).counts,
            (std::vector<int64_t>{1, 1, 0}));
}

TEST_F(TrafficWindowTest, dropsWhatComesFasterThanItIsCounted) {
  for (size_t i = 0; i < TrafficWindow::mostWaiting + 3; ++i)
    window.observe(0, 2, Example(2).batch());
  EXPECT_EQ(window.dropped(), 6u);
  ASSERT_TRUE(window.count());
  EXPECT_EQ(window.tokens(), 2 * TrafficWindow::mostWaiting);
  window.observe(0, 2, Example(2).batch());
  EXPECT_EQ(window.dropped(), 6u);
}

TEST_F(TrafficWindowTest, dropsWhatCannotBe) {
  window.observe(0, 2, Example(3).batch());
  window.observe(0, 2, Example(2).batch());
  Status status = window.count();
  ASSERT_FALSE(status);
  EXPECT_TRUE(status.error().starts_with("layer0: ")) << status.error();
  EXPECT_EQ(window.tokens(), 2u);
  EXPECT_EQ(window.dropped(), 2u);
  EXPECT_EQ(window.profile().layers.at(0).tokens, 2);
}

TEST_F(TrafficWindowTest, isHandedBatchesByManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i)
        window.observe(0, 2, Example(1).batch());
    });
  while (window.tokens() + window.dropped() < 1000)
    EXPECT_TRUE(window.count());
  for (std::thread &thread : threads)
    thread.join();
  ASSERT_TRUE(window.count());
  EXPECT_EQ(window.tokens() + window.dropped(), 4u * 500 * 2);
  EXPECT_EQ(uint64_t(window.profile().layers.at(0).tokens), window.tokens());
}

} // namespace
