// Reference lowering of moe.route: gate weights and capacities (docs/spec.md §4.1, stages 5 and 6).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/Router.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

static double numberOr(FloatAttr number, double absent) {
  return number ? number.getValueAsDouble() : absent;
}

//===----------------------------------------------------------------------===//
// Stage 5: gates
//===----------------------------------------------------------------------===//

/// Gate weights, not rounded yet. Slots without a column get 0 whatever their gate is (R16, R18).
Value Router::emitGates(Value scores, Value columns) {
  Value gates = emitGateSource(scores, columns);
  if (op.getGates().getNorm() != Norm::keep)
    gates = emitNorm(gates, columns);
  double scale = numberOr(op.getGates().getScale(), 1);
  return e.generic("pp", {gates, columns}, {{0, 1}, {0, 1}},
                   emitRows(slotCount), {0, 1},
                   [&](Emitter &inner, ValueRange at) {
                     Value scaled = inner.mul(at[0], inner.real(real, scale));
                     return inner.select(inner.inRange(at[1], columnCount),
                                         scaled, inner.real(real, 0));
                   });
}

/// Gates before norm and scale; those of slots without a column may be anything.
Value Router::emitGateSource(Value scores, Value columns) {
  switch (op.getGates().getSource()) {
  case GateSource::scores:
    return emitChosen(scores, columns, e.real(real, 0));
  case GateSource::softmax:
    return emitSoftmax(emitChosen(logits, columns, emitMinusInfinity(e, real)));
  case GateSource::sigmoid:
    return e.generic(
        "pp", {emitChosen(logits, columns, e.real(real, 0))}, {{0, 1}},
        emitRows(slotCount), {0, 1},
        [](Emitter &inner, ValueRange at) { return inner.sigmoid(at[0]); });
  case GateSource::sparsemixer:
    return emitSparsemixer(columns);
  }
  llvm_unreachable("unknown gate source");
}

/// The softmax over the columns that slot j does not mask, at the chosen one: 1 / Σ e^(x − m).
Value Router::emitSparsemixer(Value columns) {
  Value largest = emitChosen(logits, columns, e.real(real, 0));
  double jitter = op.getChoice().getValue().getValueAsDouble();
  // Loops: token, slot, column. The third input is the choice of slot 0.
  Value sums = e.generic(
      "ppr", {logits, largest, columns}, {{0, 2}, {0, 1}, {0, -1}},
      emitRows(slotCount, e.real(real, 0)), {0, 1},
      [&](Emitter &inner, ValueRange at) {
        Value x = at[0], m = at[1];
        Value magnitude = math::AbsFOp::create(inner.b, inner.loc, x);
        Value isLarger = inner.compare(arith::CmpFPredicate::OGT, magnitude, m);
        Value distance =
            inner.div(inner.sub(m, x), inner.select(isLarger, magnitude, m));
        // 0/0 is not greater: a column of logit 0 is not masked by one of 0.
        Value isFar = inner.compare(arith::CmpFPredicate::OGT, distance,
                                    inner.real(real, 2 * jitter));
        Value isLaterSlot = inner.compare(arith::CmpIPredicate::ne,
                                          inner.loopIndexI32(1), inner.i32(0));
        Value isFirstChoice = inner.compare(arith::CmpIPredicate::eq, at[2],
                                            inner.loopIndexI32(2));
        Value isMasked = arith::OrIOp::create(
            inner.b, inner.loc, isFar, inner.both(isLaterSlot, isFirstChoice));
        Value power = math::ExpOp::create(inner.b, inner.loc, inner.sub(x, m));
        return inner.select(isMasked, at[3], inner.add(at[3], power));
      });
  return e.generic("pp", {sums}, {{0, 1}}, emitRows(slotCount), {0, 1},
                   [&](Emitter &inner, ValueRange at) {
                     return inner.div(inner.real(real, 1), at[0]);
                   });
}

/// Divides by the norm over the slots that have a column; a norm of 0 gives 0.
Value Router::emitNorm(Value gates, Value columns) {
  Norm norm = op.getGates().getNorm();
  double eps = numberOr(op.getGates().getEps(), 0);
  Value sums =
      e.generic("pr", {gates, columns}, {{0, 1}, {0, 1}},
                e.filled({e.size(gates, 0)}, e.real(real, 0)), {0},
                [&](Emitter &inner, ValueRange at) {
                  Value term =
                      norm == Norm::l2 ? inner.mul(at[0], at[0]) : at[0];
                  return inner.select(inner.inRange(at[1], columnCount),
                                      inner.add(at[2], term), at[2]);
                });
  return e.generic(
      "pp", {gates, sums}, {{0, 1}, {0}}, emitRows(slotCount), {0, 1},
      [&](Emitter &inner, ValueRange at) {
        Value zero = inner.real(real, 0), bound = inner.real(real, eps);
        Value total = at[1];
        if (norm == Norm::l2)
          total = math::SqrtOp::create(inner.b, inner.loc, total);
        if (norm == Norm::l1_floor) {
          Value isBelow =
              inner.compare(arith::CmpFPredicate::OLT, total, bound);
          total = inner.select(isBelow, bound, total);
        } else {
          total = inner.add(total, bound);
        }
        Value isZero = inner.compare(arith::CmpFPredicate::OEQ, total, zero);
        return inner.select(isZero, zero, inner.div(at[0], total));
      });
}

