// Tests of clustering: against all partitions of few experts, against planted
// clusters of many, and every rule and refusal by itself.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Clustering.h"

#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

using namespace moec::weights;

namespace {

using Table = std::vector<int32_t>;
using Matrix = std::vector<double>;

/// Any symmetric numbers: no vectors have such cosines.
Matrix randomNumbers(uint32_t seed, int64_t experts) {
  Matrix matrix(size_t(experts * experts), 1.0);
  for (int64_t i = 0; i < experts; ++i)
    for (int64_t j = 0; j < i; ++j)
      matrix[size_t(i * experts + j)] = matrix[size_t(j * experts + i)] =
          double(seededValue(seed, uint64_t(i * experts + j)));
  return matrix;
}

/// Cosines of seeded vectors of that width.
Matrix randomSimilarity(uint32_t seed, int64_t experts, int64_t width) {
  std::vector<float> values = seededValues(seed, experts * width);
  Matrix matrix(size_t(experts * experts));
  auto dot = [&](int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t k = 0; k < width; ++k)
      sum += double(values[size_t(i * width + k)]) *
             double(values[size_t(j * width + k)]);
    return sum;
  };
  for (int64_t i = 0; i < experts; ++i)
    for (int64_t j = 0; j < experts; ++j)
      matrix[size_t(i * experts + j)] =
          i == j ? 1.0 : dot(i, j) / std::sqrt(dot(i, i) * dot(j, j));
  return matrix;
}

/// `own` within the clusters of the table, `other` between them.
Matrix plantedSimilarity(const Table &table, double own, double other) {
  Matrix matrix;
  for (size_t i = 0; i < table.size(); ++i)
    for (size_t j = 0; j < table.size(); ++j)
      matrix.push_back(i == j ? 1.0 : table[i] == table[j] ? own : other);
  return matrix;
}

/// The objective as docs/clustering.md states it, worked out from scratch.
double objectiveOf(const Matrix &similarity, const Table &table) {
  size_t experts = table.size();
  double sum = 0;
  for (size_t i = 0; i < experts; ++i) {
    double own = 0, size = 0;
    for (size_t j = 0; j < experts; ++j)
      if (table[i] == table[j]) {
        own += similarity[i * experts + j];
        ++size;
      }
    sum += own / size;
  }
  return sum / double(experts);
}

Table sizesOf(const Table &table, int64_t clusters) {
  Table sizes(size_t(clusters), 0);
  for (int32_t cluster : table)
    ++sizes[size_t(cluster)];
  return sizes;
}

/// All tables whose clusters are numbered by their lowest member.
void forEachPartition(size_t experts, int64_t clusters,
                      const std::function<void(const Table &)> &visit) {
  Table table;
  std::function<void(int32_t)> extend = [&](int32_t used) {
    if (table.size() == experts) {
      if (used == clusters)
        visit(table);
      return;
    }
    for (int32_t c = 0; c <= std::min<int32_t>(used, int32_t(clusters) - 1);
         ++c) {
      table.push_back(c);
      extend(std::max(used, c + 1));
      table.pop_back();
    }
  };
  extend(0);
}

Clustering cluster(const Matrix &similarity, const ClusteringOptions &options) {
  int64_t experts = int64_t(std::lround(std::sqrt(double(similarity.size()))));
  Result<Clustering> result = clusterExperts(experts, similarity, options);
  EXPECT_TRUE(result) << result.error();
  if (!result)
    return {};
  // What holds for every result.
  EXPECT_EQ(result->table.size(), size_t(experts));
  EXPECT_EQ(result->sizes, sizesOf(result->table, options.clusters));
  EXPECT_GT(*std::min_element(result->sizes.begin(), result->sizes.end()), 0);
  EXPECT_NEAR(result->objective, objectiveOf(similarity, result->table), 1e-9);
  int32_t next = 0;
  for (int32_t c : result->table) {
    EXPECT_LE(c, next) << "clusters are numbered by their lowest member";
    next = std::max(next, c + 1);
  }
  if (options.maxSize > 0) {
    EXPECT_LE(*std::max_element(result->sizes.begin(), result->sizes.end()),
              options.maxSize);
  }
  if (options.exactBalance) {
    EXPECT_LE(*std::max_element(result->sizes.begin(), result->sizes.end()),
              *std::min_element(result->sizes.begin(), result->sizes.end()) +
                  1);
  }
  return *result;
}

