// Tests of models under a memory budget: the same values as without one, less
// memory, and what is refused.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/model.h"

#include "test/unit/runtime/FakeCuda.h"
#include "test/unit/runtime/FakeModel.h"
#include "test/unit/runtime/FakePagedModel.h"
#include "test/unit/runtime/TestTensor.h"
#include "test/unit/runtime/fake_manifest.h"
#include "weights/Archive.h"

#include <cstring>
#include <fstream>
#include <random>
#include <thread>
#include <unistd.h>

using namespace moec::test;

namespace {

/// A record of w and b, in whole pages.
constexpr uint64_t slotBytes = FAKE_PAGED_WIDTH * 4 + 4096;

struct CloseModel {
  void operator()(moert_model *model) const { moert_model_close(model); }
};
using Model = std::unique_ptr<moert_model, CloseModel>;
using Clusters = std::vector<int32_t>;

class PagedModelTest : public testing::Test {
protected:
  Model open(uint64_t slots) {
    options.memory_budget = slots * slotBytes;
    moert_model *model = nullptr;
    status =
        moert_model_open_with(folder.path.c_str(), &options, &sink, &model);
    return Model(model);
  }
  void expectRefused(moert_status_t expected, const std::string &message) {
    moert_model *model = nullptr;
    EXPECT_EQ(
        moert_model_open_with(folder.path.c_str(), &options, &sink, &model),
        expected);
    EXPECT_EQ(text, folder.path + message);
    EXPECT_EQ(model, nullptr);
  }
  std::string archive() const { return folder.file("weights.safetensors"); }

  static moert_layer *layerOf(const Model &model, size_t layer) {
    moert_layer *found = nullptr;
    EXPECT_EQ(moert_model_layer_at(model.get(), int32_t(layer), &found),
              MOERT_OK);
    return found;
  }
  /// y of an x of ones; the call's status and message.
  std::vector<float> run(const Model &model, size_t layer, Clusters clusters,
                         const moert_layer_binding *binding = nullptr) {
    int64_t rows = int64_t(clusters.size());
    std::vector<float> ones(clusters.size(), 1), result(clusters.size());
    TestTensor x{ones.data(), kDLFloat, 32, {rows}},
        ids{clusters.data(), kDLInt, 32, {rows}},
        y{result.data(), kDLFloat, 32, {rows}};
    DLTensor *args[] = {&x.view, &ids.view, &y.view};
    TestCall call;
    moert_layer *own = layerOf(model, layer);
    if (binding) {
      const moert_library_entry *entry = nullptr;
      moert_layer_entry(own, &entry);
      call.call.binding = binding;
      status = moert_library_call(entry, &call.call, args, 3);
    } else {
      status = moert_layer_call(own, &call.call, args, 3);
    }
    said = call.message();
    return result;
  }
  /// The same, which has to be right.
  void expectRight(const Model &model, size_t layer, const Clusters &clusters,
                   const FakePagedWeights &what = {}) {
    std::vector<float> result = run(model, layer, clusters);
    EXPECT_EQ(status, MOERT_OK) << said;
    for (size_t t = 0; t < clusters.size(); ++t)
      EXPECT_EQ(result[t], what.result(layer, size_t(clusters[t])));
  }
  static moert_paging_statistics statistics(const Model &model) {
    moert_paging_statistics counted = {};
    counted.size = sizeof counted;
    EXPECT_EQ(moert_model_paging_statistics(model.get(), &counted), MOERT_OK);
    return counted;
  }

