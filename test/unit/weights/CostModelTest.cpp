// Tests of the cost model against numbers made by hand, and by another program from the same algebra.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/CostModel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <vector>

using namespace moec::weights;

namespace {

Encoding make(Format format, int64_t group = 0) {
  Encoding encoding;
  encoding.format = format;
  encoding.group = group;
  if (group)
    encoding.scale = ScaleType::F16;
  return encoding;
}

const Encoding bf16 = make(Format::BF16), int4 = make(Format::Int4, 64);

/// What an H200 was measured to do: reading and copying 4.3 TB/s, bf16 products 790 TFLOP/s.
TargetDescription measuredH200() {
  return *targetFromText("h200", R"({"name": "h200 as measured", "operands": "bf16",
    "arithmetic": {"bf16": {"flops_per_second": 790e12, "joules_per_flop": 1e-12}},
    "memory": [{"name": "hbm", "bytes": 141e9, "bytes_per_second": 4.3e12, "joules_per_byte": 1e-10},
               {"name": "dram", "bytes": 1e12, "bytes_per_second": 4e11},
               {"name": "nvme", "bytes": 8e12, "bytes_per_second": 7e9},
               {"name": "attic", "bytes": 8e12, "bytes_per_second": 1e9},
               {"name": "pim", "bytes": 1e9, "bytes_per_second": 1e9, "near_memory_compute": true}],
    "links": [{"name": "dead end", "from": "nvme", "to": "attic", "bytes_per_second": 1e9},
              {"name": "storage", "from": "nvme", "to": "dram", "bytes_per_second": 2e10, "latency_seconds": 1e-3},
              {"name": "pcie", "from": "dram", "to": "hbm", "bytes_per_second": 5e10, "latency_seconds": 1e-3}]})");
}

ExpertLayerShape mixtral() { return {4096, 14336, true, 8, 2, 2, 1, 16}; }
ExpertLayerShape qwen3() { return {2048, 768, true, 128, 8, 8, 1, 16}; }
ExpertLayerShape deepseek() { return {7168, 2048, true, 256, 8, 16, 1, 16}; }
ExpertLayerShape paperLike() { return {4096, 14336, true, 32, 2, 4, 1, 16}; }

/// The same experts, nothing shared.
ExpertLayerShape plain(ExpertLayerShape shape) {
  shape.clusters = shape.clustersPerToken = shape.rank = 0;
  return shape;
}

double microseconds(const ExpertLayerShape &shape,
                    const LayerEncodings &encodings, int64_t tokens,
                    BaseProducts products = BaseProducts::PerCluster) {
  Needs needs = layerNeeds(shape, encodings, tokens, meetingsOf(shape, tokens),
                           2, products);
  return timeBound(needs, measuredH200()).seconds() * 1e6;
}

//===----------------------------------------------------------------------===//
// What tokens meet
//===----------------------------------------------------------------------===//

TEST(CostModel, meetingsByHand) {
  // Two of four things, each met with chance 1/2 by each of two tokens: 4·(1 - 1/4).
  EXPECT_DOUBLE_EQ(expectedDistinct(4, 0.5, 2), 3);
  EXPECT_DOUBLE_EQ(expectedDistinct(4, 1, 1), 4);
  EXPECT_EQ(expectedDistinct(4, 1, 0), 0);
  EXPECT_EQ(expectedDistinct(4, 0, 9), 0);
  // Rare meetings of many tokens are not lost to rounding.
  EXPECT_NEAR(expectedDistinct(1, 1e-18, 1e3), 1e-15, 1e-27);
  // Of 4 experts, 2 choices miss a pair with chance 2/4·1/3.
  EXPECT_DOUBLE_EQ(chanceOfGroup(4, 2, 2), 1 - 1.0 / 6);
  EXPECT_EQ(chanceOfGroup(4, 3, 2), 1);

  ExpertLayerShape flat{1, 1, false, 4, 2, 2, 0, 1};
  Meetings one = meetingsOf(flat, 1);
  EXPECT_DOUBLE_EQ(one.experts, 2);
  EXPECT_NEAR(one.tokenClusters, 2 * 5.0 / 6, 1e-15);
  EXPECT_NEAR(one.clusters, 2 * 5.0 / 6, 1e-15);
  EXPECT_NEAR(meetingsOf(flat, 2).clusters, 2 * (1 - 1.0 / 36), 1e-15);
  flat.clustersPerToken = 1;
  EXPECT_DOUBLE_EQ(meetingsOf(flat, 3).tokenClusters, 3);
  EXPECT_DOUBLE_EQ(meetingsOf(flat, 3).clusters, 2 * (1 - 1.0 / 8));
}

