// Tests of models: layers of one entry, their bindings, epochs, and archives that do not fit.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/model.h"

#include "test/unit/runtime/FakeCuda.h"
#include "test/unit/runtime/FakeModel.h"
#include "test/unit/runtime/TestTensor.h"

#include <atomic>
#include <cstring>
#include <fstream>
#include <thread>

using namespace moec::test;

namespace {

class ModelTest : public testing::Test {
protected:
  ~ModelTest() override { moert_model_close(model); }

  moert_status_t open() {
    moert_error_sink sink = {text, sizeof text};
    return moert_model_open(folder.path.c_str(), &sink, &model);
  }
  void expectRefused(moert_status_t status, const std::string &message) {
    EXPECT_EQ(open(), status);
    EXPECT_EQ(std::string(text), message);
    EXPECT_EQ(model, nullptr);
  }
  std::string archive() const { return folder.file("weights.safetensors"); }

  moert_layer *layer(const char *name) {
    moert_layer *found = nullptr;
    EXPECT_EQ(moert_model_find_layer(model, name, nullptr, &found), MOERT_OK);
    return found;
  }
  /// y of an x of ones.
  float run(const char *name) {
    alignas(64) float xData[8], yData[8] = {};
    std::fill(std::begin(xData), std::end(xData), 1.0f);
    TestTensor x{xData, kDLFloat, 32, {2, 4}}, y{yData, kDLFloat, 32, {2, 4}};
    DLTensor *args[] = {&x.view, &y.view};
    TestCall call;
    EXPECT_EQ(moert_layer_call(layer(name), &call.call, args, 2), MOERT_OK)
        << call.message();
    EXPECT_EQ(yData[0], yData[7]);
    return yData[0];
  }

  /// How many threads the executor of a call has; 0 without one.
  float threads(const moert_executor *executor, uint32_t callSize) {
    float xData[4] = {FAKE_MODEL_ASKS_THREADS}, yData[4] = {};
    TestTensor x{xData, kDLFloat, 32, {1, 4}}, y{yData, kDLFloat, 32, {1, 4}};
    DLTensor *args[] = {&x.view, &y.view};
    TestCall call;
    call.call.size = callSize;
    call.call.executor = executor;
    EXPECT_EQ(moert_layer_call(layer("layer0"), &call.call, args, 2), MOERT_OK)
        << call.message();
    return yData[0];
  }