  TemporaryFolder folder;
  moert_model_options options = {sizeof(moert_model_options),
                                 0,
                                 0,
                                 nullptr,
                                 nullptr,
                                 0,
                                 nullptr,
                                 nullptr,
                                 nullptr};
  char text[1024] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_status_t status = MOERT_OK;
  std::string said;
};

/// Steps of four tokens through all layers.
std::vector<Clusters> someTraffic(size_t steps) {
  std::mt19937 random(5);
  std::vector<Clusters> traffic(steps * FAKE_PAGED_LAYERS);
  for (Clusters &clusters : traffic)
    for (int t = 0; t < 4; ++t)
      clusters.push_back(int32_t(random() % FAKE_PAGED_CLUSTERS));
  return traffic;
}

TEST_F(PagedModelTest, hasTheValuesOfARunWithoutABudget) {
  writeFakePagedModel(folder.path);
  Model all = open(0);
  ASSERT_TRUE(all) << text;
  std::vector<Clusters> traffic = someTraffic(10);
  std::vector<std::vector<float>> expected;
  for (size_t i = 0; i < traffic.size(); ++i) {
    expectRight(all, i % FAKE_PAGED_LAYERS, traffic[i]);
    expected.push_back(run(all, i % FAKE_PAGED_LAYERS, traffic[i]));
  }
  EXPECT_EQ(statistics(all).slot_bytes, 0u);
  EXPECT_STREQ(statistics(all).notice, "");
  for (const char *eviction : {"lru", "lfu", "next_use"})
    for (const char *predictor : {"none", "rolling", "past_request", "hint"}) {
      options.eviction = eviction;
      options.predictor = predictor;
      options.idle_steps = 2;
      Model model = open(9);
      if (predictor == std::string("none") &&
          eviction == std::string("next_use")) {
        EXPECT_EQ(status, MOERT_INVALID_ARGUMENT);
        continue;
      }
      ASSERT_TRUE(model) << text;
      for (size_t i = 0; i < traffic.size(); ++i) {
        EXPECT_EQ(run(model, i % FAKE_PAGED_LAYERS, traffic[i]), expected[i]);
        EXPECT_EQ(status, MOERT_OK) << said;
      }
      moert_paging_statistics counted = statistics(model);
      EXPECT_GT(counted.misses, 9u);
      EXPECT_EQ(counted.slot_bytes, 9 * slotBytes);
      EXPECT_LE(counted.resident_bytes, 9 * slotBytes);
      EXPECT_EQ(counted.base_bytes,
                FAKE_PAGED_LAYERS * FAKE_PAGED_CLUSTERS * slotBytes);
      uint64_t bytes = 0;
      EXPECT_EQ(moert_layer_resident_bytes(layerOf(model, 3), &bytes),
                MOERT_OK);
      EXPECT_EQ(bytes, 2 * 4 * 4u);
    }
}

/// Of this process, resident now.
uint64_t residentBytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * uint64_t(::sysconf(_SC_PAGESIZE));
}

TEST_F(PagedModelTest, takesNoMoreMemoryThanItsBudget) {
  writeFakePagedModel(folder.path);
  // What loading a library takes is not what this is about.
  Model other = open(4);
  expectRight(other, 0, {0, 1, 2, 3});
  uint64_t before = residentBytes(), most = 0;
  Model model = open(8);
  ASSERT_TRUE(model) << text;
  std::vector<Clusters> traffic = someTraffic(5);
  for (size_t i = 0; i < traffic.size(); ++i) {
    expectRight(model, i % FAKE_PAGED_LAYERS, traffic[i]);
    most = std::max(most, residentBytes());
  }
  // A tenth more, and what the thread and tables take. All are 12 MB.
  constexpr uint64_t pinned = 1 << 20;
  if (!MOEC_TEST_SANITIZED) {
    EXPECT_LE(most, before + 8 * slotBytes * 11 / 10 + pinned);
  }
  EXPECT_GT(statistics(model).bytes_read, 40u * slotBytes);
}

