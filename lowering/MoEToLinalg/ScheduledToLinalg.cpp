// Scheduled form on tensors: rows sorted by cluster.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/Applying.h"
#include "lowering/MoEToLinalg/Patterns.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <limits>

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

static Type elementTypeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

static SmallVector<OpFoldResult> sizesOf(Emitter &e, Value tensor) {
  return tensor::getMixedSizes(e.b, e.loc, tensor);
}

//===----------------------------------------------------------------------===//
// moe.group
//===----------------------------------------------------------------------===//

/// Puts a scalar at an i32 place where `valid`; the place may be anything where
/// it is not.
static Value insertIf(Emitter &e, Value valid, Value scalar, Value list,
                      Value place) {
  Value at = e.safeIndex(place, valid);
  Value before = e.extract(list, ValueRange{at});
  return e.insert(e.select(valid, scalar, before), list, ValueRange{at});
}

static Value countIf(Emitter &e, Value valid, Value count) {
  return e.select(valid, e.add(count, e.i32(1)), count);
}

namespace {
/// What the loops of moe.group carry, in this order.
enum GroupState {
  RowToken,
  RowOffsets,
  PairRow,
  PairExpert,
  PairWeight,
  RowCount,
  PairCount
};
} // namespace

/// Writes one pair if slot j of the token belongs to row `m`.
static SmallVector<Value> emitPair(Emitter &e, GroupOp op, GroupOp::Adaptor in,
                                   Value token, Value m, Value j, Value row,
                                   ValueRange state) {
  RowIds ids = rowIds(op.getIds(), in.getIds(), /*countSpecials=*/true);
  Value id = e.extract(ids.ids, {token, j});
  Value slot =
      in.getSlots() ? e.extract(in.getSlots(), {token, j}) : e.toI32(j);
  Value isPair = e.both(e.compare(arith::CmpIPredicate::eq, slot, e.toI32(m)),
                        e.inRange(id, ids.count));
  Value weight = e.extract(in.getWeights(), {token, j}),
        pair = state[PairCount];
  SmallVector<Value> next(state);
  next[PairRow] = insertIf(e, isPair, row, state[PairRow], pair);
  next[PairExpert] = insertIf(e, isPair, id, state[PairExpert], pair);
  next[PairWeight] = insertIf(e, isPair, weight, state[PairWeight], pair);
  next[PairCount] = countIf(e, isPair, pair);
  return next;
}

static SmallVector<Value> emitGroup(Emitter &e, GroupOp op,
                                    GroupOp::Adaptor in) {
  Value clusters = in.getClusters();
  int64_t groups = getIdType(op.getClusters()).getCount();
  Value none = e.i32(-1), zero = e.i32(0);
  Type weightType = elementTypeOf(in.getWeights());
  SmallVector<Value> state{
      e.filled(sizesOf(e, in.getRowToken()), none),
      e.filled(sizesOf(e, in.getRowOffsets()), zero),
      e.filled(sizesOf(e, in.getPairRow()), none),
      e.filled(sizesOf(e, in.getPairExpert()), none),
      e.filled(sizesOf(e, in.getPairWeight()), e.real(weightType, 0)),
      zero,
      zero};

  // One place of a token: a row of the group if the cluster is the group's,
  // then the pairs of that row.
  auto place = [&](Emitter &p, Value group, Value token, Value m,
                   ValueRange before) {
    Value row = before[RowCount];
    Value isRow = p.compare(arith::CmpIPredicate::eq,
                            p.extract(clusters, {token, m}), p.toI32(group));
    SmallVector<Value> next(before);
    next[RowToken] = insertIf(p, isRow, p.toI32(token), before[RowToken], row);
    next[RowCount] = countIf(p, isRow, row);
    Value choices = p.select(isRow, p.extent(in.getIds(), 1), p.index(0));
    return p.loop(choices, next, [&](Emitter &c, Value j, ValueRange state) {
      return emitPair(c, op, in, token, m, j, row, state);
    });
  };
  SmallVector<Value> last = e.loop(
      e.index(groups), state, [&](Emitter &g, Value group, ValueRange carried) {
        SmallVector<Value> next =
            g.loop(g.extent(clusters, 0), carried,
                   [&](Emitter &t, Value token, ValueRange carried) {
                     return t.loop(t.extent(clusters, 1), carried,
                                   [&](Emitter &p, Value m, ValueRange state) {
                                     return place(p, group, token, m, state);
                                   });
                   });
        next[RowOffsets] = g.insert(next[RowCount], next[RowOffsets],
                                    ValueRange{g.add(group, g.index(1))});
        return next;
      });
  last.truncate(RowCount);
  return last;
}