  TemporaryFolder folder;
  moert_model *model = nullptr;
  char text[512] = "";
};

TEST_F(ModelTest, runsLayersOfOneEntryWithWeightsOfTheirOwn) {
  writeFakeModel(folder);
  ASSERT_EQ(open(), MOERT_OK) << text;
  EXPECT_EQ(run("layer0"), 2);
  EXPECT_EQ(run("layer1"), 7);
  int32_t count = 0;
  EXPECT_EQ(moert_model_layer_count(model, &count), MOERT_OK);
  EXPECT_EQ(count, 2);
  moert_layer *second = nullptr;
  ASSERT_EQ(moert_model_layer_at(model, 1, &second), MOERT_OK);
  EXPECT_EQ(second, layer("layer1"));
  EXPECT_EQ(moert_model_layer_at(model, 2, &second), MOERT_NOT_FOUND);
  EXPECT_EQ(second, nullptr);
  const char *name = nullptr;
  EXPECT_EQ(moert_layer_name(layer("layer1"), &name), MOERT_OK);
  EXPECT_STREQ(name, "layer1");
  const moert_library_entry *first = nullptr, *other = nullptr;
  EXPECT_EQ(moert_layer_entry(layer("layer0"), &first), MOERT_OK);
  EXPECT_EQ(moert_layer_entry(layer("layer1"), &other), MOERT_OK);
  EXPECT_EQ(first, other);
  uint64_t bytes = 0;
  EXPECT_EQ(moert_layer_resident_bytes(layer("layer0"), &bytes), MOERT_OK);
  EXPECT_EQ(bytes, 32u + 8 + 4);
  const moert_library *library = nullptr;
  EXPECT_EQ(moert_model_library(model, &library), MOERT_OK);
  EXPECT_EQ(moert_library_entry_count(library, &count), MOERT_OK);
  EXPECT_EQ(count, 1);
  int64_t below = 0;
  EXPECT_EQ(moert_library_argument_below(first, 3, &below), MOERT_OK);
  EXPECT_EQ(below, 2);
  EXPECT_EQ(moert_library_argument_below(first, 0, &below), MOERT_OK);
  EXPECT_EQ(below, 0);
  EXPECT_EQ(moert_library_argument_below(first, 5, &below), MOERT_NOT_FOUND);
  const char *hash = nullptr;
  EXPECT_EQ(moert_model_source(model, &name, &hash), MOERT_OK);
  EXPECT_STREQ(name, "a fake");
  EXPECT_STREQ(hash, "f00d");
}

TEST_F(ModelTest, fillsPoolsFromSplats) {
  FakeWeights splat;
  splat.isSplat = true;
  writeFakeModel(folder, splat);
  ASSERT_EQ(open(), MOERT_OK) << text;
  EXPECT_EQ(run("layer1"), 7);
}

TEST_F(ModelTest, publishesAnEpochWhileTheOldOneIsRead) {
  writeFakeModel(folder);
  ASSERT_EQ(open(), MOERT_OK) << text;
  const moert_layer_binding *held = nullptr;
  ASSERT_EQ(moert_layer_acquire(layer("layer0"), &held), MOERT_OK);
  EXPECT_EQ(held->epoch, 1u);
  ASSERT_EQ(held->count, 3);
  // Regrouped: other values, and other tables.
  FakeWeights regrouped;
  regrouped.values[0][1] = 11;
  regrouped.choice[0] = 1;
  std::string next = folder.file("next.safetensors");
  writeFakeWeights(next, regrouped);
  moert_error_sink sink = {text, sizeof text};
  ASSERT_EQ(moert_model_load_weights(model, next.c_str(), &sink), MOERT_OK)
      << text;
  EXPECT_EQ(run("layer0"), 11);
  EXPECT_EQ(static_cast<const float *>(held->tensors[0]->data)[4], 3);
  const moert_layer_binding *now = nullptr;
  ASSERT_EQ(moert_layer_acquire(layer("layer0"), &now), MOERT_OK);
  EXPECT_EQ(now->epoch, 2u);
  EXPECT_EQ(moert_layer_release(layer("layer0"), now), MOERT_OK);
  EXPECT_EQ(moert_layer_release(layer("layer0"), held), MOERT_OK);
}

TEST_F(ModelTest, keepsTheOldWeightsWhenNewOnesAreRefused) {
  writeFakeModel(folder);
  ASSERT_EQ(open(), MOERT_OK) << text;
  FakeWeights wrong;
  wrong.choice[1] = 9;
  std::string next = folder.file("next.safetensors");
  writeFakeWeights(next, wrong);
  moert_error_sink sink = {text, sizeof text};
  EXPECT_EQ(moert_model_load_weights(model, next.c_str(), &sink),
            MOERT_INCOMPATIBLE);
  EXPECT_EQ(std::string(text), next + ": layer1.choice: expected entries from "
                                      "0 to 1, found 9 at 0");
  EXPECT_EQ(run("layer0"), 2);
  EXPECT_EQ(moert_model_load_weights(model, nullptr, &sink),
            MOERT_INVALID_ARGUMENT);
  EXPECT_STREQ(text, "moert_model_load_weights: expected a model and a path, "
                     "found null");
}

TEST_F(ModelTest, readsOneEpochFromStartToEndUnderThreads) {
  writeFakeModel(folder);
  ASSERT_EQ(open(), MOERT_OK) << text;
  FakeWeights other;
  other.values[0][0] = 13;
  std::string paths[] = {archive(), folder.file("next.safetensors")};
  writeFakeWeights(paths[1], other);
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    while (!stop) {
      float value = run("layer0");
      EXPECT_TRUE(value == 2 || value == 13) << value;
    }
  });
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(moert_model_load_weights(model, paths[i % 2].c_str(), nullptr),
              MOERT_OK);
  stop = true;
  reader.join();
}

TEST_F(ModelTest, hasThreadsForCallsThatBringNone) {
  writeFakeModel(folder);
  ASSERT_EQ(open(), MOERT_OK) << text;
  EXPECT_EQ(threads(nullptr, sizeof(moert_call)), 0);
  moert_error_sink sink = {text, sizeof text};
  ASSERT_EQ(moert_model_set_threads(model, 3, &sink), MOERT_OK) << text;
  EXPECT_EQ(threads(nullptr, sizeof(moert_call)), 3);
  // A caller of an earlier minor, whose call ends in front of the executor.
  EXPECT_EQ(threads(nullptr, offsetof(moert_call, executor)), 3);
  moert_executor own = {
      sizeof(moert_executor), 5, nullptr,
      [](void *, int64_t, int64_t, void (*)(void *, int64_t, int64_t), void *) {
      }};
  EXPECT_EQ(threads(&own, sizeof(moert_call)), 5);
  EXPECT_EQ(moert_model_set_threads(model, -1, &sink), MOERT_INVALID_ARGUMENT);
  EXPECT_STREQ(text, "moert_pool_create: expected 0 to 1024 threads, found -1");
  EXPECT_EQ(threads(nullptr, sizeof(moert_call)), 3);
  EXPECT_EQ(moert_model_set_threads(model, 1, &sink), MOERT_OK);
  EXPECT_EQ(threads(nullptr, sizeof(moert_call)), 0);
  EXPECT_EQ(moert_model_set_threads(nullptr, 1, &sink), MOERT_INVALID_ARGUMENT);
  EXPECT_STREQ(text, "moert_model_set_threads: expected a model, found null");
}