TEST_F(PagedModelTest, readsWhatTheLayerBeforeHints) {
  writeFakePagedModel(folder.path);
  options.predictor = "exact_hint";
  Model model = open(12);
  ASSERT_TRUE(model) << text;
  for (int step = 0; step < 4; ++step)
    for (size_t layer = 0; layer < FAKE_PAGED_LAYERS; ++layer) {
      EXPECT_EQ(moert_model_begin_request(model.get()), MOERT_OK);
      expectRight(model, layer, {step, step});
      // A kernel that takes its time.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  EXPECT_GT(statistics(model).reads_ahead, 20u);
  EXPECT_EQ(statistics(model).wasted, 0u);
}

TEST_F(PagedModelTest, answersWhichRecordCannotBeRead) {
  writeFakePagedModel(folder.path);
  {
    std::fstream file(archive(),
                      std::ios::in | std::ios::out | std::ios::binary);
    auto whole = moec::weights::Archive::open(archive());
    ASSERT_TRUE(whole);
    file.seekp(int64_t(whole->fileOffset(*whole->findRecord("l3.cluster.1"))) +
               9);
    file.put('\x55');
  }
  // It is found when it is read, and only then.
  Model model = open(4);
  ASSERT_TRUE(model) << text;
  expectRight(model, 3, {0, 2, 3});
  run(model, 3, {0, 1});
  EXPECT_EQ(status, MOERT_IO_ERROR);
  EXPECT_EQ(said.find("moec_block: layer 'l3': " + archive() +
                      ": record 'l3.cluster.1' at "),
            0u)
      << said;
  EXPECT_NE(said.find("expected XXH3 "), std::string::npos) << said;
  expectRight(model, 3, {0, 2, 3});
  expectRight(model, 4, {0, 1, 2, 3});
  EXPECT_EQ(statistics(model).failures, 1u);
  // The archive changes under the running process.
  std::filesystem::resize_file(archive(), 100000);
  run(model, 5, {3});
  EXPECT_EQ(status, MOERT_IO_ERROR);
  EXPECT_NE(said.find("the file ends too early"), std::string::npos) << said;
}

TEST_F(PagedModelTest, hasSlotsOfItsOwnForEachEpoch) {
  writeFakePagedModel(folder.path);
  Model model = open(5);
  ASSERT_TRUE(model) << text;
  expectRight(model, 2, {0, 1, 2});
  const moert_layer_binding *held = nullptr;
  ASSERT_EQ(moert_layer_acquire(layerOf(model, 2), &held), MOERT_OK);
  FakePagedWeights next;
  next.scale = 2;
  std::string path = folder.file("next.safetensors");
  writeFakePagedWeights(path, next);
  ASSERT_EQ(moert_model_load_weights(model.get(), path.c_str(), &sink),
            MOERT_OK)
      << text;
  EXPECT_EQ(statistics(model).reads, 0u);
  expectRight(model, 2, {0, 1, 2, 3}, next);
  // The old epoch reads its own archive still.
  std::vector<float> result = run(model, 2, {3, 0}, held);
  EXPECT_EQ(status, MOERT_OK) << said;
  EXPECT_EQ(result[0], FakePagedWeights().result(2, 3));
  EXPECT_EQ(moert_layer_release(layerOf(model, 2), held), MOERT_OK);
  // One that does not fit changes nothing.
  next.isApart = true;
  std::string wrong = folder.file("wrong.safetensors");
  writeFakePagedWeights(wrong, next);
  EXPECT_EQ(moert_model_load_weights(model.get(), wrong.c_str(), &sink),
            MOERT_INCOMPATIBLE);
  next.isApart = false;
  expectRight(model, 2, {0, 1, 2, 3}, next);
}

TEST_F(PagedModelTest, servesThreadsWhileWeightsAreReplaced) {
  writeFakePagedModel(folder.path);
  Model model = open(6);
  ASSERT_TRUE(model) << text;
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (unsigned seed : {1u, 2u, 3u})
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      while (!stop) {
        size_t layer = random() % FAKE_PAGED_LAYERS;
        std::vector<int32_t> clusters = {int32_t(random() % 4),
                                         int32_t(random() % 4)};
        float ones[] = {1, 1}, result[2];
        TestTensor x{ones, kDLFloat, 32, {2}},
            ids{clusters.data(), kDLInt, 32, {2}}, y{result, kDLFloat, 32, {2}};
        DLTensor *args[] = {&x.view, &ids.view, &y.view};
        TestCall call;
        EXPECT_EQ(moert_layer_call(layerOf(model, layer), &call.call, args, 3),
                  MOERT_OK)
            << call.message();
        // Both tokens of one epoch.
        float first = FakePagedWeights().result(layer, size_t(clusters[0])),
              second = FakePagedWeights().result(layer, size_t(clusters[1]));
        // b has 0.5 that does not scale.
        float times = (result[0] - 0.5f) / (first - 0.5f);
        EXPECT_TRUE(times == 1 || times == 2) << times;
        EXPECT_EQ((result[1] - 0.5f) / (second - 0.5f), times);
      }
    });
  FakePagedWeights next;
  next.scale = 2;
  std::string paths[] = {folder.file("next.safetensors"), archive()};
  writeFakePagedWeights(paths[0], next);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(
        moert_model_load_weights(model.get(), paths[i % 2].c_str(), &sink),
        MOERT_OK)
        << text;
  stop = true;
  for (std::thread &thread : threads)
    thread.join();
}

