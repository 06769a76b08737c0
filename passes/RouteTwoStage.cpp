// moe-route-two-stage: tokens choose clusters first, then experts inside them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "passes/Decisions.h"
#include "passes/LayerParams.h"
#include "weights/Prototypes.h"

namespace moec {
#define GEN_PASS_DEF_ROUTETWOSTAGEPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "route-two-stage";

namespace {
struct RouteTwoStagePass
    : moec::impl::RouteTwoStagePassBase<RouteTwoStagePass> {
  using Base::Base;

  void runOnOperation() override {
    auto read = readProfileOf(getOperation(), profilePath);
    if (failed(read))
      return signalPassFailure();
    profile = *std::move(read);
    WalkResult result = getOperation().walk([&](ExpertsOp op) {
      return WalkResult(restrict(op));
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

  LogicalResult restrict(ExpertsOp op) {
    auto decline = [&](StringRef reason) {
      Decision::declined(op.getLoc(), passName)
          << "router left flat: " << reason;
      return success();
    };
    ParamOp table = getClusterTable(op);
    if (!table)
      return decline("no clusters; run moe-cluster-experts first");
    auto route = op.getIds().getDefiningOp<RouteOp>();
    if (!route || route.getResult(0) != op.getIds())
      return decline("the ids do not come from a moe.route");
    if (route.getLimitAttr())
      return decline("the router has a limit of its own");
    if (route.getChoice().getKind() != ChoiceKind::top_k ||
        route.getCandidates())
      return decline("only a top_k choice among all experts can be limited");
    int64_t groups = cast<TableType>(table.getType()).getToCount();
    if (keep < 1 || keep > groups)
      return op.emitOpError("option clusters-per-token: expected 1 to ")
             << groups << ", found " << int64_t(keep);
    OpBuilder builder(route);
    if (by == GroupBy::logits) {
      auto apply = route.getLogits().getDefiningOp<ApplyOp>();
      if (!apply || apply.getIds())
        return decline("prototypes need its input, and its logits are not a "
                       "product with it");
      FailureOr<Value> scores = scoreByPrototypes(op, apply, table, builder);
      if (failed(scores))
        return failure();
      route.getGroupLogitsMutable().assign(*scores);
    }
    Value clusters = LeafOp::create(
        builder, route.getLoc(), table.getType(),
        FlatSymbolRefAttr::get(table.getSymNameAttr()));
    route.setLimitAttr(LimitAttr::get(&getContext(), keep, groups, by,
                                      Masked::neg_inf));
    route.getClustersMutable().assign(clusters);
    Decision::taken(op.getLoc(), passName)
        << "tokens choose " << keep << " of " << groups << " clusters by "
        << stringifyGroupBy(by) << ", then "
        << route.getChoice().getK() << " experts; choices may change";
    return success();
  }

  /// x·prototypes, with prototypes learned from the layer's traffic.
  FailureOr<Value> scoreByPrototypes(ExpertsOp op, ApplyOp logits,
                                     ParamOp table, OpBuilder &builder) {
    FailureOr<const weights::LayerProfile *> traffic =
        findTraffic(op, profile);
    if (failed(traffic))
      return failure();
    if (!*traffic)
      return op.emitOpError("prototypes need a profile of this layer, found "
                            "none");
    weights::WeightProvider provider;
    auto clusterOf = ParamSources(provider).loadTable(table);
    if (failed(clusterOf))
      return failure();
    int64_t groups = cast<TableType>(table.getType()).getToCount();
    auto learned = weights::learnPrototypes(**traffic, *clusterOf, groups);
    if (!learned)
      return op.emitOpError(learned.error());
    auto input = cast<RankedTensorType>(logits.getInput().getType());
    int64_t width = input.getShape().back();
    auto type = WeightType::get(&getContext(), width, groups,
                                input.getElementType(), Axis::none, 1);
    auto values = DenseElementsAttr::get(
        RankedTensorType::get({width, groups}, builder.getF32Type()),
        ArrayRef<float>(*learned));
    ParamOp prototypes = addParam(op, "prototypes", type, values);
    Value leaf =
        LeafOp::create(builder, logits.getLoc(), type,
                       FlatSymbolRefAttr::get(prototypes.getSymNameAttr()));
    SmallVector<int64_t> shape(input.getShape());
    shape.back() = groups;
    Value scores = ApplyOp::create(builder, logits.getLoc(), input.clone(shape),
                                   logits.getInput(), leaf, Value());
    return scores;
  }

  std::optional<weights::Profile> profile;
};
} // namespace
