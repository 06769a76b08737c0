// moe-fuse-residual: adds the residual in the base matmul instead of a second pass.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"
#include "passes/Decisions.h"
#include "passes/SlotForm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace moec {
#define GEN_PASS_DEF_FUSERESIDUALPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "fuse-residual";

/// A grouped_matmul that is a product and nothing more.
static GroupedMatmulOp getPlainProduct(Value value) {
  auto product = value.getDefiningOp<GroupedMatmulOp>();
  if (!product || product.getWeights().size() != 1 ||
      !product.getBiases().empty() || product.getPairRow() ||
      product.getAct() || product.getAccumulate())
    return {};
  return product;
}

/// x·A·B, each factor by the pair's expert or without axis.
static GroupedMatmulOp getLowRankProduct(Value value, GroupedMatmulOp &shrink) {
  GroupedMatmulOp expand = getPlainProduct(value);
  if (!expand || expand.getOffsets())
    return {};
  shrink = getPlainProduct(expand.getInput());
  if (!shrink || shrink.getOffsets())
    return {};
  return expand;
}

/// The experts by which a low-rank product picks its factors: those of the factor that is indexed.
static Value getExperts(GroupedMatmulOp shrink, GroupedMatmulOp expand) {
  return shrink.getEntries() ? shrink.getEntries() : expand.getEntries();
}

static void explain(Operation *op, StringRef what) {
  Decision::taken(op->getLoc(), passName) << what;
}

namespace {
/// Up: gather(x·W, pairs) + (gather(x, pairs)·A)·B -> one product with the residual in its epilogue.
struct FuseUpResidual : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    if (succeeded(fuse(op, op.getLhs(), op.getRhs(), rewriter)) ||
        succeeded(fuse(op, op.getRhs(), op.getLhs(), rewriter)))
      return success();
    return failure();
  }

  LogicalResult fuse(arith::AddFOp op, Value baseSide, Value residualSide,
                     PatternRewriter &rewriter) const {
    auto toPairs = baseSide.getDefiningOp<GatherOp>();
    GroupedMatmulOp shrink,
        expand = getLowRankProduct(residualSide, shrink);
    if (!toPairs || !expand)
      return rewriter.notifyMatchFailure(op, "not a base and a residual");
    GroupedMatmulOp base = getPlainProduct(toPairs.getInput());
    if (!base || base.getEntries())
      return rewriter.notifyMatchFailure(op, "base is not grouped by cluster");
    auto rows = shrink.getInput().getDefiningOp<GatherOp>();
    if (!rows || rows.getIndex() != toPairs.getIndex() ||
        rows.getInput() != base.getInput())
      return rewriter.notifyMatchFailure(op, "residual reads other rows");
    Value experts = getExperts(shrink, expand);
    if (!experts)
      return rewriter.notifyMatchFailure(op, "residual is no expert's own");
    if (!base->hasOneUse() || !toPairs->hasOneUse())
      return rewriter.notifyMatchFailure(op, "base product has another use");
    Value init = expand.getInit();
    rewriter.replaceOpWithNewOp<GroupedMatmulOp>(
        op, TypeRange{op.getType()}, base.getInput(), base.getWeights(),
        ValueRange(), base.getOffsets(), Value(), toPairs.getIndex(), experts,
        ValueRange{shrink.getWeights()[0], expand.getWeights()[0]}, Value(),
        Value(), Value(), init, ActivationAttr(), /*accumulate=*/false);
    explain(op, "residual fused into the base product, up");
    return success();
  }
};

