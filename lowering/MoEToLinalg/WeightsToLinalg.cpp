// Stored tensors and weight expressions: every expression is built as a dense tensor.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/Applying.h"
#include "lowering/MoEToLinalg/ParamValues.h"
#include "lowering/MoEToLinalg/Patterns.h"
#include "lowering/MoEToLinalg/Wrap.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

namespace {
struct LeafToConstant : OpConversionPattern<LeafOp> {
  LeafToConstant(const TypeConverter &converter, MLIRContext *context,
                 const ParamValues &params)
      : OpConversionPattern(converter, context), params(params) {}

  LogicalResult
  matchAndRewrite(LeafOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto param =
        SymbolTable::lookupNearestSymbolFrom<ParamOp>(op, op.getParamAttr());
    DenseElementsAttr values = params.lookup(param);
    if (!values)
      return rewriter.notifyMatchFailure(op, "param has not been evaluated");
    rewriter.replaceOpWithNewOp<arith::ConstantOp>(op, values);
    return success();
  }

  const ParamValues &params;
};
} // namespace

//===----------------------------------------------------------------------===//
// Loops over the entries of a weight
//===----------------------------------------------------------------------===//

namespace {
/// The loops of a weight: its entry when it is indexed, its row, its column; a reduction may follow.
struct WeightLoops {
  explicit WeightLoops(WeightType type)
      : type(type), row(type.isIndexed() ? 1 : 0), column(row + 1),
        inner(row + 2) {}

  std::string iterators(bool reduces = false) const {
    return std::string(inner, 'p') + (reduces ? "r" : "");
  }

  /// Where an operand is read: at these loops, behind the entry if the operand is indexed.
  SmallVector<int64_t> map(Value operand, int64_t first, int64_t second) const {
    if (cast<RankedTensorType>(operand.getType()).getRank() == 3)
      return {0, first, second};
    return {first, second};
  }

  SmallVector<int64_t> resultMap() const {
    return type.isIndexed() ? SmallVector<int64_t>{0, row, column}
                            : SmallVector<int64_t>{row, column};
  }

  /// Loop of the entry, -1 without axis: where a list with one number for each entry is read.
  int64_t entry() const { return type.isIndexed() ? 0 : -1; }

  SmallVector<OpFoldResult> sizes(Emitter &e) const {
    SmallVector<OpFoldResult> result;
    for (int64_t extent : type.getStoredShape())
      result.push_back(e.size(extent));
    return result;
  }

  WeightType type;
  int64_t row, column, inner;
};
} // namespace

/// Element of a weight inside a body over these loops, at another row and column.
static Value readAt(Emitter &e, const WeightLoops &loops, Value weight,
                    Value row, Value column) {
  SmallVector<Value> place{row, column};
  if (cast<RankedTensorType>(weight.getType()).getRank() == 3)
    place.insert(place.begin(), e.loopIndex(0));
  return e.extract(weight, place);
}

//===----------------------------------------------------------------------===//
// Weight expressions
//===----------------------------------------------------------------------===//

static SmallVector<Value> emitSelect(Emitter &e, WeightSelectOp op,
                                     WeightSelectOp::Adaptor in) {
  WeightLoops loops(op.getType());
  Type element = op.getType().getElementType();
  int64_t entries = getWeightType(op.getWeight()).getCount();
  return {e.generic(loops.iterators(), {in.getTable()}, {{0}},
                    e.empty(loops.sizes(e), element), loops.resultMap(),
                    [&](Emitter &inner, ValueRange at) {
                      Value isEntry = inner.inRange(at[0], entries);
                      Value value = inner.extract(
                          in.getWeight(), {inner.safeIndex(at[0], isEntry),
                                           inner.loopIndex(loops.row),
                                           inner.loopIndex(loops.column)});
                      return inner.select(isEntry, value,
                                          inner.real(element, 0));
                    })};
}

