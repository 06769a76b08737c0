// What an expert layer costs on a target: bytes, operations, time, energy.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/CostModel.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace moec::weights {

//===----------------------------------------------------------------------===//
// What tokens meet
//===----------------------------------------------------------------------===//

double expectedDistinct(double things, double chance, double tokens) {
  if (chance >= 1)
    return tokens > 0 ? things : 0;
  // 1 - (1 - p)^T, right for small p too.
  return -things * std::expm1(tokens * std::log1p(-chance));
}

double chanceOfGroup(int64_t experts, int64_t members, int64_t choices) {
  double missed = 1;
  for (int64_t i = 0; i < choices; ++i)
    missed *=
        std::max(0.0, double(experts - members - i) / double(experts - i));
  return 1 - missed;
}

static Meetings uniformMeetings(const ExpertLayerShape &shape, double tokens) {
  Meetings meetings;
  meetings.experts =
      expectedDistinct(double(shape.experts),
                       double(shape.choices) / double(shape.experts), tokens);
  if (!shape.hasBase())
    return meetings;
  double clusters = double(shape.clusters);
  double chance =
      shape.clustersPerToken > 0
          ? std::min(1.0, double(shape.clustersPerToken) / clusters)
          : chanceOfGroup(shape.experts, shape.experts / shape.clusters,
                          shape.choices);
  meetings.clusters = expectedDistinct(clusters, chance, tokens);
  meetings.tokenClusters = tokens * clusters * chance;
  return meetings;
}

static Meetings countedMeetings(const ExpertLayerShape &shape, double tokens,
                                const ExpertTraffic &traffic) {
  Meetings meetings;
  std::vector<double> missed(size_t(std::max<int64_t>(shape.clusters, 0)), 1.0);
  for (size_t expert = 0; expert < traffic.counts.size(); ++expert) {
    double chance = double(traffic.counts[expert]) /
                    double(std::max<int64_t>(traffic.tokens, 1));
    meetings.experts += expectedDistinct(1, chance, tokens);
    if (shape.hasBase())
      missed[size_t(traffic.clusterOf[expert])] *= std::max(0.0, 1 - chance);
  }
  if (!shape.hasBase())
    return meetings;
  double perToken = 0;
  for (double chance : missed)
    perToken += 1 - chance;
  // Two stages leave a token its few clusters, in the same proportions.
  double kept = shape.clustersPerToken > 0 && perToken > 0
                    ? std::min(1.0, double(shape.clustersPerToken) / perToken)
                    : 1;
  for (double chance : missed)
    meetings.clusters += expectedDistinct(1, kept * (1 - chance), tokens);
  meetings.tokenClusters = tokens * perToken * kept;
  return meetings;
}

Meetings meetingsOf(const ExpertLayerShape &shape, int64_t tokens,
                    const std::optional<ExpertTraffic> &traffic) {
  return traffic && traffic->tokens > 0
             ? countedMeetings(shape, double(tokens), *traffic)
             : uniformMeetings(shape, double(tokens));
}

//===----------------------------------------------------------------------===//
// What has to be read and computed
//===----------------------------------------------------------------------===//

double bytesPerValue(const Encoding &encoding) {
  double bits = 0;
  switch (encoding.format) {
  case Format::F32:
    bits = 32;
    break;
  case Format::BF16:
  case Format::F16:
    bits = 16;
    break;
  case Format::F8E4M3:
  case Format::Int8:
    bits = 8;
    break;
  case Format::Int4:
  case Format::MXFP4:
    bits = 4;
    break;
  }
  if (encoding.group == 0)
    return bits / 8;
  double scale = encoding.format == Format::MXFP4   ? 1
                 : encoding.scale == ScaleType::F32 ? 4
                                                    : 2;
  return bits / 8 +
         (scale + (encoding.zeroPoint ? 1 : 0)) / double(encoding.group);
}

Needs &Needs::operator+=(const Needs &other) {
  weightBytes += other.weightBytes;
  activationBytes += other.activationBytes;
  flops += other.flops;
  for (auto [format, count] : other.values)
    values[format] += count;
  integerFlops += other.integerFlops;
  for (auto [format, count] : other.integerValues)
    integerValues[format] += count;
  return *this;
}

/// Weights of which `values` are read, for so many operations.
static void addWeights(Needs &needs, double values, double flops,
                       const Encoding &encoding) {
  needs.weightBytes += values * bytesPerValue(encoding);
  needs.values[encoding.format] += values;
  needs.flops += flops;
}

/// Whole matrices, whose rows are rounded where that was asked for.
static void addMatrices(Needs &needs, double values, double flops,
                        const Encoding &encoding) {
  addWeights(needs, values, flops, encoding);
  bool isInteger =
      encoding.format == Format::Int8 || encoding.format == Format::Int4;
  if (!isInteger || encoding.along == GroupAxis::Output)
    return;
  needs.integerFlops += flops;
  needs.integerValues[encoding.format] += values;
}

