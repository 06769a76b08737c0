// Slot form: dense [token, slot, feature] tensors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/Applying.h"
#include "lowering/MoEToLinalg/Patterns.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

static RankedTensorType tensorTypeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Extents of a result: those of its type, the number of tokens from `tokens`.
static SmallVector<OpFoldResult> resultSizes(Emitter &e, Value result,
                                             Value tokens) {
  SmallVector<OpFoldResult> sizes{e.size(tokens, 0)};
  for (int64_t extent : tensorTypeOf(result).getShape().drop_front())
    sizes.push_back(e.size(extent));
  return sizes;
}

static SmallVector<Value> emitIdCast(Emitter &, IdCastOp,
                                     IdCastOp::Adaptor in) {
  return {in.getInput()};
}

static SmallVector<Value> emitApply(Emitter &e, ApplyOp op,
                                    ApplyOp::Adaptor in) {
  if (!in.getIds())
    return {applyRows(e, in.getInput(), in.getWeight())};
  return {applyRows(e, in.getInput(), in.getWeight(),
                    rowIds(op.getIds(), in.getIds()))};
}

static SmallVector<Value> emitLookup(Emitter &e, LookupOp op,
                                     LookupOp::Adaptor in) {
  return {lookupRows(e, in.getWeight(), rowIds(op.getIds(), in.getIds()))};
}

static SmallVector<Value> emitClustersOf(Emitter &e, ClustersOfOp op,
                                         ClustersOfOp::Adaptor in) {
  using arith::CmpIPredicate;
  RowIds ids = rowIds(op.getIds(), in.getIds());
  int64_t most = tensorTypeOf(op.getClusters()).getDimSize(1);
  int64_t known = getIdType(op.getClusters()).getCount();
  Value none = e.i32(-1);
  Value clusters = e.filled(resultSizes(e, op.getClusters(), ids.ids), none);
  Value slots = e.filled(resultSizes(e, op.getSlot(), ids.ids), none);

  // One choice: its cluster is sought among those the token has, and appended if it is new and there is room.
  auto choice = [&](Emitter &c, Value token, Value j, ValueRange carried) {
    Value clusters = carried[0], slots = carried[1], used = carried[2];
    Value id = c.extract(ids.ids, {token, j});
    Value isExpert = c.inRange(id, ids.count);
    Value cluster =
        c.extract(in.getTable(), ValueRange{c.safeIndex(id, isExpert)});
    Value hasCluster = c.both(isExpert, c.inRange(cluster, known));
    Value place =
        c.loop(c.index(most), none, [&](Emitter &s, Value m, ValueRange found) {
          Value isThere = s.compare(CmpIPredicate::eq,
                                    s.extract(clusters, {token, m}), cluster);
          return SmallVector<Value>{s.select(isThere, s.toI32(m), found[0])};
        })[0];
    Value isNew = c.both(c.compare(CmpIPredicate::slt, place, c.i32(0)),
                         c.compare(CmpIPredicate::slt, used, c.i32(most)));
    isNew = c.both(hasCluster, isNew);
    Value at = c.safeIndex(used, isNew);
    Value before = c.extract(clusters, {token, at});
    clusters =
        c.insert(c.select(isNew, cluster, before), clusters, {token, at});
    Value slot = c.select(isNew, used, c.select(hasCluster, place, none));
    slots = c.insert(slot, slots, {token, j});
    used = c.select(isNew, c.add(used, c.i32(1)), used);
    return SmallVector<Value>{clusters, slots, used};
  };
  return e.freeLoop(e.extent(ids.ids, 0), {clusters, slots},
                [&](Emitter &t, Value token, ValueRange carried) {
                  SmallVector<Value> all = t.loop(
                      t.extent(ids.ids, 1), {carried[0], carried[1], t.i32(0)},
                      [&](Emitter &c, Value j, ValueRange inner) {
                        return choice(c, token, j, inner);
                      });
                  all.pop_back();
                  return all;
                });
}

static SmallVector<Value> emitSpread(Emitter &e, SpreadOp op,
                                     SpreadOp::Adaptor in) {
  Value input = in.getInput();
  Type element = op.getType().getElementType();
  SmallVector<OpFoldResult> sizes = resultSizes(e, op.getResult(), input);
  int64_t rows = tensorTypeOf(input).getDimSize(1);
  if (in.getSlot() && rows == 0) // No row that could be read, even safely.
    return {e.filled(sizes, e.real(element, 0))};
  Value result = e.empty(sizes, element);
  if (Value slot = in.getSlot())
    return {e.generic("ppp", {slot}, {{0, 1}}, result, {0, 1, 2},
                      [&](Emitter &inner, ValueRange at) {
                        Value isRow = inner.inRange(at[0], rows);
                        Value x =
                            inner.extract(input, {inner.loopIndex(0),
                                                  inner.safeIndex(at[0], isRow),
                                                  inner.loopIndex(2)});
                        return inner.select(isRow, x, inner.real(element, 0));
                      })};
  if (!in.getIds())
    return {e.generic("ppp", {input}, {{0, 2}}, result, {0, 1, 2},
                      [](Emitter &, ValueRange at) { return at[0]; })};
  RowIds ids = rowIds(op.getIds(), in.getIds(), /*countSpecials=*/true);
  return {e.generic("ppp", {input, ids.ids}, {{0, 2}, {0, 1}}, result,
                    {0, 1, 2}, [&](Emitter &inner, ValueRange at) {
                      return inner.select(inner.inRange(at[1], ids.count),
                                          at[0], inner.real(element, 0));
                    })};
}

