// Tests of finding the layers of an archive whose experts share bases.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/ClusteredLayers.h"

#include "test/unit/TemporaryFolder.h"
#include "test/unit/weights/ClusteredArchive.h"
#include "test/unit/weights/ExampleArchive.h"

#include <gtest/gtest.h>

using namespace moec::test;
using namespace moec::weights;

namespace {

const Table table = {0, 1, 1, 0, 2, 2, 0, 1};

class ClusteredLayersTest : public testing::Test {
protected:
  Result<std::vector<ClusteredLayer>> find() {
    std::string path = folder.file("a");
    example.write(path, table);
    archive.emplace(Archive::open(path));
    EXPECT_TRUE(*archive) << archive->error();
    return findClusteredLayers(**archive);
  }
  void expectRefused(const std::string &message) {
    auto layers = find();
    ASSERT_FALSE(layers);
    EXPECT_EQ(layers.error(), folder.file("a") + ": " + message);
  }
  /// Changes the tensor of that name in the plan.
  void change(const std::string &name,
              std::function<void(ArchiveTensor &)> how) {
    example.changePlan = [=](ArchiveHeader &plan) {
      for (ArchiveRecord &record : plan.records)
        for (ArchiveTensor &tensor : record.tensors)
          if (tensor.name == name)
            how(tensor);
    };
  }

