// What an expert layer costs on a target: bytes, operations, time, energy.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// The algebra is that of docs/precision.md: bounds that no program beats, not
// predictions. Rank, precision, placement and residency are chosen by it.
#ifndef MOEC_WEIGHTS_COSTMODEL_H
#define MOEC_WEIGHTS_COSTMODEL_H

#include "weights/Encoding.h"
#include "weights/TargetDescription.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace moec::weights {

/// The sizes of an expert layer.
struct ExpertLayerShape {
  /// D, the width of inputs and outputs, and F, that of hidden activations.
  int64_t width = 0;
  int64_t inner = 0;
  /// Whether there is a gate beside up.
  bool isGated = true;
  /// E experts, of which a token chooses k.
  int64_t experts = 0;
  int64_t choices = 0;
  /// G clusters whose members share a base; 0: experts share nothing.
  int64_t clusters = 0;
  /// Clusters that a token's choices are limited to; 0: flat choices.
  int64_t clustersPerToken = 0;
  /// Of the residuals; 0: experts have nothing of their own beside the base.
  int64_t rank = 0;

  bool hasBase() const { return clusters > 0; }
  bool hasResidual() const { return rank > 0; }
};

/// Counted traffic of a layer, for which choices are not uniform.
struct ExpertTraffic {
  /// Tokens seen, and of them those that chose each expert.
  int64_t tokens = 0;
  std::span<const int64_t> counts;
  /// The cluster of each expert; empty without clusters.
  std::span<const int32_t> clusterOf;
};

/// What T tokens are expected to meet.
struct Meetings {
  /// Different experts, and different clusters.
  double experts = 0;
  double clusters = 0;
  /// Pairs of a token and a cluster it meets: how often a base is multiplied.
  double tokenClusters = 0;
};

/// n·(1 - (1 - p)^T): of n things, each met by a token with chance p, how many
/// different ones T tokens meet.
double expectedDistinct(double things, double chance, double tokens);

/// The chance that k different choices among `experts` hit a given group of
/// `members`: 1 - C(E - n, k) / C(E, k).
double chanceOfGroup(int64_t experts, int64_t members, int64_t choices);

/// Tokens choose independently of one another, and all experts alike or as
/// `traffic` counted. Clusters are of even size without traffic; with it, a
/// token's choices are taken as independent of one another.
Meetings meetingsOf(const ExpertLayerShape &shape, int64_t tokens,
                    const std::optional<ExpertTraffic> &traffic = {});

/// Bits and scales of one value; what groups cost is shared among members.
double bytesPerValue(const Encoding &encoding);

/// How a layer's matrices are stored: `base` is that of clusters, or of plain
/// experts where the shape has no clusters and no rank.
struct LayerEncodings {
  Encoding base;
  Encoding residual;
};

/// What has to be read and computed.
struct Needs {
  double weightBytes = 0;
  double activationBytes = 0;
  /// A multiply-add counts as two.
  double flops = 0;
  /// Weights that are read, by their format: what has to become operands.
  std::map<Format, double> values;
  /// Of both, what instructions that multiply integers take as it is where rows
  /// are int8: whole matrices in int8 or int4 with groups along the input.
  /// Residuals' factors are picked row by row, and their rows stay as they are.
  double integerFlops = 0;
  std::map<Format, double> integerValues;

  double bytes() const { return weightBytes + activationBytes; }
  Needs &operator+=(const Needs &other);
};

/// How products of a base are counted.
enum class BaseProducts {
  /// Once for each token and cluster: what moe-share-base makes of them.
  PerCluster,
  /// Once for each choice, as plain experts are.
  PerChoice
};

/// One rows x cols matrix of the layer. Activations are not counted.
Needs matrixNeeds(const ExpertLayerShape &shape, int64_t rows, int64_t cols,
                  const LayerEncodings &encodings, int64_t tokens,
                  const Meetings &meetings,
                  BaseProducts products = BaseProducts::PerCluster);

/// Gate, up and down together, fused ideally: inputs are read and outputs
/// written once, in `activationBytes` bytes a number, and hidden activations
/// stay where they arise. The router is left out.
Needs layerNeeds(const ExpertLayerShape &shape, const LayerEncodings &encodings,
                 int64_t tokens, const Meetings &meetings,
                 double activationBytes,
                 BaseProducts products = BaseProducts::PerCluster);

/// Bytes that all weights of the layer take: every base and every residual.
double residentBytes(const ExpertLayerShape &shape,
                     const LayerEncodings &encodings);

/// Bytes of a number of the target's operands.
double operandBytes(const TargetDescription &target);

/// A time that no program beats: the larger of what memory takes, and of what
/// arithmetic takes together with decoding. Rows that are rounded to bf16 are
/// multiplied as fast as bf16 is; those in int8 by integers as fast as int8 is,
/// without decoding, and by other weights as if they were not rounded.
struct TimeBound {
  double memorySeconds = 0;
  double computeSeconds = 0;

  double seconds() const {
    return memorySeconds > computeSeconds ? memorySeconds : computeSeconds;
  }
  bool isMemoryBound() const { return memorySeconds >= computeSeconds; }
};
TimeBound timeBound(const Needs &needs, const TargetDescription &target);

/// Joules of the same: bytes from the first tier, and operations.
double energyOf(const Needs &needs, const TargetDescription &target);

/// Seconds until `bytes` of a tier are where arithmetic reads them: over the
/// links from tier to tier, the slowest one's rate, and the latency of each;
/// nothing for the first tier, and for a tier that computes. Fails where no
/// links lead there.
Result<double> fetchSeconds(const TargetDescription &target,
                            std::string_view tier, double bytes);

//===----------------------------------------------------------------------===//
// How a GPU's kernel adds residuals
//===----------------------------------------------------------------------===//

/// Which experts' residuals a warp works out for 16 rows of one cluster:
/// docs/cuda/tile.md.
enum class ResidualForm {
  /// Of all experts of the cluster, by matrix units; ranks of down lie one
  /// behind the other.
  Dense,
  /// Of the experts that any of the rows has, by matrix units.
  Present,
  /// Of each row's own experts, row by row, by ordinary arithmetic.
  Slot
};
inline constexpr ResidualForm residualForms[] = {
    ResidualForm::Dense, ResidualForm::Present, ResidualForm::Slot};
std::string_view nameOf(ResidualForm form);

/// What experts add to rows of a product.
struct ResidualWork {
  /// Experts of a cluster, and of them a row's.
  double experts = 0, choices = 0;
  /// Rows of the cluster, and whether those of the same experts are neighbours.
  double rows = 0;
  bool isSorted = false;
  /// Ranks of products that each expert has for itself: those in front of an
  /// activation, and the one behind it.
  std::vector<int64_t> ownRanks;
  /// The rank of products that are only added up; 0: none.
  int64_t sharedRank = 0;
  /// Whether each expert has an activation for itself.
  bool hasActivation = false;
};

/// Different experts of `block` neighbouring rows, as expected where all are
/// chosen alike. Sorted, rows of one set of experts are neighbours, and a set
/// differs from the next one in a single expert.
double expertsOfBlock(const ResidualWork &work, double block);

/// What a warp does for 16 rows and 16 columns.
struct ResidualCost {
  double instructions = 0;
  /// Of matrix units.
  double multiplyAdds = 0;
};
ResidualCost residualCost(ResidualForm form, const ResidualWork &work);

/// Seconds of a whole device for that, if it did nothing else. `target` has
/// rates of f32, which ordinary instructions count as, and of its operands.
double residualSeconds(const ResidualCost &cost,
                       const TargetDescription &target);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_COSTMODEL_H