TEST(Clustering, findsTheBestOfAllPartitions) {
  uint32_t seed = 0;
  for (int64_t experts : {2, 3, 5, 7})
    for (int64_t clusters = 1; clusters <= experts; ++clusters)
      for (int64_t maxSize : {int64_t(0), (experts + clusters - 1) / clusters,
                              (experts + clusters - 1) / clusters + 1})
        for (bool exact : {false, true})
          for (int64_t width : {0, 2, 5}) {
            Matrix similarity = width == 0
                                    ? randomNumbers(++seed, experts)
                                    : randomSimilarity(++seed, experts, width);
            double best = -2;
            forEachPartition(size_t(experts), clusters, [&](const Table &t) {
              Table sizes = sizesOf(t, clusters);
              auto [low, high] =
                  std::minmax_element(sizes.begin(), sizes.end());
              if ((maxSize > 0 && *high > maxSize) ||
                  (exact && *high > *low + 1))
                return;
              best = std::max(best, objectiveOf(similarity, t));
            });
            ClusteringOptions options;
            options.clusters = clusters;
            options.maxSize = maxSize;
            options.exactBalance = exact;
            options.seed = seed;
            options.restarts = 20;
            EXPECT_NEAR(cluster(similarity, options).objective, best, 1e-9)
                << experts << " in " << clusters << ", at most " << maxSize
                << (exact ? ", exact" : "");
          }
}

TEST(Clustering, findsPlantedClusters) {
  uint32_t seed = 77;
  for (int64_t clusters : {2, 5, 16})
    for (int64_t size : {2, 4, 8}) {
      // Members of a cluster do not lie side by side.
      Table planted;
      for (int64_t i = 0; i < clusters * size; ++i)
        planted.push_back(int32_t(i % clusters));
      Matrix similarity = plantedSimilarity(planted, 0.4, 0.05);
      // Noise, symmetric.
      for (size_t i = 0; i < planted.size(); ++i)
        for (size_t j = 0; j < i; ++j) {
          double noise = double(seededValue(++seed, 0, 0.05));
          similarity[i * planted.size() + j] += noise;
          similarity[j * planted.size() + i] += noise;
        }
      for (bool exact : {false, true}) {
        ClusteringOptions options;
        options.clusters = clusters;
        options.exactBalance = exact;
        Clustering found = cluster(similarity, options);
        EXPECT_EQ(found.table, planted);
        EXPECT_GT(found.meanWithin, 0.3);
        EXPECT_LT(found.meanBetween, 0.1);
        EXPECT_TRUE(found.isolated.empty());
        EXPECT_TRUE(found.changed);
      }
    }
}

TEST(Clustering, noMoveAndNoSwapImprovesTheResult) {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    int64_t experts = 20 + int64_t(seed);
    Matrix similarity = randomSimilarity(seed, experts, 6);
    ClusteringOptions options;
    options.clusters = 5;
    options.maxSize = balancedSize(experts, 5, 1.2);
    options.restarts = 1;
    options.seed = seed;
    Clustering found = cluster(similarity, options);
    for (size_t i = 0; i < size_t(experts); ++i) {
      for (int32_t c = 0; c < 5; ++c) {
        Table other = found.table;
        other[i] = c;
        Table sizes = sizesOf(other, 5);
        if (*std::min_element(sizes.begin(), sizes.end()) == 0 ||
            *std::max_element(sizes.begin(), sizes.end()) > options.maxSize)
          continue;
        EXPECT_LE(objectiveOf(similarity, other), found.objective + 1e-9);
      }
      for (size_t j = 0; j < i; ++j) {
        Table other = found.table;
        std::swap(other[i], other[j]);
        EXPECT_LE(objectiveOf(similarity, other), found.objective + 1e-9);
      }
    }
  }
}

