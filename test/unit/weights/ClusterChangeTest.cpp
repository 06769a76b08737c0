// Tests of what other clusters make of a layer's bases and residuals.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/ClusterChange.h"

#include "test/unit/TemporaryFolder.h"
#include "test/unit/weights/ClusteredArchive.h"

#include <gtest/gtest.h>

using namespace moec::test;
using namespace moec::weights;

namespace {

// The second cluster has the same members in both, under another number.
const Table tableA = {0, 1, 1, 0, 2, 2, 0, 0};
const Table tableB = {1, 0, 0, 2, 2, 1, 1, 2};

class ClusterChangeTest : public testing::Test {
protected:
  void SetUp() override {
    for (auto [name, table] : {std::pair("a", &tableA), {"b", &tableB}}) {
      example.write(folder.file(name), *table);
      Result<Archive> opened = Archive::open(folder.file(name));
      ASSERT_TRUE(opened) << opened.error();
      (name[0] == 'a' ? archive : other).emplace(*std::move(opened));
    }
    auto layers = findClusteredLayers(*archive);
    ASSERT_TRUE(layers) << layers.error();
    layer = (*layers)[1];
  }
  ClusterChange change(const Table &table) {
    auto made = ClusterChange::create(*archive, layer, originals, table, work);
    EXPECT_TRUE(made) << made.error();
    return *std::move(made);
  }

  TemporaryFolder folder;
  ClusteredArchive example;
  OriginalMatrices originals = example.originals();
  ChangeWork work;
  /// Of tableA, and of tableB.
  std::optional<Archive> archive, other;
  ClusteredLayer layer;
};

TEST_F(ClusterChangeTest, makesWhatTheOtherClustersWouldHaveBeenCompiledTo) {
  ClusterChange toB = change(tableB);
  EXPECT_EQ(toB.newTable(), tableB);
  EXPECT_EQ(toB.movedExperts(), (std::vector<int64_t>{0, 3, 4, 5, 6, 7}));
  ASSERT_TRUE(toB.factorize());
  size_t made = 0, copied = 0;
  for (const ArchiveRecord &record : archive->records()) {
    if (!record.name.starts_with("layer1."))
      continue;
    for (const ArchiveTensor &tensor : record.tensors) {
      Result<TensorContent> content = toB.contentOf(tensor);
      ASSERT_TRUE(content) << content.error();
      ++(content->made ? made : copied);
      StoredTensorView bytes =
          content->made ? StoredTensorView(*content->made)
                        : archive->bytes(*archive->findTensor(content->copied));
      EXPECT_TRUE(isSame(bytes, other->bytes(*other->findTensor(tensor.name))))
          << tensor.name;
    }
  }
  // Of each role two bases, and two factors of six experts.
  EXPECT_EQ(made, 3u * (2 + 12));
  EXPECT_EQ(copied, 3u * (1 + 4));
  Result<TensorContent> base =
      toB.contentOf(*archive->findTensor("layer1.cluster.0.up.base"));
  ASSERT_TRUE(base) << base.error();
  EXPECT_EQ(base->copied, "layer1.cluster.1.up.base");
}

TEST_F(ClusterChangeTest, saysWhatErrorsAreAndWillBe) {
  ClusterChange toB = change(tableB);
  ASSERT_TRUE(toB.factorize());
  auto layers = findClusteredLayers(*other);
  ASSERT_TRUE(layers) << layers.error();
  auto back =
      ClusterChange::create(*other, (*layers)[1], originals, tableA, work);
  ASSERT_TRUE(back) << back.error();
  ASSERT_TRUE(back->factorize());
  for (size_t role = 0; role < 3; ++role) {
    Result<double> now = toB.largestErrorNow(role),
                   then = toB.largestErrorThen(role),
                   thenOfOther = back->largestErrorNow(role),
                   nowOfOther = back->largestErrorThen(role);
    ASSERT_TRUE(now && then && thenOfOther && nowOfOther);
    EXPECT_EQ(*then, *thenOfOther);
    EXPECT_EQ(*now, *nowOfOther);
    EXPECT_NE(*now, *then);
    EXPECT_GT(*now, 0.1);
    EXPECT_LT(*now, 1);
  }
}

TEST_F(ClusterChangeTest, knowsTheRecipeOfTheArchive) {
  CheckedRecords records(*archive);
  ClusterChange present = change(tableA);
  EXPECT_TRUE(present.movedExperts().empty());
  Status status = present.checkRecipe(records);
  EXPECT_TRUE(status) << status.error();
  // It is that of the originals.
  class Others final : public TensorSource {
    Result<MatrixSourcePtr>
    openMatrices(const std::string &name, std::string_view,
                 std::span<const int64_t> shape) const override {
      return seededMatrices(name, {shape[0], shape[1], shape[2]}, 99, 1);
    }
    Result<std::vector<int32_t>>
    loadIntegers(const std::string &name, std::string_view,
                 std::span<const int64_t>) const override {
      return Error{name + ": no table"};
    }
  };
  originals.source = std::make_shared<Others>();
  status = change(tableA).checkRecipe(records);
  ASSERT_FALSE(status);
  EXPECT_TRUE(status.error().starts_with(
      folder.file("a") + ": expected 'layer1.cluster.0.gate.base' to be what "
                         "the originals give"))
      << status.error();
}

TEST_F(ClusterChangeTest, refusesWhatTheModelDoesNotHave) {
  originals.formatOf = [](int64_t number,
                          const std::string &role) -> Result<Format> {
    return Error{"no " + role + " of layer " + std::to_string(number)};
  };
  auto made = ClusterChange::create(*archive, layer, originals, tableB, work);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), "no gate of layer 1");
}

TEST_F(ClusterChangeTest, stopsWhenItIsAsked) {
  std::stop_source stop;
  work.stop = stop.get_token();
  ClusterChange toB = change(tableB);
  stop.request_stop();
  CheckedRecords records(*archive);
  for (const Status &status : {toB.factorize(), toB.checkRecipe(records)}) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error(), "stopped");
  }
}

} // namespace