/// A product followed by the lookup of a bias for the same rows.
struct FuseBias : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    auto product = op.getLhs().getDefiningOp<GroupedMatmulOp>();
    auto bias = op.getRhs().getDefiningOp<LookupOp>();
    if (!product || !bias)
      return rewriter.notifyMatchFailure(op, "not a product and a bias");
    if (!product.getBiases().empty() || product.getAct() ||
        product.getAccumulate() || product.getSegment())
      return rewriter.notifyMatchFailure(op, "product is already finished");
    if (!product->hasOneUse())
      return rewriter.notifyMatchFailure(op, "product has another use");
    // The bias must be picked as the product's rows are.
    bool byPairs = product.getPairExpert() &&
                   product.getPairExpert() == bias.getIds();
    bool byEntries =
        product.getEntries() && product.getEntries() == bias.getIds();
    if (!byPairs && !byEntries && !isRowOrder(product, bias.getIds()))
      return rewriter.notifyMatchFailure(op, "bias is picked by other ids");
    // A lookup by ids is zero for id -1; so is a row of a product only if the bias is picked along with the matrix.
    WeightType biasType = getWeightType(bias.getWeight());
    WeightType weightType = getWeightType(product.getWeights()[0]);
    if (!byPairs && (biasType.getAxis() != weightType.getAxis() ||
                     biasType.getCount() != weightType.getCount()))
      return rewriter.notifyMatchFailure(op, "bias is not indexed as the matrix");
    rewriter.replaceOpWithNewOp<GroupedMatmulOp>(
        op, TypeRange{op.getType()}, product.getInput(), product.getWeights(),
        ValueRange{bias.getWeight()}, product.getOffsets(),
        product.getEntries(), product.getPairRow(), product.getPairExpert(),
        product.getResiduals(), Value(), Value(), Value(), product.getInit(),
        ActivationAttr(), /*accumulate=*/false);
    explain(op, "bias fused into the product");
    return success();
  }

  /// True if the product's groups and the list of experts come from one moe.group in which rows are pairs.
  static bool isRowOrder(GroupedMatmulOp product, Value experts) {
    auto group = experts.getDefiningOp<GroupOp>();
    return group && !group.getSlots() && !product.getPairRow() &&
           product.getOffsets() == group.getResult(1) &&
           experts == group.getResult(3);
  }
};

/// Gate and up together, with their activation.
struct FuseActivation : OpRewritePattern<ActivateOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ActivateOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<GroupedMatmulOp> products;
    for (Value operand : op->getOperands()) {
      auto product = operand.getDefiningOp<GroupedMatmulOp>();
      if (!product || product.getAct() || product.getSegment() ||
          product.getAccumulate())
        return rewriter.notifyMatchFailure(op, "not the end of a product");
      if (!product->hasOneUse())
        return rewriter.notifyMatchFailure(op, "product has another use");
      products.push_back(product);
    }
    GroupedMatmulOp first = products.front();
    SmallVector<Value> weights, biases, residuals;
    for (GroupedMatmulOp product : products) {
      if (product.getInput() != first.getInput() ||
          product.getOffsets() != first.getOffsets() ||
          product.getEntries() != first.getEntries() ||
          product.getPairRow() != first.getPairRow() ||
          product.getPairExpert() != first.getPairExpert() ||
          product.getBiases().size() != first.getBiases().size() ||
          product.getResiduals().size() != first.getResiduals().size() ||
          product.getWeights()[0].getType() != first.getWeights()[0].getType())
        return rewriter.notifyMatchFailure(op, "gate and up read other rows");
      llvm::append_range(weights, product.getWeights());
      llvm::append_range(biases, product.getBiases());
      llvm::append_range(residuals, product.getResiduals());
    }
    rewriter.replaceOpWithNewOp<GroupedMatmulOp>(
        op, TypeRange{op.getType()}, first.getInput(), weights, biases,
        first.getOffsets(), first.getEntries(), first.getPairRow(),
        first.getPairExpert(), residuals, Value(), Value(), Value(),
        first.getInit(), op.getActAttr(), /*accumulate=*/false);
    explain(op, "activation fused into the product");
    return success();
  }
};