//===----------------------------------------------------------------------===//
// Stage 6: capacity
//===----------------------------------------------------------------------===//

Value Router::emitCapacityOf(double factor, int64_t slots, int64_t count,
                             int64_t atLeast, Value limit) {
  Type wide = e.b.getF64Type();
  auto toReal = [&](Value index) {
    return e.convert(
        arith::IndexCastOp::create(e.b, e.loc, e.b.getI64Type(), index), wide);
  };
  Value tokens = toReal(e.extent(logits, 0));
  Value share =
      e.div(e.mul(e.mul(e.real(wide, factor), tokens), e.real(wide, slots)),
            e.real(wide, count));
  Value capacity = math::CeilOp::create(e.b, e.loc, share);
  Value least = e.real(wide, atLeast), most = toReal(limit);
  Value isTooFew = e.compare(arith::CmpFPredicate::OLT, capacity, least);
  capacity = e.select(isTooFew, least, capacity);
  // Clamped before it becomes an integer: the factor may be huge.
  Value isTooMany = e.compare(arith::CmpFPredicate::OGT, capacity, most);
  capacity = e.select(isTooMany, most, capacity);
  return arith::FPToSIOp::create(e.b, e.loc, e.b.getI32Type(), capacity);
}

/// Keeps the first pairs of each expert, in the order that `drop` says. Quadratic in the number of pairs.
std::pair<Value, Value> Router::emitCapacity(Value ids, Value gates) {
  CapacityAttr attr = op.getCapacityAttr();
  bool dropLowest = attr.getDrop() == Drop::lowest;
  Value pairs = arith::MulIOp::create(e.b, e.loc, e.extent(logits, 0),
                                      e.index(slotCount));
  Value accepted = emitCapacityOf(attr.getFactor().getValueAsDouble(),
                                  slotCount, idCount, attr.getAtLeast(), pairs);
  // Loops: token and slot of a pair, token and slot of another one.
  Value ranks = e.generic(
      "pprr", {ids, gates, ids, gates}, {{0, 1}, {0, 1}, {2, 3}, {2, 3}},
      emitRows(slotCount, e.i32(0)), {0, 1},
      [&](Emitter &inner, ValueRange at) {
        auto compareLoops = [&](arith::CmpIPredicate predicate, int64_t loop) {
          return inner.compare(predicate, inner.loopIndexI32(loop + 2),
                               inner.loopIndexI32(loop));
        };
        // All first choices come before second ones.
        Value isBefore = arith::OrIOp::create(
            inner.b, inner.loc, compareLoops(arith::CmpIPredicate::slt, 1),
            inner.both(compareLoops(arith::CmpIPredicate::eq, 1),
                       compareLoops(arith::CmpIPredicate::slt, 0)));
        if (dropLowest) {
          // NaN counts as the lowest weight, so that no column takes too many.
          auto orderable = [&](Value gate) {
            return inner.select(emitIsEligible(inner, gate), gate,
                                emitMinusInfinity(inner, real));
          };
          Value mine = orderable(at[1]), other = orderable(at[3]);
          Value isLarger =
              inner.compare(arith::CmpFPredicate::OGT, other, mine);
          Value isEqual = inner.compare(arith::CmpFPredicate::OEQ, other, mine);
          isBefore = arith::OrIOp::create(inner.b, inner.loc, isLarger,
                                          inner.both(isEqual, isBefore));
        }
        Value isSame = inner.compare(arith::CmpIPredicate::eq, at[0], at[2]);
        return inner.select(inner.both(isSame, isBefore),
                            inner.add(at[4], inner.i32(1)), at[4]);
      });
  auto keep = [&](Value values, Value dropped) {
    return e.generic("pp", {values, ids, ranks}, {{0, 1}, {0, 1}, {0, 1}},
                     emitRows(slotCount, dropped), {0, 1},
                     [&](Emitter &inner, ValueRange at) {
                       Value isKept =
                           inner.both(inner.inRange(at[1], idCount),
                                      inner.inRange(at[2], accepted));
                       return inner.select(isKept, at[0], at[3]);
                     });
  };
  return {keep(ids, e.i32(-1)), keep(gates, e.real(real, 0))};
}
