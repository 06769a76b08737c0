// Tests of epochs: steps through several layers read the weights of one moment.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/model.h"

#include "test/unit/runtime/FakeModel.h"
#include "test/unit/runtime/FakePagedModel.h"
#include "test/unit/runtime/TestTensor.h"

#include <atomic>
#include <thread>

using namespace moec::test;

namespace {

/// Weights of an archive: layer 0 gives n + 1, layer 1 gives n + 1000.
FakeWeights weightsOf(int n) {
  FakeWeights weights;
  weights.values[0][0] = float(n + 1);
  weights.values[1][1] = float(n + 1000);
  return weights;
}

/// y of an x of ones.
float runIn(moert_epoch *epoch, moert_layer *layer) {
  alignas(64) float xData[4] = {1, 1, 1, 1}, yData[4] = {};
  TestTensor x{xData, kDLFloat, 32, {1, 4}}, y{yData, kDLFloat, 32, {1, 4}};
  DLTensor *args[] = {&x.view, &y.view};
  TestCall call;
  EXPECT_EQ(moert_epoch_call(epoch, layer, &call.call, args, 2), MOERT_OK)
      << call.message();
  return yData[0];
}

class EpochTest : public testing::Test {
protected:
  ~EpochTest() override { moert_model_close(model); }

  void open() {
    ASSERT_EQ(
        moert_model_open_with(folder.path.c_str(), &options, &sink, &model),
        MOERT_OK)
        << text;
  }
  void load(const std::string &name) {
    ASSERT_EQ(moert_model_load_weights(model, folder.file(name).c_str(), &sink),
              MOERT_OK)
        << text;
  }
  moert_epoch *acquire() {
    moert_epoch *epoch = nullptr;
    EXPECT_EQ(moert_model_acquire_epoch(model, &epoch), MOERT_OK);
    return epoch;
  }
  moert_layer *layer(int32_t index) {
    moert_layer *found = nullptr;
    EXPECT_EQ(moert_model_layer_at(model, index, &found), MOERT_OK);
    return found;
  }
  static uint64_t numberOf(const moert_epoch *epoch) {
    uint64_t number = 0;
    EXPECT_EQ(moert_epoch_number(epoch, &number), MOERT_OK);
    return number;
  }
  uint64_t oldest() {
    uint64_t number = 0;
    EXPECT_EQ(moert_model_oldest_epoch(model, &number), MOERT_OK);
    return number;
  }