TEST(CostModel, countedTrafficMeetsLess) {
  // Of 10 tokens all chose expert 0, half expert 1, half expert 2, none expert 3.
  std::vector<int64_t> counts{10, 5, 5, 0};
  std::vector<int32_t> clusterOf{0, 0, 1, 1};
  ExpertTraffic traffic{10, counts, clusterOf};
  ExpertLayerShape shape{1, 1, false, 4, 2, 2, 0, 1};
  Meetings met = meetingsOf(shape, 2, traffic);
  EXPECT_DOUBLE_EQ(met.experts, 1 + 0.75 + 0.75);
  EXPECT_DOUBLE_EQ(met.clusters, 1 + 0.75);
  EXPECT_DOUBLE_EQ(met.tokenClusters, 2 * 1.5);
  // One cluster a token, two thirds of the time the first.
  shape.clustersPerToken = 1;
  met = meetingsOf(shape, 1, traffic);
  EXPECT_DOUBLE_EQ(met.tokenClusters, 1);
  EXPECT_DOUBLE_EQ(met.clusters, 1);
  // Nothing was seen: as if all were alike.
  EXPECT_DOUBLE_EQ(meetingsOf(shape, 1, ExpertTraffic{}).experts, 2);
  EXPECT_DOUBLE_EQ(meetingsOf(plain(shape), 2, traffic).experts, 2.5);
}

