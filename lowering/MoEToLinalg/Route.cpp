// Reference lowering of moe.route: scores, keys and limits (docs/spec.md §4.1,
// stages 1 to 3).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/Router.h"

#include "lowering/MoEToLinalg/Applying.h"
#include "lowering/MoEToLinalg/Patterns.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <limits>
#include <tuple>

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

Value moec::lowering::emitMinusInfinity(Emitter &e, Type type) {
  return e.real(type, -std::numeric_limits<double>::infinity());
}

Value moec::lowering::emitIsEligible(Emitter &e, Value key) {
  // An ordered comparison is false for NaN.
  return e.compare(arith::CmpFPredicate::OGT, key,
                   emitMinusInfinity(e, key.getType()));
}

Router::Router(OpBuilder &builder, RouteOp op, RouteOp::Adaptor operands)
    : e(builder, op.getLoc()), op(op), operands(operands) {
  auto type = cast<RankedTensorType>(op.getLogits().getType());
  IdType id = getIdType(op.getIds());
  real = accumulatorType(type.getElementType());
  columnCount = type.getDimSize(1);
  slotCount = op.getChoice().getK();
  idCount = id.getCount() + id.getSpecials();
  logits = roundTo(e, operands.getLogits(), real);
}

std::pair<Value, Value> Router::emit() {
  Value scores = emitScores();
  Value keys = emitKeys(scores);
  if (op.getLimit())
    keys = emitLimit(keys);
  Value columns = emitChoice(scores, keys);
  Value gates = emitGates(scores, columns);
  Value ids = columns;
  if (Value candidates = operands.getCandidates())
    ids = emitChosen(candidates, columns, e.i32(-1));
  if (op.getCapacity())
    std::tie(ids, gates) = emitCapacity(ids, gates);
  Type element =
      cast<RankedTensorType>(op.getWeights().getType()).getElementType();
  return {ids, roundTo(e, gates, element)};
}

Value Router::emitRows(int64_t width) {
  return e.empty({e.size(logits, 0), e.size(width)}, real);
}

Value Router::emitRows(int64_t width, Value scalar) {
  return e.filled({e.size(logits, 0), e.size(width)}, scalar);
}

//===----------------------------------------------------------------------===//
// Stage 1: score
//===----------------------------------------------------------------------===//

Value Router::emitSoftmax(Value rows) {
  OpFoldResult tokens = e.size(rows, 0);
  int64_t width = cast<RankedTensorType>(rows.getType()).getDimSize(1);
  // NaN anywhere makes the sum NaN, so it does not matter that the maximum
  // passes it by.
  Value largest = e.generic(
      "pr", {rows}, {{0, 1}}, e.filled({tokens}, emitMinusInfinity(e, real)),
      {0}, [](Emitter &inner, ValueRange at) {
        Value isLarger = inner.compare(arith::CmpFPredicate::OGT, at[0], at[1]);
        return inner.select(isLarger, at[0], at[1]);
      });
  Value powers = e.generic(
      "pp", {rows, largest}, {{0, 1}, {0}}, emitRows(width), {0, 1},
      [](Emitter &inner, ValueRange at) -> Value {
        return math::ExpOp::create(inner.b, inner.loc, inner.sub(at[0], at[1]));
      });
  Value sum = e.generic(
      "pr", {powers}, {{0, 1}}, e.filled({tokens}, e.real(real, 0)), {0},
      [](Emitter &inner, ValueRange at) { return inner.add(at[1], at[0]); });
  return e.generic(
      "pp", {powers, sum}, {{0, 1}, {0}}, emitRows(width), {0, 1},
      [](Emitter &inner, ValueRange at) { return inner.div(at[0], at[1]); });
}

/// √(max(x, 0) + log(1 + e^−|x|)).
static Value emitSqrtSoftplus(Emitter &e, Value x) {
  Type type = x.getType();
  Value one = e.real(type, 1), zero = e.real(type, 0);
  Value magnitude = math::AbsFOp::create(e.b, e.loc, x);
  Value power = math::ExpOp::create(
      e.b, e.loc, arith::NegFOp::create(e.b, e.loc, magnitude));
  // Not math.log1p: upstream lowers it to log(1 + y), which has no correct
  // digit for small y. What rounding 1 + y lost is made up for by a factor.
  Value sum = e.add(one, power);
  Value isOne = e.compare(arith::CmpFPredicate::OEQ, sum, one);
  Value factor = e.div(power, e.sub(sum, one));
  Value log = e.select(isOne, power,
                       e.mul(math::LogOp::create(e.b, e.loc, sum), factor));
  Value isPositive = e.compare(arith::CmpFPredicate::OGT, x, zero);
  return math::SqrtOp::create(e.b, e.loc,
                              e.add(e.select(isPositive, x, zero), log));
}

