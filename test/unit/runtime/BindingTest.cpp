// Tests of what a layer's binding is made from, and of tensors that are missing or do not fit.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/src/binding.h"

#include "test/unit/runtime/FakeModel.h"

using namespace moec::runtime;
using namespace moec::test;
using moec::weights::Archive;

namespace {

class BindingTest : public testing::Test {
protected:
  void SetUp() override {
    std::string error;
    ASSERT_EQ(parseManifest(FAKE_MODEL_MANIFEST, manifest, error), MOERT_OK)
        << error;
  }

  std::unique_ptr<Binding> load(const FakeWeights &what, size_t layer = 0) {
    writeFakeWeights(path(), what);
    auto archive = Archive::open(path());
    EXPECT_TRUE(archive) << archive.error();
    EXPECT_EQ(openDevice({kDLCPU, 0}, device, error), MOERT_OK);
    std::unique_ptr<Binding> binding;
    moert_status_t status =
        Binding::load(manifest.entries[0], manifest.layers[layer], *archive, 5,
                      *device, binding, error);
    EXPECT_EQ(status, binding ? MOERT_OK : MOERT_INCOMPATIBLE);
    return binding;
  }
  std::string path() const { return folder.file("a.safetensors"); }

  TemporaryFolder folder;
  Manifest manifest;
  std::unique_ptr<moert_device> device;
  std::string error;
};

TEST_F(BindingTest, hasPoolsSlotsAndTablesInTheEntrysOrder) {
  std::unique_ptr<Binding> binding = load({}, 1);
  ASSERT_TRUE(binding) << error;
  const moert_layer_binding *view = binding->view();
  EXPECT_EQ(Binding::of(view), binding.get());
  EXPECT_EQ(view->size, sizeof(moert_layer_binding));
  EXPECT_EQ(view->epoch, 5u);
  ASSERT_EQ(view->count, 3);
  const DLTensor &pool = *view->tensors[0];
  EXPECT_EQ(uintptr_t(pool.data) % 64, 0u);
  EXPECT_EQ(pool.ndim, 2);
  EXPECT_EQ(pool.shape[0], 2);
  EXPECT_EQ(pool.dtype.code, kDLFloat);
  EXPECT_EQ(static_cast<float *>(pool.data)[0], 5);
  EXPECT_EQ(static_cast<float *>(pool.data)[4], 7);
  const int32_t *slots = static_cast<int32_t *>(view->tensors[1]->data);
  EXPECT_EQ(slots[0], 0);
  EXPECT_EQ(slots[1], 1);
  EXPECT_EQ(*static_cast<int32_t *>(view->tensors[2]->data), 1);
  EXPECT_EQ(binding->bytes(), 32u + 8 + 4);
}

TEST_F(BindingTest, refusesWhatDoesNotFit) {
  FakeWeights what;
  what.isComplete = false;
  EXPECT_FALSE(load(what, 1));
  EXPECT_EQ(error, path() + ": expected a tensor 'layer1.cluster.1.w', found "
                            "none");
  what = {};
  what.width = 3;
  EXPECT_FALSE(load(what));
  EXPECT_EQ(error, path() + ": layer0.cluster.0.w: expected 16 bytes of codes, "
                            "found 12 of f32 row_major [1, 3]");
  what = {};
  what.choice[0] = -1;
  EXPECT_FALSE(load(what));
  EXPECT_EQ(error, path() + ": layer0.choice: expected entries from 0 to 1, "
                            "found -1 at 0");
  manifest.layers[0].binding[0].part = "colours";
  EXPECT_FALSE(load({}));
  EXPECT_EQ(error, "layer 'layer0': 'w': expected a part codes, scales, "
                   "zero_points, slots or table, found 'colours'");
  manifest.layers[0].binding[0].part = "scales";
  EXPECT_FALSE(load({}));
  EXPECT_EQ(error, path() + ": layer0.cluster.0.w: expected 16 bytes of "
                            "scales, found 0 of f32 row_major [1, 4]");
  manifest.layers[0].binding[0].part = "codes";
  manifest.layers[0].binding[2].tensor = "layer0.cluster.0.w";
  EXPECT_FALSE(load({}));
  manifest.entries[0].arguments[1].description.shape[0] = -1;
  EXPECT_FALSE(load({}));
  EXPECT_EQ(error, "layer 'layer0': 'w': expected extents that are known");
}

TEST_F(BindingTest, takesPanelsAsTheArgumentHasThem) {
  FakeWeights what;
  what.layout = moec::weights::Layout::Panel16;
  EXPECT_FALSE(load(what));
  EXPECT_EQ(error, path() + ": layer0.cluster.0.w: expected 16 bytes of codes, "
                            "found 64 of f32 panel16 [1, 4]");
  // [entries][columns / 16][rows][16]: 4 columns, filled up with zeros.
  moert_argument &pool = manifest.entries[0].arguments[1].description;
  pool.rank = 4;
  for (auto [d, extent] : {std::pair{1, 1}, {2, 1}, {3, 16}})
    pool.shape[d] = extent;
  for (bool isSplat : {false, true}) {
    what.isSplat = isSplat;
    std::unique_ptr<Binding> binding = load(what);
    ASSERT_TRUE(binding) << error;
    const DLTensor &tensor = *binding->view()->tensors[0];
    ASSERT_EQ(tensor.ndim, 4);
    const float *values = static_cast<const float *>(tensor.data);
    EXPECT_EQ(values[3], 2);
    EXPECT_EQ(values[4], 0);
    EXPECT_EQ(values[16], 3);
    EXPECT_EQ(values[31], 0);
    EXPECT_EQ(binding->bytes(), 128u + 8 + 4);
  }
}

TEST_F(BindingTest, refusesATableOfAnotherLength) {
  manifest.entries[0].arguments[3].description.shape[0] = 2;
  EXPECT_FALSE(load({}));
  EXPECT_EQ(error, path() + ": layer0.choice: expected 2 entries, found 1");
}

} // namespace
