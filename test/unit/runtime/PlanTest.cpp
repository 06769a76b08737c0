// Blocks, sorted pairs and grouped rows, against what their definition says.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
extern "C" {
#include "entry/plan.h"
}

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace {

std::vector<moert_block> planGroups(const std::vector<int32_t> &offsets, int64_t rows, int64_t most) {
  std::vector<moert_block> blocks(size_t(rows) + 1);
  blocks.resize(size_t(moert_plan_groups(offsets.data(), int64_t(offsets.size()) - 1, rows, most, blocks.data())));
  return blocks;
}

/// The group of each row, by the definition: the first that claims it.
std::vector<int32_t> groupsByDefinition(const std::vector<int32_t> &offsets, int64_t rows) {
  std::vector<int32_t> groups(size_t(rows), -1);
  for (int64_t row = 0; row < rows; ++row)
    for (size_t g = 0; g + 1 < offsets.size() && groups[size_t(row)] < 0; ++g)
      if (offsets[g] <= row && row < offsets[g + 1])
        groups[size_t(row)] = int32_t(g);
  return groups;
}

void expectCover(const std::vector<moert_block> &blocks, const std::vector<int32_t> &groups, int64_t most) {
  std::vector<int32_t> found;
  for (const moert_block &block : blocks) {
    EXPECT_EQ(block.first, int32_t(found.size()));
    EXPECT_GT(block.rows, 0);
    EXPECT_LE(block.rows, most);
    found.insert(found.end(), size_t(block.rows), block.group);
  }
  EXPECT_EQ(found, groups);
}

TEST(Plan, BlocksCoverTheRowsOfEachGroup) {
  expectCover(planGroups({0, 5, 5, 20}, 24, 6), groupsByDefinition({0, 5, 5, 20}, 24), 6);
  // Of nearly equal size: 7 rows of at most 6 are 4 and 3.
  std::vector<moert_block> blocks = planGroups({0, 7}, 7, 6);
  ASSERT_EQ(blocks.size(), 2u);
  EXPECT_EQ(blocks[0].rows, 4);
  EXPECT_EQ(blocks[1].rows, 3);
  EXPECT_TRUE(planGroups({0, 0}, 0, 6).empty());
}

TEST(Plan, AnyOffsetsAreReadAsTheyAreDefined) {
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    int64_t rows = int64_t(random() % 20);
    std::vector<int32_t> offsets(1 + random() % 5);
    for (int32_t &offset : offsets)
      offset = int32_t(random() % 30) - 5;
    if (i % 2)
      std::sort(offsets.begin(), offsets.end());
    expectCover(planGroups(offsets, rows, 4), groupsByDefinition(offsets, rows), 4);
  }
}

TEST(Plan, EntriesSortRows) {
  std::vector<int32_t> entries = {2, -1, 0, 2, 7, 0, 2};
  std::vector<int32_t> order(entries.size()), count(5);
  std::vector<moert_block> blocks(entries.size());
  blocks.resize(size_t(moert_plan_entries(entries.data(), 7, 3, 2, order.data(), blocks.data(), count.data())));
  EXPECT_EQ(order, (std::vector<int32_t>{2, 5, 0, 3, 6, 1, 4}));
  expectCover(blocks, {0, 0, 2, 2, 2, -1, -1}, 2);
}

