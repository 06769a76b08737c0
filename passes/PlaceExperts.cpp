// moe-place-experts: which ranks have which clusters.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "passes/Analysis/ParamSources.h"
#include "passes/Communication.h"
#include "passes/Decisions.h"
#include "passes/LayerParams.h"
#include "weights/CostModel.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

#include <numeric>
#include <vector>

namespace moec {
#define GEN_PASS_DEF_PLACEEXPERTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "place-experts";

/// How much more than the least load a rank may get, in parts of the mean load of
/// ranks, for the sake of clusters that are chosen together.
static constexpr double affinitySlack = 0.05;

namespace {
/// One layer's clusters: what they cost, and who has them.
struct Layer {
  func::FuncOp function;
  /// Rows of a token that are expected for each cluster.
  SmallVector<double> rows;
  SmallVector<uint64_t> bytes;
  /// [C, C]: how often two clusters are chosen together.
  SmallVector<double> together;
  /// Ranks of each cluster, ascending.
  SmallVector<SmallVector<int32_t>> owners;
  /// Rows of each rank.
  SmallVector<double> loads;

  size_t clusters() const { return rows.size(); }
  double mean() const {
    return std::accumulate(rows.begin(), rows.end(), 0.0) /
           double(loads.size());
  }
  double largest() const { return *llvm::max_element(loads); }
  int64_t replicas() const {
    int64_t all = 0;
    for (const SmallVector<int32_t> &ranks : owners)
      all += int64_t(ranks.size());
    return all - int64_t(clusters());
  }
};

/// The bytes of one matrix of a param.
FailureOr<uint64_t> bytesOfEntry(ParamOp param) {
  FailureOr<weights::TensorForm> form = getStoredForm(param);
  if (failed(form))
    return failure();
  auto parts = weights::partsOf(*form);
  if (!parts)
    return param.emitOpError(parts.error());
  uint64_t bytes = 0;
  for (const weights::PartForm &part : *parts)
    bytes += part.bytes;
  return bytes;
}

/// Params that the layer's weights are made of.
llvm::SetVector<Operation *> paramsOf(ExpertsOp layer) {
  llvm::SetVector<Value> values;
  for (Value operand : layer->getOperands())
    if (isa<WeightType>(operand.getType()))
      values.insert(operand);
  llvm::SetVector<Operation *> params;
  // Grows while it is walked.
  for (size_t i = 0; i < values.size(); ++i) {
    Operation *made = values[i].getDefiningOp();
    if (auto leaf = dyn_cast_or_null<LeafOp>(made))
      params.insert(SymbolTable::lookupNearestSymbolFrom<ParamOp>(
          leaf, leaf.getParamAttr()));
    else if (made)
      for (Value operand : made->getOperands())
        if (isa<WeightType>(operand.getType()))
          values.insert(operand);
  }
  return params;
}

struct PlaceExpertsPass : moec::impl::PlaceExpertsPassBase<PlaceExpertsPass> {
  using Base::Base;