TEST(CostModel, expectationsAreThoseOfSimulatedRouting) {
  // 16 experts in 4 clusters, 3 different choices of 7 tokens, by a linear congruential generator.
  uint64_t state = 1;
  auto next = [&](uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  double experts = 0, clusters = 0, pairs = 0;
  const int runs = 20000;
  for (int run = 0; run < runs; ++run) {
    uint32_t metExperts = 0, metClusters = 0;
    for (int token = 0; token < 7; ++token) {
      uint32_t chosen = 0, ofToken = 0;
      while (__builtin_popcount(chosen) < 3)
        chosen |= 1u << next(16);
      for (unsigned expert = 0; expert < 16; ++expert)
        if (chosen >> expert & 1)
          ofToken |= 1u << (expert / 4);
      pairs += __builtin_popcount(ofToken);
      metExperts |= chosen;
      metClusters |= ofToken;
    }
    experts += __builtin_popcount(metExperts);
    clusters += __builtin_popcount(metClusters);
  }
  Meetings met = meetingsOf({1, 1, true, 16, 3, 4, 0, 1}, 7);
  EXPECT_NEAR(met.experts, experts / runs, 0.03);
  EXPECT_NEAR(met.clusters, clusters / runs, 0.03);
  EXPECT_NEAR(met.tokenClusters, pairs / runs, 0.05);
}

//===----------------------------------------------------------------------===//
// Bytes and operations
//===----------------------------------------------------------------------===//

TEST(CostModel, bytesOfAValueAreThoseOfEncoding) {
  std::vector<Encoding> encodings = {make(Format::F32),        bf16,
                                     make(Format::F16),        make(Format::F8E4M3),
                                     make(Format::F8E4M3, 32), make(Format::Int8, 16),
                                     int4,                     make(Format::Int4, 32)};
  encodings.push_back(make(Format::Int4, 32));
  encodings.back().zeroPoint = true;
  encodings.push_back(make(Format::Int8, 32));
  encodings.back().scale = ScaleType::F32;
  encodings.push_back({Format::MXFP4, 32});
  for (const Encoding &encoding : encodings)
    EXPECT_EQ(bytesPerValue(encoding) * 3 * 128 * 64,
              double(*encodedBytes(encoding, {3, 128, 64})))
        << toString(encoding);
}

TEST(CostModel, needsByHand) {
  // D 2, F 3, 4 experts, 2 chosen, 2 clusters, rank 1; a token meets one cluster.
  ExpertLayerShape shape{2, 3, true, 4, 2, 2, 1, 1};
  Needs needs = layerNeeds(shape, {make(Format::F16), make(Format::F32)}, 1,
                           meetingsOf(shape, 1), 4);
  // One cluster's 18 halves, the factors of two experts, x and y.
  EXPECT_DOUBLE_EQ(needs.weightBytes, 18 * 2 + 2 * 15 * 4);
  EXPECT_DOUBLE_EQ(needs.activationBytes, 2 * 2 * 4);
  EXPECT_DOUBLE_EQ(needs.flops, 2 * 18 + 2 * 2 * 15);
  EXPECT_DOUBLE_EQ(needs.values.at(Format::F16), 18);
  EXPECT_DOUBLE_EQ(needs.values.at(Format::F32), 30);
  // Without the algebra a base is multiplied once a choice.
  EXPECT_DOUBLE_EQ(layerNeeds(shape, {}, 1, meetingsOf(shape, 1), 4, BaseProducts::PerChoice).flops,
                   2 * 2 * 18 + 2 * 2 * 15);
  EXPECT_DOUBLE_EQ(residentBytes(shape, {make(Format::F16), make(Format::F32)}),
                   2 * 18 * 2 + 4 * 15 * 4);
  // No gate; plain experts; products alone.
  shape.isGated = false;
  EXPECT_DOUBLE_EQ(layerNeeds(plain(shape), {}, 1, meetingsOf(plain(shape), 1), 4).flops, 2 * 2 * 12);
  EXPECT_DOUBLE_EQ(residentBytes(plain(shape), {}), 4 * 12 * 4);
  shape.clusters = shape.clustersPerToken = 0;
  EXPECT_DOUBLE_EQ(residentBytes(shape, {}), 4 * 10 * 4);
}

//===----------------------------------------------------------------------===//
// Times
//===----------------------------------------------------------------------===//

struct Published {
  const char *name;
  ExpertLayerShape shape;
  int64_t tokens;
  double experts, clusters;
  /// Megabytes and GFLOP of bf16 experts as they are, and of a shared bf16 base with INT4 residuals.
  double plainMB, plainGFLOP, sharedMB, sharedGFLOP;
  /// Microseconds: bf16 experts; INT4 experts; shared base without and with the algebra; INT4 base.
  double bf16Time, int4Time, naiveTime, sharedTime, int4BaseTime;
};

TEST(CostModel, agreesWithAnIndependentProgram) {
  // Lower bounds of published shapes on an H200 at 4.3 TB/s and 790 TFLOP/s; printed to so many digits.
  const Published rows[] = {
      {"Mixtral", mixtral(), 1, 2.0, 1.00, 705, 0.7, 353, 0.4, 163.9, 43.5, 82.2, 82.2, 22.0},
      {"Mixtral", mixtral(), 8, 7.2, 1.99, 2537, 5.6, 705, 2.8, 589.9, 156.7, 164.0, 164.0, 44.2},
      {"Mixtral", mixtral(), 128, 8.0, 2.00, 2821, 90.2, 711, 45.6, 656.0, 174.6, 165.2, 165.2, 57.7},
      {"Mixtral", mixtral(), 512, 8.0, 2.00, 2827, 360.8, 717, 182.2, 657.4, 456.7, 459.0, 230.6, 230.6},
      {"Mixtral", mixtral(), 4096, 8.0, 2.00, 2886, 2886.2, 776, 1457.6, 3653.4, 3653.4, 3671.8, 1845.1, 1845.1},
      {"Qwen3", qwen3(), 8, 51.6, 5.25, 487, 0.6, 53, 0.1, 113.3, 30.1, 12.4, 12.4, 3.9},
      {"Qwen3", qwen3(), 32, 111.8, 7.89, 1055, 2.4, 83, 0.4, 245.4, 65.2, 19.2, 19.2, 6.5},
      {"Qwen3", qwen3(), 4096, 128.0, 8.00, 1242, 309.2, 118, 47.5, 391.4, 391.4, 402.7, 60.1, 60.1},
      {"DeepSeek", deepseek(), 1, 8.0, 1.00, 705, 0.7, 90, 0.1, 163.9, 43.5, 20.9, 20.9, 5.9},
      {"DeepSeek", deepseek(), 64, 222.4, 15.74, 19595, 45.1, 1441, 6.1, 4556.9, 1210.7, 335.1, 335.1, 98.2},
      {"DeepSeek", deepseek(), 16384, 256.0, 16.00, 23018, 11544.9, 1939, 1559.1, 14613.8, 14613.8, 14760.6, 1973.5, 1973.5},
      {"paper-like", paperLike(), 32, 27.9, 4.00, 9845, 22.5, 1423, 11.4, 2289.6, 608.3, 330.9, 330.9, 90.2},
      {"paper-like", paperLike(), 512, 32.0, 4.00, 11283, 360.8, 1433, 182.2, 2623.9, 698.4, 459.0, 333.2, 230.6}};
  for (const Published &row : rows) {
    SCOPED_TRACE(std::string(row.name) + " at " + std::to_string(row.tokens));
    Meetings met = meetingsOf(row.shape, row.tokens);
    EXPECT_NEAR(met.experts, row.experts, 0.051);
    EXPECT_NEAR(met.clusters, row.clusters, 0.0051);
    ExpertLayerShape alone = plain(row.shape);
    Needs before = layerNeeds(alone, {bf16, bf16}, row.tokens, meetingsOf(alone, row.tokens), 2);
    Needs after = layerNeeds(row.shape, {bf16, int4}, row.tokens, met, 2);
    EXPECT_NEAR(before.bytes() / 1e6, row.plainMB, 0.51);
    EXPECT_NEAR(before.flops / 1e9, row.plainGFLOP, 0.051);
    EXPECT_NEAR(after.bytes() / 1e6, row.sharedMB, 0.51);
    EXPECT_NEAR(after.flops / 1e9, row.sharedGFLOP, 0.051);
    EXPECT_NEAR(microseconds(alone, {bf16, bf16}, row.tokens), row.bf16Time, 0.051);
    EXPECT_NEAR(microseconds(alone, {int4, int4}, row.tokens), row.int4Time, 0.051);
    EXPECT_NEAR(microseconds(row.shape, {bf16, int4}, row.tokens, BaseProducts::PerChoice), row.naiveTime, 0.051);
    EXPECT_NEAR(microseconds(row.shape, {bf16, int4}, row.tokens), row.sharedTime, 0.051);
    EXPECT_NEAR(microseconds(row.shape, {int4, int4}, row.tokens), row.int4BaseTime, 0.051);
  }
}

TEST(CostModel, flatRoutingMeetsMoreClusters) {
  struct {
    ExpertLayerShape shape;
    double perToken, speedupAt1, speedupAt512;
  } rows[] = {{mixtral(), 1.57, 1.27, 1.82},
              {qwen3(), 5.34, 1.48, 8.28},
              {deepseek(), 6.52, 1.22, 13.92},
              {paperLike(), 1.77, 1.13, 6.44}};
  for (auto &row : rows) {
    row.shape.clustersPerToken = 0;
    EXPECT_NEAR(meetingsOf(row.shape, 1).tokenClusters, row.perToken, 0.0051);
    auto speedup = [&](int64_t tokens) {
      return microseconds(plain(row.shape), {bf16, bf16}, tokens) /
             microseconds(row.shape, {bf16, int4}, tokens);
    };
    EXPECT_NEAR(speedup(1), row.speedupAt1, 0.0051);
    EXPECT_NEAR(speedup(512), row.speedupAt512, 0.0051);
  }
}

TEST(CostModel, layersOfPublishedSizes) {
  EXPECT_NEAR(residentBytes(plain(qwen3()), {bf16, bf16}) / 1e9, 1.21, 0.005);
  EXPECT_NEAR(residentBytes(deepseek(), {bf16, int4}) / 1e9, 1.47, 0.005);
  // Bases of 48 layers in f16 and residuals in f16 or int4: it is the base that counts.
  double gib = double(1 << 30), layers = 48;
  ExpertLayerShape shape = qwen3();
  shape.clusters = 16;
  Encoding f16 = make(Format::F16);
  double before = residentBytes(plain(shape), {f16, f16});
  EXPECT_NEAR(layers * before / gib, 54.0, 0.05);
  EXPECT_NEAR(before / residentBytes(shape, {f16, f16}), 6.51, 0.005);
  Encoding narrow = make(Format::Int4, 32);
  EXPECT_NEAR(before / residentBytes(shape, {f16, narrow}), 7.52, 0.005);
  EXPECT_NEAR(before / residentBytes(shape, {narrow, f16}), 15.7, 0.05);
}

TEST(CostModel, decodingTakesOfArithmetic) {
  TargetDescription core = *findTarget("x86-64-core");
  Needs needs;
  needs.weightBytes = 17e9;
  needs.flops = 190e9;
  EXPECT_DOUBLE_EQ(timeBound(needs, core).memorySeconds, 1);
  EXPECT_DOUBLE_EQ(timeBound(needs, core).computeSeconds, 1);
  EXPECT_TRUE(timeBound(needs, core).isMemoryBound());
  needs.values[Format::Int4] = 34e9;
  EXPECT_DOUBLE_EQ(timeBound(needs, core).seconds(), 2);
  EXPECT_FALSE(timeBound(needs, core).isMemoryBound());
  needs.values[Format::F16] = 34e9;
  EXPECT_DOUBLE_EQ(timeBound(needs, core).seconds(), 2);
  EXPECT_DOUBLE_EQ(operandBytes(core), 4);
  EXPECT_DOUBLE_EQ(operandBytes(measuredH200()), 2);
}

TEST(CostModel, measuredRatiosOfInt4AreThoseOfTheModel) {
  // bench/RESULTS.md: two-stage M=1 with INT4 weights over f16, big: 3.0x at 1 token, 2.2x at 8.
  ExpertLayerShape big{2048, 5632, true, 32, 2, 4, 1, 16};
  TargetDescription core = *findTarget("x86-64-core");
  Encoding f16 = make(Format::F16), wide = make(Format::Int4, 128);
  auto seconds = [&](const Encoding &encoding, int64_t tokens) {
    Needs needs = layerNeeds(big, {encoding, encoding}, tokens, meetingsOf(big, tokens), 4);
    return timeBound(needs, core).seconds();
  };
  EXPECT_NEAR(seconds(f16, 1) / seconds(wide, 1), 3.0, 0.2);
  EXPECT_NEAR(seconds(f16, 8) / seconds(wide, 8), 2.2, 0.2);
}

TEST(CostModel, roundedRowsAreMultipliedByIntegersWhereWeightsAre) {
  TargetDescription core = *findTarget("x86-64-core"), rounded = core;
  ASSERT_TRUE(roundRows(rounded, Format::Int8));
  ExpertLayerShape shape{2, 3, true, 4, 2, 2, 1, 1};
  Meetings met = meetingsOf(shape, 1);
  // One base's 18 values, once; factors stay as they are, in whatever encoding.
  Encoding int4 = make(Format::Int4, 1), f16 = make(Format::F16);
  Needs needs = layerNeeds(shape, {int4, int4}, 1, met, 4);
  EXPECT_DOUBLE_EQ(needs.integerFlops, 2 * 18);
  EXPECT_DOUBLE_EQ(needs.integerValues.at(Format::Int4), 18);
  EXPECT_DOUBLE_EQ(timeBound(needs, core).computeSeconds,
                   (2 * 18 + 2 * 2 * 15) / 190e9 + 48 / 34e9);
  EXPECT_DOUBLE_EQ(timeBound(needs, rounded).computeSeconds,
                   2 * 18 / 270e9 + 2 * 2 * 15 / 190e9 + 30 / 34e9);
  EXPECT_DOUBLE_EQ(energyOf(needs, rounded), needs.bytes() * 160e-12 + 2 * 18 * 18e-12 + 2 * 2 * 15 * 25e-12);
  // Plain experts, all of them.
  Needs alone = layerNeeds(plain(shape), {make(Format::Int8), f16}, 1, met, 4);
  EXPECT_DOUBLE_EQ(alone.integerFlops, alone.flops);
  // Floats are multiplied as before, and so are groups along the other side.
  EXPECT_EQ(layerNeeds(shape, {f16, int4}, 1, met, 4).integerFlops, 0);
  int4.along = GroupAxis::Output;
  EXPECT_EQ(layerNeeds(shape, {int4, int4}, 1, met, 4).integerFlops, 0);
  Needs floats = layerNeeds(shape, {f16, f16}, 1, met, 4);
  EXPECT_DOUBLE_EQ(timeBound(floats, rounded).computeSeconds, timeBound(floats, core).computeSeconds);
  // In bf16 all products are those of bf16, where a target has them.
  TargetDescription mobile = *findTarget("mobile"), h200 = *findTarget("h200");
  h200.operands = Format::F32;
  double before = timeBound(floats, h200).computeSeconds;
  ASSERT_TRUE(roundRows(h200, Format::BF16));
  EXPECT_DOUBLE_EQ(timeBound(floats, h200).computeSeconds, before * 67 / 989);
  EXPECT_EQ(roundRows(mobile, Format::BF16).error(),
            "target mobile: expected arithmetic of bf16, found that of f32, f16, int8");
}

TEST(CostModel, measuredRatiosOfInt8RowsAreNearThoseOfTheModel) {
  // bench/RESULTS.md: two-stage M=1, int4 group 128, int8 rows over f32 rows, big: 1.19x to 1.36x at 1 token, 1.49x at 8,
  // where the bound of memory is not quite reached, and 1.84x at 32, where products are what takes time.
  ExpertLayerShape big{2048, 5632, true, 32, 2, 4, 1, 16};
  TargetDescription core = *findTarget("x86-64-core"), rounded = core;
  ASSERT_TRUE(roundRows(rounded, Format::Int8));
  Encoding wide = make(Format::Int4, 128);
  auto ratio = [&](int64_t tokens) {
    Needs needs = layerNeeds(big, {wide, wide}, tokens, meetingsOf(big, tokens), 4);
    return timeBound(needs, core).seconds() / timeBound(needs, rounded).seconds();
  };
  EXPECT_NEAR(ratio(1), 1.3, 0.1);
  EXPECT_NEAR(ratio(8), 1.6, 0.15);
  EXPECT_NEAR(ratio(32), 1.84, 0.1);
}

TEST(CostModel, energyCountsBytesAndOperations) {
  Needs needs;
  needs.weightBytes = 2e10;
  needs.flops = 3e12;
  EXPECT_DOUBLE_EQ(energyOf(needs, measuredH200()), 2 + 3);
}

TEST(CostModel, fetchingGoesOverLinks) {
  TargetDescription target = measuredH200();
  // A paper-like base of 352 MB: 7 ms over PCIe, 50 ms from a drive.
  EXPECT_NEAR(*fetchSeconds(target, "dram", 352.3e6), 7.05e-3 + 1e-3, 1e-5);
  EXPECT_NEAR(*fetchSeconds(target, "nvme", 352.3e6), 50.3e-3 + 2e-3, 1e-4);
  EXPECT_EQ(*fetchSeconds(target, "hbm", 1e9), 0);
  // What is computed where it lies is not fetched.
  EXPECT_EQ(*fetchSeconds(target, "pim", 1e9), 0);
  EXPECT_EQ(fetchSeconds(target, "tape", 1).error(),
            "expected a tier of target h200 as measured, found 'tape'");
  EXPECT_EQ(fetchSeconds(target, "attic", 1).error(),
            "target h200 as measured: expected links from attic to hbm, found none");
}

/// Rows of a cluster: `experts` of it, `choices` for each row.
ResidualWork workOf(double experts, double choices, double rows) {
  ResidualWork work;
  work.experts = experts;
  work.choices = choices;
  work.rows = rows;
  work.isSorted = rows > 16;
  return work;
}

TEST(ResidualForms, ExpertsOfSixteenRowsAreAsDrawn) {
  // In any order: 1 - (1 - k/n)^16 of them.
  EXPECT_NEAR(expertsOfBlock(workOf(8, 2, 16), 16), 7.92, 0.01);
  EXPECT_DOUBLE_EQ(expertsOfBlock(workOf(8, 2, 1), 16), 2);
  EXPECT_DOUBLE_EQ(expertsOfBlock(workOf(4, 4, 5), 16), 4);
  // Sorted, as bench/row_order.py counts (docs/cuda/group.md), within a third.
  EXPECT_NEAR(expertsOfBlock(workOf(8, 2, 256), 16), 3.6, 1.2);
  EXPECT_NEAR(expertsOfBlock(workOf(8, 2, 1024), 16), 2.6, 0.9);
  EXPECT_NEAR(expertsOfBlock(workOf(16, 2, 256), 16), 7.3, 2.4);
  EXPECT_NEAR(expertsOfBlock(workOf(16, 2, 1024), 16), 4.2, 1.4);
  EXPECT_NEAR(expertsOfBlock(workOf(8, 3, 1024), 16), 4.1, 1.4);
  EXPECT_NEAR(expertsOfBlock(workOf(16, 8, 1024), 16), 13.7, 4.6);
}

TEST(ResidualForms, CountsBlocks) {
  ResidualWork down = workOf(4, 2, 1024);
  down.sharedRank = 4;
  // Four experts of rank 4 are one block of 16; else each is one.
  EXPECT_DOUBLE_EQ(residualCost(ResidualForm::Dense, down).multiplyAdds, 4096);
  EXPECT_DOUBLE_EQ(residualCost(ResidualForm::Present, down).multiplyAdds,
                   expertsOfBlock(down, 16) * 4096);
  EXPECT_DOUBLE_EQ(residualCost(ResidualForm::Slot, down).multiplyAdds, 0);
  // 60 for the block, 6·2 + 20 to find its pairs.
  EXPECT_DOUBLE_EQ(residualCost(ResidualForm::Dense, down).instructions, 92);
  // 16 rows x 2 pairs x 4 ranks x 16 columns of 6 instructions, in 32 lanes.
  EXPECT_DOUBLE_EQ(residualCost(ResidualForm::Slot, down).instructions, 384);

  ResidualWork up = workOf(4, 2, 1);
  up.ownRanks = {16, 17, 8};
  up.hasActivation = true;
  EXPECT_DOUBLE_EQ(residualCost(ResidualForm::Dense, up).multiplyAdds,
                   4 * 4 * 4096);
  EXPECT_DOUBLE_EQ(residualCost(ResidualForm::Present, up).instructions,
                   2 * (4 * 60 + 8 * 40 + 24 * 2 + 40));
  // One row's two pairs: 41 terms and an activation for each of 16 columns.
  EXPECT_DOUBLE_EQ(residualCost(ResidualForm::Slot, up).instructions,
                   2 * 0.5 * (6 * 41 + 40));
}

ResidualForm cheapest(const ResidualWork &work) {
  TargetDescription target = *findTarget("h200");
  auto seconds = [&](ResidualForm form) {
    return residualSeconds(residualCost(form, work), target);
  };
  return *std::min_element(
      std::begin(residualForms), std::end(residualForms),
      [&](ResidualForm a, ResidualForm b) { return seconds(a) < seconds(b); });
}

TEST(ResidualForms, EachIsCheapestSomewhere) {
  ResidualWork down = workOf(4, 2, 1024);
  down.sharedRank = 4;
  EXPECT_EQ(cheapest(down), ResidualForm::Dense);
  down = workOf(8, 2, 1024);
  down.sharedRank = 16;
  EXPECT_EQ(cheapest(down), ResidualForm::Present);
  down = workOf(8, 2, 1);
  down.sharedRank = 16;
  EXPECT_EQ(cheapest(down), ResidualForm::Slot);
  EXPECT_EQ(nameOf(cheapest(down)), "slot");
}

TEST(ResidualForms, TakesRatesOfTheTarget) {
  TargetDescription target = *findTarget("h200");
  EXPECT_DOUBLE_EQ(residualSeconds({1, 0}, target), 64 / 67e12);
  EXPECT_DOUBLE_EQ(residualSeconds({0, 4096}, target), 8192 / 989e12);
}

} // namespace
