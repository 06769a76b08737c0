// Tests of similarities, spectra and mixes that are kept: what is found again is what
// was computed, and anything that matters makes another key.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/CachedStatistics.h"

#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

using namespace moec::weights;
using moec::test::TemporaryFolder;

namespace {

StatisticsCache openCache(const TemporaryFolder &folder) {
  Result<StatisticsCache> cache = StatisticsCache::open(folder.file("cache"));
  EXPECT_TRUE(cache) << cache.error();
  return *cache;
}

std::vector<MatrixSourcePtr> experts(uint32_t seed) {
  return {seededMatrices("up", {4, 6, 5}, seed, 1),
          seededMatrices("down", {4, 5, 6}, seed + 1, 1)};
}

int64_t entriesOf(const StatisticsCache &cache) {
  int64_t count = 0;
  for (auto &entry : std::filesystem::directory_iterator(cache.directory())) {
    (void)entry;
    ++count;
  }
  return count;
}

TEST(CachedStatistics, findsSimilaritiesAgain) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  auto first = cachedSimilarityOfWeights(&cache, experts(1));
  ASSERT_TRUE(first) << first.error();
  EXPECT_FALSE(first->isHit);
  auto again = cachedSimilarityOfWeights(&cache, experts(1));
  ASSERT_TRUE(again) << again.error();
  EXPECT_TRUE(again->isHit);
  EXPECT_EQ(again->value.experts, 4);
  EXPECT_EQ(again->value.cosines, first->value.cosines);
  EXPECT_EQ(again->value.squaredNorms, first->value.squaredNorms);
  EXPECT_TRUE(again->value.withoutDirection.empty());

  // Other weights, other options; and no cache at all.
  EXPECT_FALSE(cachedSimilarityOfWeights(&cache, experts(2))->isHit);
  SimilarityOptions options;
  options.removeMean = true;
  EXPECT_FALSE(cachedSimilarityOfWeights(&cache, experts(1), options)->isHit);
  EXPECT_TRUE(cachedSimilarityOfWeights(&cache, experts(1), options)->isHit);
  options.parallel.threads = 1;
  EXPECT_TRUE(cachedSimilarityOfWeights(&cache, experts(1), options)->isHit);
  EXPECT_EQ(entriesOf(cache), 3);
  auto plain = cachedSimilarityOfWeights(nullptr, experts(1));
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->isHit);
  EXPECT_EQ(plain->value.cosines, first->value.cosines);
}

TEST(CachedStatistics, keepsExpertsWithoutDirection) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  std::vector<MatrixSourcePtr> sources{
      matricesOf("w", {3, 1, 2}, {1, 2, 0, 0, 3, 4})};
  ASSERT_FALSE(cachedSimilarityOfWeights(&cache, sources)->isHit);
  auto again = cachedSimilarityOfWeights(&cache, sources);
  EXPECT_TRUE(again->isHit);
  EXPECT_EQ(again->value.withoutDirection, std::vector<int32_t>{1});
}

TEST(CachedStatistics, findsMixesAgain) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  MatrixSourcePtr of = experts(1).front();
  BasisMixOptions options{2, 3};
  auto first = cachedBasisMix(&cache, of, options);
  ASSERT_TRUE(first) << first.error();
  EXPECT_FALSE(first->isHit);
  auto again = cachedBasisMix(&cache, of, options);
  EXPECT_TRUE(again->isHit);
  EXPECT_EQ(again->value.bases, first->value.bases);
  EXPECT_EQ(again->value.coefficients, first->value.coefficients);
  EXPECT_EQ(again->value.relativeErrors, first->value.relativeErrors);

  EXPECT_FALSE(cachedBasisMix(&cache, experts(2).front(), options)->isHit);
  for (BasisMixOptions other :
       {BasisMixOptions{3, 3}, BasisMixOptions{2, 2},
        BasisMixOptions{2, 3, MatrixSide::Output},
        BasisMixOptions{2, 3, MatrixSide::Input, MixMap::Silu},
        BasisMixOptions{2, 3, MatrixSide::Input, MixMap::Identity, 0.07},
        BasisMixOptions{2, 3, MatrixSide::Input, MixMap::Identity,
                        defaultMixNoise, 7}}) {
    EXPECT_FALSE(cachedBasisMix(&cache, of, other)->isHit);
    EXPECT_TRUE(cachedBasisMix(&cache, of, other)->isHit);
  }
  EXPECT_EQ(entriesOf(cache), 8);
  EXPECT_FALSE(cachedBasisMix(nullptr, of, options)->isHit);
}

TEST(CachedStatistics, findsSpectraAgain) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  MatrixSourcePtr of = experts(1).front();
  std::vector<int32_t> table{0, 1, 0, 1};
  MatrixSourcePtr base = *meanMatrices("base", of, table, 2);
  ResidualOptions options;
  options.factorization.rank = 3;
  auto find = [&] {
    auto found = cachedResidualSpectra(&cache, of, base, table, 3, options);
    EXPECT_TRUE(found) << found.error();
    return *std::move(found);
  };
  auto first = find();
  EXPECT_FALSE(first.isHit);
  auto again = find();
  EXPECT_TRUE(again.isHit);
  ASSERT_EQ(again.value.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(again.value[i].values, first.value[i].values);
    EXPECT_EQ(again.value[i].squaredNorm, first.value[i].squaredNorm);
    EXPECT_EQ(again.value[i].weightSquaredNorm,
              first.value[i].weightSquaredNorm);
    EXPECT_EQ(again.value[i].fullRank, 5);
    EXPECT_EQ(again.value[i].values.size(), 3u);
  }
  // Whatever they may depend on.
  table = {0, 1, 1, 0};
  EXPECT_FALSE(find().isHit);
  options.factorization.seed = 7;
  EXPECT_FALSE(find().isHit);
  options.factorization.powerIterations = 5;
  EXPECT_FALSE(find().isHit);
  options.inputs.moments = seededMatrices("moments", {1, 1, 6}, 9, 0);
  EXPECT_FALSE(find().isHit);
  options.inputs.regularization = 1.0000001e-6;
  EXPECT_FALSE(find().isHit);
  of = experts(3).front();
  EXPECT_FALSE(find().isHit);
  EXPECT_TRUE(find().isHit);
}

