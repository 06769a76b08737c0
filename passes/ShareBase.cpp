// moe-share-base: computes what a cluster's experts share once per (token, cluster).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Why each rewrite is exact. Rows of id -1 are zero before and after: clusters_of gives them slot -1, and a spread for
// ids masks them. A row times a matrix is linear in the row, so products commute with sums of rows and with factors per
// row; all choices of a token that fall into one cluster multiply the same base row by the same base matrix.
#include "passes/Passes.h"
#include "passes/Decisions.h"
#include "passes/SlotForm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace moec {
#define GEN_PASS_DEF_SHAREBASEPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "share-base";

/// Rows of tokens behind the rows of an apply at `ids`: the input itself, or what a spread to those ids copied.
static Value getTokenRows(Value rows, Value ids) {
  if (getTensorType(rows).getRank() == 2)
    return rows;
  auto spread = rows.getDefiningOp<SpreadOp>();
  if (spread && !spread.getSlot() &&
      (!spread.getIds() || spread.getIds() == ids))
    return spread.getInput();
  return {};
}

/// Slots of a spread of cluster rows, if they are those of `ids` under some table.
static ClustersOfOp getClustersOfSpread(Value rows, Value ids) {
  auto spread = rows.getDefiningOp<SpreadOp>();
  if (!spread || !spread.getSlot())
    return {};
  auto clusters = spread.getSlot().getDefiningOp<ClustersOfOp>();
  return clusters && clusters.getIds() == ids ? clusters : ClustersOfOp();
}

namespace {
/// Base once: x·select(W, t)[ids] -> spread(x·W[clusters]).
struct BaseOncePerCluster : OpRewritePattern<ApplyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ApplyOp op,
                                PatternRewriter &rewriter) const override {
    auto select = op.getWeight().getDefiningOp<WeightSelectOp>();
    if (!select)
      return rewriter.notifyMatchFailure(op, "weight is not a select");
    Value ids = op.getIds(), table = select.getTable();
    Value rows = getTokenRows(op.getInput(), ids);
    ClustersOfOp clusters;
    if (rows) {
      clusters = buildClustersOf(rewriter, op.getLoc(), ids, table);
    } else {
      clusters = getClustersOfSpread(op.getInput(), ids);
      if (!clusters || clusters.getTable() != table)
        return rewriter.notifyMatchFailure(op, "rows differ within a cluster");
      rows = op.getInput().getDefiningOp<SpreadOp>().getInput();
    }
    Value y = buildApply(rewriter, op.getLoc(), rows, select.getWeight(),
                         clusters.getClusters());
    Decision::taken(op.getLoc(), passName)
        << "base once: " << select.getWeight().getType() << " for "
        << getTensorType(clusters.getClusters()).getDimSize(1)
        << " clusters of a token instead of " << getTensorType(ids).getDimSize(1)
        << " choices";
    rewriter.replaceOpWithNewOp<SpreadOp>(op, op.getType(), y,
                                          clusters.getSlot(), Value());
    return success();
  }
};

/// Base once, for a weight that all experts share: x·W[ids] -> spread(x·W), on rows of tokens or of clusters.
struct BaseOncePerToken : OpRewritePattern<ApplyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ApplyOp op,
                                PatternRewriter &rewriter) const override {
    Value ids = op.getIds(), weight = op.getWeight();
    if (getWeightType(weight).isIndexed())
      return rewriter.notifyMatchFailure(op, "weight is indexed");
    Location loc = op.getLoc();
    auto spread = op.getInput().getDefiningOp<SpreadOp>();
    if (!ids) {
      if (!spread)
        return rewriter.notifyMatchFailure(op, "already once per row");
      Value y = buildApply(rewriter, loc, spread.getInput(), weight, Value());
      rewriter.replaceOpWithNewOp<SpreadOp>(op, op.getType(), y,
                                            spread.getSlot(), spread.getIds());
      return success();
    }
    if (Value rows = getTokenRows(op.getInput(), ids)) {
      Value y = buildApply(rewriter, loc, rows, weight, Value());
      Decision::taken(op.getLoc(), passName)
          << "base once: " << weight.getType() << " once for a token instead "
          << "of for " << getTensorType(ids).getDimSize(1) << " choices";
      rewriter.replaceOpWithNewOp<SpreadOp>(op, op.getType(), y, Value(), ids);
      return success();
    }
    if (ClustersOfOp clusters = getClustersOfSpread(op.getInput(), ids)) {
      Value y = buildApply(rewriter, loc, spread.getInput(), weight, Value());
      rewriter.replaceOpWithNewOp<SpreadOp>(op, op.getType(), y,
                                            clusters.getSlot(), Value());
      return success();
    }
    if (!rowsVanishWithIds(op.getInput(), ids))
      return rewriter.notifyMatchFailure(op, "rows need the ids' mask");
    rewriter.replaceOpWithNewOp<ApplyOp>(op, op.getType(), op.getInput(),
                                         weight, Value());
    return success();
  }
};