Value Router::emitScores() {
  switch (op.getScore()) {
  case Score::identity:
    return logits;
  case Score::softmax: {
    Value candidates = operands.getCandidates();
    if (!candidates)
      return emitSoftmax(logits);
    // Columns whose candidate is no id have no part in it.
    Value present = e.generic(
        "pp", {logits, candidates}, {{0, 1}, {0, 1}}, emitRows(columnCount),
        {0, 1}, [&](Emitter &inner, ValueRange at) {
          return inner.select(inner.inRange(at[1], idCount), at[0],
                              emitMinusInfinity(inner, real));
        });
    return emitSoftmax(present);
  }
  case Score::sigmoid:
    return e.generic(
        "pp", {logits}, {{0, 1}}, emitRows(columnCount), {0, 1},
        [](Emitter &inner, ValueRange at) { return inner.sigmoid(at[0]); });
  case Score::sqrt_softplus:
    return e.generic("pp", {logits}, {{0, 1}}, emitRows(columnCount), {0, 1},
                     [](Emitter &inner, ValueRange at) {
                       return emitSqrtSoftplus(inner, at[0]);
                     });
  }
  llvm_unreachable("unknown score");
}

//===----------------------------------------------------------------------===//
// Stage 2: bias
//===----------------------------------------------------------------------===//

/// score + bias, with -inf for everything that is never chosen: NaN, and
/// candidates that stand for nobody.
Value Router::emitKeys(Value scores) {
  Value bias = operands.getBias(), candidates = operands.getCandidates();
  SmallVector<Value> inputs{scores};
  SmallVector<SmallVector<int64_t>> maps{{0, 1}};
  if (bias) {
    inputs.push_back(bias);
    maps.push_back({1});
  } else if (candidates) { // R21: candidates have no bias
    inputs.push_back(candidates);
    maps.push_back({0, 1});
  }
  return e.generic(
      "pp", inputs, maps, emitRows(columnCount), {0, 1},
      [&](Emitter &inner, ValueRange at) {
        Value key = bias ? inner.add(at[0], inner.convert(at[1], real)) : at[0];
        Value mayBeChosen = emitIsEligible(inner, key);
        if (candidates)
          mayBeChosen = inner.both(mayBeChosen, inner.inRange(at[1], idCount));
        return inner.select(mayBeChosen, key, emitMinusInfinity(inner, real));
      });
}

//===----------------------------------------------------------------------===//
// Stage 3: limit
//===----------------------------------------------------------------------===//

/// The group of each column: its run of columns, or its target. Special experts
/// of a table have none, -1.
Value Router::emitGroupOfColumn() {
  int64_t perGroup = columnCount / op.getLimitAttr().getGroups();
  Value table = operands.getClusters();
  int64_t mapped = getIdType(op.getIds()).getCount();
  return e.generic(
      "p", {}, {}, e.empty({e.size(columnCount)}, e.b.getI32Type()), {0},
      [&](Emitter &inner, ValueRange at) -> Value {
        Value column = inner.loopIndexI32(0);
        if (!table)
          return arith::DivSIOp::create(inner.b, inner.loc, column,
                                        inner.i32(perGroup));
        Value isMapped = inner.inRange(column, mapped);
        Value target =
            inner.extract(table, {inner.safeIndex(column, isMapped)});
        return inner.select(isMapped, target, inner.i32(-1));
      });
}

