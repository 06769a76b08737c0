// Tests of what a layer's binding is made from, and of tensors that are missing or do not fit.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/src/binding.h"

#include "test/unit/runtime/FakeModel.h"
#include "test/unit/runtime/FakePagedModel.h"

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
                      *device, {}, binding, error);
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

//===----------------------------------------------------------------------===//
// Paged pools
//===----------------------------------------------------------------------===//

class PagedBindingTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(parseManifest(FAKE_PAGED_MANIFEST, manifest, error), MOERT_OK)
        << error;
    ASSERT_EQ(openDevice({kDLCPU, 0}, device, error), MOERT_OK);
  }

  const ManifestEntry &entry() const { return manifest.entries[0]; }
  Archive write(const FakePagedWeights &what) const {
    writeFakePagedWeights(path(), what);
    auto archive = Archive::open(path());
    EXPECT_TRUE(archive) << archive.error();
    return *std::move(archive);
  }
  void expectRefused(const FakePagedWeights &what, const std::string &message) {
    Archive archive = write(what);
    EXPECT_EQ(findPagedRecords(entry(), manifest.layers[0], archive, records,
                               error),
              MOERT_OK)
        << error;
    EXPECT_EQ(findPagedRecords(entry(), manifest.layers[1], archive, records,
                               error),
              MOERT_INCOMPATIBLE);
    EXPECT_EQ(error, path() + ": " + message);
    EXPECT_TRUE(records.empty());
  }
  std::string path() const { return folder.file("a.safetensors"); }

  TemporaryFolder folder;
  Manifest manifest;
  std::unique_ptr<moert_device> device;
  std::vector<moec::store::RecordPlace> records;
  std::string error;
};

TEST_F(PagedBindingTest, isAllThereWithoutAPager) {
  Archive archive = write({});
  std::unique_ptr<Binding> binding;
  ASSERT_EQ(Binding::load(entry(), manifest.layers[1], archive, 1, *device, {},
                          binding, error),
            MOERT_OK)
      << error;
  EXPECT_EQ(binding->view()->paging, nullptr);
  const DLTensor &pool = *binding->view()->tensors[0];
  EXPECT_EQ(pool.shape[0], 4);
  EXPECT_EQ(pool.strides, nullptr);
  EXPECT_EQ(static_cast<float *>(pool.data)[3 * FAKE_PAGED_WIDTH],
            FakePagedWeights().value(1, 3));
  EXPECT_EQ(static_cast<int32_t *>(binding->view()->tensors[2]->data)[3], 3);
  EXPECT_EQ(binding->bytes(), 4 * (FAKE_PAGED_WIDTH + 2) * 4 + 32u);
}

TEST_F(PagedBindingTest, leavesOutClustersOfOtherRanks) {
  Archive archive = write({});
  moec::comm::LayerPlacement placement({{0}, {1}, {0, 1}, {2}});
  std::unique_ptr<Binding> binding;
  ASSERT_EQ(Binding::load(entry(), manifest.layers[1], archive, 1, *device, {},
                          binding, error, {&placement, 1}),
            MOERT_OK)
      << error;
  const auto *w = static_cast<float *>(binding->view()->tensors[0]->data),
             *b = static_cast<float *>(binding->view()->tensors[1]->data);
  for (size_t cluster = 0; cluster < 4; ++cluster) {
    bool isHere = cluster == 1 || cluster == 2;
    float value = isHere ? FakePagedWeights().value(1, cluster) : 0;
    for (size_t i : {0, FAKE_PAGED_WIDTH / 2, FAKE_PAGED_WIDTH - 1})
      EXPECT_EQ(w[cluster * FAKE_PAGED_WIDTH + i], value) << cluster;
    EXPECT_EQ(b[cluster * 2 + 1], isHere ? value + 0.5f : 0) << cluster;
  }
  // Each cluster still has its place.
  EXPECT_EQ(static_cast<int32_t *>(binding->view()->tensors[2]->data)[3], 3);
  EXPECT_EQ(binding->bytes(), 2 * (FAKE_PAGED_WIDTH + 2) * 4 + 32u);
}

