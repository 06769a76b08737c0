// Tests of which ranks compute which clusters.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/comm/Placement.h"

#include <gtest/gtest.h>

using namespace moec::comm;

namespace {

std::vector<int32_t> ownersOf(const LayerPlacement &layer, int32_t cluster) {
  auto owners = layer.owners(cluster);
  return {owners.begin(), owners.end()};
}

std::string refusal(const std::string &text) {
  auto placement = parsePlacement("p.json", text);
  return placement ? "none" : placement.error();
}

std::string withLayer(const std::string &clusters) {
  return R"({"moec_placement": "0.1", "ranks": 3, "layers": {"a": )" +
         clusters + "}}";
}

TEST(Placement, readsTheRanksOfEachCluster) {
  auto placement = parsePlacement("p.json", withLayer("[[2], [0, 1], [2]]"));
  ASSERT_TRUE(placement) << placement.error();
  EXPECT_EQ(placement->ranks, 3);
  ASSERT_EQ(placement->layers.size(), 1u);
  const LayerPlacement &layer = placement->layers.at("a");
  EXPECT_EQ(ownersOf(layer, 0), (std::vector<int32_t>{2}));
  EXPECT_EQ(ownersOf(layer, 1), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(ownersOf(layer, 2), (std::vector<int32_t>{2}));
  EXPECT_TRUE(layer.knows(2));
  EXPECT_FALSE(layer.knows(3));
  EXPECT_FALSE(layer.knows(-1));
  EXPECT_EQ(layer.clusterCount(), 3);
}

TEST(Placement, dealsClustersByTurns) {
  LayerPlacement layer = LayerPlacement::roundRobin(3);
  for (int32_t cluster : {0, 1, 2, 3, 100})
    EXPECT_EQ(ownersOf(layer, cluster), (std::vector<int32_t>{cluster % 3}));
  EXPECT_TRUE(layer.knows(1'000'000));
  EXPECT_FALSE(layer.knows(-1));
}

TEST(Placement, saysWhatARankHas) {
  LayerPlacement layer({{2}, {0, 1}});
  EXPECT_TRUE(ClusterShare().has(5));
  EXPECT_TRUE((ClusterShare{&layer, 2}.has(0)));
  EXPECT_FALSE((ClusterShare{&layer, 2}.has(1)));
  EXPECT_TRUE((ClusterShare{&layer, 1}.has(1)));
  // Nobody has one that is not listed.
  EXPECT_FALSE((ClusterShare{&layer, 0}.has(2)));
}

TEST(Placement, refusesWhatIsNone) {
  EXPECT_EQ(refusal("[").substr(0, 6), "p.json");
  EXPECT_EQ(refusal("{}"),
            "p.json: expected 'moec_placement' to be version 0.x, found none");
  EXPECT_EQ(refusal(R"({"moec_placement": "1.0"})"),
            "p.json: expected 'moec_placement' to be version 0.x, found the "
            "string '1.0'");
  EXPECT_EQ(refusal(R"({"moec_placement": "0.1"})"),
            "p.json: expected 'ranks' from 1 to 4096, found none");
  EXPECT_EQ(refusal(R"({"moec_placement": "0.1", "ranks": 0})"),
            "p.json: expected 'ranks' from 1 to 4096, found 0");
  EXPECT_EQ(refusal(R"({"moec_placement": "0.1", "ranks": 2})"),
            "p.json: expected an object 'layers', found none");
  EXPECT_EQ(refusal(withLayer("{}")).substr(0, 48),
            "p.json: layer 'a': expected an array of clusters");
  for (const char *owners : {"[]", "0", "[3]", "[-1]", "[1, 0]", "[1, 1]"})
    EXPECT_EQ(refusal(withLayer(std::string("[[0], ") + owners + "]")),
              "p.json: layer 'a': cluster 1: expected ranks below 3 in "
              "ascending order, at least one")
        << owners;
}

} // namespace
