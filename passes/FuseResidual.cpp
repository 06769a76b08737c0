// moe-fuse-residual: adds the residual in the base matmul instead of a second pass.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"
#include "passes/Decisions.h"
#include "passes/SlotForm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

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

/// The moe.group whose list `index` is.
static GroupOp getGroup(Value index, unsigned list) {
  auto group = index.getDefiningOp<GroupOp>();
  return group && index == group.getResult(list) ? group : GroupOp();
}

/// The moe.group whose pairs an index lists: by their rows or, where each choice is a row, by their tokens.
static GroupOp getGroupOfPairs(Value index) {
  if (GroupOp group = getGroup(index, 2))
    return group;
  GroupOp group = getGroup(index, 0);
  return group && !group.getSlots() ? group : GroupOp();
}

/// True if a product takes, for each pair of the group, the matrix of the pair's expert or the one there is.
static bool followsPairs(GroupedMatmulOp product, GroupOp group) {
  if (product.getOffsets())
    return !group.getSlots() && product.getOffsets() == group.getResult(1);
  return !product.getEntries() || product.getEntries() == group.getResult(3);
}

static void explain(Location loc, StringRef what) {
  Decision::taken(loc, passName) << what;
}

namespace {
/// Base and residual as operands of a sum: gather(x·W) and (gather(x)·A)·B.
struct UpSum {
  UpSum(Value baseSide, Value residualSide)
      : toPairs(baseSide.getDefiningOp<GatherOp>()),
        expand(getPlainProduct(residualSide)) {
    if (toPairs)
      base = getPlainProduct(toPairs.getInput());
    if (expand)
      shrink = getPlainProduct(expand.getInput());
  }
  bool isComplete() { return base && shrink && !base.getEntries(); }
  /// Why the sum cannot become one product; empty if it can.
  StringRef findObstacle();

  GatherOp toPairs;
  GroupedMatmulOp base, shrink, expand;
};

/// The same for what flows down: z·W and scatter(v·B).
struct DownSum {
  DownSum(Value baseSide, Value residualSide)
      : toRows(residualSide.getDefiningOp<ScatterCombineOp>()),
        base(getPlainProduct(baseSide)) {
    if (toRows && !toRows.getAccumulate())
      expand = getPlainProduct(toRows.getInput());
  }
  bool isComplete() { return base && expand && !base.getEntries(); }
  StringRef findObstacle();

  ScatterCombineOp toRows;
  GroupedMatmulOp base, expand;
};
} // namespace

StringRef UpSum::findObstacle() {
  auto rows = shrink.getInput().getDefiningOp<GatherOp>();
  if (!rows || rows.getIndex() != toPairs.getIndex() ||
      rows.getInput() != base.getInput())
    return "base and residual read different rows";
  GroupOp group = getGroupOfPairs(toPairs.getIndex());
  if (!group || !followsPairs(shrink, group) || !followsPairs(expand, group) ||
      (base.getOffsets() && (!group.getSlots() ||
                             base.getOffsets() != group.getResult(1))))
    return "base and residual belong to different groups";
  if (shrink.getRounding() || expand.getRounding())
    return "the residual reads rounded rows";
  if (!base->hasOneUse() || !toPairs->hasOneUse())
    return "the base product has another use";
  if (!expand->hasOneUse())
    return "the residual has another use";
  return {};
}

StringRef DownSum::findObstacle() {
  GroupOp group = getGroup(toRows.getIndex(), 2);
  if (!group || !followsPairs(expand, group) ||
      (base.getOffsets() && base.getOffsets() != group.getResult(1)) ||
      (toRows.getWeights() && toRows.getWeights() != group.getResult(4)))
    return "base and residual belong to different groups";
  if (expand.getRounding())
    return "the residual reads rounded rows";
  if (!base->hasOneUse())
    return "the base product has another use";
  if (!toRows->hasOneUse() || !expand->hasOneUse())
    return "the residual has another use";
  return {};
}