/// An expert's own matrix needs no copy of the token per slot: apply(spread(x), W at ids) -> apply(x, W at ids).
struct ApplyThroughSpread : OpRewritePattern<ApplyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ApplyOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getIds() || getTensorType(op.getInput()).getRank() == 2)
      return rewriter.notifyMatchFailure(op, "input is not a spread");
    Value rows = getTokenRows(op.getInput(), op.getIds());
    if (!rows)
      return rewriter.notifyMatchFailure(op, "input is not a spread to ids");
    rewriter.modifyOpInPlace(op, [&] { op.getInputMutable().assign(rows); });
    return success();
  }
};

/// Scale after: (p·x)·W -> p·(x·W), so that the base sees rows of tokens. Input-side gating does not stop sharing.
struct ScaleAfter : OpRewritePattern<ApplyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ApplyOp op,
                                PatternRewriter &rewriter) const override {
    auto scale = op.getInput().getDefiningOp<ScaleRowsOp>();
    if (!scale || getTensorType(scale.getWeights()).getRank() != 2 ||
        getTensorType(scale.getInput()).getRank() != 2)
      return rewriter.notifyMatchFailure(op, "input is not scaled token rows");
    Value y = buildApply(rewriter, op.getLoc(), scale.getInput(),
                         op.getWeight(), op.getIds());
    rewriter.replaceOpWithNewOp<ScaleRowsOp>(op, op.getType(), y,
                                             scale.getWeights());
    return success();
  }
};

/// True if a combine of these rows can move in front of a shared matrix, perhaps after splitting sums.
static bool meetsSharedMatrix(Value rows) {
  SmallVector<Value> work{rows};
  for (int budget = 16; !work.empty() && budget; --budget) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (auto apply = dyn_cast_or_null<ApplyOp>(op)) {
      if (isShared(apply.getWeight()))
        return true;
    } else if (isa_and_nonnull<arith::AddFOp>(op)) {
      work.append(op->operand_begin(), op->operand_end());
    }
  }
  return false;
}

/// combine(a + b) -> combine(a) + combine(b), if one part can then go through a shared matrix.
struct CombineOfSum : OpRewritePattern<CombineOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CombineOp op,
                                PatternRewriter &rewriter) const override {
    auto sum = op.getInput().getDefiningOp<arith::AddFOp>();
    if (!sum || !meetsSharedMatrix(op.getInput()))
      return rewriter.notifyMatchFailure(op, "no sum with a shared part");
    // A sum used twice would be split twice, and its parts again.
    if (!sum->hasOneUse())
      return rewriter.notifyMatchFailure(op, "sum has another use");
    auto combine = [&](Value rows) -> Value {
      return CombineOp::create(rewriter, op.getLoc(), op.getType(), rows,
                               op.getWeights(), op.getSlot());
    };
    Value lhs = combine(sum.getLhs());
    Value rhs = sum.getLhs() == sum.getRhs() ? lhs : combine(sum.getRhs());
    rewriter.replaceOpWithNewOp<arith::AddFOp>(op, lhs, rhs);
    return success();
  }
};

/// Combine first, within a cluster: the shared matrix then sees one row per (token, cluster).
struct CombineBeforeClusterMatrix : OpRewritePattern<CombineOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CombineOp op,
                                PatternRewriter &rewriter) const override {
    auto apply = op.getInput().getDefiningOp<ApplyOp>();
    if (!apply || op.getSlot())
      return rewriter.notifyMatchFailure(op, "not the combine of a product");
    auto select = apply.getWeight().getDefiningOp<WeightSelectOp>();
    if (!select)
      return rewriter.notifyMatchFailure(op, "matrix is not a cluster's");
    if (!apply->hasOneUse())
      return rewriter.notifyMatchFailure(op, "product has another use");
    Value hidden = apply.getInput();
    RankedTensorType type = getTensorType(hidden);
    if (type.getRank() != 3)
      return rewriter.notifyMatchFailure(op, "rows are not per choice");
    Location loc = op.getLoc();
    auto clusters =
        buildClustersOf(rewriter, loc, apply.getIds(), select.getTable());
    int64_t slots = getTensorType(clusters.getClusters()).getDimSize(1);
    Value combined = CombineOp::create(
        rewriter, loc,
        type.clone({type.getDimSize(0), slots, type.getDimSize(2)}), hidden,
        op.getWeights(), clusters.getSlot());
    Value y = buildApply(rewriter, loc, combined, select.getWeight(),
                         clusters.getClusters());
    Decision::taken(op.getLoc(), passName)
        << "combine first: " << select.getWeight().getType() << " for " << slots
        << " clusters of a token instead of " << type.getDimSize(1)
        << " choices";
    rewriter.replaceOpWithNewOp<CombineOp>(op, op.getType(), y, Value(),
                                           Value());
    return success();
  }
};

