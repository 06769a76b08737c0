// moe-cluster-experts: which experts share a base, by their weights and by the inputs they answer.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "passes/Decisions.h"
#include "passes/LayerParams.h"
#include "weights/Clustering.h"
#include "weights/Similarity.h"
#include "llvm/Support/FormatVariadic.h"

namespace moec {
#define GEN_PASS_DEF_CLUSTEREXPERTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "cluster-experts";

namespace {
struct ClusterExpertsPass
    : moec::impl::ClusterExpertsPassBase<ClusterExpertsPass> {
  using Base::Base;

  void runOnOperation() override {
    weights::WeightProvider provider;
    auto profile = readProfileOf(getOperation(), profilePath);
    if (failed(profile) ||
        failed(bindScopes(getOperation(), weights, provider)))
      return signalPassFailure();
    ParamSources sources(provider);
    for (const ExpertLayer &layer : findExpertLayers(getOperation(), passName))
      if (failed(cluster(layer, sources, *profile)))
        return signalPassFailure();
  }

  LogicalResult cluster(const ExpertLayer &layer, ParamSources &sources,
                        const std::optional<weights::Profile> &profile) {
    ExpertsOp op = layer.op;
    std::vector<weights::MatrixSourcePtr> matrices;
    for (const ExpertMatrix &matrix : layer.matrices) {
      FailureOr<weights::MatrixSourcePtr> leaf = sources.openLeaf(matrix.param);
      if (failed(leaf))
        return failure();
      matrices.push_back(*leaf);
    }
    weights::SimilarityOptions similarityOptions;
    similarityOptions.removeMean = removeMean;
    auto similarity = weights::similarityOfWeights(matrices, similarityOptions);
    if (!similarity)
      return op.emitOpError(similarity.error());
    std::vector<double> combined = similarity->cosines;

    FailureOr<const weights::LayerProfile *> traffic =
        findTraffic(layer, profile);
    if (failed(traffic))
      return failure();
    double used = 1;
    if (*traffic) {
      auto centroids =
          weights::similarityOfCentroids(layer.experts, (*traffic)->centroids);
      if (!centroids)
        return op.emitOpError(centroids.error());
      auto both = weights::combineSimilarities(alpha, *similarity, *centroids);
      if (!both)
        return op.emitOpError(both.error());
      combined = *std::move(both);
      used = alpha;
    }

    weights::ClusteringOptions options;
    options.clusters = clusters;
    options.seed = seed;
    options.threshold = threshold;
    options.exactBalance = exactBalance;
    if (slack > 0)
      options.maxSize = weights::balancedSize(layer.experts, clusters, slack);
    auto found = weights::clusterExperts(layer.experts, combined, options);
    if (!found)
      return op.emitOpError(found.error());

    auto type = TableType::get(&getContext(), Axis::expert, layer.experts,
                               Axis::cluster, clusters);
    auto values = DenseElementsAttr::get(
        RankedTensorType::get({layer.experts},
                              IntegerType::get(&getContext(), 32)),
        ArrayRef<int32_t>(found->table));
    setClusterTable(layer, addParam(layer, "cluster", type, values));
    auto sizes = llvm::to_vector(llvm::map_range(
        found->sizes, [](int32_t size) { return std::to_string(size); }));
    Decision::taken(op.getLoc(), passName)
        << layer.experts << " experts in " << clusters << " clusters of "
        << llvm::join(sizes, ", ")
        << llvm::formatv("; similarity {0:F3} within, {1:F3} between, alpha {2:F2}",
                         found->meanWithin, found->meanBetween, used)
               .str()
        << (*traffic ? "" : " (no profile)");
    return success();
  }
};
} // namespace