TEST_F(ModelTest, refusesAnArchiveOfAnotherLayout) {
  FakeWeights wrong;
  wrong.layoutHash = 8;
  writeFakeModel(folder, wrong);
  expectRefused(MOERT_INCOMPATIBLE,
                archive() + ": expected layout hash 0000000000000007 of the "
                            "library, found 0000000000000008");
}

TEST_F(ModelTest, refusesAnArchiveThatIsNotThereOrDamaged) {
  writeFakeModel(folder);
  std::filesystem::rename(archive(), folder.file("away"));
  EXPECT_EQ(open(), MOERT_IO_ERROR);
  EXPECT_NE(std::string(text).find("weights.safetensors"), std::string::npos);
  std::filesystem::rename(folder.file("away"), archive());
  std::fstream file(archive(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file.put('\x55');
  file.close();
  EXPECT_EQ(open(), MOERT_INCOMPATIBLE);
  EXPECT_NE(std::string(text).find("XXH3"), std::string::npos) << text;
}

TEST_F(ModelTest, namesLayersAndNulls) {
  writeFakeModel(folder);
  moert_error_sink sink = {text, sizeof text};
  EXPECT_EQ(moert_model_open(nullptr, &sink, &model), MOERT_INVALID_ARGUMENT);
  EXPECT_STREQ(text, "moert_model_open: expected a path and a place for the "
                     "model, found null");
  ASSERT_EQ(open(), MOERT_OK) << text;
  moert_layer *found = nullptr;
  EXPECT_EQ(moert_model_find_layer(model, "layer7", &sink, &found),
            MOERT_NOT_FOUND);
  EXPECT_STREQ(text, "expected a layer 'layer7', found only layer0, layer1");
  EXPECT_EQ(moert_model_find_layer(model, nullptr, &sink, &found),
            MOERT_INVALID_ARGUMENT);
  EXPECT_STREQ(text, "moert_model_find_layer: expected a model, a name and a "
                     "place for the layer, found null");
  EXPECT_EQ(moert_model_layer_count(model, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_model_layer_at(nullptr, 0, &found), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_layer_call(nullptr, nullptr, nullptr, 0),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_layer_acquire(nullptr, nullptr), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_layer_release(layer("layer0"), nullptr),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_model_close(nullptr), MOERT_OK);
}

/// A model whose kernels run on a device that fake_cuda_driver.c is.
class CudaModelTest : public ModelTest {
protected:
  void SetUp() override { writeFakeCudaModel(folder); }
  void TearDown() override {
    moert_model_close(model);
    model = nullptr;
  }
  moert_status_t openOn(DLDevice device) {
    moert_error_sink sink = {text, sizeof text};
    return moert_model_open_on(folder.path.c_str(), device, &sink, &model);
  }

  FakeCuda cuda;
};

TEST_F(CudaModelTest, hasItsWeightsOnTheDevice) {
  cuda->memory_device = 1;
  ASSERT_EQ(openOn({kDLCUDA, 1}), MOERT_OK) << text;
  // Three tensors of each of two layers.
  EXPECT_EQ(cuda->allocations, 6);
  const moert_layer_binding *binding = nullptr;
  ASSERT_EQ(moert_layer_acquire(layer("layer1"), &binding), MOERT_OK);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(binding->tensors[i]->device.device_type, kDLCUDA);
    EXPECT_EQ(binding->tensors[i]->device.device_id, 1);
  }
  moert_layer_release(layer("layer1"), binding);

  moert_device *device = nullptr;
  ASSERT_EQ(moert_model_device(model, &device), MOERT_OK);
  void *memory = nullptr;
  ASSERT_EQ(moert_device_allocate(device, 64, nullptr, &memory), MOERT_OK);
  float ones[] = {1, 1, 1, 1}, out[4] = {};
  char *xData = static_cast<char *>(memory), *yData = xData + 32;
  moert_device_write(device, xData, ones, sizeof ones, nullptr);
  TestTensor x{xData, kDLFloat, 32, {1, 4}}, y{yData, kDLFloat, 32, {1, 4}};
  x.view.device = y.view.device = {kDLCUDA, 1};
  DLTensor *args[] = {&x.view, &y.view};
  TestCall call;
  call.call.workspace_bytes = 0;
  moert_device_stream(device, &call.call.stream);
  ASSERT_EQ(moert_layer_call(layer("layer1"), &call.call, args, 2), MOERT_OK)
      << call.message();
  moert_device_read(device, out, yData, sizeof out, nullptr);
  EXPECT_EQ(out[0], 7);
  EXPECT_EQ(out[3], 7);
  ASSERT_EQ(cuda->launch_count, 1);
  EXPECT_EQ(cuda->launches[0].stream, fake_stream(1));
  moert_device_free(device, memory);

  // Another epoch is on the device, too, and the one before is freed.
  FakeWeights next;
  next.values[0][0] = 11;
  writeFakeWeights(folder.file("next.safetensors"), next);
  ASSERT_EQ(moert_model_load_weights(
                model, folder.file("next.safetensors").c_str(), nullptr),
            MOERT_OK);
  EXPECT_EQ(cuda->allocations, 6);
}

TEST_F(CudaModelTest, isOnTheFirstDeviceByDefault) {
  ASSERT_EQ(open(), MOERT_OK) << text;
  moert_device *device = nullptr;
  const char *description = nullptr;
  ASSERT_EQ(moert_model_device(model, &device), MOERT_OK);
  ASSERT_EQ(moert_device_description(device, &description), MOERT_OK);
  EXPECT_STREQ(description, "Fake 0, sm_80, driver of CUDA 12.4");
  EXPECT_EQ(moert_model_device(nullptr, &device), MOERT_INVALID_ARGUMENT);
}

TEST_F(CudaModelTest, refusesAnotherDevice) {
  EXPECT_EQ(openOn({kDLCPU, 0}), MOERT_INCOMPATIBLE);
  EXPECT_EQ(text, folder.path + ": expected device type 2 (CUDA), which its "
                                "entries are for, found 1");
  EXPECT_EQ(openOn({kDLCUDA, 2}), MOERT_NOT_FOUND);
  EXPECT_EQ(text, folder.path + ": needs CUDA device 2, found 2 devices");
  EXPECT_EQ(model, nullptr);
}

TEST_F(CudaModelTest, saysThatTheWeightsDoNotFitOnTheDevice) {
  cuda.fail("cuMemAlloc_v2", 2);
  EXPECT_EQ(open(), MOERT_OUT_OF_MEMORY);
  EXPECT_STREQ(text, "layer 'layer0': CUDA device 0: 32 bytes cannot be "
                     "allocated: CUDA_ERROR_OUT_OF_MEMORY (words of the fake "
                     "driver)");
  cuda.fail("cuMemcpyHtoD_v2", 1);
  EXPECT_EQ(open(), MOERT_DEVICE_ERROR);
  EXPECT_EQ(cuda->allocations, 0);
}

TEST_F(CudaModelTest, theLibrarySaysWhatItIsFor) {
  ASSERT_EQ(open(), MOERT_OK) << text;
  const moert_library *library = nullptr;
  int32_t type = 0;
  ASSERT_EQ(moert_model_library(model, &library), MOERT_OK);
  EXPECT_EQ(moert_library_device_type(library, &type), MOERT_OK);
  EXPECT_EQ(type, kDLCUDA);
  EXPECT_EQ(moert_library_device_type(library, nullptr),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_library_device_type(nullptr, &type), MOERT_INVALID_ARGUMENT);
}

TEST_F(ModelTest, isOnTheCpuByDefault) {
  writeFakeModel(folder);
  ASSERT_EQ(open(), MOERT_OK) << text;
  const moert_library *library = nullptr;
  int32_t type = 0;
  ASSERT_EQ(moert_model_library(model, &library), MOERT_OK);
  EXPECT_EQ(moert_library_device_type(library, &type), MOERT_OK);
  EXPECT_EQ(type, kDLCPU);
  moert_model *other = nullptr;
  char message[256] = "";
  moert_error_sink sink = {message, sizeof message};
  EXPECT_EQ(
      moert_model_open_on(folder.path.c_str(), {kDLCUDA, 0}, &sink, &other),
      MOERT_INCOMPATIBLE);
  EXPECT_EQ(message, folder.path + ": expected device type 1 (CPU), which its "
                                   "entries are for, found 2");
}

} // namespace