TEST(CachedStatistics, computesAnewWhatIsDamagedOrOfAnotherForm) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  auto first = cachedSimilarityOfWeights(&cache, experts(1));
  std::string path;
  for (auto &entry : std::filesystem::directory_iterator(cache.directory()))
    path = entry.path().string();
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  auto damaged = cachedSimilarityOfWeights(&cache, experts(1));
  EXPECT_FALSE(damaged->isHit);
  EXPECT_EQ(damaged->value.cosines, first->value.cosines);
  EXPECT_TRUE(cachedSimilarityOfWeights(&cache, experts(1))->isHit);

  // A sound entry that holds something else.
  std::string stem = std::filesystem::path(path).stem().string();
  Hash128 key = *hash128FromText(stem);
  for (const std::vector<NamedArray> &other :
       std::vector<std::vector<NamedArray>>{
           {},
           {{"cosines", {2, 2}, std::vector<double>{1, 0, 0, 1}},
            {"squared_norms", {2}, std::vector<double>{1, 1}},
            {"has_direction", {2}, std::vector<int32_t>{1, 1}}}}) {
    ASSERT_TRUE(cache.put(key, other));
    EXPECT_FALSE(cachedSimilarityOfWeights(&cache, experts(1))->isHit);
  }
}

TEST(CachedStatistics, refusesSpectraThatDoNotFit) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  MatrixSourcePtr of = experts(1).front();
  std::vector<int32_t> table{0, 0, 0, 0};
  MatrixSourcePtr base = *meanMatrices("base", of, table, 1);
  auto find = [&] {
    return *cachedResidualSpectra(&cache, of, base, table, 2, {});
  };
  ASSERT_FALSE(find().isHit);
  std::string path;
  for (auto &entry : std::filesystem::directory_iterator(cache.directory()))
    path = entry.path().string();
  Hash128 key =
      *hash128FromText(std::filesystem::path(path).stem().string());
  for (std::vector<int32_t> counts :
       {std::vector<int32_t>{2, 2, 2, 3}, {-1, 2, 2, 2}}) {
    std::vector<NamedArray> other{
        {"values", {8}, std::vector<double>(8, 1.0)},
        {"counts", {4}, counts},
        {"squared_norms", {4, 2}, std::vector<double>(8, 2.0)},
        {"full_ranks", {4}, std::vector<int32_t>(4, 5)}};
    ASSERT_TRUE(cache.put(key, other));
    EXPECT_FALSE(find().isHit);
  }
  EXPECT_TRUE(find().isHit);
}

TEST(CachedStatistics, passesErrorsOn) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  std::vector<MatrixSourcePtr> sources{matricesOf("w", {1, 1, 1}, {INFINITY})};
  auto found = cachedSimilarityOfWeights(&cache, sources);
  EXPECT_FALSE(found);
  EXPECT_EQ(entriesOf(cache), 0);
  std::filesystem::remove_all(cache.directory());
  std::ofstream(cache.directory()) << "a file";
  EXPECT_FALSE(cachedSimilarityOfWeights(&cache, experts(1)));
}

TEST(CachedStatistics, findsErrorsOfEncodingsAgain) {
  TemporaryFolder folder;
  StatisticsCache cache = openCache(folder);
  PrecisionProblem problem;
  problem.of = seededMatrices("up", {4, 16, 8}, 1, 1);
  problem.table = {0, 1, 1, 0};
  problem.base = *meanMatrices("base", problem.of, problem.table, 2);
  problem.rank = 2;
  // One candidate that holds the values, and one of another encoding.
  problem.candidates = {{{Format::F16}, {}}, {{Format::Int8, 8}, {Format::F16}}};
  auto first = cachedPrecisionErrors(&cache, problem);
  ASSERT_TRUE(first) << first.error();
  EXPECT_FALSE(first->isHit);
  auto again = cachedPrecisionErrors(&cache, problem);
  EXPECT_TRUE(again->isHit);
  EXPECT_EQ(again->value, first->value);
  EXPECT_EQ(again->value.size(), 2u);

  // All that a problem has is in its key.
  PrecisionProblem other = problem;
  other.candidates[1].residual = {Format::BF16};
  EXPECT_FALSE(cachedPrecisionErrors(&cache, other)->isHit);
  other = problem;
  other.rank = 3;
  EXPECT_FALSE(cachedPrecisionErrors(&cache, other)->isHit);
  other = problem;
  other.table = {0, 1, 0, 1};
  EXPECT_FALSE(cachedPrecisionErrors(&cache, other)->isHit);
  MomentsSource moments{matricesOf("m", {1, 1, 16}, std::vector<float>(16, 1.0f)), 1e-6};
  other = problem;
  other.fitted = moments;
  EXPECT_FALSE(cachedPrecisionErrors(&cache, other)->isHit);
  other = problem;
  other.measured = moments;
  EXPECT_FALSE(cachedPrecisionErrors(&cache, other)->isHit);
  EXPECT_TRUE(cachedPrecisionErrors(&cache, other)->isHit);
}

} // namespace