/// Scores of groups [T, G], never NaN.
Value Router::emitGroupScores(Value keys, Value groupOf) {
  LimitAttr limit = op.getLimitAttr();
  OpFoldResult groups = e.size(limit.getGroups());
  Value rows = emitRows(limit.getGroups());
  if (limit.getBy() == GroupBy::logits)
    return e.generic("pp", {operands.getGroupLogits()}, {{0, 1}}, rows, {0, 1},
                     [&](Emitter &inner, ValueRange at) {
                       Value score = inner.convert(at[0], real);
                       return inner.select(emitIsEligible(inner, score), score,
                                           emitMinusInfinity(inner, real));
                     });
  Value members = e.generic(
      "pr", {groupOf}, {{1}}, e.filled({groups}, e.i32(0)), {0},
      [](Emitter &inner, ValueRange at) {
        Value isMember = inner.compare(arith::CmpIPredicate::eq, at[0],
                                       inner.loopIndexI32(0));
        return inner.select(isMember, inner.add(at[1], inner.i32(1)), at[1]);
      });
  if (limit.getBy() == GroupBy::sum) {
    // Over all members, by increasing column.
    Value sums = e.generic(
        "ppr", {keys, groupOf}, {{0, 2}, {2}},
        emitRows(limit.getGroups(), e.real(real, 0)), {0, 1},
        [&](Emitter &inner, ValueRange at) {
          Value counts = inner.compare(arith::CmpIPredicate::eq, at[1],
                                       inner.loopIndexI32(1));
          return inner.select(counts, inner.add(at.back(), at[0]), at.back());
        });
    return emitScoresOfMembers(sums, members, rows);
  }
  // The one or two best of each group, in one pass over the columns. Keys are
  // never NaN.
  Value none = emitMinusInfinity(e, real);
  SmallVector<Value> best{emitRows(limit.getGroups(), none)};
  bool isTwo = limit.getBy() == GroupBy::top2_sum;
  if (isTwo)
    best.push_back(emitRows(limit.getGroups(), none));
  auto column = [&](Emitter &c, Value token, Value i, ValueRange before) {
    Value group = c.extract(groupOf, ValueRange{i});
    Value hasGroup = c.inRange(group, limit.getGroups());
    Value at = c.safeIndex(group, hasGroup);
    Value key = c.extract(keys, {token, i});
    // What is not the best may be the second.
    SmallVector<Value> next;
    for (Value list : before) {
      Value known = c.extract(list, {token, at});
      Value isLarger =
          c.both(hasGroup, c.compare(arith::CmpFPredicate::OGT, key, known));
      next.push_back(
          c.insert(c.select(isLarger, key, known), list, {token, at}));
      key = c.select(isLarger, known, key);
    }
    return next;
  };
  best = e.freeLoop(e.extent(keys, 0), best,
                [&](Emitter &r, Value token, ValueRange carried) {
                  return r.loop(r.index(columnCount), carried,
                                [&](Emitter &c, Value i, ValueRange before) {
                                  return column(c, token, i, before);
                                });
                });
  if (!isTwo)
    return best[0];
  // A group of one has but one.
  Value sums = e.generic(
      "pp", {best[0], best[1], members}, {{0, 1}, {0, 1}, {1}},
      emitRows(limit.getGroups()), {0, 1}, [&](Emitter &inner, ValueRange at) {
        Value isSeveral =
            inner.compare(arith::CmpIPredicate::sgt, at[2], inner.i32(1));
        return inner.select(isSeveral, inner.add(at[0], at[1]), at[0]);
      });
  return emitScoresOfMembers(sums, members, rows);
}

/// The sums of groups that have members, and are numbers; else -inf.
Value Router::emitScoresOfMembers(Value sums, Value members, Value rows) {
  return e.generic(
      "pp", {sums, members}, {{0, 1}, {1}}, rows, {0, 1},
      [&](Emitter &inner, ValueRange at) {
        Value hasMembers =
            inner.compare(arith::CmpIPredicate::sgt, at[1], inner.i32(0));
        // +inf and -inf add up to NaN.
        Value isScore = inner.both(hasMembers, emitIsEligible(inner, at[0]));
        return inner.select(isScore, at[0], emitMinusInfinity(inner, real));
      });
}

/// Keys outside the best groups become -inf or 0. Exactly `keep` groups are
/// kept, even if some of them score -inf.
Value Router::emitLimit(Value keys) {
  LimitAttr limit = op.getLimitAttr();
  Value groupOf = emitGroupOfColumn();
  Value ranks = emitRanks(emitGroupScores(keys, groupOf));
  // Without a table every column has a group, and so have special experts.
  int64_t grouped =
      operands.getClusters() ? getIdType(op.getIds()).getCount() : columnCount;
  return e.generic(
      "pp", {keys, groupOf}, {{0, 1}, {1}}, emitRows(columnCount), {0, 1},
      [&](Emitter &inner, ValueRange at) {
        // A table given at run time may point outside: then nothing keeps the
        // column.
        Value hasGroup = inner.inRange(at[1], limit.getGroups());
        Value rank = inner.extract(
            ranks, {inner.loopIndex(0), inner.safeIndex(at[1], hasGroup)});
        Value isKept =
            inner.both(hasGroup, inner.inRange(rank, limit.getKeep()));
        Value masked = limit.getMasked() == Masked::zero
                           ? inner.real(real, 0)
                           : emitMinusInfinity(inner, real);
        Value isSpecial =
            inner.compare(arith::CmpIPredicate::sge, inner.loopIndexI32(1),
                          inner.i32(grouped));
        return inner.select(isSpecial, at[0],
                            inner.select(isKept, at[0], masked));
      });
}

//===----------------------------------------------------------------------===//
// Pattern
//===----------------------------------------------------------------------===//

namespace {

struct RouteToLinalg : OpConversionPattern<RouteOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(RouteOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    SmallVector<Type> types;
    if (failed(getTypeConverter()->convertTypes(op->getResultTypes(), types)))
      return rewriter.notifyMatchFailure(op, "cannot convert the result types");
    auto [ids, weights] = Router(rewriter, op, operands).emit();
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(op,
                       {e.castTo(ids, types[0]), e.castTo(weights, types[1])});
    return success();
  }
};

} // namespace

void moec::lowering::populateRouteToLinalgPatterns(
    const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<RouteToLinalg>(converter, patterns.getContext());
}