static SmallVector<Value> emitScaleRows(Emitter &e, ScaleRowsOp op,
                                        ScaleRowsOp::Adaptor in) {
  Type element = op.getType().getElementType();
  Type accumulator = accumulatorType(element);
  int64_t leading = tensorTypeOf(in.getWeights()).getRank();
  SmallVector<int64_t> weightMap{0}, resultMap{0, leading};
  if (leading == 2) {
    weightMap = {0, 1};
    resultMap = {0, 1, 2};
  }
  SmallVector<int64_t> inputMap = resultMap;
  if (tensorTypeOf(in.getInput()).getRank() == leading)
    inputMap = {0, leading};
  return {
      e.generic(std::string(leading + 1, 'p'), {in.getInput(), in.getWeights()},
                {inputMap, weightMap},
                e.empty(resultSizes(e, op.getResult(), in.getInput()), element),
                resultMap, [&](Emitter &inner, ValueRange at) {
                  Value product = inner.mul(inner.convert(at[0], accumulator),
                                            inner.convert(at[1], accumulator));
                  return inner.convert(product, element);
                })};
}

static SmallVector<Value> emitCombine(Emitter &e, CombineOp op,
                                      CombineOp::Adaptor in) {
  Type element = op.getType().getElementType();
  Type accumulator = accumulatorType(element);
  Value slot = in.getSlot();
  // Loops: token, slot of the result if there is one, feature, slot of the input.
  int64_t feature = slot ? 2 : 1, choice = feature + 1;
  SmallVector<int64_t> resultMap{0, 1};
  if (slot)
    resultMap.push_back(2);
  SmallVector<Value> inputs{in.getInput()};
  SmallVector<SmallVector<int64_t>> maps{{0, choice, feature}};
  for (Value each : {in.getWeights(), slot})
    if (each) {
      inputs.push_back(each);
      maps.push_back({0, choice});
    }
  Value zeros = e.filled(resultSizes(e, op.getResult(), in.getInput()),
                         e.real(accumulator, 0));
  Value sum =
      e.generic(std::string(choice, 'p') + "r", inputs, maps, zeros, resultMap,
                [&](Emitter &inner, ValueRange at) {
                  Value row = inner.convert(at[0], accumulator);
                  if (in.getWeights())
                    row = inner.mul(inner.convert(at[1], accumulator), row);
                  Value sum = inner.add(at.back(), row);
                  if (!slot)
                    return sum;
                  Value isMine =
                      inner.compare(arith::CmpIPredicate::eq, at[at.size() - 2],
                                    inner.loopIndexI32(1));
                  return inner.select(isMine, sum, at.back());
                });
  return {roundTo(e, sum, element)};
}

static SmallVector<Value> emitActivate(Emitter &e, ActivateOp op,
                                       ActivateOp::Adaptor in) {
  return {activateTensor(e, op.getAct(), in.getUp(), in.getGate())};
}

static SmallVector<Value> emitRealExperts(Emitter &e, RealExpertsOp op,
                                          RealExpertsOp::Adaptor in) {
  RowIds ids = rowIds(op.getIds(), in.getIds());
  Type element = tensorTypeOf(in.getWeights()).getElementType();
  Value realIds = e.generic(
      "pp", {ids.ids}, {{0, 1}},
      e.empty(resultSizes(e, op.getRealIds(), ids.ids), e.b.getI32Type()),
      {0, 1}, [&](Emitter &inner, ValueRange at) {
        return inner.select(inner.inRange(at[0], ids.count), at[0],
                            inner.i32(-1));
      });
  Value realWeights = e.generic(
      "pp", {ids.ids, in.getWeights()}, {{0, 1}, {0, 1}},
      e.empty(resultSizes(e, op.getRealWeights(), in.getWeights()), element),
      {0, 1}, [&](Emitter &inner, ValueRange at) {
        return inner.select(inner.inRange(at[0], ids.count), at[1],
                            inner.real(element, 0));
      });
  return {realIds, realWeights};
}

static SmallVector<Value> emitSpecials(Emitter &e, SpecialExpertsOp op,
                                       SpecialExpertsOp::Adaptor in) {
  return {emitSpecialExperts(
      e, in.getInput(), in.getIds(), in.getWeights(), op.getSpecials(),
      getIdType(op.getIds()).getCount(), in.getConstants(), in.getMixing())};
}

void moec::lowering::populateSlotToLinalgPatterns(
    const TypeConverter &converter, RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<EmitPattern<IdCastOp>>(converter, context, emitIdCast);
  patterns.add<EmitPattern<ApplyOp>>(converter, context, emitApply);
  patterns.add<EmitPattern<LookupOp>>(converter, context, emitLookup);
  patterns.add<EmitPattern<ClustersOfOp>>(converter, context, emitClustersOf);
  patterns.add<EmitPattern<SpreadOp>>(converter, context, emitSpread);
  patterns.add<EmitPattern<ScaleRowsOp>>(converter, context, emitScaleRows);
  patterns.add<EmitPattern<CombineOp>>(converter, context, emitCombine);
  patterns.add<EmitPattern<ActivateOp>>(converter, context, emitActivate);
  patterns.add<EmitPattern<RealExpertsOp>>(converter, context, emitRealExperts);
  patterns.add<EmitPattern<SpecialExpertsOp>>(converter, context, emitSpecials);
}