//===----------------------------------------------------------------------===//
// moe.gather, moe.scatter_combine
//===----------------------------------------------------------------------===//

/// source[index[i]] (a list or rows), `missing` where the index is outside.
static Value gatherRows(Emitter &e, Value source, Value index,
                        ArrayRef<OpFoldResult> sizes, Value missing) {
  bool isList = sizes.size() == 1;
  Value result = e.filled(sizes, missing);
  Value extent = e.extent(source, 0);
  Value columns = isList ? e.index(1) : e.extent(result, 1);
  return e.freeLoop(
      e.extent(result, 0), result,
      [&](Emitter &r, Value i, ValueRange carried) {
        Value from = r.extract(index, ValueRange{i});
        // Nothing is read for a row that is missing: there may be no rows.
        Value count = r.select(r.inExtent(from, extent), columns, r.index(0));
        Value at = r.toIndex(from);
        return r.loop(
            count, carried, [&](Emitter &c, Value column, ValueRange filled) {
              SmallVector<Value> read{at}, write{i};
              if (!isList) {
                read.push_back(column);
                write.push_back(column);
              }
              return SmallVector<Value>{
                  c.insert(c.extract(source, read), filled[0], write)};
            });
      })[0];
}

static SmallVector<Value> emitGather(Emitter &e, GatherOp op,
                                     GatherOp::Adaptor in) {
  Type element = elementTypeOf(in.getInput());
  Value missing = isa<FloatType>(element)
                      ? e.real(element, 0)
                      : Value(arith::ConstantIntOp::create(e.b, e.loc, element,
                                                           int64_t(-1)));
  return {gatherRows(e, in.getInput(), in.getIndex(), sizesOf(e, in.getInit()),
                     missing)};
}

/// sums[index[i], :] += rows[i, :]·weights[i] in increasing i, rows of an index
/// outside skipped. All in the type of accumulation; `weights` may be null.
static Value addRows(Emitter &e, Value rows, Value index, Value weights,
                     Value sums) {
  Type accumulator = elementTypeOf(sums);
  Value extent = e.extent(sums, 0), columns = e.extent(sums, 1);
  return e.loop(
      e.extent(rows, 0), sums, [&](Emitter &r, Value i, ValueRange carried) {
        Value target = r.extract(index, ValueRange{i});
        // A row to be skipped has no columns to add.
        Value count = r.select(r.inExtent(target, extent), columns, r.index(0));
        Value at = r.toIndex(target);
        Value weight =
            weights ? r.convert(r.extract(weights, ValueRange{i}), accumulator)
                    : Value();
        return r.loop(
            count, carried, [&](Emitter &c, Value column, ValueRange sums) {
              Value x = c.convert(c.extract(rows, {i, column}), accumulator);
              if (weight)
                x = c.mul(weight, x);
              Value sum = c.add(c.extract(sums[0], {at, column}), x);
              return SmallVector<Value>{c.insert(sum, sums[0], {at, column})};
            });
      })[0];
}

static SmallVector<Value> emitScatterCombine(Emitter &e, ScatterCombineOp op,
                                             ScatterCombineOp::Adaptor in) {
  Type element = elementTypeOf(in.getInit());
  Type accumulator = accumulatorType(element);
  Value sums = op.getAccumulate()
                   ? roundTo(e, in.getInit(), accumulator)
                   : e.filled(sizesOf(e, in.getInit()), e.real(accumulator, 0));
  sums = addRows(e, in.getInput(), in.getIndex(), in.getWeights(), sums);
  return {roundTo(e, sums, element)};
}

//===----------------------------------------------------------------------===//
// moe.grouped_matmul
//===----------------------------------------------------------------------===//

namespace {
/// A group of numbers as symmetric int8, docs/spec.md §6: what its largest
/// magnitude decides.
class QuantizedGroup {
public:
  QuantizedGroup(Emitter &e, Value largest)
      : type(largest.getType()), largest(largest) {
    auto is = [&](arith::CmpFPredicate how, double bound) {
      return e.compare(how, largest, e.real(type, bound));
    };
    Value isNormal = e.both(
        is(arith::CmpFPredicate::OGE, 0x1p-100),
        is(arith::CmpFPredicate::OLT, std::numeric_limits<double>::infinity()));
    Value most = e.real(type, 127);
    // Nothing of what is tiny; NaN of what is not finite.
    scale = e.select(isNormal, e.div(largest, most), e.sub(largest, largest));
    inverse = e.select(isNormal, e.div(most, largest), e.real(type, 0));
  }

