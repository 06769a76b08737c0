// moe-decompose-experts: graph form to slot form.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"
#include "passes/SlotForm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace moec {
#define GEN_PASS_DEF_DECOMPOSEEXPERTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

namespace {
struct DecomposeExperts : OpRewritePattern<ExpertsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ExpertsOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value ids = op.getIds(), weights = op.getWeights();
    IdType id = getIdType(ids);
    if (id.getSpecials() || !weightsVanishWithIds(weights, ids)) {
      auto real = RealExpertsOp::create(
          rewriter, loc, getTensorType(ids).clone(id.withoutSpecials()),
          weights.getType(), ids, weights);
      ids = real.getRealIds();
      weights = real.getRealWeights();
    }
    Value x = op.getInput(), combineWeights = weights;
    if (op.getGated() == GateSide::on_input) {
      RankedTensorType type = getTensorType(x);
      x = ScaleRowsOp::create(rewriter, loc,
                              type.clone({type.getDimSize(0),
                                          getTensorType(ids).getDimSize(1),
                                          type.getDimSize(1)}),
                              x, weights);
      combineWeights = Value();
    }
    auto project = [&](Value rows, Value weight, Value bias) -> Value {
      Value y = buildApply(rewriter, loc, rows, weight, ids);
      if (!bias)
        return y;
      Value b = LookupOp::create(rewriter, loc, y.getType(), bias, ids);
      return arith::AddFOp::create(rewriter, loc, y, b);
    };
    Value up = project(x, op.getUp(), op.getUpBias());
    Value gate =
        op.getGate() ? project(x, op.getGate(), op.getGateBias()) : Value();
    Value hidden = ActivateOp::create(rewriter, loc, up.getType(), op.getAct(),
                                      up, gate);
    Value y = project(hidden, op.getDown(), op.getDownBias());
    Value result = CombineOp::create(rewriter, loc, op.getType(), y,
                                     combineWeights, Value());
    if (op.getSpecials()) {
      Value special = SpecialExpertsOp::create(
          rewriter, loc, op.getType(), op.getInput(), op.getIds(),
          op.getWeights(), op.getSpecialsAttr(), op.getConstants(),
          op.getMixing());
      result = arith::AddFOp::create(rewriter, loc, result, special);
    }
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct DecomposeExpertsPass
    : moec::impl::DecomposeExpertsPassBase<DecomposeExpertsPass> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    set.add<DecomposeExperts>(context);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    walkAndApplyPatterns(getOperation(), patterns);
  }

  FrozenRewritePatternSet patterns;
};
} // namespace