Needs matrixNeeds(const ExpertLayerShape &shape, int64_t rows, int64_t cols,
                  const LayerEncodings &encodings, int64_t tokens,
                  const Meetings &meetings, BaseProducts products) {
  Needs needs;
  double whole = double(rows) * double(cols);
  double factors = double(shape.rank) * double(rows + cols);
  double chosen = double(tokens) * double(shape.choices);
  if (shape.hasBase()) {
    double times =
        products == BaseProducts::PerCluster ? meetings.tokenClusters : chosen;
    addMatrices(needs, meetings.clusters * whole, times * 2 * whole,
                encodings.base);
  } else if (!shape.hasResidual()) {
    addMatrices(needs, meetings.experts * whole, chosen * 2 * whole,
                encodings.base);
  }
  if (shape.hasResidual())
    addWeights(needs, meetings.experts * factors, chosen * 2 * factors,
               encodings.residual);
  return needs;
}

Needs layerNeeds(const ExpertLayerShape &shape, const LayerEncodings &encodings,
                 int64_t tokens, const Meetings &meetings,
                 double activationBytes, BaseProducts products) {
  Needs needs;
  auto add = [&](int64_t rows, int64_t cols) {
    needs +=
        matrixNeeds(shape, rows, cols, encodings, tokens, meetings, products);
  };
  if (shape.isGated)
    add(shape.width, shape.inner);
  add(shape.width, shape.inner);
  add(shape.inner, shape.width);
  needs.activationBytes =
      2 * double(tokens) * double(shape.width) * activationBytes;
  return needs;
}

double residentBytes(const ExpertLayerShape &shape,
                     const LayerEncodings &encodings) {
  // As if one token met everything; how often is all the same to bytes.
  Meetings all{double(shape.experts), double(shape.clusters), 0};
  return layerNeeds(shape, encodings, 0, all, 0).weightBytes;
}

//===----------------------------------------------------------------------===//
// What that takes
//===----------------------------------------------------------------------===//

double operandBytes(const TargetDescription &target) {
  Encoding plain;
  plain.format = target.operands;
  return bytesPerValue(plain);
}

namespace {
/// What floats and integers are multiplied by.
struct Arithmetic {
  const ArithmeticRate &floats;
  const ArithmeticRate &integers;
  bool hasIntegers;

  explicit Arithmetic(const TargetDescription &target)
      : floats(target.arithmetic.at(
            target.rounded == Format::BF16 ? Format::BF16 : target.operands)),
        integers(
            target.arithmetic.at(target.rounded.value_or(target.operands))),
        hasIntegers(target.rounded == Format::Int8) {}

  double integerFlops(const Needs &needs) const {
    return hasIntegers ? needs.integerFlops : 0;
  }
};
} // namespace

TimeBound timeBound(const Needs &needs, const TargetDescription &target) {
  Arithmetic arithmetic(target);
  double integerFlops = arithmetic.integerFlops(needs);
  TimeBound bound;
  bound.memorySeconds = needs.bytes() / target.memory.front().bytesPerSecond;
  bound.computeSeconds =
      (needs.flops - integerFlops) / arithmetic.floats.flopsPerSecond +
      integerFlops / arithmetic.integers.flopsPerSecond;
  for (auto [format, count] : needs.values) {
    auto rate = target.decode.find(format);
    if (rate == target.decode.end())
      continue;
    auto integers = needs.integerValues.find(format);
    bool isWhole =
        arithmetic.hasIntegers && integers != needs.integerValues.end();
    bound.computeSeconds +=
        (count - (isWhole ? integers->second : 0)) / rate->second;
  }
  return bound;
}

double energyOf(const Needs &needs, const TargetDescription &target) {
  Arithmetic arithmetic(target);
  double integerFlops = arithmetic.integerFlops(needs);
  return needs.bytes() * target.memory.front().joulesPerByte +
         (needs.flops - integerFlops) * arithmetic.floats.joulesPerFlop +
         integerFlops * arithmetic.integers.joulesPerFlop;
}

namespace {
/// Links from a tier to another, one behind the other.
struct Way {
  double bytesPerSecond = 0;
  double latencySeconds = 0;
};
} // namespace