  Value decoded(Emitter &e, Value x) const {
    // Adding 1.5 times the number whose last digit is 1 rounds to an integer,
    // ties to even.
    Value magic = e.real(type, type.isF64() ? 0x1.8p52 : 0x1.8p23);
    Value code = e.sub(e.add(e.mul(x, inverse), magic), magic);
    return e.mul(code, scale);
  }

private:
  Type type;
  Value largest, scale, inverse;
};
} // namespace

/// rows[r, :] as docs/spec.md §6 rounds them: to bf16 each number by itself, to
/// int8 by groups of a row. In the type of accumulation.
static Value roundRows(Emitter &e, Value rows, EncodingAttr rounding) {
  Type accumulator = accumulatorType(elementTypeOf(rows));
  if (rounding.getFormat() == Format::bf16)
    return roundTo(e, roundTo(e, rows, e.b.getBF16Type()), accumulator);
  Value columns = e.extent(rows, 1), zero = e.real(accumulator, 0);
  Value group = rounding.getGroup() ? e.index(rounding.getGroup()) : columns;
  auto roundGroup = [&](Emitter &g, Value row, Value first, Value before) {
    auto place = [&](Emitter &at, Value i) {
      return SmallVector<Value>{row, at.add(first, i)};
    };
    auto load = [&](Emitter &at, Value i) {
      return at.convert(at.extract(rows, place(at, i)), accumulator);
    };
    Value largest =
        g.loop(group, zero, [&](Emitter &m, Value i, ValueRange carried) {
          Value magnitude = math::AbsFOp::create(m.b, m.loc, load(m, i));
          return SmallVector<Value>{
              arith::MaximumFOp::create(m.b, m.loc, carried[0], magnitude)};
        })[0];
    QuantizedGroup quantized(g, largest);
    return g.loop(group, before, [&](Emitter &q, Value i, ValueRange carried) {
      return SmallVector<Value>{
          q.insert(quantized.decoded(q, load(q, i)), carried[0], place(q, i))};
    });
  };
  Value result = e.filled(sizesOf(e, rows), zero);
  Value groups = rounding.getGroup()
                     ? Value(arith::DivUIOp::create(e.b, e.loc, columns, group))
                     : e.index(1);
  return e.loop(e.extent(rows, 0), result,
                [&](Emitter &r, Value row, ValueRange carried) {
                  return r.loop(groups, carried,
                                [&](Emitter &g, Value i, ValueRange carried) {
                                  return roundGroup(g, row, g.mul(i, group),
                                                    carried[0]);
                                });
                })[0];
}

namespace {
/// Emits one moe.grouped_matmul. `entries` says which matrix a result row has,
/// `experts` which residual and bias; none where the result row is zero.
class GroupedMatmul {
public:
  GroupedMatmul(Emitter &e, GroupedMatmulOp op, GroupedMatmulOp::Adaptor in)
      : e(e), op(op), in(in), element(elementTypeOf(in.getInput())),
        accumulator(accumulatorType(element)), rows(in.getInput()),
        entries(entriesOfRows()) {
    if (op.getRounding())
      rounded = roundRows(e, rows, *op.getRounding());
    if (!op.yieldsPairs())
      return;
    Type i32 = e.b.getI32Type();
    SmallVector<OpFoldResult> pairs{e.size(in.getPairRow(), 0)};
    entries.ids = gatherRows(e, entries.ids, in.getPairRow(), pairs, e.i32(-1));
    auto ofPairs = [&](Value of) {
      return gatherRows(e, of, in.getPairRow(), {pairs[0], e.size(of, 1)},
                        e.real(elementTypeOf(of), 0));
    };
    rows = ofPairs(rows);
    if (rounded)
      rounded = ofPairs(rounded);
    experts = rowIds(op.getPairExpert(), in.getPairExpert());
    experts.ids =
        e.generic("p", {experts.ids, entries.ids}, {{0}, {0}},
                  e.empty(pairs, i32), {0}, [&](Emitter &inner, ValueRange at) {
                    return inner.select(inner.inRange(at[1], entries.count),
                                        at[0], inner.i32(-1));
                  });
  }