TEST(Clustering, describesWithinAndBetween) {
  // 0.8 between 0 and 2, 0.1 and 0.3 between 1 and them.
  Matrix similarity{1, 0.1, 0.8, 0.1, 1, 0.3, 0.8, 0.3, 1};
  Result<Clustering> found = describeClustering(3, similarity, Table{2, 0, 2});
  ASSERT_TRUE(found) << found.error();
  EXPECT_EQ(found->table, (Table{0, 1, 0}));
  EXPECT_EQ(found->sizes, (Table{2, 1}));
  // Two experts at (1 + 0.8) / 2, one at 1.
  EXPECT_NEAR(found->objective, (0.9 + 0.9 + 1.0) / 3, 1e-12);
  EXPECT_NEAR(found->meanWithin, 0.8, 1e-12);
  EXPECT_NEAR(found->meanBetween, 0.2, 1e-12);
  EXPECT_EQ(found->moves, 0);
  // Without pairs of a kind: all alone, all together.
  found = describeClustering(3, similarity, Table{0, 1, 2});
  ASSERT_TRUE(found) << found.error();
  EXPECT_EQ(found->meanWithin, 1.0);
  EXPECT_NEAR(found->meanBetween, 0.4, 1e-12);
  found = describeClustering(3, similarity, Table{1, 1, 1});
  ASSERT_TRUE(found) << found.error();
  EXPECT_NEAR(found->meanWithin, 0.4, 1e-12);
  EXPECT_EQ(found->meanBetween, 0.0);
}

TEST(Clustering, sameSeedSameResult) {
  Matrix similarity = randomSimilarity(5, 40, 4);
  ClusteringOptions options;
  options.clusters = 7;
  options.restarts = 1;
  std::set<Table> seen;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    options.seed = seed;
    Clustering once = cluster(similarity, options);
    EXPECT_EQ(once.table, cluster(similarity, options).table);
    seen.insert(once.table);
  }
  EXPECT_GT(seen.size(), 1u) << "seeds make a difference";
  // More starts never make it worse.
  double last = -2;
  for (int64_t restarts : {1, 2, 4, 8, 16}) {
    options.seed = 3;
    options.restarts = restarts;
    double objective = cluster(similarity, options).objective;
    EXPECT_GE(objective, last - 1e-9);
    last = objective;
  }
}

TEST(Clustering, sameResultOnEveryMachine) {
  // Multiples of 1/256, so that the input is the same everywhere as well. The
  // table was recorded on x86-64 and did not depend on compiler or options.
  size_t experts = 24;
  Matrix similarity(experts * experts, 1.0);
  for (size_t i = 0; i < experts; ++i)
    for (size_t j = 0; j < i; ++j)
      similarity[i * experts + j] = similarity[j * experts + i] =
          double(seededBits(9, i * experts + j) % 512) / 256.0 - 1.0;
  ClusteringOptions options;
  options.clusters = 6;
  options.maxSize = 5;
  options.restarts = 3;
  options.seed = 42;
  EXPECT_EQ(cluster(similarity, options).table,
            (Table{0, 1, 0, 2, 0, 3, 4, 5, 5, 5, 1, 0,
                   4, 1, 0, 5, 3, 3, 2, 2, 4, 2, 1, 5}));
}

TEST(Clustering, randomTables) {
  for (int64_t experts : {1, 7, 16})
    for (int64_t clusters : {int64_t(1), (experts + 1) / 2, experts}) {
      auto table = randomTable(experts, clusters, 3);
      ASSERT_TRUE(bool(table)) << table.error();
      std::vector<int64_t> sizes(size_t(clusters), 0);
      int32_t next = 0;
      for (int32_t cluster : *table) {
        EXPECT_LE(cluster, next) << "numbered by the lowest member";
        next = std::max(next, cluster + 1);
        ++sizes[size_t(cluster)];
      }
      auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
      EXPECT_LE(*most - *least, 1);
    }
  // Each pair of six experts shares one of three clusters as often as any: 1 in
  // 5 times. The standard deviation of a count is 15.
  std::vector<int64_t> together(36, 0);
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    Table table = *randomTable(6, 3, seed);
    for (size_t i = 0; i < 6; ++i)
      for (size_t j = 0; j < i; ++j)
        together[i * 6 + j] += table[i] == table[j];
  }
  for (size_t i = 0; i < 6; ++i)
    for (size_t j = 0; j < i; ++j)
      EXPECT_NEAR(double(together[i * 6 + j]), 300, 75) << i << ", " << j;
  // Integers alone: recorded once.
  EXPECT_EQ(*randomTable(8, 3, 42), (Table{0, 1, 0, 2, 1, 0, 1, 2}));
  EXPECT_EQ(randomTable(4, 5, 0).error(), "expected 1 to 4 clusters, found 5");
  EXPECT_EQ(randomTable(4, 0, 0).error(), "expected 1 to 4 clusters, found 0");
}