  TemporaryFolder folder;
  moert_model *model = nullptr;
  moert_model_options options = {sizeof(moert_model_options),
                                 0,
                                 0,
                                 nullptr,
                                 nullptr,
                                 0,
                                 nullptr,
                                 nullptr,
                                 nullptr};
  char text[512] = "";
  moert_error_sink sink = {text, sizeof text};
};

TEST_F(EpochTest, aStepReadsOneFromStartToEnd) {
  writeFakeModel(folder, weightsOf(0));
  writeFakeWeights(folder.file("next"), weightsOf(1));
  open();
  moert_epoch *step = acquire();
  EXPECT_EQ(numberOf(step), 1u);
  EXPECT_EQ(runIn(step, layer(0)), 1);
  load("next");
  EXPECT_EQ(runIn(step, layer(1)), 1000);
  EXPECT_EQ(oldest(), 1u);
  moert_epoch *other = acquire();
  EXPECT_EQ(numberOf(other), 2u);
  EXPECT_EQ(runIn(other, layer(0)), 2);
  EXPECT_EQ(runIn(other, layer(1)), 1001);
  EXPECT_EQ(moert_epoch_release(step), MOERT_OK);
  EXPECT_EQ(oldest(), 2u);
  EXPECT_EQ(moert_epoch_release(other), MOERT_OK);
  EXPECT_EQ(oldest(), 2u);
}

TEST_F(EpochTest, isWhatBindingsOfLayersAreOf) {
  writeFakeModel(folder, weightsOf(0));
  writeFakeWeights(folder.file("next"), weightsOf(1));
  open();
  const moert_layer_binding *binding = nullptr;
  ASSERT_EQ(moert_layer_acquire(layer(1), &binding), MOERT_OK);
  load("next");
  // Whoever holds one layer of it holds the epoch.
  EXPECT_EQ(oldest(), 1u);
  EXPECT_EQ(binding->epoch, 1u);
  ASSERT_EQ(moert_layer_release(layer(1), binding), MOERT_OK);
  EXPECT_EQ(oldest(), 2u);
}

TEST_F(EpochTest, staysWhenAnArchiveIsRefused) {
  writeFakeModel(folder, weightsOf(0));
  FakeWeights wrong = weightsOf(1);
  wrong.isComplete = false;
  writeFakeWeights(folder.file("next"), wrong);
  open();
  EXPECT_EQ(moert_model_load_weights(model, folder.file("next").c_str(), &sink),
            MOERT_INCOMPATIBLE);
  moert_epoch *step = acquire();
  EXPECT_EQ(numberOf(step), 1u);
  EXPECT_EQ(runIn(step, layer(0)), 1);
  moert_epoch_release(step);
}

TEST_F(EpochTest, refusesNullsAndLayersOfOtherModels) {
  writeFakeModel(folder, weightsOf(0));
  open();
  moert_epoch *epoch = acquire();
  uint64_t number = 0;
  EXPECT_EQ(moert_model_acquire_epoch(nullptr, &epoch), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_model_acquire_epoch(model, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_epoch_number(nullptr, &number), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_epoch_number(epoch, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_model_oldest_epoch(nullptr, &number), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_model_oldest_epoch(model, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_epoch_release(nullptr), MOERT_OK);
  TestCall call;
  EXPECT_EQ(moert_epoch_call(nullptr, layer(0), &call.call, nullptr, 0),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_epoch_call(epoch, nullptr, &call.call, nullptr, 0),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_epoch_call(epoch, layer(0), nullptr, nullptr, 0),
            MOERT_INVALID_ARGUMENT);
  moert_model *other = nullptr;
  ASSERT_EQ(moert_model_open(folder.path.c_str(), &sink, &other), MOERT_OK);
  moert_layer *foreign = nullptr;
  ASSERT_EQ(moert_model_layer_at(other, 0, &foreign), MOERT_OK);
  EXPECT_EQ(moert_epoch_call(epoch, foreign, &call.call, nullptr, 0),
            MOERT_INVALID_ARGUMENT);
  moert_model_close(other);
  moert_epoch_release(epoch);
}

TEST_F(EpochTest, everyStepOfManyThreadsHasTheValuesOfOne) {
  constexpr int archives = 5, loads = 40;
  writeFakeModel(folder, weightsOf(0));
  for (int n = 0; n < archives; ++n)
    writeFakeWeights(folder.file(std::to_string(n)), weightsOf(n));
  open();
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> steps = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      uint64_t last = 0;
      while (!stop) {
        moert_epoch *epoch = acquire();
        uint64_t number = numberOf(epoch);
        // Epoch 1 and each fifth after it are of archive 0.
        float expected = float((number - 1) % archives);
        for (int round = 0; round < 3; ++round) {
          EXPECT_EQ(runIn(epoch, layer(0)), expected + 1);
          EXPECT_EQ(runIn(epoch, layer(1)), expected + 1000);
        }
        moert_epoch_release(epoch);
        EXPECT_GE(number, last);
        last = number;
        ++steps;
      }
    });
  for (int n = 1; n <= loads; ++n) {
    uint64_t before = steps;
    load(std::to_string(n % archives));
    // Steps run between any two.
    while (steps == before)
      std::this_thread::yield();
  }
  stop = true;
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(oldest(), uint64_t(loads + 1));
}

TEST_F(EpochTest, everyStepHasTheValuesOfOneUnderABudget) {
  writeFakePagedModel(folder.path);
  options.memory_budget = 5 * (FAKE_PAGED_WIDTH * 4 + 4096);
  open();
  FakePagedWeights weights[2];
  weights[1].scale = 2;
  writeFakePagedWeights(folder.file("0"), weights[0]);
  writeFakePagedWeights(folder.file("1"), weights[1]);
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      unsigned random = t;
      while (!stop) {
        moert_epoch *epoch = acquire();
        const FakePagedWeights &expected = weights[(numberOf(epoch) - 1) % 2];
        for (int32_t l = 0; l < FAKE_PAGED_LAYERS; ++l) {
          int32_t cluster =
              int32_t((random = random * 1664525u + 1013904223u) >> 30);
          float one = 1, result = 0;
          TestTensor x{&one, kDLFloat, 32, {1}}, ids{&cluster, kDLInt, 32, {1}},
              y{&result, kDLFloat, 32, {1}};
          DLTensor *args[] = {&x.view, &ids.view, &y.view};
          TestCall call;
          EXPECT_EQ(moert_epoch_call(epoch, layer(l), &call.call, args, 3),
                    MOERT_OK)
              << call.message();
          EXPECT_EQ(result, expected.result(size_t(l), size_t(cluster)));
        }
        moert_epoch_release(epoch);
      }
    });
  for (int n = 1; n <= 10; ++n)
    load(std::to_string(n % 2));
  stop = true;
  for (std::thread &thread : threads)
    thread.join();
}

} // namespace