  Value emit() {
    SmallVector<Value> products;
    for (size_t i = 0; i < in.getWeights().size(); ++i)
      products.push_back(product(i));
    Value result = products[0];
    if (op.getAct()) {
      for (Value &each : products)
        each = roundTo(e, each, element);
      // Every activation of zeros is zero, so rows without an entry stay so.
      result = activateTensor(e, *op.getAct(), products[0],
                              products.size() == 2 ? products[1] : Value());
    }
    if (op.getAccumulate())
      result = sum(result, in.getInit());
    return roundTo(e, result, element);
  }

private:
  /// For each row of the input its entry: -1 for none, 0 where there is one
  /// matrix for all.
  RowIds entriesOfRows() {
    if (in.getEntries())
      return rowIds(op.getEntries(), in.getEntries());
    Type i32 = e.b.getI32Type();
    SmallVector<OpFoldResult> rowCount{e.size(in.getInput(), 0)};
    if (!in.getOffsets())
      return {e.filled(rowCount, e.i32(0)), 1};
    int64_t groups = getWeightType(op.getWeights().front()).getCount();
    auto offsets = [&](int64_t first) -> Value {
      return tensor::ExtractSliceOp::create(
          e.b, e.loc, RankedTensorType::get({groups}, i32), in.getOffsets(),
          ArrayRef<OpFoldResult>{e.size(first)},
          ArrayRef<OpFoldResult>{e.size(groups)},
          ArrayRef<OpFoldResult>{e.size(1)});
    };
    // The first group that holds the row: offsets that do not rise cannot do
    // harm.
    Value ids = e.generic(
        "pr", {offsets(0), offsets(1)}, {{1}, {1}},
        e.filled(rowCount, e.i32(-1)), {0}, [&](Emitter &inner, ValueRange at) {
          using arith::CmpIPredicate;
          Value row = inner.loopIndexI32(0);
          Value isHere =
              inner.both(inner.compare(CmpIPredicate::sle, at[0], row),
                         inner.compare(CmpIPredicate::slt, row, at[1]));
          Value isFirst =
              inner.compare(CmpIPredicate::slt, at[2], inner.i32(0));
          return inner.select(inner.both(isHere, isFirst),
                              inner.loopIndexI32(1), at[2]);
        });
    return {ids, groups};
  }

  /// lhs + rhs in the type of accumulation.
  Value sum(Value lhs, Value rhs) {
    return e.generic("pp", {lhs, rhs}, {{0, 1}, {0, 1}},
                     e.empty(sizesOf(e, lhs), accumulator), {0, 1},
                     [&](Emitter &inner, ValueRange at) {
                       return inner.add(inner.convert(at[0], accumulator),
                                        inner.convert(at[1], accumulator));
                     });
  }

  /// Zero where the row has no entry.
  Value masked(Value values) {
    Type type = elementTypeOf(values);
    return e.generic("pp", {values, entries.ids}, {{0, 1}, {0}},
                     e.empty(sizesOf(e, values), type), {0, 1},
                     [&](Emitter &inner, ValueRange at) {
                       return inner.select(inner.inRange(at[1], entries.count),
                                           at[0], inner.real(type, 0));
                     });
  }

  /// What one weight gives: base product, residual, bias, segment, in the type
  /// of accumulation.
  Value product(size_t i) {
    Value value =
        contractRows(e, rounded ? rounded : rows, in.getWeights()[i], entries);
    if (!in.getResiduals().empty()) {
      Value shrunk = contractRows(e, rows, in.getResiduals()[2 * i], experts);
      value = sum(value, contractRows(e, shrunk, in.getResiduals()[2 * i + 1],
                                      experts));
    }
    if (!in.getBiases().empty())
      value = sum(value, lookupRows(e, in.getBiases()[i],
                                    op.yieldsPairs() ? experts : entries));
    if (!in.getSegment())
      return value;
    Value expanded =
        contractRows(e, in.getSegment(), in.getExpand(),
                     rowIds(op.getPairExpert(), in.getPairExpert()));
    value =
        addRows(e, expanded, in.getPairRow(), in.getSegmentWeights(), value);
    return masked(value);
  }

  Emitter &e;
  GroupedMatmulOp op;
  GroupedMatmulOp::Adaptor in;
  Type element, accumulator;
  /// One row of the input for each row of the result, and the same as the
  /// weights get them where that differs.
  Value rows, rounded;
  RowIds entries;
  RowIds experts{Value(), 0};
};
} // namespace

static SmallVector<Value> emitGroupedMatmul(Emitter &e, GroupedMatmulOp op,
                                            GroupedMatmulOp::Adaptor in) {
  return {GroupedMatmul(e, op, in).emit()};
}

namespace {
/// moe.grouped_up is what it stands for.
struct DecomposeGroupedUp : OpConversionPattern<GroupedUpOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(GroupedUpOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, op.decompose(rewriter));
    return success();
  }
};
} // namespace

void moec::lowering::populateScheduledToLinalgPatterns(
    const TypeConverter &converter, RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<EmitPattern<GroupOp>>(converter, context, emitGroup);
  patterns.add<EmitPattern<GatherOp>>(converter, context, emitGather);
  patterns.add<EmitPattern<ScatterCombineOp>>(converter, context,
                                              emitScatterCombine);
  patterns.add<EmitPattern<GroupedMatmulOp>>(converter, context,
                                             emitGroupedMatmul);
  patterns.add<DecomposeGroupedUp>(converter, context);
}