TEST(Clustering, equalExperts) {
  // No distance is left to draw centres by, and no move gains anything.
  for (int64_t clusters : {1, 3, 6}) {
    ClusteringOptions options;
    options.clusters = clusters;
    options.exactBalance = true;
    Clustering found = cluster(Matrix(36, 1.0), options);
    EXPECT_NEAR(found.objective, 1.0, 1e-12);
  }
  ClusteringOptions one;
  one.clusters = 1;
  EXPECT_EQ(cluster({1.0}, one).table, (Table{0}));
}

TEST(Clustering, movesOnlyToNeighbours) {
  // Experts 0 and 1 belong together, and so do 2 and 3; the start has 1 and 2
  // exchanged. At a threshold above what they share nobody may move.
  Matrix similarity = plantedSimilarity({0, 0, 1, 1}, 0.6, 0.0);
  Table start{0, 1, 0, 1};
  ClusteringOptions options;
  options.clusters = 2;
  options.start = start;
  options.threshold = 0.6;
  EXPECT_EQ(cluster(similarity, options).table, (Table{0, 0, 1, 1}));
  EXPECT_TRUE(cluster(similarity, options).isolated.empty());

  // 0 and 1 are neighbours of 4 and 5 only, by a hair; what they are most like
  // in sum lies below the threshold.
  Matrix far = plantedSimilarity({0, 0, 0, 0, 1, 1}, 0.5, -0.2);
  for (auto [i, j] : {std::pair{0, 4}, {1, 5}})
    far[size_t(i * 6 + j)] = far[size_t(j * 6 + i)] = 0.55;
  Table apart{1, 1, 0, 0, 1, 1};
  options.start = apart;
  options.threshold = -1;
  EXPECT_EQ(cluster(far, options).table, (Table{0, 0, 0, 0, 1, 1}));
  options.threshold = 0.52;
  Clustering pruned = cluster(far, options);
  // 2 and 3 have no neighbour left and are free; 0, 1, 4 and 5 stay together.
  EXPECT_EQ(pruned.isolated, (Table{2, 3}));
  for (size_t i : {1, 4, 5})
    EXPECT_EQ(pruned.table[i], pruned.table[0]);
}

TEST(Clustering, swapsOnlyToNeighbours) {
  // Balance leaves swaps alone. 1 and 2 would gain by one, but each is a
  // neighbour only of the one it would swap with.
  Matrix similarity = plantedSimilarity({0, 0, 1, 1}, 0.3, 0.0);
  similarity[1 * 4 + 2] = similarity[2 * 4 + 1] = 0.5;
  similarity[0 * 4 + 2] = similarity[2 * 4 + 0] = 0.5;
  similarity[1 * 4 + 3] = similarity[3 * 4 + 1] = 0.5;
  Table start{0, 1, 0, 1};
  ClusteringOptions options;
  options.clusters = 2;
  options.start = start;
  options.exactBalance = true;
  options.threshold = 0.5;
  // As they lie: 0.5 within each; exchanged: 0.3.
  EXPECT_EQ(cluster(similarity, options).table, start);
  // 1 and 2 together is as good as it gets, then 0 and 3 have nothing at all.
  similarity[0 * 4 + 3] = similarity[3 * 4 + 0] = 0.45;
  options.threshold = -1;
  EXPECT_EQ(cluster(similarity, options).table, start);
  similarity[0 * 4 + 3] = similarity[3 * 4 + 0] = 0.55;
  EXPECT_EQ(cluster(similarity, options).table, (Table{0, 1, 1, 0}));
  // Above 0.5, 1 and 2 are neighbours of nobody, hence free; 0 and 3 of one
  // another.
  options.threshold = 0.52;
  EXPECT_EQ(cluster(similarity, options).table, (Table{0, 1, 1, 0}));
  EXPECT_EQ(cluster(similarity, options).isolated, (Table{1, 2}));
}

