// moe.group and moe.scatter_combine as kernels: rows sorted by cluster, and added up by token.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/ScheduledKernels.h"
#include "lowering/CUDA/SortByGroup.h"
#include "lowering/CUDA/SortKeys.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

/// Threads of a block that finds the pairs of as many rows. How many come
/// before them each block counts for itself, as in sortByGroup.
static constexpr int64_t pairThreads = 256;
static constexpr int64_t pairWarps = pairThreads / KernelCode::warpSize;
/// Threads of a block that orders rows by their experts, and how many
/// neighbouring rows it does so with: with four times as many, 16 rows of a
/// cluster have hardly fewer experts (docs/cuda.md).
static constexpr int64_t orderThreads = 512;
static constexpr int64_t orderRows = 2048;
/// Rows of a group, on average, up to which they are left alone: 16 rows are
/// finished together, whatever their order is.
static constexpr int64_t rowsInAnyOrder = 16;

//===----------------------------------------------------------------------===//
// moe.group
//===----------------------------------------------------------------------===//

namespace {
/// What the kernels of one moe.group read and write: lists, and extents.
struct Group {
  Value clusters, ids, weights, slots;
  Value rowToken, rowOffsets, pairRow, pairExpert, pairWeight;
  /// For each row the place in `clusters` that it comes from, or -1, and how many pairs it has. For each place its row, or -1.
  Value rowPlace, rowPairs, placeRow;
  /// For each row, and behind the last, the first pair that is not of a row before it.
  Value pairFirst;
  Value places, rows, pairs, perToken, choices;
  int64_t groups, experts;
};
} // namespace

/// Whether rows may have several experts, whose residuals warps read: without
/// slots a row is one expert's.
static bool hasSharedRows(const Group &g) { return bool(g.slots); }

/// Whether choice j of a token is a pair of its place m, and its expert.
static std::pair<Value, Value> findPair(KernelCode &k, const Group &g,
                                        Value token, Value m, Value j) {
  Value at = k.add(k.mul(token, g.choices), j);
  Value slot = g.slots ? k.load(g.slots, at) : k.toI32(j);
  Value expert = k.load(g.ids, at);
  Value isPair = k.both(k.isEqual(slot, k.toI32(m)),
                        k.isWithin(expert, k.index(g.experts)));
  return {isPair, expert};
}

/// A row that comes from a place.
static void storeRow(KernelCode &k, const Group &g, Value row, Value place) {
  Value token = k.div(place, g.perToken), m = k.rem(place, g.perToken);
  Value zero = k.number(0, k.i32()), one = k.number(1, k.i32());
  Value count =
      k.loop(k.index(0), g.choices, 1, {zero}, [&](Value j, ValueRange sum) {
        Value isPair = findPair(k, g, token, m, j).first;
        return Code::Values{k.add(sum[0], k.select(isPair, one, zero))};
      })[0];
  k.store(k.toI32(token), g.rowToken, row);
  k.store(k.toI32(place), g.rowPlace, row);
  k.store(k.toI32(row), g.placeRow, place);
  k.store(count, g.rowPairs, row);
}

/// Rows in the order of their groups, those of a group in the order of tokens.
static Value emitRows(KernelCode &k, const Group &g) {
  GroupedItems places{g.clusters, g.places, g.groups, g.rowOffsets};
  return sortByGroup(
      k, places,
      [&](Value place) { k.store(k.number(-1, k.i32()), g.placeRow, place); },
      [&](Value place, Value row) {
        k.when(k.isBelow(row, g.rows), [&] { storeRow(k, g, row, place); });
      });
}

/// Rows that no place has.
static void emitUnusedRows(KernelCode &k, const Group &g, Value total) {
  Value none = k.number(-1, k.i32());
  k.spreadOverGrid(k.toIndex(total), g.rows, [&](Value row) {
    k.store(none, g.rowToken, row);
    k.store(none, g.rowPlace, row);
    k.store(k.number(0, k.i32()), g.rowPairs, row);
  });
}

//===----------------------------------------------------------------------===//
// Rows of a group, by their experts
//===----------------------------------------------------------------------===//