  TemporaryFolder folder;
  ClusteredArchive example;
  std::optional<Result<Archive>> archive;
};

TEST_F(ClusteredLayersTest, saysWhatIsStoredAndWhere) {
  auto layers = find();
  ASSERT_TRUE(layers) << layers.error();
  ASSERT_EQ(layers->size(), 3u);
  const ClusteredLayer &layer = (*layers)[1];
  EXPECT_EQ(layer.name, "layer1");
  EXPECT_EQ(layer.number, 1);
  EXPECT_EQ(layer.experts, 8);
  EXPECT_EQ(layer.clusters, 3);
  EXPECT_EQ(layer.table, table);
  ASSERT_EQ(layer.matrices.size(), 3u);
  const ClusteredMatrix &down = layer.matrices[2];
  EXPECT_EQ(down.role, "down");
  EXPECT_EQ(down.rows(), 20);
  EXPECT_EQ(down.cols(), 12);
  EXPECT_EQ(down.rank(), 4);
  EXPECT_EQ(toString(down.base), "bf16 panel16 [20, 12]");
  EXPECT_EQ(toString(*down.output), "int8 group 4 panel16 [4, 12]");
  EXPECT_EQ(layer.tables, (std::vector<std::string>{"layer1.cluster",
                                                    "layer0.next.cluster"}));
  EXPECT_EQ(layer.prototypes,
            (std::vector<std::string>{"layer1.prototypes",
                                      "layer0.next.prototypes"}));
  EXPECT_EQ(
      layers->back().tables,
      (std::vector<std::string>{"layer2.cluster", "layer0.next2.cluster"}));
  EXPECT_EQ(layers->front().tables, std::vector<std::string>{"layer0.cluster"});
  EXPECT_TRUE(layers->front().prototypes.empty());
  EXPECT_EQ(layer.baseName(2, "up"), "layer1.cluster.2.up.base");
  EXPECT_EQ(layer.factorName(7, "up", "a"), "layer1.expert.7.up.a");
}

TEST_F(ClusteredLayersTest, findsBasesWithoutFactors) {
  example.hasFactors = false;
  auto layers = find();
  ASSERT_TRUE(layers) << layers.error();
  EXPECT_EQ(layers->front().matrices[0].rank(), 0);
  EXPECT_FALSE(layers->front().matrices[0].output);
}

TEST_F(ClusteredLayersTest, refusesAnArchiveWithoutClusters) {
  ASSERT_TRUE(writeExample(folder.file("a")));
  Result<Archive> other = Archive::open(folder.file("a"));
  ASSERT_TRUE(other) << other.error();
  auto layers = findClusteredLayers(*other);
  ASSERT_FALSE(layers);
  EXPECT_EQ(layers.error(),
            folder.file("a") + ": expected layers whose experts share bases of "
                               "clusters, found none");
}

TEST_F(ClusteredLayersTest, refusesALayerWithoutNumber) {
  example.changePlan = [](ArchiveHeader &plan) {
    for (ArchiveRecord &record : plan.records) {
      auto rename = [](std::string &name) {
        if (name.starts_with("layer0"))
          name.replace(0, 6, "first");
      };
      rename(record.name);
      for (ArchiveTensor &tensor : record.tensors)
        rename(tensor.name);
    }
  };
  expectRefused("first: expected a layer with clusters to be called layerN");
}

TEST_F(ClusteredLayersTest, refusesATableOfOtherClusters) {
  example.changePlan = [](ArchiveHeader &plan) {
    for (ArchiveRecord &record : plan.records)
      if (record.name == "layer0.cluster.2")
        record.name = "layer0.other";
  };
  expectRefused("layer0: expected clusters from 0 to 1 in the table, found 2");
}

TEST_F(ClusteredLayersTest, refusesATableWithoutExperts) {
  change("layer0.cluster", [](ArchiveTensor &tensor) {
    tensor.form.shape = {0};
    tensor.splat = 0;
  });
  expectRefused("layer0: expected a table of experts, found none in it");
}

TEST_F(ClusteredLayersTest, refusesWhatIsNoBaseInAClustersRecord) {
  change("layer0.cluster.0.up.base",
         [](ArchiveTensor &tensor) { tensor.name = "layer0.cluster.0.bias"; });
  expectRefused("layer0: expected bases 'layer0.cluster.0.*.base' alone in a "
                "cluster's record, found 'layer0.cluster.0.bias'");
}

TEST_F(ClusteredLayersTest, refusesABaseThatIsMissing) {
  change("layer0.cluster.1.up.base",
         [](ArchiveTensor &tensor) { tensor.name = "layer0.cluster.1.bias"; });
  expectRefused("layer0: expected a tensor 'layer0.cluster.1.up.base', found "
                "none");
}

TEST_F(ClusteredLayersTest, refusesMoreBasesOfOneCluster) {
  example.changePlan = [](ArchiveHeader &plan) {
    for (ArchiveRecord &record : plan.records)
      if (record.name == "layer0.cluster.2")
        record.tensors.push_back(splat(
            floats("layer0.cluster.2.bias", "f32", Layout::RowMajor, {4}), 0));
  };
  expectRefused("layer0: expected 3 bases of each cluster, found another "
                "number of cluster 2");
}

TEST_F(ClusteredLayersTest, refusesBasesWithoutValues) {
  change("layer0.cluster.1.up.base",
         [](ArchiveTensor &tensor) { tensor.splat = 0; });
  expectRefused("layer0: expected values of 'layer0.cluster.1.up.base', found "
                "a splat");
}

TEST_F(ClusteredLayersTest, refusesOtherForms) {
  change("layer0.cluster.1.up.base",
         [](ArchiveTensor &tensor) { tensor.form.shape = {2, 6, 20}; });
  expectRefused("layer0: expected 'layer0.cluster.1.up.base' to be a matrix of "
                "floats, found bf16 panel16 [2, 6, 20]");
}

TEST_F(ClusteredLayersTest, refusesFormsThatDifferFromClusterToCluster) {
  change("layer0.cluster.1.up.base", [](ArchiveTensor &tensor) {
    tensor.form.values = *encodingFromText("f16");
  });
  expectRefused("layer0: expected 'layer0.cluster.1.up.base' to be bf16 "
                "panel16 [12, 20], as the first one is, found f16 panel16 "
                "[12, 20]");
}

TEST_F(ClusteredLayersTest, refusesFactorsThatDoNotFit) {
  example.changePlan = [](ArchiveHeader &plan) {
    for (ArchiveRecord &record : plan.records)
      for (ArchiveTensor &tensor : record.tensors)
        if (tensor.name.starts_with("layer0.expert.") &&
            tensor.name.ends_with(".up.b"))
          tensor.form.shape = {4, 19};
  };
  expectRefused("layer0: expected factors of up that fit bf16 panel16 [12, "
                "20], found int8 group 4 panel16 [12, 4] and int8 group 4 "
                "panel16 [4, 19]");
}

TEST_F(ClusteredLayersTest, refusesACopyOfAnotherTable) {
  // As a table of zeros, which is not the table.
  change("layer0.next.cluster",
         [](ArchiveTensor &tensor) { tensor.splat = 0; });
  expectRefused("expected 'layer0.next.cluster' to hold the table of layer1, "
                "found other values");
}

} // namespace
