// moe-distribute-weights: multiplies by the parts of a weight expression instead of building it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "passes/Decisions.h"
#include "passes/Analysis/WeightCost.h"
#include "passes/SlotForm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace moec {
#define GEN_PASS_DEF_DISTRIBUTEWEIGHTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "distribute-weights";

/// Most products that one may become.
static constexpr int64_t mostProducts = 256;

/// True if multiplying by the parts costs fewer multiply-adds per row than the built matrix, or stores fewer numbers at
/// a price that stays within reason: the base is shared between rows later on, which this local view cannot know.
static bool paysToDistribute(Value weight, bool always) {
  WeightCost parts = getCostOfParts(weight), built = getCostOfBuilt(weight);
  // Parts used over and over in one expression would otherwise be written out exponentially often.
  if (parts.products > mostProducts ||
      (!always && parts.multiplyAddsPerRow / 4 > built.multiplyAddsPerRow))
    return false;
  return always || parts.storedNumbers < built.storedNumbers ||
         parts.multiplyAddsPerRow < built.multiplyAddsPerRow;
}

namespace {
/// What the patterns share: the policy.
template <typename WeightOp> struct DistributePattern : OpRewritePattern<ApplyOp> {
  DistributePattern(MLIRContext *context, bool always)
      : OpRewritePattern<ApplyOp>(context), always(always) {}

  LogicalResult matchAndRewrite(ApplyOp op,
                                PatternRewriter &rewriter) const override {
    auto weight = op.getWeight().getDefiningOp<WeightOp>();
    if (!weight)
      return rewriter.notifyMatchFailure(op, "another weight expression");
    if (!paysToDistribute(op.getWeight(), always))
      return rewriter.notifyMatchFailure(op, "building the matrix is cheaper");
    return distribute(op, weight, rewriter);
  }

  virtual LogicalResult distribute(ApplyOp op, WeightOp weight,
                                   PatternRewriter &rewriter) const = 0;

  bool always;
};

/// x·(P + Q) -> x·P + x·Q
struct DistributeAdd : DistributePattern<WeightAddOp> {
  using DistributePattern::DistributePattern;

  LogicalResult distribute(ApplyOp op, WeightAddOp sum,
                           PatternRewriter &rewriter) const override {
    auto part = [&](Value weight) -> Value {
      return ApplyOp::create(rewriter, op.getLoc(), op.getType(), op.getInput(),
                             weight, op.getIds());
    };
    Value lhs = part(sum.getLhs()), rhs = part(sum.getRhs());
    rewriter.replaceOpWithNewOp<arith::AddFOp>(op, lhs, rhs);
    return success();
  }
};

/// x·(L·R) -> (x·L)·R
struct DistributeMul : DistributePattern<WeightMulOp> {
  using DistributePattern::DistributePattern;

  LogicalResult distribute(ApplyOp op, WeightMulOp product,
                           PatternRewriter &rewriter) const override {
    Value lhs = buildApply(rewriter, op.getLoc(), op.getInput(),
                           product.getLhs(), op.getIds());
    rewriter.replaceOpWithNewOp<ApplyOp>(op, op.getType(), lhs,
                                         product.getRhs(), op.getIds());
    return success();
  }
};

/// x·(diag(d)·W) -> (x ⊙ d)·W and x·(W·diag(d)) -> (x·W) ⊙ d
struct DistributeScale : DistributePattern<WeightScaleOp> {
  using DistributePattern::DistributePattern;

  LogicalResult distribute(ApplyOp op, WeightScaleOp scale,
                           PatternRewriter &rewriter) const override {
    Value ids = op.getIds(), x = op.getInput();
    if (!ids)
      return rewriter.notifyMatchFailure(op, "no slots to look the scale up for");
    Location loc = op.getLoc();
    auto lookUp = [&](RankedTensorType like) -> Value {
      return LookupOp::create(rewriter, loc, like, scale.getDiagonal(), ids);
    };
    if (scale.getSide() == Side::output) {
      Value y = ApplyOp::create(rewriter, loc, op.getType(), x,
                                scale.getWeight(), ids);
      rewriter.replaceOpWithNewOp<arith::MulFOp>(op, y, lookUp(op.getType()));
      return success();
    }
    if (getTensorType(x).getRank() == 2)
      x = buildSpreadFor(rewriter, loc, x, ids);
    Value scaled =
        arith::MulFOp::create(rewriter, loc, x, lookUp(getTensorType(x)));
    rewriter.replaceOpWithNewOp<ApplyOp>(op, op.getType(), scaled,
                                         scale.getWeight(), ids);
    return success();
  }
};

struct DistributeWeightsPass
    : moec::impl::DistributeWeightsPassBase<DistributeWeightsPass> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    populateDistributeWeightsPatterns(set, always);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    applyToFixedPoint(getOperation(), patterns);
    getOperation().walk([](ApplyOp op) { explainDeclined(op); });
  }

  /// Says why the weight of an apply is built.
  static void explainDeclined(ApplyOp op) {
    Operation *weight = op.getWeight().getDefiningOp();
    auto select = dyn_cast_or_null<WeightSelectOp>(weight);
    if (select)
      weight = select.getWeight().getDefiningOp();
    if (auto mix = dyn_cast_or_null<WeightMixOp>(weight)) {
      Decision::declined(op.getLoc(), passName)
          << (mix.getPhi() == Phi::identity
                  ? "not distributed: a mix is built, which costs less than a "
                    "product with each basis matrix"
                  : "not distributed: weight is a mix under a non-linear map, "
                    "it must be built");
    } else if (isa_and_nonnull<WeightRaggedOp, WeightSliceOp>(weight)) {
      Decision::declined(op.getLoc(), passName)
          << "not distributed: a ragged or sliced weight is built";
    } else if (!select &&
               isa_and_nonnull<WeightAddOp, WeightMulOp, WeightScaleOp>(
                   weight)) {
      WeightCost parts = getCostOfParts(op.getWeight());
      WeightCost built = getCostOfBuilt(op.getWeight());
      Decision decision = Decision::declined(op.getLoc(), passName);
      decision << "not distributed: ";
      if (parts.products > mostProducts)
        decision << "more than " << mostProducts << " products";
      else if (isa<WeightScaleOp>(weight) && !op.getIds())
        decision << "a diagonal is looked up by ids, and there are none";
      else
        decision << "the parts store " << parts.storedNumbers
                 << " numbers and cost " << parts.multiplyAddsPerRow
                 << " multiply-adds a row, the built matrix "
                 << built.storedNumbers << " and " << built.multiplyAddsPerRow;
    }
  }

  FrozenRewritePatternSet patterns;
};
} // namespace

void moec::populateDistributeWeightsPatterns(RewritePatternSet &patterns,
                                             bool always) {
  patterns.add<DistributeAdd, DistributeMul, DistributeScale>(
      patterns.getContext(), always);
}