TEST(Clustering, theThresholdBlocksSwaps) {
  // Expert 1 gains most by a swap with 2; its only neighbour 2 leaves by it.
  Matrix similarity = plantedSimilarity({0, 0, 1, 1}, 0.4, 0.0);
  similarity[1 * 4 + 2] = similarity[2 * 4 + 1] = 0.45;
  Table start{0, 1, 0, 1};
  ClusteringOptions options;
  options.clusters = 2;
  options.start = start;
  options.exactBalance = true;
  options.threshold = 0.42;
  Clustering found = cluster(similarity, options);
  EXPECT_EQ(found.isolated, (Table{0, 3}));
  // 0 and 3 are free: swapping them brings the pairs together all the same.
  EXPECT_EQ(found.table, (Table{0, 1, 1, 0}));
  // With neighbours of their own, in the way, they are not.
  Matrix six = plantedSimilarity({0, 0, 1, 1, 2, 2}, 0.4, 0.0);
  auto link = [&](size_t i, size_t j, double value) {
    six[i * 6 + j] = six[j * 6 + i] = value;
  };
  link(1, 2, 0.45);
  link(0, 4, 0.45);
  link(3, 5, 0.45);
  Table three{0, 1, 0, 1, 2, 2};
  options.clusters = 3;
  options.start = three;
  found = cluster(six, options);
  EXPECT_TRUE(found.isolated.empty());
  EXPECT_EQ(found.table, three);
  options.threshold = -1;
  EXPECT_NE(cluster(six, options).table, three);
}

TEST(Clustering, startsWarm) {
  Table planted{0, 1, 2, 0, 1, 2, 0, 1, 2};
  Matrix similarity = plantedSimilarity(planted, 0.5, 0.1);
  ClusteringOptions options;
  options.clusters = 3;
  // Where nothing is to be gained nothing moves, whatever the numbers.
  Table same{2, 0, 1, 2, 0, 1, 2, 0, 1};
  options.start = same;
  Clustering found = cluster(similarity, options);
  EXPECT_EQ(found.table, planted);
  EXPECT_EQ(found.moves, 0);
  EXPECT_FALSE(found.changed);
  // One expert has gone astray.
  Table astray = planted;
  astray[8] = 0;
  options.start = astray;
  found = cluster(similarity, options);
  EXPECT_EQ(found.table, planted);
  EXPECT_EQ(found.moves, 1);
  EXPECT_TRUE(found.changed);
  // Two have changed places: one swap, since sizes may not change.
  Table exchanged = planted;
  std::swap(exchanged[7], exchanged[8]);
  options.start = exchanged;
  options.exactBalance = true;
  found = cluster(similarity, options);
  EXPECT_EQ(found.table, planted);
  EXPECT_EQ(found.moves, 2);
}

TEST(Clustering, keepsTheStartForASmallGain) {
  Table planted{0, 0, 0, 1, 1, 1}, astray{0, 0, 0, 1, 1, 0};
  Matrix similarity = plantedSimilarity(planted, 0.5, 0.1);
  double gain =
      objectiveOf(similarity, planted) - objectiveOf(similarity, astray);
  ClusteringOptions options;
  options.clusters = 2;
  options.start = astray;
  options.minGain = gain * 0.99;
  Clustering found = cluster(similarity, options);
  EXPECT_EQ(found.table, planted);
  EXPECT_TRUE(found.changed);
  options.minGain = gain * 1.01;
  found = cluster(similarity, options);
  EXPECT_EQ(found.table, astray);
  EXPECT_FALSE(found.changed);
  EXPECT_EQ(found.moves, 0);
}

TEST(Clustering, mendsAStartThatBreaksLimits) {
  Table planted{0, 0, 1, 1, 2, 2};
  Matrix similarity = plantedSimilarity(planted, 0.5, 0.1);
  ClusteringOptions options;
  options.clusters = 3;
  options.minGain = 100;
  // An empty cluster is refilled, and no gain is asked for.
  Table empty{0, 0, 1, 1, 1, 1};
  options.start = empty;
  Clustering found = cluster(similarity, options);
  EXPECT_EQ(found.table, planted);
  EXPECT_TRUE(found.changed);
  // One that is too large is emptied to its limit.
  Table large{0, 0, 0, 0, 1, 2};
  options.maxSize = 2;
  options.start = large;
  found = cluster(similarity, options);
  EXPECT_EQ(found.sizes, (Table{2, 2, 2}));
  EXPECT_TRUE(found.changed);
  // All in one: many moves, against any threshold.
  Table all{0, 0, 0, 0, 0, 0};
  options.start = all;
  options.threshold = 0.9;
  found = cluster(similarity, options);
  EXPECT_EQ(found.sizes, (Table{2, 2, 2}));
  // Without sweeps it is mended all the same.
  options.maxSweeps = 0;
  EXPECT_EQ(cluster(similarity, options).sizes, (Table{2, 2, 2}));
}