TEST_F(PagedBindingTest, seesPartsOfSlots) {
  Archive archive = write({});
  moec::pager::PagerOptions options;
  options.budgetBytes = uint64_t(1) << 30;
  std::vector<moec::pager::PagedLayer> layers(2);
  for (size_t i = 0; i < 2; ++i)
    ASSERT_EQ(findPagedRecords(entry(), manifest.layers[i], archive,
                               layers[i].records, error),
              MOERT_OK)
        << error;
  auto pager = moec::pager::Pager::open(path(), layers, options);
  ASSERT_TRUE(pager) << pager.error();
  LayerPaging paging = {*std::move(pager), 1};
  std::unique_ptr<Binding> binding;
  ASSERT_EQ(Binding::load(entry(), manifest.layers[1], archive, 1, *device,
                          paging, binding, error),
            MOERT_OK)
      << error;
  const DLTensor &w = *binding->view()->tensors[0],
                 &b = *binding->view()->tensors[1];
  moec::pager::Slots slots = paging.pager->slotsOf(1);
  EXPECT_EQ(w.data, slots.memory);
  EXPECT_EQ(w.shape[0], 8);
  EXPECT_EQ(w.shape[1], FAKE_PAGED_WIDTH);
  EXPECT_EQ(w.strides[0], int64_t(slots.stride) / 4);
  EXPECT_EQ(w.strides[1], 1);
  EXPECT_EQ(b.data, slots.memory + FAKE_PAGED_WIDTH * 4);
  EXPECT_EQ(b.strides[0], w.strides[0]);

  const moert_paging *table = binding->view()->paging;
  ASSERT_TRUE(table);
  int32_t wanted[] = {3}, places[4];
  EXPECT_EQ(table->acquire(table->context, wanted, 1, places, nullptr),
            MOERT_OK);
  EXPECT_EQ(static_cast<float *>(b.data)[places[3] * b.strides[0] + 1],
            FakePagedWeights().value(1, 3) + 0.5f);
  table->release(table->context, places);
  // Behind the last layer there is none, nor in front of this one.
  for (int32_t ahead : {-1, 0, 1, 1 << 30})
    table->prefetch(table->context, ahead, wanted, 1);
}

TEST_F(PagedBindingTest, refusesRecordsThatDiffer) {
  FakePagedWeights what;
  what.isTurned = true;
  expectRefused(what, "l1.cluster.2.w: expected place 0 of a record of 262152 "
                      "bytes, as for cluster 0, found place 64 of one of "
                      "262208");
  what = {};
  what.isApart = true;
  expectRefused(what, "l1.cluster.2.w: expected place 0 of a record of 262152 "
                      "bytes, as for cluster 0, found place 0 of one of "
                      "262144");
  // Of one cluster, which all others are like.
  Archive archive = write(what);
  ManifestLayer &layer = manifest.layers[1];
  layer.pagedClusters = 1;
  for (size_t i : {0, 1})
    layer.binding[i].tensor.replace(layer.binding[i].tensor.find('*'), 1, "2");
  EXPECT_EQ(findPagedRecords(entry(), layer, archive, records, error),
            MOERT_INCOMPATIBLE);
  EXPECT_EQ(error, path() + ": l1.cluster.2.b: expected one record of all that "
                            "is paged of a cluster, found 'l1.cluster.2' and "
                            "'l1.cluster.2.apart'");
}

TEST_F(PagedBindingTest, refusesWhatCannotBePaged) {
  FakePagedWeights what;
  what.isSplat = true;
  Archive archive = write(what);
  ManifestLayer &layer = manifest.layers[1];
  layer.binding[0] = layer.binding[1];
  EXPECT_EQ(findPagedRecords(entry(), layer, archive, records, error),
            MOERT_INCOMPATIBLE);
  EXPECT_EQ(error, path() + ": l1.cluster.0.b: expected 262144 bytes of codes "
                            "to page, found 8");
  layer.binding[0].part = "slots";
  EXPECT_EQ(findPagedRecords(entry(), layer, archive, records, error),
            MOERT_INCOMPATIBLE);
  EXPECT_EQ(error, "'w': expected a paged part codes, scales or zero_points, "
                   "found 'slots'");
  manifest.entries[0].arguments[2].isPaged = false;
  EXPECT_EQ(findPagedRecords(entry(), layer, archive, records, error),
            MOERT_INCOMPATIBLE);
  EXPECT_EQ(error, path() + ": l1.cluster.2.b: expected 8 bytes of codes to "
                            "page, found 0 of a splat");
  layer.binding[1].tensor = "nothing.*";
  EXPECT_EQ(findPagedRecords(entry(), layer, archive, records, error),
            MOERT_INCOMPATIBLE);
  EXPECT_EQ(error, path() + ": expected a tensor 'nothing.0', found none");
}

} // namespace