/// Combine first, for a matrix that all experts share.
struct CombineBeforeTokenMatrix : OpRewritePattern<CombineOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CombineOp op,
                                PatternRewriter &rewriter) const override {
    auto apply = op.getInput().getDefiningOp<ApplyOp>();
    if (!apply || getWeightType(apply.getWeight()).isIndexed())
      return rewriter.notifyMatchFailure(op, "not the combine of a product "
                                             "with a matrix without axis");
    if (!apply->hasOneUse())
      return rewriter.notifyMatchFailure(op, "product has another use");
    Value hidden = apply.getInput(), ids = apply.getIds();
    RankedTensorType type = getTensorType(hidden);
    if (type.getRank() != 3)
      return rewriter.notifyMatchFailure(op, "rows are not per choice");
    Location loc = op.getLoc();
    // Not even a gate weight of 0 masks a row that is not a number.
    if (ids && !rowsVanishWithIds(hidden, ids))
      return rewriter.notifyMatchFailure(op, "rows need the ids' mask");
    SmallVector<int64_t> shape(op.getType().getShape());
    shape.back() = type.getShape().back();
    Value combined = CombineOp::create(rewriter, loc, type.clone(shape), hidden,
                                       op.getWeights(), op.getSlot());
    Decision::taken(op.getLoc(), passName)
        << "combine first: " << apply.getWeight().getType()
        << " for one row instead of " << type.getDimSize(1) << " choices";
    rewriter.replaceOpWithNewOp<ApplyOp>(op, op.getType(), combined,
                                         apply.getWeight(), Value());
    return success();
  }
};

/// Spread last: an element-wise operation on copies is a copy of its result. All activations map 0 to 0, so rows of
/// slot -1 stay zero.
template <typename OpTy> struct SpreadLast : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    auto first = op->getOperand(0).template getDefiningOp<SpreadOp>();
    if (!first)
      return rewriter.notifyMatchFailure(op, "operand is not a spread");
    SmallVector<Value> inputs;
    for (Value operand : op->getOperands()) {
      auto spread = operand.getDefiningOp<SpreadOp>();
      if (!spread || spread.getSlot() != first.getSlot() ||
          spread.getIds() != first.getIds() ||
          spread.getInput().getType() != first.getInput().getType())
        return rewriter.notifyMatchFailure(op, "operands are spread apart");
      inputs.push_back(spread.getInput());
    }
    Operation *inner = rewriter.create(
        op.getLoc(), op->getName().getIdentifier(), inputs,
        TypeRange{first.getInput().getType()}, op->getAttrs());
    rewriter.replaceOpWithNewOp<SpreadOp>(op, op.getType(), inner->getResult(0),
                                          first.getSlot(), first.getIds());
    return success();
  }
};

struct ShareBasePass : moec::impl::ShareBasePassBase<ShareBasePass> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    populateShareBasePatterns(set);
    populateDistributeWeightsPatterns(set, /*always=*/false);
    WeightAddOp::getCanonicalizationPatterns(set, context);
    WeightMulOp::getCanonicalizationPatterns(set, context);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    applyToFixedPoint(getOperation(), patterns);
    getOperation().walk([](ApplyOp op) { explainDeclined(op); });
  }

  /// True if these rows, of a product without ids, are those of an expert's choices, not of clusters or tokens.
  static bool areRowsOfChoices(Value rows) {
    // Back through what keeps the rows.
    for (int budget = 32; budget && getTensorType(rows).getRank() == 3;
         --budget) {
      Operation *op = rows.getDefiningOp();
      if (isa_and_nonnull<CombineOp>(op))
        return false;
      auto apply = dyn_cast_or_null<ApplyOp>(op);
      if (apply && apply.getIds())
        return !apply.getIds().getDefiningOp<ClustersOfOp>();
      if (!isa_and_nonnull<ApplyOp, ActivateOp, ScaleRowsOp, arith::AddFOp,
                           arith::MulFOp>(op))
        return true;
      rows = op->getOperand(0);
    }
    return getTensorType(rows).getRank() == 3;
  }

  /// Says why a shared matrix is still multiplied once per choice.
  static void explainDeclined(ApplyOp op) {
    if (!isShared(op.getWeight()) ||
        (!op.getIds() && !areRowsOfChoices(op.getInput())))
      return;
    StringRef why = "rows differ from expert to expert and do not meet a "
                    "combine";
    auto spread = op.getInput().getDefiningOp<SpreadOp>();
    if (spread && spread.getSlot())
      why = "rows follow another table";
    Decision::declined(op.getLoc(), passName)
        << "base not shared: " << why << "; " << op.getWeight().getType()
        << " is multiplied for each of "
        << getTensorType(op).getDimSize(1) << " choices";
  }

  FrozenRewritePatternSet patterns;
};
} // namespace

void moec::populateShareBasePatterns(RewritePatternSet &patterns) {
  patterns.add<BaseOncePerCluster, BaseOncePerToken, ApplyThroughSpread,
               ScaleAfter, CombineOfSum, CombineBeforeClusterMatrix,
               CombineBeforeTokenMatrix, SpreadLast<ActivateOp>,
               SpreadLast<arith::AddFOp>, SpreadLast<arith::MulFOp>>(
      patterns.getContext());
}