  void runOnOperation() override {
    auto profile = readProfileOf(getOperation(), profilePath);
    if (failed(checkOptions()) || failed(profile))
      return signalPassFailure();
    used.assign(ranks, 0);
    std::vector<Layer> layers;
    WalkResult walk = getOperation().walk([&](ExpertsOp op) {
      auto sent = op.getIds().getDefiningOp<DispatchOp>();
      if (!sent)
        return WalkResult::advance();
      FailureOr<Layer> layer = describe(op, sent, *profile);
      if (failed(layer))
        return WalkResult::interrupt();
      if (layer->clusters())
        layers.push_back(std::move(*layer));
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      return signalPassFailure();
    for (Layer &layer : layers)
      if (failed(placeOnce(layer)))
        return signalPassFailure();
    // All layers have their places before any cluster gets a second one.
    for (Layer &layer : layers)
      replicateHot(layer);
    report(layers);
  }

private:
  LogicalResult checkOptions() {
    auto expected = [&](StringRef option, StringRef what, double number) {
      std::string found;
      llvm::raw_string_ostream(found) << llvm::format("%g", number);
      return getOperation().emitError("option ")
             << option << ": expected " << what << ", found " << found;
    };
    if (ranks < 1 || ranks > 65536)
      return expected("ranks", "a number from 1 to 65536", double(ranks));
    if (ranksPerNode < 0 || (ranksPerNode > 0 && ranks % ranksPerNode))
      return expected("ranks-per-node",
                      "a number that divides the ranks, or 0 for one node",
                      double(ranksPerNode));
    if (memory < 0)
      return expected("memory", "bytes, or 0 for any number", double(memory));
    if (replicateAbove < 1)
      return expected("replicate-above", "a number from 1 on", replicateAbove);
    return success();
  }

  //===--------------------------------------------------------------------===//
  // What a layer's clusters cost
  //===--------------------------------------------------------------------===//

  /// A layer without clusters is one that is left alone.
  FailureOr<Layer> describe(ExpertsOp op, DispatchOp sent,
                            const std::optional<weights::Profile> &profile) {
    Layer layer;
    layer.function = op->getParentOfType<func::FuncOp>();
    int64_t experts = getIdType(op.getIds()).getCount();
    SmallVector<int32_t> clusterOf(experts);
    std::iota(clusterOf.begin(), clusterOf.end(), 0);
    int64_t clusters = experts;
    if (Value table = sent.getTable()) {
      clusters = cast<TableType>(table.getType()).getToCount();
      auto leaf = table.getDefiningOp<LeafOp>();
      auto param = leaf ? SymbolTable::lookupNearestSymbolFrom<ParamOp>(
                              leaf, leaf.getParamAttr())
                        : ParamOp();
      auto values =
          param ? dyn_cast<DenseElementsAttr>(param.getSource()) : nullptr;
      if (!values) {
        Decision::declined(op.getLoc(), passName)
            << "@" << layer.function.getSymName()
            << " is not placed: its table of clusters is not known here";
        return Layer();
      }
      clusterOf.assign(values.getValues<int32_t>().begin(),
                       values.getValues<int32_t>().end());
    }
    auto traffic = findTraffic(op, profile);
    if (failed(traffic))
      return failure();
    layer.rows.assign(clusters, 0);
    layer.bytes.assign(clusters, 0);
    layer.together.assign(clusters * clusters, 0);
    layer.loads.assign(ranks, 0);
    if (*traffic && (*traffic)->tokens > 0)
      countRows(layer, **traffic, clusterOf);
    else
      expectRows(layer, clusterOf,
                 cast<RankedTensorType>(op.getIds().getType()).getDimSize(1));
    if (failed(countBytes(layer, op, clusterOf)))
      return failure();
    return layer;
  }

  /// A token has one row for each of its clusters. Counts of pairs say how many
  /// rows there are where tokens have two choices, and at most how many where
  /// they have more.
  static void countRows(Layer &layer, const weights::LayerProfile &traffic,
                        ArrayRef<int32_t> clusterOf) {
    size_t experts = clusterOf.size(), clusters = layer.clusters();
    SmallVector<double> most(clusters, 0);
    for (size_t i = 0; i < experts; ++i) {
      double count = double(traffic.counts[i]);
      layer.rows[clusterOf[i]] += count;
      most[clusterOf[i]] = std::max(most[clusterOf[i]], count);
      for (size_t j = 0; j < i; ++j) {
        double both = double(traffic.cooccurrence[i * experts + j]);
        if (clusterOf[i] == clusterOf[j]) {
          layer.rows[clusterOf[i]] -= both;
          continue;
        }
        layer.together[clusterOf[i] * clusters + clusterOf[j]] += both;
        layer.together[clusterOf[j] * clusters + clusterOf[i]] += both;
      }
    }
    for (size_t c = 0; c < clusters; ++c)
      layer.rows[c] = std::max(layer.rows[c], most[c]) / double(traffic.tokens);
  }

  /// Without a profile, all choices are alike.
  static void expectRows(Layer &layer, ArrayRef<int32_t> clusterOf,
                         int64_t choices) {
    SmallVector<int64_t> members(layer.clusters(), 0);
    for (int32_t cluster : clusterOf)
      ++members[cluster];
    for (size_t c = 0; c < layer.clusters(); ++c)
      layer.rows[c] = weights::chanceOfGroup(int64_t(clusterOf.size()),
                                             members[c], choices);
  }

  /// A cluster's base, and what its experts have of their own. What all share,
  /// every rank has.
  static LogicalResult countBytes(Layer &layer, ExpertsOp op,
                                  ArrayRef<int32_t> clusterOf) {
    for (Operation *param : paramsOf(op)) {
      auto type = cast<WeightType>(cast<ParamOp>(param).getType());
      FailureOr<uint64_t> bytes = bytesOfEntry(cast<ParamOp>(param));
      if (failed(bytes))
        return failure();
      if (type.getAxis() == Axis::expert &&
          type.getCount() == int64_t(clusterOf.size()))
        for (int32_t cluster : clusterOf)
          layer.bytes[cluster] += *bytes;
      else if (type.getAxis() == Axis::cluster &&
               type.getCount() == int64_t(layer.clusters()))
        for (uint64_t &sum : layer.bytes)
          sum += *bytes;
    }
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Who has them
  //===--------------------------------------------------------------------===//

  bool hasRoom(int32_t rank, uint64_t bytes) const {
    return memory == 0 || used[rank] + bytes <= uint64_t(memory);
  }

  int32_t nodeOf(int32_t rank) const {
    return ranksPerNode ? rank / int32_t(ranksPerNode) : 0;
  }

  /// How often a cluster is chosen together with those that a node has: these
  /// tokens are sent there once.
  double affinity(const Layer &layer, size_t cluster, int32_t rank) const {
    double sum = 0;
    for (size_t other = 0; other < layer.clusters(); ++other)
      if (llvm::any_of(layer.owners[other], [&](int32_t owner) {
            return nodeOf(owner) == nodeOf(rank);
          }))
        sum += layer.together[cluster * layer.clusters() + other];
    return sum;
  }

  /// The heaviest clusters first, each to the rank with the least load that has
  /// room; of ranks whose loads differ little, to the node that has what it is
  /// chosen with.
  LogicalResult placeOnce(Layer &layer) {
    layer.owners.resize(layer.clusters());
    SmallVector<size_t> order(layer.clusters());
    std::iota(order.begin(), order.end(), 0);
    llvm::sort(order, [&](size_t left, size_t right) {
      return std::pair(-layer.rows[left], left) <
             std::pair(-layer.rows[right], right);
    });
    for (size_t cluster : order) {
      std::optional<int32_t> least;
      for (int32_t rank = 0; rank < ranks; ++rank)
        if (hasRoom(rank, layer.bytes[cluster]) &&
            (!least || isBetter(layer, rank, *least)))
          least = rank;
      if (!least)
        return layer.function.emitError("option memory: cluster ")
               << cluster << " takes " << layer.bytes[cluster]
               << " bytes, expected a rank that has as many left of "
               << int64_t(memory);
      int32_t best = *least;
      for (int32_t rank = 0; rank < ranks && ranksPerNode; ++rank)
        if (hasRoom(rank, layer.bytes[cluster]) &&
            layer.loads[rank] <=
                layer.loads[*least] + affinitySlack * layer.mean() &&
            affinity(layer, cluster, rank) > affinity(layer, cluster, best))
          best = rank;
      give(layer, cluster, best);
      layer.loads[best] += layer.rows[cluster];
    }
    return success();
  }

  double loadOfNode(const Layer &layer, int32_t rank) const {
    double sum = 0;
    for (int32_t other = 0; other < ranks; ++other)
      if (nodeOf(other) == nodeOf(rank))
        sum += layer.loads[other];
    return sum;
  }

  /// Less load, then a node with less, then fewer bytes, then a lower number.
  bool isBetter(const Layer &layer, int32_t rank, int32_t than) const {
    if (layer.loads[rank] != layer.loads[than])
      return layer.loads[rank] < layer.loads[than];
    return std::pair(loadOfNode(layer, rank), used[rank]) <
           std::pair(loadOfNode(layer, than), used[than]);
  }

  void give(Layer &layer, size_t cluster, int32_t rank) {
    SmallVector<int32_t> &owners = layer.owners[cluster];
    owners.insert(llvm::upper_bound(owners, rank), rank);
    used[rank] += layer.bytes[cluster];
  }

  /// While the hottest rank has too much, one of its clusters is shared with the
  /// rank that has least, if that helps. Owners share a cluster's rows evenly.
  void replicateHot(Layer &layer) {
    while (layer.largest() > replicateAbove * layer.mean())
      if (!replicateOne(layer))
        return;
  }

  bool replicateOne(Layer &layer) {
    auto hottest =
        int32_t(llvm::max_element(layer.loads) - layer.loads.begin());
    auto shareOf = [&](size_t cluster) {
      return layer.rows[cluster] / double(layer.owners[cluster].size());
    };
    SmallVector<size_t> order;
    for (size_t cluster = 0; cluster < layer.clusters(); ++cluster)
      if (llvm::is_contained(layer.owners[cluster], hottest))
        order.push_back(cluster);
    llvm::sort(order, [&](size_t left, size_t right) {
      return std::pair(-shareOf(left), left) <
             std::pair(-shareOf(right), right);
    });
    for (size_t cluster : order) {
      std::optional<int32_t> least;
      for (int32_t rank = 0; rank < ranks; ++rank)
        if (!llvm::is_contained(layer.owners[cluster], rank) &&
            hasRoom(rank, layer.bytes[cluster]) &&
            (!least || isBetter(layer, rank, *least)))
          least = rank;
      double before = shareOf(cluster);
      double after =
          layer.rows[cluster] / double(layer.owners[cluster].size() + 1);
      if (!least || before <= 0 ||
          layer.loads[*least] + after >= layer.largest())
        continue;
      for (int32_t owner : layer.owners[cluster])
        layer.loads[owner] -= before - after;
      layer.loads[*least] += after;
      give(layer, cluster, *least);
      return true;
    }
    return false;
  }

  //===--------------------------------------------------------------------===//
  // What comes of it
  //===--------------------------------------------------------------------===//

  void report(ArrayRef<Layer> layers) {
    Builder builder(&getContext());
    NamedAttrList placed;
    for (const Layer &layer : layers) {
      func::FuncOp function = layer.function;
      SmallVector<Attribute> owners;
      for (const SmallVector<int32_t> &of : layer.owners)
        owners.push_back(builder.getDenseI32ArrayAttr(of));
      placed.append(function.getSymName(), builder.getArrayAttr(owners));
      Decision::taken(function.getLoc(), passName)
          << "@" << function.getSymName() << ": " << layer.clusters()
          << " clusters on " << int64_t(ranks)
          << " ranks, the hottest of which has "
          << llvm::formatv("{0:F3}", layer.mean() > 0
                                         ? layer.largest() / layer.mean()
                                         : 1)
                 .str()
          << " times the mean load, with " << layer.replicas()
          << (layer.replicas() == 1 ? " replica" : " replicas");
    }
    Decision::figure(getOperation().getLoc(), passName)
        << "most bytes of clusters on a rank: " << *llvm::max_element(used);
    getOperation()->setAttr(
        placementAttrName,
        builder.getDictionaryAttr(
            {builder.getNamedAttr("layers",
                                  placed.getDictionary(&getContext())),
             builder.getNamedAttr("ranks", builder.getI64IntegerAttr(ranks))}));
  }

  /// Bytes of clusters on each rank.
  SmallVector<uint64_t> used;
};
} // namespace