namespace {
/// Up: gather(x·W, pairs) + (gather(x, pairs)·A)·B -> one product with the residual in its epilogue.
struct FuseUpResidual : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    UpSum sum(op.getLhs(), op.getRhs());
    if (!sum.isComplete())
      sum = UpSum(op.getRhs(), op.getLhs());
    if (!sum.isComplete())
      return rewriter.notifyMatchFailure(op, "not a base and a residual");
    if (StringRef obstacle = sum.findObstacle(); !obstacle.empty())
      return rewriter.notifyMatchFailure(op, obstacle);
    Value index = sum.toPairs.getIndex();
    explain(op.getLoc(), "residual fused into the base product, up");
    rewriter.replaceOpWithNewOp<GroupedMatmulOp>(
        op, TypeRange{op.getType()}, sum.base.getInput(), sum.base.getWeights(),
        ValueRange(), sum.base.getOffsets(), Value(), index,
        getGroupOfPairs(index).getResult(3),
        ValueRange{sum.shrink.getWeights()[0], sum.expand.getWeights()[0]},
        Value(), Value(), Value(), sum.expand.getInit(), ActivationAttr(),
        /*accumulate=*/false, sum.base.getRoundingAttr());
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
    explain(op.getLoc(), "bias fused into the product");
    rewriter.replaceOpWithNewOp<GroupedMatmulOp>(
        op, TypeRange{op.getType()}, product.getInput(), product.getWeights(),
        ValueRange{bias.getWeight()}, product.getOffsets(),
        product.getEntries(), product.getPairRow(), product.getPairExpert(),
        product.getResiduals(), Value(), Value(), Value(), product.getInit(),
        ActivationAttr(), /*accumulate=*/false, product.getRoundingAttr());
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
          product.getRounding() != first.getRounding() ||
          product.getWeights()[0].getType() != first.getWeights()[0].getType())
        return rewriter.notifyMatchFailure(op, "gate and up read other rows");
      llvm::append_range(weights, product.getWeights());
      llvm::append_range(biases, product.getBiases());
      llvm::append_range(residuals, product.getResiduals());
    }
    explain(op.getLoc(), "activation fused into the product");
    rewriter.replaceOpWithNewOp<GroupedMatmulOp>(
        op, TypeRange{op.getType()}, first.getInput(), weights, biases,
        first.getOffsets(), first.getEntries(), first.getPairRow(),
        first.getPairExpert(), residuals, Value(), Value(), Value(),
        first.getInit(), op.getActAttr(), /*accumulate=*/false,
        first.getRoundingAttr());
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
    DownSum sum(op.getLhs(), op.getRhs());
    if (!sum.isComplete())
      sum = DownSum(op.getRhs(), op.getLhs());
    if (!sum.isComplete())
      return rewriter.notifyMatchFailure(op, "not a base and a residual");
    if (StringRef obstacle = sum.findObstacle(); !obstacle.empty())
      return rewriter.notifyMatchFailure(op, obstacle);
    GroupOp group = getGroup(sum.toRows.getIndex(), 2);
    explain(op.getLoc(), "residual fused into the base product, down");
    rewriter.replaceOpWithNewOp<GroupedMatmulOp>(
        op, TypeRange{op.getType()}, sum.base.getInput(), sum.base.getWeights(),
        ValueRange(), sum.base.getOffsets(), Value(), group.getResult(2),
        group.getResult(3), ValueRange(), sum.expand.getInput(),
        sum.expand.getWeights()[0], sum.toRows.getWeights(), sum.base.getInit(),
        ActivationAttr(), /*accumulate=*/false, sum.base.getRoundingAttr());
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
    applyToFixedPoint(getOperation(), patterns);
    getOperation().walk([](arith::AddFOp op) { explainDeclined(op); });
  }

  /// Says why a residual still takes a pass of its own.
  static void explainDeclined(arith::AddFOp op) {
    Value lhs = op.getLhs(), rhs = op.getRhs();
    for (auto [base, residual] : {std::pair(lhs, rhs), std::pair(rhs, lhs)}) {
      UpSum up(base, residual);
      DownSum down(base, residual);
      StringRef obstacle = up.isComplete()     ? up.findObstacle()
                           : down.isComplete() ? down.findObstacle()
                                               : StringRef();
      if (obstacle.empty())
        continue;
      Decision::declined(op.getLoc(), passName)
          << "residual not fused: " << obstacle;
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