namespace {
/// What rows are sorted by, an i64: the group, the least experts of the row,
/// its place in the run that is sorted. No two are the same, so there is one
/// order.
struct RowKey {
  static constexpr int64_t experts = 4, expertBits = 10;
  static constexpr int64_t noExpert = (1 << expertBits) - 1;
  static constexpr int64_t placeBits = llvm::ConstantLog2<orderRows>();
  /// Above all groups that kernels take.
  static constexpr int64_t last = int64_t(1) << 62;
};
} // namespace

static Value toI64(KernelCode &k, Value number) {
  Type i64 = k.b.getI64Type();
  if (number.getType().isIndex())
    return arith::IndexCastOp::create(k.b, k.loc, i64, number);
  return arith::ExtUIOp::create(k.b, k.loc, i64, number);
}

/// The least experts of a place's row in increasing order, RowKey::noExpert
/// behind them.
static Code::Values leastExperts(KernelCode &k, const Group &g, Value place) {
  Value token = k.div(place, g.perToken), m = k.rem(place, g.perToken);
  Value none = k.number(RowKey::noExpert, k.i32());
  Code::Values nothing(RowKey::experts, none);
  return k.loop(k.index(0), g.choices, 1, nothing,
                [&](Value j, ValueRange before) {
                  auto [isPair, expert] = findPair(k, g, token, m, j);
                  Value next = k.select(isPair, k.min(expert, none), none);
                  Code::Values least;
                  for (Value each : before) {
                    Value isLess = k.isBelow(next, each);
                    least.push_back(k.select(isLess, next, each));
                    next = k.select(isLess, each, next);
                  }
                  return least;
                });
}

static Value keyOf(KernelCode &k, const Group &g, Value rowPlace, Value i) {
  Type i64 = k.b.getI64Type();
  Value key = toI64(k, k.load(g.clusters, rowPlace));
  auto append = [&](Value number, int64_t bits) {
    Value moved = arith::ShLIOp::create(k.b, k.loc, key, k.number(bits, i64));
    key = k.either(moved, toI64(k, number));
  };
  for (Value expert : leastExperts(k, g, rowPlace))
    append(expert, RowKey::expertBits);
  append(i, RowKey::placeBits);
  return key;
}

/// Rows with the same experts come to lie beside each other, within a group and
/// a block's rows.
static void emitOrder(KernelCode &k, const Group &g) {
  Type i64 = k.b.getI64Type();
  Value keys = k.shared(orderRows, i64), places = k.shared(orderRows, k.i32());
  Value used = k.toIndex(k.load(g.rowOffsets, k.index(g.groups)));
  Value first = k.mul(k.block(), orderRows);
  Value count =
      k.select(k.isBelow(first, used), k.sub(used, first), k.index(0));
  k.spread(k.index(orderRows), [&](Value i) {
    Value isRow = k.isBelow(i, count);
    Value key = k.choose(
        isRow, i64,
        [&] {
          Value place = k.load(g.rowPlace, k.add(first, i));
          k.store(place, places, i);
          return Code::Values{keyOf(k, g, k.toIndex(place), i)};
        },
        [&] { return Code::Values{k.number(RowKey::last, i64)}; })[0];
    k.store(key, keys, i);
  });
  sortKeys(k, keys, orderRows);
  k.spread(k.index(orderRows), [&](Value i) {
    k.when(k.isBelow(i, count), [&] {
      Value from = k.both(k.load(keys, i), k.number(orderRows - 1, i64));
      Value place = k.load(places, k.toIndex(from));
      storeRow(k, g, k.add(first, i), k.toIndex(place));
    });
  });
}

/// No blocks where there are few rows.
static Value blocksOfOrder(Code &host, const Group &g) {
  Value isFew = host.compare(arith::CmpIPredicate::sle, g.rows,
                             host.index(rowsInAnyOrder * g.groups));
  return host.select(isFew, host.index(0), host.ceilDiv(g.rows, orderRows));
}

//===----------------------------------------------------------------------===//
// Pairs
//===----------------------------------------------------------------------===//