static SmallVector<Value> emitMul(Emitter &e, WeightMulOp op,
                                  WeightMulOp::Adaptor in) {
  WeightLoops loops(op.getType());
  Type element = op.getType().getElementType();
  Type accumulator = accumulatorType(element);
  Value sum = e.generic(
      loops.iterators(/*reduces=*/true), {in.getLhs(), in.getRhs()},
      {loops.map(in.getLhs(), loops.row, loops.inner),
       loops.map(in.getRhs(), loops.inner, loops.column)},
      e.filled(loops.sizes(e), e.real(accumulator, 0)), loops.resultMap(),
      [&](Emitter &inner, ValueRange at) {
        return inner.add(at[2], inner.mul(inner.convert(at[0], accumulator),
                                          inner.convert(at[1], accumulator)));
      });
  return {roundTo(e, sum, element)};
}

static SmallVector<Value> emitAdd(Emitter &e, WeightAddOp op,
                                  WeightAddOp::Adaptor in) {
  WeightLoops loops(op.getType());
  Type element = op.getType().getElementType();
  Type accumulator = accumulatorType(element);
  return {e.generic(loops.iterators(), {in.getLhs(), in.getRhs()},
                    {loops.map(in.getLhs(), loops.row, loops.column),
                     loops.map(in.getRhs(), loops.row, loops.column)},
                    e.empty(loops.sizes(e), element), loops.resultMap(),
                    [&](Emitter &inner, ValueRange at) {
                      Value sum = inner.add(inner.convert(at[0], accumulator),
                                            inner.convert(at[1], accumulator));
                      return inner.convert(sum, element);
                    })};
}

static SmallVector<Value> emitMix(Emitter &e, WeightMixOp op,
                                  WeightMixOp::Adaptor in) {
  WeightLoops loops(op.getType());
  Type element = op.getType().getElementType();
  Type accumulator = accumulatorType(element);
  Value sum = e.generic(
      loops.iterators(/*reduces=*/true), {in.getBasis(), in.getAlpha()},
      {{loops.inner, loops.row, loops.column},
       loops.map(in.getAlpha(), -1, loops.inner)},
      e.filled(loops.sizes(e), e.real(accumulator, 0)), loops.resultMap(),
      [&](Emitter &inner, ValueRange at) {
        return inner.add(at[2], inner.mul(inner.convert(at[0], accumulator),
                                          inner.convert(at[1], accumulator)));
      });
  Value mixed = roundTo(e, sum, element);
  if (op.getPhi() == Phi::identity)
    return {mixed};
  return {e.generic(loops.iterators(), {mixed}, {loops.resultMap()},
                    e.empty(loops.sizes(e), element), loops.resultMap(),
                    [&](Emitter &inner, ValueRange at) {
                      Value x = inner.convert(at[0], accumulator);
                      Value y = op.getPhi() == Phi::silu
                                    ? inner.mul(x, inner.sigmoid(x))
                                    : Value(math::TanhOp::create(inner.b,
                                                                 inner.loc, x));
                      return inner.convert(y, element);
                    })};
}

static SmallVector<Value> emitScale(Emitter &e, WeightScaleOp op,
                                    WeightScaleOp::Adaptor in) {
  WeightLoops loops(op.getType());
  Type element = op.getType().getElementType();
  Type accumulator = accumulatorType(element);
  int64_t scaled = op.getSide() == Side::input ? loops.row : loops.column;
  return {e.generic(loops.iterators(), {in.getWeight(), in.getDiagonal()},
                    {loops.map(in.getWeight(), loops.row, loops.column),
                     loops.map(in.getDiagonal(), -1, scaled)},
                    e.empty(loops.sizes(e), element), loops.resultMap(),
                    [&](Emitter &inner, ValueRange at) {
                      Value product =
                          inner.mul(inner.convert(at[0], accumulator),
                                    inner.convert(at[1], accumulator));
                      return inner.convert(product, element);
                    })};
}

static SmallVector<Value> emitRagged(Emitter &e, WeightRaggedOp op,
                                     WeightRaggedOp::Adaptor in) {
  WeightLoops loops(op.getType());
  Type element = op.getType().getElementType();
  int64_t cut = op.getSide() == Side::input ? loops.row : loops.column;
  return {e.generic(
      loops.iterators(), {in.getWeight(), in.getSizes()},
      {loops.map(in.getWeight(), loops.row, loops.column), {loops.entry()}},
      e.empty(loops.sizes(e), element), loops.resultMap(),
      [&](Emitter &inner, ValueRange at) {
        // Signed: a negative size keeps nothing.
        Value isKept = inner.compare(arith::CmpIPredicate::slt,
                                     inner.loopIndexI32(cut), at[1]);
        return inner.select(isKept, at[0], inner.real(element, 0));
      })};
}

