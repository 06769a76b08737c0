// Reference lowering of moe.route: the choice of columns (docs/spec.md §4.1,
// stage 4). Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/Router.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

//===----------------------------------------------------------------------===//
// Ranks
//===----------------------------------------------------------------------===//

/// Quadratic in the extent of `dim`.
Value Router::emitRanks(Value keys, int64_t dim) {
  SmallVector<Value> inputs{keys, keys};
  SmallVector<SmallVector<int64_t>> maps{{0, 1}};
  // Loop 2 runs over the other keys of the row or column.
  if (dim == 1)
    maps.push_back({0, 2});
  else
    maps.push_back({2, 1});
  Value zeros = e.filled({e.size(keys, 0), e.size(keys, 1)}, e.i32(0));
  return e.generic(
      "ppr", inputs, maps, zeros, {0, 1}, [&](Emitter &inner, ValueRange at) {
        Value isLarger = inner.compare(arith::CmpFPredicate::OGT, at[1], at[0]);
        Value isEqual = inner.compare(arith::CmpFPredicate::OEQ, at[1], at[0]);
        Value isLower =
            inner.compare(arith::CmpIPredicate::slt, inner.loopIndexI32(2),
                          inner.loopIndexI32(dim));
        Value isBefore = arith::OrIOp::create(inner.b, inner.loc, isLarger,
                                              inner.both(isEqual, isLower));
        return inner.select(isBefore, inner.add(at.back(), inner.i32(1)),
                            at.back());
      });
}

/// The columns of the k largest keys in descending order. The best so far are
/// kept in order: a key moves in front of those that it is larger than, so of
/// equal ones the lower column stays first.
Value Router::emitLargest(Value keys) {
  Value columns = emitRows(slotCount, e.i32(-1));
  Value best = emitRows(slotCount, emitMinusInfinity(e, real));
  auto column = [&](Emitter &c, Value token, Value i, ValueRange before) {
    Value key = c.extract(keys, {token, i});
    Value last = c.index(slotCount - 1);
    Value isLarger = c.compare(arith::CmpFPredicate::OGT, key,
                               c.extract(before[1], {token, last}));
    // Few keys get in: the loop below is for these. Slots are visited from the
    // last one on.
    Value slots = c.select(isLarger, c.index(slotCount), c.index(0));
    auto slot = [&](Emitter &s, Value step, ValueRange state) {
      Value at = s.sub(last, step);
      Value isFirst = s.compare(arith::CmpIPredicate::eq, at, s.index(0));
      Value front = s.select(isFirst, at, s.sub(at, s.index(1)));
      Value frontKey = s.extract(state[1], {token, front});
      Value isBehind = s.compare(arith::CmpFPredicate::OGT, key,
                                 s.extract(state[1], {token, at}));
      Value moves = s.compare(arith::CmpFPredicate::OGT, key, frontKey);
      Value no = arith::ConstantOp::create(s.b, s.loc, s.b.getBoolAttr(false));
      moves = s.select(isFirst, no, moves);
      // In front of the one before: that one moves here. Else the key stands
      // here, or further behind.
      Value nextKey = s.select(moves, frontKey, key);
      Value nextColumn =
          s.select(moves, s.extract(state[0], {token, front}), s.toI32(i));
      nextKey = s.select(isBehind, nextKey, s.extract(state[1], {token, at}));
      nextColumn =
          s.select(isBehind, nextColumn, s.extract(state[0], {token, at}));
      return SmallVector<Value>{s.insert(nextColumn, state[0], {token, at}),
                                s.insert(nextKey, state[1], {token, at})};
    };
    return c.loop(slots, before, slot);
  };
  return e.freeLoop(e.extent(keys, 0), {columns, best},
                [&](Emitter &r, Value token, ValueRange carried) {
                  return r.loop(r.index(columnCount), carried,
                                [&](Emitter &c, Value i, ValueRange before) {
                                  return column(c, token, i, before);
                                });
                })[0];
}

Value Router::emitChosen(Value values, Value columns, Value missing) {
  return e.generic(
      "pp", {columns}, {{0, 1}}, emitRows(slotCount, missing), {0, 1},
      [&](Emitter &inner, ValueRange at) {
        Value isChosen = inner.inRange(at[0], columnCount);
        Value value = inner.extract(
            values, {inner.loopIndex(0), inner.safeIndex(at[0], isChosen)});
        return inner.select(isChosen, value, at[1]);
      });
}

//===----------------------------------------------------------------------===//
// Choices
//===----------------------------------------------------------------------===//