TEST(Clustering, mendsByTheBestMove) {
  // 1 and 2 would both gain by leaving for 3, and 1 most.
  Matrix similarity = plantedSimilarity({0, 0, 0, 0}, 0.1, 0.1);
  similarity[1 * 4 + 3] = similarity[3 * 4 + 1] = 0.9;
  similarity[2 * 4 + 3] = similarity[3 * 4 + 2] = 0.6;
  Table start{0, 0, 0, 1};
  ClusteringOptions options;
  options.clusters = 2;
  options.maxSize = 2;
  options.maxSweeps = 0;
  options.start = start;
  EXPECT_EQ(cluster(similarity, options).table, (Table{0, 1, 0, 1}));

  // 1 would gain most, but only 2 has a neighbour where there is room; 0 and 1
  // are neighbours of one another, and 3, which is free, would lose.
  Matrix six = plantedSimilarity({0, 0, 0, 0, 1, 1}, 0.1, -0.5);
  auto link = [&](size_t i, size_t j, double value) {
    six[i * 6 + j] = six[j * 6 + i] = value;
  };
  link(0, 1, 0.56);
  link(1, 2, -0.9);
  link(1, 3, -0.9);
  link(1, 4, 0.5);
  link(1, 5, 0.5);
  link(2, 4, 0.6);
  Table four{0, 0, 0, 0, 1, 1};
  options.maxSize = 3;
  options.start = four;
  EXPECT_EQ(cluster(six, options).table, (Table{0, 1, 0, 0, 1, 1}));
  options.threshold = 0.55;
  EXPECT_EQ(cluster(six, options).table, (Table{0, 0, 1, 0, 1, 1}));
}

TEST(Clustering, exactBalanceOfUnevenCounts) {
  for (int64_t experts : {5, 7, 10, 23}) {
    for (int64_t clusters : {2, 3, 4, 5}) {
      ClusteringOptions options;
      options.clusters = clusters;
      options.exactBalance = true;
      options.restarts = 2;
      // One expert unlike all others would like to be alone.
      Matrix similarity =
          plantedSimilarity(Table(size_t(experts), 0), 0.9, 0.9);
      for (size_t i = 1; i < size_t(experts); ++i)
        similarity[i] = similarity[i * size_t(experts)] = -0.5;
      Clustering found = cluster(similarity, options);
      EXPECT_EQ(*std::min_element(found.sizes.begin(), found.sizes.end()),
                experts / clusters);
      options.exactBalance = false;
      found = cluster(similarity, options);
      EXPECT_EQ(found.sizes[0], 1);
    }
  }
}

TEST(Clustering, balancedSizes) {
  EXPECT_EQ(balancedSize(8, 4, 1.0), 2);
  EXPECT_EQ(balancedSize(9, 4, 1.0), 3);
  EXPECT_EQ(balancedSize(9, 4, 1.25), 3);
  EXPECT_EQ(balancedSize(16, 2, 1.25), 10);
  // Never less than needed, nor more than there are.
  EXPECT_EQ(balancedSize(9, 4, 0.5), 3);
  EXPECT_EQ(balancedSize(9, 4, NAN), 3);
  EXPECT_EQ(balancedSize(9, 4, 1e300), 9);
}

std::string refusal(
    int64_t experts, const Matrix &similarity,
    const std::function<void(ClusteringOptions &)> &change =
        [](ClusteringOptions &) {}) {
  ClusteringOptions options;
  change(options);
  Result<Clustering> found = clusterExperts(experts, similarity, options);
  EXPECT_FALSE(found);
  return found.error();
}