/// scatter(a) + scatter(b) -> scatter(a + b), so that base and residual of a row meet.
struct AddBeforeScatter : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    auto lhs = op.getLhs().getDefiningOp<ScatterCombineOp>();
    auto rhs = op.getRhs().getDefiningOp<ScatterCombineOp>();
    if (!lhs || !rhs || lhs.getIndex() != rhs.getIndex() ||
        lhs.getWeights() || rhs.getWeights() || lhs.getAccumulate() ||
        rhs.getAccumulate() ||
        lhs.getInput().getType() != rhs.getInput().getType())
      return rewriter.notifyMatchFailure(op, "not two scatters to one place");
    if (!lhs->hasOneUse() || !rhs->hasOneUse())
      return rewriter.notifyMatchFailure(op, "a scatter has another use");
    Value sum = arith::AddFOp::create(rewriter, op.getLoc(), lhs.getInput(),
                                      rhs.getInput());
    rewriter.replaceOpWithNewOp<ScatterCombineOp>(
        op, TypeRange{op.getType()}, sum, lhs.getIndex(), Value(),
        lhs.getInit(), /*accumulate=*/false);
    return success();
  }
};

/// Down: z·W + scatter(v·B weighted p) -> a product with a second segment of the reduction.
struct FuseDownResidual : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    if (succeeded(fuse(op, op.getLhs(), op.getRhs(), rewriter)) ||
        succeeded(fuse(op, op.getRhs(), op.getLhs(), rewriter)))
      return success();
    return failure();
  }

  LogicalResult fuse(arith::AddFOp op, Value baseSide, Value residualSide,
                     PatternRewriter &rewriter) const {
    GroupedMatmulOp base = getPlainProduct(baseSide);
    auto toRows = residualSide.getDefiningOp<ScatterCombineOp>();
    if (!base || base.getEntries() || !toRows || toRows.getAccumulate())
      return rewriter.notifyMatchFailure(op, "not a base and a residual");
    GroupedMatmulOp expand = getPlainProduct(toRows.getInput());
    if (!expand || expand.getOffsets())
      return rewriter.notifyMatchFailure(op, "residual is no product of pairs");
    // The list of experts by which the segment's factors are picked.
    auto group = toRows.getIndex().getDefiningOp<GroupOp>();
    if (!group || toRows.getIndex() != group.getResult(2) ||
        (expand.getEntries() && expand.getEntries() != group.getResult(3)))
      return rewriter.notifyMatchFailure(op, "residual is not one of pairs");
    if (!base->hasOneUse() || !toRows->hasOneUse())
      return rewriter.notifyMatchFailure(op, "a product has another use");
    rewriter.replaceOpWithNewOp<GroupedMatmulOp>(
        op, TypeRange{op.getType()}, base.getInput(), base.getWeights(),
        ValueRange(), base.getOffsets(), Value(), group.getResult(2),
        group.getResult(3), ValueRange(), expand.getInput(),
        expand.getWeights()[0], toRows.getWeights(), base.getInit(),
        ActivationAttr(), /*accumulate=*/false);
    explain(op, "residual fused into the base product, down");
    return success();
  }
};

struct FuseResidualPass : moec::impl::FuseResidualPassBase<FuseResidualPass> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    populateFuseResidualPatterns(set);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    if (failed(applyPatternsGreedily(getOperation(), patterns)))
      return signalPassFailure();
    getOperation().walk([](arith::AddFOp op) { explainDeclined(op); });
  }

  /// Says why a residual still takes a pass of its own.
  static void explainDeclined(arith::AddFOp op) {
    GroupedMatmulOp shrink;
    for (Value side : op->getOperands()) {
      if (!getLowRankProduct(side, shrink))
        continue;
      Decision::declined(op.getLoc(), passName)
          << "residual not fused: base and residual read different rows, or "
             "the base product has another use";
      return;
    }
  }

  FrozenRewritePatternSet patterns;
};
} // namespace

void moec::populateFuseResidualPatterns(RewritePatternSet &patterns) {
  patterns.add<FuseUpResidual, FuseBias, FuseActivation, AddBeforeScatter,
               FuseDownResidual>(patterns.getContext());
}
