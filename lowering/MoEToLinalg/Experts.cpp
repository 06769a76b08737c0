// Reference lowering of moe.experts (docs/spec.md §4.2), without going through the slot form.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/Applying.h"
#include "lowering/MoEToLinalg/Patterns.h"
#include <string>

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

namespace {

/// Emits one expert layer. Rows are [T, k, width]: what expert ids[t, j] makes of token t.
class ExpertLayer {
public:
  ExpertLayer(OpBuilder &builder, ExpertsOp op, ExpertsOp::Adaptor operands)
      : e(builder, op.getLoc()), op(op), operands(operands),
        realIds(rowIds(op.getIds(), operands.getIds())),
        element(op.getType().getElementType()),
        accumulator(accumulatorType(element)),
        isGatedOnInput(op.getGated() == GateSide::on_input) {}

  Value emit();

private:
  Value emitGatedInput();
  Value emitAffine(Value rows, Value weight, Value bias);
  Value emitSum(Value outputs);
  Value emitAdd(Value lhs, Value rhs);

  Emitter e;
  ExpertsOp op;
  ExpertsOp::Adaptor operands;
  /// Ids of experts with matrices; any other number means none.
  RowIds realIds;
  Type element, accumulator;
  bool isGatedOnInput;
};

} // namespace

/// What every chosen expert makes of its token, then the sum of real experts, then special ones.
Value ExpertLayer::emit() {
  Value input = isGatedOnInput ? emitGatedInput() : operands.getInput();
  Value up = emitAffine(input, operands.getUp(), operands.getUpBias());
  Value gate;
  if (operands.getGate())
    gate = emitAffine(input, operands.getGate(), operands.getGateBias());
  Value hidden = activateTensor(e, op.getAct(), up, gate);
  Value sum =
      emitSum(emitAffine(hidden, operands.getDown(), operands.getDownBias()));
  if (!op.getSpecials())
    return sum;
  // Special experts gate on output always.
  Value special = emitSpecialExperts(
      e, operands.getInput(), operands.getIds(), operands.getWeights(),
      op.getSpecialsAttr(), realIds.count, operands.getConstants(),
      operands.getMixing());
  return emitAdd(sum, special);
}

/// p·x[t] for each slot: what `gated on_input` gives to the experts.
Value ExpertLayer::emitGatedInput() {
  Value input = operands.getInput(), weights = operands.getWeights();
  Value empty = e.empty(
      {e.size(input, 0), e.size(weights, 1), e.size(input, 1)}, element);
  return e.generic("ppp", {input, weights}, {{0, 2}, {0, 1}}, empty, {0, 1, 2},
                   [&](Emitter &inner, ValueRange at) {
                     Value product =
                         inner.mul(inner.convert(at[1], accumulator),
                                   inner.convert(at[0], accumulator));
                     return inner.convert(product, element);
                   });
}

/// rows·weight + bias of each slot's expert; rows may lack the slot. A contraction and a sum, each rounded once.
Value ExpertLayer::emitAffine(Value rows, Value weight, Value bias) {
  Value product = applyRows(e, rows, weight, realIds);
  if (!bias)
    return product;
  return emitAdd(product, lookupRows(e, bias, realIds));
}

/// The sum of two tensors of one shape, rounded once.
Value ExpertLayer::emitAdd(Value lhs, Value rhs) {
  SmallVector<OpFoldResult> sizes;
  SmallVector<int64_t> dims;
  int64_t rank = cast<RankedTensorType>(lhs.getType()).getRank();
  for (int64_t dim = 0; dim < rank; ++dim) {
    sizes.push_back(e.size(lhs, dim));
    dims.push_back(dim);
  }
  return e.generic(std::string(rank, 'p'), {lhs, rhs}, {dims, dims},
                   e.empty(sizes, element), dims,
                   [&](Emitter &inner, ValueRange at) {
                     Value sum = inner.add(inner.convert(at[0], accumulator),
                                           inner.convert(at[1], accumulator));
                     return inner.convert(sum, element);
                   });
}

/// Sum over the slots of real experts, rounded once.
Value ExpertLayer::emitSum(Value outputs) {
  Value input = operands.getInput();
  Value zeros =
      e.filled({e.size(input, 0), e.size(input, 1)}, e.real(accumulator, 0));
  // Loops: token, feature, slot.
  Value sum =
      e.generic("ppr", {outputs, realIds.ids, operands.getWeights()},
                {{0, 2, 1}, {0, 2}, {0, 2}}, zeros, {0, 1},
                [&](Emitter &inner, ValueRange at) {
                  Value term = inner.convert(at[0], accumulator);
                  if (!isGatedOnInput)
                    term = inner.mul(inner.convert(at[2], accumulator), term);
                  // Not by a weight of zero: a weight nobody uses may be NaN.
                  return inner.select(inner.inRange(at[1], realIds.count),
                                      inner.add(at[3], term), at[3]);
                });
  return roundTo(e, sum, element);
}

//===----------------------------------------------------------------------===//
// Pattern
//===----------------------------------------------------------------------===//

namespace {

struct ExpertsToLinalg : OpConversionPattern<ExpertsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ExpertsOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    Value result = ExpertLayer(rewriter, op, operands).emit();
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(op, e.castTo(result, op.getType()));
    return success();
  }
};

} // namespace

void moec::lowering::populateExpertsToLinalgPatterns(
    const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<ExpertsToLinalg>(converter, patterns.getContext());
}