TEST(Clustering, refusesMatricesThatAreNone) {
  EXPECT_EQ(refusal(0, {}), "expected from 1 to 4096 experts, found 0");
  EXPECT_EQ(refusal(4097, {}), "expected from 1 to 4096 experts, found 4097");
  EXPECT_EQ(refusal(2, {1, 0, 1}),
            "expected 4 similarities of 2 experts, found 3");
  EXPECT_EQ(refusal(2, {1, 0, NAN, 1}),
            "expected finite similarities, found one of experts 1 and 0 that "
            "is not");
  EXPECT_EQ(refusal(2, {1, INFINITY, 0, 1}),
            "expected finite similarities, found one of experts 1 and 0 that "
            "is not");
  EXPECT_EQ(refusal(2, {1, 0, 0, NAN}),
            "expected finite similarities, found one of experts 1 and 1 that "
            "is not");
  EXPECT_EQ(refusal(2, {1, 0.25, 0.5, 1}),
            "expected a symmetric matrix of similarities, found 0.500000 and "
            "0.250000 for experts 1 and 0");
  ClusteringOptions options;
  EXPECT_TRUE(clusterExperts(2, Matrix{1, 0.5, 0.5 + 1e-12, 1}, options));
}

TEST(Clustering, refusesOptionsThatDoNotFit) {
  Matrix three = plantedSimilarity({0, 0, 0}, 0.5, 0.5);
  using Options = ClusteringOptions;
  EXPECT_EQ(refusal(3, three, [](Options &o) { o.clusters = 0; }),
            "expected from 1 to 3 clusters for 3 experts, found 0");
  EXPECT_EQ(refusal(3, three, [](Options &o) { o.clusters = 4; }),
            "expected from 1 to 3 clusters for 3 experts, found 4");
  EXPECT_EQ(refusal(3, three,
                    [](Options &o) {
                      o.clusters = 2;
                      o.maxSize = 1;
                    }),
            "expected clusters with room for 3 experts, found 2 clusters of at "
            "most 1");
  EXPECT_EQ(refusal(3, three, [](Options &o) { o.maxSize = -1; }),
            "expected clusters with room for 3 experts, found 1 clusters of at "
            "most -1");
  EXPECT_EQ(refusal(3, three, [](Options &o) { o.restarts = 0; }),
            "expected at least one start, found 0");
  EXPECT_EQ(refusal(3, three, [](Options &o) { o.maxSweeps = -1; }),
            "expected a number of sweeps, found -1");
  EXPECT_EQ(refusal(3, three, [](Options &o) { o.threshold = NAN; }),
            "expected a threshold of similarity, found nan");
  EXPECT_EQ(refusal(3, three, [](Options &o) { o.minGain = -0.5; }),
            "expected a least gain from 0, found -0.500000");
  Table shortTable{0, 0}, wrong{0, 1, 0}, negative{0, -1, 0};
  EXPECT_EQ(refusal(3, three, [&](Options &o) { o.start = shortTable; }),
            "expected a table of 3 experts, found 2 entries");
  EXPECT_EQ(refusal(3, three, [&](Options &o) { o.start = wrong; }),
            "expected clusters from 0 to 0 in the table, found 1 for expert 1");
  EXPECT_EQ(refusal(3, three, [&](Options &o) { o.start = negative; }),
            "expected clusters from 0 to 0 in the table, found -1 for expert "
            "1");
  // No limit that a size could reach, however large.
  ClusteringOptions options;
  options.clusters = 2;
  options.maxSize = INT64_MAX;
  EXPECT_TRUE(clusterExperts(3, three, options));
  EXPECT_EQ(describeClustering(3, three, Table{0, 3, 0}).error(),
            "expected clusters from 0 to 2 in the table, found 3 for expert 1");
  EXPECT_EQ(describeClustering(3, Matrix(4, 1.0), wrong).error(),
            "expected 9 similarities of 3 experts, found 4");
}

TEST(Clustering, manyExperts) {
  // As many as the largest models have, balanced: swaps between all pairs.
  Matrix similarity = randomSimilarity(1, 256, 8);
  ClusteringOptions options;
  options.clusters = 32;
  options.exactBalance = true;
  options.restarts = 2;
  Clustering found = cluster(similarity, options);
  EXPECT_GT(found.meanWithin, found.meanBetween + 0.3);
  EXPECT_GT(found.moves, 0);
}

} // namespace