/// Pairs in the order of rows, those of a row in the order of choices.
static void emitPairs(KernelCode &k, const Group &g, Value scratch) {
  Value zero = k.number(0, k.i32()), one = k.number(1, k.i32());
  Value first = k.mul(k.block(), pairThreads);
  // Of all rows, and of those of earlier blocks.
  Value sums[] = {zero, zero};
  Code::Values counted = k.loop(
      k.thread(), g.rows, pairThreads, sums, [&](Value row, ValueRange before) {
        Value count = k.load(g.rowPairs, row);
        Value isBefore = k.isBelow(row, first);
        return Code::Values{k.add(before[0], count),
                            k.add(before[1], k.select(isBefore, count, zero))};
      });
  Value all = k.sumBefore(counted[0], scratch).second;
  Value begin = k.sumBefore(counted[1], scratch).second;
  Value row = k.threadOfGrid();
  Value isRow = k.isBelow(row, g.rows);
  Value count = k.choose(
      isRow, k.i32(), [&] { return Code::Values{k.load(g.rowPairs, row)}; },
      [&] { return Code::Values{zero}; })[0];
  Value ahead = k.sumBefore(count, scratch).first;
  k.when(k.isBelow(row, k.add(g.rows, 1)), [&] {
    Value at = k.min(k.add(begin, ahead), k.toI32(g.pairs));
    k.store(at, g.pairFirst, row);
  });
  k.when(k.compare(arith::CmpIPredicate::sgt, count, zero), [&] {
    Value place = k.toIndex(k.load(g.rowPlace, row));
    Value token = k.div(place, g.perToken), m = k.rem(place, g.perToken);
    k.loop(k.index(0), g.choices, 1, {k.add(begin, ahead)},
           [&](Value j, ValueRange next) {
             auto [isPair, expert] = findPair(k, g, token, m, j);
             Value at = k.toIndex(next[0]);
             k.when(k.both(isPair, k.isBelow(at, g.pairs)), [&] {
               Value choice = k.add(k.mul(token, g.choices), j);
               k.store(k.toI32(row), g.pairRow, at);
               k.store(expert, g.pairExpert, at);
               k.store(k.load(g.weights, choice), g.pairWeight, at);
             });
             return Code::Values{k.add(next[0], k.select(isPair, one, zero))};
           });
  });
  Type weight = elementOf(g.pairWeight);
  Value none = k.number(-1, k.i32());
  Value nothing =
      arith::ConstantOp::create(k.b, k.loc, k.b.getFloatAttr(weight, 0));
  k.spreadOverGrid(k.toIndex(all), g.pairs, [&](Value pair) {
    k.store(none, g.pairRow, pair);
    k.store(none, g.pairExpert, pair);
    k.store(nothing, g.pairWeight, pair);
  });
}

LogicalResult ScheduledKernels::emit(GroupOp op) {
  OpBuilder builder(op);
  Code host(builder, op.getLoc());
  Group g;
  g.perToken = host.extent(op.getClusters(), 1);
  g.choices = host.extent(op.getIds(), 1);
  g.places = host.mul(host.extent(op.getClusters(), 0), g.perToken);
  g.rows = host.extent(op.getRowToken(), 0);
  g.pairs = host.extent(op.getPairRow(), 0);
  g.clusters = contiguous(host, op.getClusters());
  g.ids = contiguous(host, op.getIds());
  g.weights = contiguous(host, op.getWeights());
  g.slots = op.getSlots() ? contiguous(host, op.getSlots()) : Value();
  g.rowToken = destination(host, op.getRowToken());
  g.rowOffsets = destination(host, op.getRowOffsets());
  g.pairRow = destination(host, op.getPairRow());
  g.pairExpert = destination(host, op.getPairExpert());
  g.pairWeight = destination(host, op.getPairWeight());
  g.rowPlace = host.allocate(g.rows, host.i32());
  g.rowPairs = host.allocate(g.rows, host.i32());
  g.placeRow = rowsOfPlaces[g.rowToken] = host.allocate(g.places, host.i32());
  g.pairFirst = firstPairs[g.pairRow] =
      host.allocate(host.add(g.rows, 1), host.i32());
  g.groups = getIdType(op.getClusters()).getCount();
  IdType expert = getIdType(op.getIds());
  g.experts = expert.getCount() + expert.getSpecials();

  LogicalResult status =
      launch(host, "group_rows", blocksOfSort(host, g.places), sortThreads,
             [&](KernelCode &k) { emitUnusedRows(k, g, emitRows(k, g)); });
  if (succeeded(status) && hasSharedRows(g))
    status = launch(host, "group_order", blocksOfOrder(host, g), orderThreads,
                    [&](KernelCode &k) { emitOrder(k, g); });
  if (succeeded(status))
    status =
        launch(host, "group_pairs", host.add(host.div(g.rows, pairThreads), 1),
               pairThreads, [&](KernelCode &k) {
                 emitPairs(k, g, k.shared(pairWarps, k.i32()));
               });
  op.erase();
  return status;
}