TEST_F(PagedModelTest, refusesOptionsThatContradictEachOther) {
  writeFakePagedModel(folder.path);
  options.size = 8;
  expectRefused(MOERT_INVALID_ARGUMENT,
                ": got options of 8 bytes, expected at least 48");
  options.size = sizeof options;
  options.predictor = "rolling";
  expectRefused(MOERT_INVALID_ARGUMENT,
                ": expected a memory budget beside an eviction, a predictor, a "
                "lookahead or idle steps, found none");
  options.memory_budget = 4 * slotBytes - 1;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "/weights.safetensors: expected a memory budget of at least "
                "1064960 bytes, which all bases of one layer take, found "
                "1064959");
  options.memory_budget = 4 * slotBytes;
  options.lookahead = -1;
  expectRefused(MOERT_INVALID_ARGUMENT,
                ": expected a lookahead of 0 or more layers, found -1");
  options.lookahead = 3;
  options.predictor = "none";
  expectRefused(MOERT_INVALID_ARGUMENT,
                "/weights.safetensors: expected a predictor for a lookahead of "
                "3, found none");
  options.predictor = "luck";
  expectRefused(MOERT_INVALID_ARGUMENT,
                "/weights.safetensors: expected a predictor of none, rolling, "
                "past_request, hint, exact_hint, found 'luck'");
}

TEST_F(PagedModelTest, refusesArtifactsThatWereNotMadeForIt) {
  options.memory_budget = 1 << 20;
  {
    TemporaryFolder plain;
    writeFakeModel(plain);
    std::swap(folder.path, plain.path);
    expectRefused(MOERT_INCOMPATIBLE,
                  "/weights.safetensors: expected an artifact of moe-compile "
                  "--page-bases for a memory budget, found one without paged "
                  "weights");
    std::swap(folder.path, plain.path);
  }
  {
    TemporaryFolder plain;
    std::filesystem::copy_file(std::string(MOEC_TEST_FAKES) +
                                   "/fake_library.so",
                               plain.file("library.so"));
    plain.write("manifest.json", FAKE_MANIFEST("0.1", "0.1", "layer"));
    std::swap(folder.path, plain.path);
    expectRefused(MOERT_INCOMPATIBLE, ": expected layers beside a memory "
                                      "budget, found an artifact without");
    std::swap(folder.path, plain.path);
  }
  TemporaryFolder onCuda;
  writeFakeCudaModel(onCuda);
  FakeCuda cuda;
  std::swap(folder.path, onCuda.path);
  expectRefused(MOERT_INCOMPATIBLE,
                ": expected entries for the CPU beside a memory budget, found "
                "ones for CUDA");
  std::swap(folder.path, onCuda.path);
  EXPECT_EQ(moert_model_begin_request(nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_model_paging_statistics(nullptr, nullptr),
            MOERT_INVALID_ARGUMENT);
}

} // namespace