Value Router::emitChoice(Value scores, Value keys) {
  switch (op.getChoice().getKind()) {
  case ChoiceKind::top_k:
  case ChoiceKind::sparsemixer: // the two largest, one after the other
    return emitLargest(keys);
  case ChoiceKind::top_p:
    return emitTopP(scores, emitLargest(keys));
  case ChoiceKind::threshold:
    return emitLargest(emitThreshold(keys));
  case ChoiceKind::hash:
    return emitHash(keys);
  case ChoiceKind::expert_choice:
    return emitLargest(emitExpertChoice(keys));
  }
  llvm_unreachable("unknown choice");
}

/// Takes back the columns before which the scores already add up to p.
Value Router::emitTopP(Value scores, Value columns) {
  Value chosen = emitChosen(scores, columns, e.real(real, 0));
  // Loops: token, slot, the slots before it.
  Value before =
      e.generic("ppr", {chosen}, {{0, 2}}, emitRows(slotCount, e.real(real, 0)),
                {0, 1}, [](Emitter &inner, ValueRange at) {
                  Value isBefore = inner.compare(arith::CmpIPredicate::slt,
                                                 inner.loopIndexI32(2),
                                                 inner.loopIndexI32(1));
                  return inner.select(isBefore, inner.add(at[1], at[0]), at[1]);
                });
  double p = op.getChoice().getValue().getValueAsDouble();
  return e.generic(
      "pp", {columns, before}, {{0, 1}, {0, 1}}, emitRows(slotCount, e.i32(-1)),
      {0, 1}, [&](Emitter &inner, ValueRange at) {
        // At least one, also for a p that rounds to zero.
        Value isFirst = inner.compare(arith::CmpIPredicate::eq,
                                      inner.loopIndexI32(1), inner.i32(0));
        Value isBelow = inner.compare(arith::CmpFPredicate::OLT, at[1],
                                      inner.real(real, p));
        Value isTaken =
            arith::OrIOp::create(inner.b, inner.loc, isFirst, isBelow);
        return inner.select(isTaken, at[0], at[2]);
      });
}

/// Keys below the threshold become -inf.
Value Router::emitThreshold(Value keys) {
  double threshold = op.getChoice().getValue().getValueAsDouble();
  return e.generic(
      "pp", {keys}, {{0, 1}}, emitRows(columnCount), {0, 1},
      [&](Emitter &inner, ValueRange at) {
        Value isReached = inner.compare(arith::CmpFPredicate::OGE, at[0],
                                        inner.real(real, threshold));
        return inner.select(isReached, at[0], emitMinusInfinity(inner, real));
      });
}

/// The row of the hash table that the token id names. Slots keep their places.
Value Router::emitHash(Value keys) {
  Value table = operands.getHashTable();
  Value rows = e.toI32(e.extent(table, 0));
  return e.generic(
      "pp", {operands.getTokenIds()}, {{0}}, emitRows(slotCount, e.i32(-1)),
      {0, 1}, [&](Emitter &inner, ValueRange at) {
        // Not safeIndex: the table may have no row at all.
        Value slot = inner.loopIndex(1), none = at[1];
        auto entry = scf::IfOp::create(
            inner.b, inner.loc, inner.inRange(at[0], rows),
            [&](OpBuilder &builder, Location loc) {
              Emitter found(builder, loc);
              Value row = found.toIndex(at[0]);
              scf::YieldOp::create(builder, loc,
                                   found.extract(table, {row, slot}));
            },
            [&](OpBuilder &builder, Location loc) {
              scf::YieldOp::create(builder, loc, none);
            });
        Value column = entry.getResult(0);
        Value isColumn = inner.inRange(column, columnCount);
        Value key = inner.extract(
            keys, {inner.loopIndex(0), inner.safeIndex(column, isColumn)});
        return inner.select(inner.both(isColumn, emitIsEligible(inner, key)),
                            column, none);
      });
}

/// Keys of tokens that a column does not take become -inf.
Value Router::emitExpertChoice(Value keys) {
  Value tokens = e.extent(logits, 0);
  Value accepted =
      emitCapacityOf(op.getChoice().getValue().getValueAsDouble(),
                     /*slots=*/1, columnCount, /*atLeast=*/0, tokens);
  return e.generic("pp", {keys, emitRanks(keys, /*dim=*/0)}, {{0, 1}, {0, 1}},
                   emitRows(columnCount), {0, 1},
                   [&](Emitter &inner, ValueRange at) {
                     return inner.select(inner.inRange(at[1], accepted), at[0],
                                         emitMinusInfinity(inner, real));
                   });
}