//===----------------------------------------------------------------------===//
// moe.scatter_combine
//===----------------------------------------------------------------------===//

/// Rows of a token in increasing order: there are few. Rows past the last are -1.
static void emitSorted(KernelCode &k, Value rows, Value from, Value sorted,
                       int64_t count) {
  Value none = k.number(-1, k.i32());
  Value largest = k.number(std::numeric_limits<int32_t>::max(), k.i32());
  k.loop(k.index(0), k.index(count), 1, {none},
         [&](Value place, ValueRange last) {
           Value least =
               k.loop(k.index(0), k.index(count), 1, {largest},
                      [&](Value i, ValueRange best) {
                        Value row = k.load(rows, k.add(from, i));
                        Value isNext = k.both(k.isBelow(last[0], row),
                                              k.isBelow(row, best[0]));
                        return Code::Values{k.select(isNext, row, best[0])};
                      })[0];
           Value isRow = k.isBelow(least, largest);
           k.store(k.select(isRow, least, none), sorted, place);
           return Code::Values{least};
         });
}

LogicalResult ScheduledKernels::emit(ScatterCombineOp op) {
  constexpr int64_t threads = 128;
  OpBuilder builder(op);
  Code host(builder, op.getLoc());
  int64_t most = op->getAttrOfType<IntegerAttr>(rowsPerTokenAttrName).getInt();
  Value rows = host.extent(op.getIndex(), 0);
  Value tokens = host.extent(op.getInit(), 0);
  Value columns = host.extent(op.getInit(), 1);
  Value input = contiguous(host, op.getInput());
  Value index = contiguous(host, op.getIndex());
  Value weights = op.getWeights() ? contiguous(host, op.getWeights()) : Value();
  Value output = destination(host, op.getInit());
  Value rowsOf = rowsOfPlaces.lookup(index);
  if (!rowsOf)
    return op.emitOpError("adds up rows of no moe.group that has kernels in "
                          "this function");
  LogicalResult status =
      launch(host, "combine", tokens, threads, [&](KernelCode &k) {
        Value sorted = k.shared(most, k.i32()), token = k.block();
        k.when(k.isEqual(k.thread(), k.index(0)), [&] {
          emitSorted(k, rowsOf, k.mul(token, most), sorted, most);
        });
        k.barrier();
        k.spread(columns, [&](Value column) {
          Value at = k.add(k.mul(token, columns), column);
          Value sum = op.getAccumulate() ? k.loadFloat(output, at) : k.zero();
          sum = k.loop(k.index(0), k.index(most), 1, {sum},
                       [&](Value m, ValueRange before) {
                         Value row = k.load(sorted, m);
                         Value isRow = k.isWithin(row, rows);
                         return k.choose(
                             isRow, {k.f32()},
                             [&] {
                               Value r = k.toIndex(row);
                               Value x = k.loadFloat(
                                   input, k.add(k.mul(r, columns), column));
                               if (weights)
                                 x = k.mulF(k.loadFloat(weights, r), x);
                               return Code::Values{k.addF(before[0], x)};
                             },
                             [&] { return Code::Values{before[0]}; });
                       })[0];
          k.storeFloat(sum, output, at);
        });
      });
  op.erase();
  return status;
}