static SmallVector<Value> emitSparse(Emitter &e, WeightSparseOp op,
                                     WeightSparseOp::Adaptor in) {
  WeightType type = op.getType();
  Type accumulator = accumulatorType(type.getElementType());
  bool isIndexed = type.isIndexed();
  int64_t stored = getWeightType(op.getValues()).getCols();
  Value zeros = e.filled(WeightLoops(type).sizes(e), e.real(accumulator, 0));
  auto placeBehind = [&](Value entry, ArrayRef<Value> rest) {
    SmallVector<Value> place(rest);
    if (isIndexed)
      place.insert(place.begin(), entry);
    return place;
  };
  auto addOne = [&](Emitter &inner, Value entry, Value j, Value sum) {
    Value row = inner.extract(in.getPositions(),
                              placeBehind(entry, {j, inner.index(0)}));
    Value column = inner.extract(in.getPositions(),
                                 placeBehind(entry, {j, inner.index(1)}));
    Value isInside = inner.both(inner.inRange(row, type.getRows()),
                                inner.inRange(column, type.getCols()));
    SmallVector<Value> place =
        placeBehind(entry, {inner.safeIndex(row, isInside),
                            inner.safeIndex(column, isInside)});
    Value value =
        inner.extract(in.getValues(), placeBehind(entry, {inner.index(0), j}));
    Value before = inner.extract(sum, place);
    Value after = inner.add(before, inner.convert(value, accumulator));
    return inner.insert(inner.select(isInside, after, before), sum, place);
  };
  Value sum =
      e.freeLoop(e.index(type.getCount()), zeros,
             [&](Emitter &outer, Value entry, ValueRange carried) {
               return outer.loop(outer.index(stored), carried,
                                 [&](Emitter &inner, Value j, ValueRange sums) {
                                   return SmallVector<Value>{
                                       addOne(inner, entry, j, sums[0])};
                                 });
             })[0];
  return {roundTo(e, sum, type.getElementType())};
}

static SmallVector<Value> emitSlice(Emitter &e, WeightSliceOp op,
                                    WeightSliceOp::Adaptor in) {
  WeightLoops loops(op.getType());
  WeightType source = getWeightType(op.getWeight());
  Type element = op.getType().getElementType();
  bool ofRows = op.getSide() == Side::input;
  int64_t extent = ofRows ? source.getRows() : source.getCols();
  return {e.generic(
      loops.iterators(), {}, {}, e.empty(loops.sizes(e), element),
      loops.resultMap(), [&](Emitter &inner, ValueRange) {
        Value row = inner.loopIndex(loops.row);
        Value column = inner.loopIndex(loops.column);
        Value &moved = ofRows ? row : column;
        moved = inner.add(moved, in.getOffset());
        // Unsigned: a negative place is beyond every extent.
        Value isInside = inner.compare(arith::CmpIPredicate::ult, moved,
                                       inner.index(extent));
        moved = inner.select(isInside, moved, inner.index(0));
        return inner.select(isInside,
                            readAt(inner, loops, in.getWeight(), row, column),
                            inner.real(element, 0));
      })};
}

void moec::lowering::populateWeightToLinalgPatterns(
    const TypeConverter &converter, const ParamValues &params,
    RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<LeafToConstant>(converter, context, params);
  patterns.add<EmitPattern<WrapOp>>(converter, context, emitWrap);
  patterns.add<EmitPattern<WeightSelectOp>>(converter, context, emitSelect);
  patterns.add<EmitPattern<WeightMulOp>>(converter, context, emitMul);
  patterns.add<EmitPattern<WeightAddOp>>(converter, context, emitAdd);
  patterns.add<EmitPattern<WeightMixOp>>(converter, context, emitMix);
  patterns.add<EmitPattern<WeightScaleOp>>(converter, context, emitScale);
  patterns.add<EmitPattern<WeightRaggedOp>>(converter, context, emitRagged);
  patterns.add<EmitPattern<WeightSparseOp>>(converter, context, emitSparse);
  patterns.add<EmitPattern<WeightSliceOp>>(converter, context, emitSlice);
}
