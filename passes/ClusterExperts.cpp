// moe-cluster-experts: which experts share a base, by their weights and by the inputs they answer.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "passes/Decisions.h"
#include "passes/LayerParams.h"
#include "passes/TerminalProgress.h"
#include "weights/CachedStatistics.h"
#include "weights/Clustering.h"
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
    auto opened = openCacheOf(getOperation(), cacheDirectory);
    if (failed(profile) || failed(opened) ||
        failed(bindScopes(getOperation(), weights, provider)))
      return signalPassFailure();
    cache = *std::move(opened);
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
    auto function = op->getParentOfType<func::FuncOp>();
    if (progress)
      similarityOptions.parallel.progress = progressOnTerminal(
          (function.getSymName() + ": similarity").str(), "blocks");
    auto found = weights::cachedSimilarityOfWeights(cache ? &*cache : nullptr,
                                                    matrices, similarityOptions);
    // The line goes before anything is said.
    similarityOptions.parallel.progress = nullptr;
    if (!found)
      return op.emitOpError(found.error());
    if (cache)
      Decision::figure(op.getLoc(), passName)
          << (found->isHit ? "cache hit" : "cache miss") << ": similarity";
    const weights::Similarity &similarity = found->value;
    std::vector<double> combined = similarity.cosines;

    FailureOr<const weights::LayerProfile *> traffic =
        findTraffic(op, profile);
    if (failed(traffic))
      return failure();
    double used = 1;
    if (*traffic) {
      auto centroids =
          weights::similarityOfCentroids(layer.experts, (*traffic)->centroids);
      if (!centroids)
        return op.emitOpError(centroids.error());
      auto both = weights::combineSimilarities(alpha, similarity, *centroids);
      if (!both)
        return op.emitOpError(both.error());
      combined = *std::move(both);
      used = alpha;
    }

    auto clustered = partition(layer.experts, combined);
    if (!clustered)
      return op.emitOpError(clustered.error());

    auto type = TableType::get(&getContext(), Axis::expert, layer.experts,
                               Axis::cluster, clusters);
    auto values = DenseElementsAttr::get(
        RankedTensorType::get({layer.experts},
                              IntegerType::get(&getContext(), 32)),
        ArrayRef<int32_t>(clustered->table));
    setClusterTable(op, addParam(op, "cluster", type, values));
    auto sizes = llvm::to_vector(llvm::map_range(
        clustered->sizes, [](int32_t size) { return std::to_string(size); }));
    Decision::taken(op.getLoc(), passName)
        << layer.experts << " experts in " << clusters << " clusters of "
        << llvm::join(sizes, ", ")
        << llvm::formatv("; similarity {0:F3} within, {1:F3} between, alpha {2:F2}",
                         clustered->meanWithin, clustered->meanBetween, used)
               .str()
        << (*traffic ? "" : " (no profile)")
        << (clustering == ClusteringKind::random ? ", at random" : "");
    return success();
  }

  weights::Result<weights::Clustering>
  partition(int64_t experts, ArrayRef<double> similarity) {
    if (clustering == ClusteringKind::random) {
      auto table = weights::randomTable(experts, clusters, seed);
      if (!table)
        return weights::Error{table.error()};
      return weights::describeClustering(experts, similarity, *table);
    }
    weights::ClusteringOptions options;
    options.clusters = clusters;
    options.seed = seed;
    options.threshold = threshold;
    options.exactBalance = exactBalance;
    if (slack > 0)
      options.maxSize = weights::balancedSize(experts, clusters, slack);
    return weights::clusterExperts(experts, similarity, options);
  }

  std::optional<weights::StatisticsCache> cache;
};
} // namespace