TEST(Plan, PairsAreSortedByBlockAndExpertAndRowsOfASegmentDiffer) {
  std::mt19937 random(2);
  for (int i = 0; i < 300; ++i) {
    int64_t rows = 1 + int64_t(random() % 12), pairs = int64_t(random() % 30), experts = 3;
    std::vector<moert_block> blocks = planGroups({0, int32_t(rows / 2), int32_t(rows - 1)}, rows, 3);
    size_t size = size_t(pairs);
    std::vector<int32_t> row(size), expert(size);
    std::vector<float> weight(size);
    for (size_t p = 0; p < size; ++p) {
      row[p] = int32_t(random() % unsigned(rows + 2)) - 1;
      expert[p] = int32_t(random() % 5) - 1;
      weight[p] = float(p);
    }
    if (i % 2)
      std::sort(row.begin(), row.end());
    size_t scratchSize = size_t(rows + 4 * pairs + std::max(rows, experts) + 3);
    std::vector<int32_t> scratch(scratchSize);
    std::vector<int32_t> pair(size), rowOf(size), segmentOfBlock(blocks.size() + 1);
    std::vector<float> weightOf(size);
    std::vector<moert_segment> segments(size + 1);
    int64_t valid = moert_plan_pairs(row.data(), expert.data(), weight.data(), pairs, experts, blocks.data(), int64_t(blocks.size()),
                                     rows, scratch.data(), pair.data(), rowOf.data(), weightOf.data(), segments.data(),
                                     segmentOfBlock.data());
    std::vector<bool> seen(size, false);
    for (int32_t p : pair) {
      ASSERT_FALSE(seen[size_t(p)]);
      seen[size_t(p)] = true;
    }
    int64_t at = 0;
    for (size_t b = 0; b < blocks.size(); ++b)
      for (int32_t s = segmentOfBlock[b]; s < segmentOfBlock[b + 1]; ++s) {
        int32_t last = -1;
        EXPECT_EQ(segments[size_t(s)].first, at);
        for (; at < segments[size_t(s) + 1].first; ++at) {
          size_t p = size_t(pair[size_t(at)]);
          EXPECT_EQ(rowOf[size_t(at)], row[p]);
          EXPECT_EQ(weightOf[size_t(at)], weight[p]);
          EXPECT_GE(row[p], blocks[b].first);
          EXPECT_LT(row[p], blocks[b].first + blocks[b].rows);
          EXPECT_GE(blocks[b].group, 0);
          bool isExpert = expert[p] >= 0 && expert[p] < experts;
          EXPECT_EQ(segments[size_t(s)].expert, isExpert ? expert[p] : -1);
          EXPECT_GT(row[p], last);
          last = row[p];
        }
      }
    EXPECT_EQ(at, valid);
    for (; at < pairs; ++at) {
      int32_t r = row[size_t(pair[size_t(at)])];
      EXPECT_TRUE(r < 0 || r >= rows || groupsByDefinition({0, int32_t(rows / 2), int32_t(rows - 1)}, rows)[size_t(r)] < 0);
    }
  }
}

TEST(Plan, GroupsRowsByClusterAndListsTheirPairs) {
  // Token 0: cluster 1, experts 3 and 2; token 1: clusters 0 and 1, experts 0 and 3; token 2: nobody.
  std::vector<int32_t> clusters = {1, -1, 0, 1, -1, -1}, ids = {3, 2, 0, 3, -1, -1}, slots = {0, 0, 0, 1, -1, -1};
  std::vector<float> weights = {0.5f, 0.25f, 1, 2, 3, 4};
  std::vector<int32_t> scratch(2 + 6), token(6), offsets(3), row(6), expert(6);
  std::vector<float> weight(6);
  moert_group_rows(clusters.data(), ids.data(), weights.data(), slots.data(), 3, 2, 2, 2, 4, scratch.data(), token.data(), 6,
                   offsets.data(), row.data(), expert.data(), weight.data(), 6);
  EXPECT_EQ(token, (std::vector<int32_t>{1, 0, 1, -1, -1, -1}));
  EXPECT_EQ(offsets, (std::vector<int32_t>{0, 1, 3}));
  EXPECT_EQ(row, (std::vector<int32_t>{0, 1, 1, 2, -1, -1}));
  EXPECT_EQ(expert, (std::vector<int32_t>{0, 3, 2, 3, -1, -1}));
  EXPECT_EQ(weight, (std::vector<float>{1, 0.5f, 0.25f, 2, 0, 0}));
}

} // namespace