Result<double> fetchSeconds(const TargetDescription &target,
                            std::string_view tier, double bytes) {
  const MemoryTier *from = target.tier(tier);
  if (!from)
    return Error{"expected a tier of target " + target.name + ", found '" +
                 std::string(tier) + "'"};
  const std::string &goal = target.memory.front().name;
  if (from->nearMemoryCompute || from->name == goal)
    return 0.0;
  // The way of fewest links: each tier is reached once, by the link that
  // reached it first.
  std::vector<std::string_view> reached = {tier};
  std::map<std::string_view, Way> ways = {{tier, {from->bytesPerSecond, 0}}};
  for (size_t i = 0; i < reached.size(); ++i)
    for (const MemoryLink &link : target.links) {
      if (link.from != reached[i] || ways.contains(link.to))
        continue;
      const Way &here = ways.at(reached[i]);
      ways[link.to] = {std::min(here.bytesPerSecond, link.bytesPerSecond),
                       here.latencySeconds + link.latencySeconds};
      reached.push_back(link.to);
    }
  auto way = ways.find(goal);
  if (way == ways.end())
    return Error{"target " + target.name + ": expected links from " +
                 std::string(tier) + " to " + goal + ", found none"};
  return way->second.latencySeconds + bytes / way->second.bytesPerSecond;
}

//===----------------------------------------------------------------------===//
// How a GPU's kernel adds residuals
//===----------------------------------------------------------------------===//

std::string_view nameOf(ResidualForm form) {
  switch (form) {
  case ResidualForm::Dense:
    return "dense";
  case ResidualForm::Present:
    return "present";
  case ResidualForm::Slot:
    return "slot";
  }
  return "";
}

// Instructions of a warp, counted in the PTX that lowering/CUDA makes for sm_80
// (docs/cuda/tile.md).
namespace {
/// A block of 16 x 16 x 16: loads of both factors, and two products.
constexpr double instructionsOfBlock = 60;
/// silu of a number, its rounding, and its sum with the row's others.
constexpr double instructionsOfActivation = 40;
/// Looking for the next expert that any row has: for each pair of a row, and in
/// all.
constexpr double instructionsOfSearch = 24, instructionsOfNext = 40;
/// Looking for the pair of a known expert: the same.
constexpr double instructionsOfMatch = 6, instructionsOfPlace = 20;
/// A term of a row's own sum: two loads, a conversion, a product; lanes add up
/// what is behind the activation.
constexpr double instructionsOfTerm = 6;
/// Rows and columns of a block, and lanes of a warp.
constexpr double blockSize = 16, lanes = 32;
} // namespace

static double blocksOf(double rank) { return std::ceil(rank / blockSize); }

double expertsOfBlock(const ResidualWork &work, double block) {
  double rows = std::min(block, work.rows);
  double any = expectedDistinct(
      work.experts, std::min(1.0, work.choices / work.experts), rows);
  if (!work.isSorted)
    return any;
  double left = std::max(0.0, work.experts - work.choices);
  double sets = std::exp(std::lgamma(work.experts + 1) -
                         std::lgamma(work.choices + 1) - std::lgamma(left + 1));
  return std::min(any, work.choices + rows * sets / work.rows);
}

ResidualCost residualCost(ResidualForm form, const ResidualWork &work) {
  const double numbers = blockSize * blockSize / lanes;
  double blocks = 0, ranks = 0;
  for (int64_t rank : work.ownRanks) {
    blocks += blocksOf(double(rank));
    ranks += double(rank);
  }
  double activation =
      work.hasActivation ? numbers * instructionsOfActivation : 0;
  ResidualCost cost;
  if (form == ResidualForm::Slot) {
    double pairs = std::min(blockSize, work.rows) * work.choices;
    cost.instructions =
        pairs * numbers / blockSize *
        (instructionsOfTerm * (ranks + double(work.sharedRank)) +
         activation / numbers);
    return cost;
  }
  bool isDense = form == ResidualForm::Dense;
  double experts = isDense ? work.experts : expertsOfBlock(work, blockSize);
  double find = isDense
                    ? instructionsOfMatch * work.choices + instructionsOfPlace
                    : instructionsOfSearch * work.choices + instructionsOfNext;
  double own = blocks > 0 || work.hasActivation ? experts : 0;
  double shared = isDense ? blocksOf(work.experts * double(work.sharedRank))
                          : experts * blocksOf(double(work.sharedRank));
  // In the dense form a block of shared ranks is looked for, else an expert.
  double finds = own + (work.sharedRank == 0 ? 0 : isDense ? shared : experts);
  double products = own * blocks + shared;
  cost.instructions =
      products * instructionsOfBlock + own * activation + finds * find;
  cost.multiplyAdds = products * blockSize * blockSize * blockSize;
  return cost;
}

double residualSeconds(const ResidualCost &cost,
                       const TargetDescription &target) {
  // A lane's instruction takes as long as a multiply-add, which rates count as
  // two.
  return cost.instructions * lanes * 2 /
             target.arithmetic.at(Format::F32).flopsPerSecond +
         cost.multiplyAdds * 2 /
             target.arithmetic.at(target.operands).flopsPerSecond;
}

} // namespace moec::weights
