// moe-fuse-combine: sums hidden activations as they arise instead of storing one row for each pair.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "passes/Decisions.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/RegionUtils.h"

namespace moec {
#define GEN_PASS_DEF_FUSECOMBINEPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "fuse-combine";

/// True if a plain product takes, for each pair, the matrix of the pair's expert or the one there is.
static bool followsPairs(GroupedMatmulOp product, Value experts) {
  if (product.getWeights().size() != 1 || !product.getBiases().empty() ||
      product.getPairRow() || product.getAct() || product.getAccumulate())
    return false;
  if (!product.getOffsets())
    return !product.getEntries() || product.getEntries() == experts;
  // Groups are experts where each choice is a row of its own.
  auto group = experts.getDefiningOp<GroupOp>();
  return group && !group.getSlots() && experts == group.getResult(3) &&
         product.getOffsets() == group.getResult(1);
}

namespace {
/// A product of pairs, and what reads its hidden activations.
struct UpProjection {
  explicit UpProjection(GroupedMatmulOp up);

  bool isComplete() { return obstacle.empty(); }
  /// In front of what reads the hidden activations first.
  Operation *insertionPoint() {
    return !shrink || combine->isBeforeInBlock(shrink)
               ? combine.getOperation()
               : shrink.getOperation();
  }

  GroupedMatmulOp up;
  ScatterCombineOp combine;
  GroupedMatmulOp shrink;
  /// Why they cannot become one operation.
  StringRef obstacle;
};
} // namespace

UpProjection::UpProjection(GroupedMatmulOp up) : up(up) {
  for (Operation *user : up->getUsers()) {
    auto product = dyn_cast<GroupedMatmulOp>(user);
    if (auto scatter = dyn_cast<ScatterCombineOp>(user); scatter && !combine)
      combine = scatter;
    else if (product && !shrink && product.getInput() == up.getResult(0))
      shrink = product;
    else
      obstacle = "they have another use";
  }
  if (!obstacle.empty())
    return;
  if (!combine)
    obstacle = "nothing sums them";
  else if (combine.getInput() != up.getResult(0) || combine.getAccumulate() ||
           combine.getIndex() != up.getPairRow())
    obstacle = "they are not summed by the pairs' rows";
  else if (!combine.getWeights())
    obstacle = "they are summed without gate weights";
  else if (up.getAccumulate())
    obstacle = "they are added to what was there";
  else if (up.getEntries())
    obstacle = "rows pick their matrix by entries";
  else if (shrink && shrink.getRounding())
    obstacle = "they are rounded for another product";
  else if (shrink && !followsPairs(shrink, up.getPairExpert()))
    obstacle = "they have another use";
  else if (combine->getBlock() != up->getBlock() ||
           (shrink && shrink->getBlock() != up->getBlock()))
    obstacle = "they are used in another block";
}

namespace {
struct FuseCombinePass : moec::impl::FuseCombinePassBase<FuseCombinePass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<UpProjection> found;
    getOperation().walk([&](GroupedMatmulOp up) {
      if (!up.getAct() || !up.yieldsPairs() || up->getNumResults() == 0)
        return;
      found.emplace_back(up);
    });
    IRRewriter rewriter(&getContext());
    for (UpProjection &layer : found) {
      if (layer.isComplete())
        fuse(layer, rewriter);
      if (!layer.isComplete())
        Decision::declined(layer.up.getLoc(), passName)
            << "hidden activations are stored: " << layer.obstacle;
    }
  }

  static void fuse(UpProjection &layer, RewriterBase &rewriter) {
    GroupedMatmulOp up = layer.up, shrink = layer.shrink;
    ScatterCombineOp combine = layer.combine;
    // Destinations, and the matrix of the second product, may be made behind the first.
    SmallVector<Value> needed{combine.getWeights(), combine.getInit()};
    if (shrink)
      needed.append({shrink.getWeights()[0], shrink.getInit()});
    if (failed(moveValueDefinitions(rewriter, needed, layer.insertionPoint()))) {
      layer.obstacle = "gate weights or destinations come after their first use";
      return;
    }
    explain(layer);
    rewriter.setInsertionPoint(layer.insertionPoint());
    SmallVector<Type> types{combine.getInit().getType()};
    if (shrink)
      types.push_back(shrink.getInit().getType());
    auto fused = GroupedUpOp::create(
        rewriter, FusedLoc::get(up.getContext(), {up.getLoc(), combine.getLoc()}),
        types, up.getInput(), up.getWeights(), up.getBiases(), up.getOffsets(),
        up.getPairRow(), up.getPairExpert(), up.getResiduals(),
        combine.getWeights(), shrink ? shrink.getWeights()[0] : Value(),
        combine.getInit(), shrink ? shrink.getInit() : Value(),
        up.getActAttr(), up.getRoundingAttr());
    rewriter.replaceOp(combine, fused.getResult(0));
    if (shrink)
      rewriter.replaceOp(shrink, fused.getResult(1));
    Operation *init = up.getInit().getDefiningOp();
    rewriter.eraseOp(up);
    if (init && isOpTriviallyDead(init))
      rewriter.eraseOp(init);
  }

  static void explain(UpProjection &layer) {
    WeightType type = getWeightType(layer.up.getWeights()[0]);
    int64_t bytes =
        type.getCols() * type.getElementType().getIntOrFloatBitWidth() / 8;
    // A token has as many pairs as choices, where a moe.group tells.
    auto group = layer.up.getPairRow().getDefiningOp<GroupOp>();
    int64_t pairs =
        group ? cast<ShapedType>(group.getIds().getType()).getDimSize(1)
              : ShapedType::kDynamic;
    bool isKnown = !ShapedType::isDynamic(pairs);
    Decision::taken(layer.up.getLoc(), passName)
        << "hidden activations summed in the up product"
        << (layer.shrink ? ", with the down residual's first factor" : "")
        << ": " << (isKnown ? pairs : 1) * bytes << " bytes per "
        << (isKnown ? "token" : "pair")
        << " not stored";
  }
};
} // namespace
