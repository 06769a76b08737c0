// moe.group and moe.scatter_combine as kernels: rows sorted by cluster, and added up by token.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/ScheduledKernels.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

/// Threads of the one block that sorts.
static constexpr int64_t groupThreads = 256;
static constexpr int64_t groupWarps = groupThreads / KernelCode::warpSize;

//===----------------------------------------------------------------------===//
// moe.group
//===----------------------------------------------------------------------===//

namespace {
/// What the kernels of one moe.group read and write: lists, and extents.
struct Group {
  Value clusters, ids, weights, slots;
  Value rowToken, rowOffsets, pairRow, pairExpert, pairWeight;
  /// For each row the place in `clusters` that it comes from, or -1.
  Value rowPlace;
  Value places, rows, pairs, perToken, choices;
  int64_t groups, experts;
};
} // namespace

/// Rows of each group as offsets: counted by all threads, added up by one.
static void emitOffsets(KernelCode &k, const Group &g, Value counts) {
  Value zero = k.number(0, k.i32()), one = k.number(1, k.i32());
  k.spread(k.index(g.groups), [&](Value i) { k.store(zero, counts, i); });
  k.barrier();
  k.spread(g.places, [&](Value i) {
    Value cluster = k.load(g.clusters, i);
    k.when(k.isWithin(cluster, k.index(g.groups)),
           [&] { k.atomicAdd(one, counts, k.toIndex(cluster)); });
  });
  k.barrier();
  k.when(k.isEqual(k.thread(), k.index(0)), [&] {
    Value total = k.loop(k.index(0), k.index(g.groups), 1, {zero},
                         [&](Value i, ValueRange before) {
                           Value count = k.load(counts, i);
                           k.store(before[0], g.rowOffsets, i);
                           k.store(before[0], counts, i);
                           return Code::Values{k.add(before[0], count)};
                         })[0];
    k.store(total, g.rowOffsets, k.index(g.groups));
  });
  k.barrier();
}

/// Rows in their order: of a run of places each warp counts its own by group, and rows of earlier warps come first.
/// `next` has the next row of each group.
static void emitRows(KernelCode &k, const Group &g, Value next, Value perWarp) {
  Value none = k.number(-1, k.i32());
  Value groups = k.index(g.groups);
  k.loop(k.index(0), g.places, groupThreads, [&](Value first) {
    Value place = k.add(first, k.thread());
    Value isPlace = k.isBelow(place, g.places);
    Value cluster = k.load(g.clusters, k.select(isPlace, place, k.index(0)));
    Value isRow = k.both(isPlace, k.isWithin(cluster, groups));
    cluster = k.select(isRow, cluster, none);
    k.spread(k.index(groupWarps * g.groups),
             [&](Value i) { k.store(k.number(0, k.i32()), perWarp, i); });
    k.barrier();
    Value same = k.lanesWith(cluster), rank = k.countBitsBefore(same);
    Value own = k.add(k.mul(k.warp(), groups), k.toIndex(cluster));
    Value isFirst = k.isEqual(rank, k.number(0, k.i32()));
    k.when(k.both(isRow, isFirst),
           [&] { k.store(k.countBits(same), perWarp, own); });
    k.barrier();
    k.spread(groups, [&](Value group) {
      Value last =
          k.loop(k.index(0), k.index(groupWarps), 1, {k.load(next, group)},
                 [&](Value warp, ValueRange before) {
                   Value at = k.add(k.mul(warp, groups), group);
                   Value count = k.load(perWarp, at);
                   k.store(before[0], perWarp, at);
                   return Code::Values{k.add(before[0], count)};
                 })[0];
      k.store(last, next, group);
    });
    k.barrier();
    k.when(isRow, [&] {
      Value row = k.toIndex(k.add(k.load(perWarp, own), rank));
      k.when(k.isBelow(row, g.rows), [&] {
        k.store(k.toI32(k.div(place, g.perToken)), g.rowToken, row);
        k.store(k.toI32(place), g.rowPlace, row);
      });
    });
    k.barrier();
  });
  Value used = k.toIndex(k.load(g.rowOffsets, groups));
  k.loop(k.add(used, k.thread()), g.rows, groupThreads, [&](Value row) {
    k.store(none, g.rowToken, row);
    k.store(none, g.rowPlace, row);
  });
}

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

/// Pairs in the order of rows, those of a row in the order of choices.
static void emitPairs(KernelCode &k, const Group &g, Value scratch) {
  Value zero = k.number(0, k.i32()), one = k.number(1, k.i32());
  Value used = k.loop(
      k.index(0), g.rows, groupThreads, {zero},
      [&](Value first, ValueRange before) {
        Value row = k.add(first, k.thread());
        Value isRow = k.isBelow(row, g.rows);
        Value place = k.load(g.rowPlace, k.select(isRow, row, k.index(0)));
        isRow =
            k.both(isRow, k.compare(arith::CmpIPredicate::sge, place, zero));
        place = k.toIndex(k.select(isRow, place, zero));
        Value token = k.div(place, g.perToken), m = k.rem(place, g.perToken);
        Value choices = k.select(isRow, g.choices, k.index(0));
        Value count = k.loop(
            k.index(0), choices, 1, {zero}, [&](Value j, ValueRange sum) {
              Value isPair = findPair(k, g, token, m, j).first;
              return Code::Values{k.add(sum[0], k.select(isPair, one, zero))};
            })[0];
        auto [ahead, all] = k.sumBefore(count, scratch);
        k.loop(k.index(0), choices, 1, {k.add(before[0], ahead)},
               [&](Value j, ValueRange next) {
                 auto [isPair, expert] = findPair(k, g, token, m, j);
                 Value at = k.toIndex(next[0]);
                 k.when(k.both(isPair, k.isBelow(at, g.pairs)), [&] {
                   Value choice = k.add(k.mul(token, g.choices), j);
                   k.store(k.toI32(row), g.pairRow, at);
                   k.store(expert, g.pairExpert, at);
                   k.store(k.load(g.weights, choice), g.pairWeight, at);
                 });
                 return Code::Values{
                     k.add(next[0], k.select(isPair, one, zero))};
               });
        return Code::Values{k.add(before[0], all)};
      })[0];
  Type weight = elementOf(g.pairWeight);
  Value none = k.number(-1, k.i32());
  Value nothing =
      arith::ConstantOp::create(k.b, k.loc, k.b.getFloatAttr(weight, 0));
  k.loop(k.add(k.toIndex(used), k.thread()), g.pairs, groupThreads,
         [&](Value pair) {
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
  g.groups = getIdType(op.getClusters()).getCount();
  IdType expert = getIdType(op.getIds());
  g.experts = expert.getCount() + expert.getSpecials();

  Value one = host.index(1);
  LogicalResult status =
      launch(host, "group_rows", one, groupThreads, [&](KernelCode &k) {
        Value counts = k.shared(g.groups, k.i32());
        Value perWarp = k.shared(groupWarps * g.groups, k.i32());
        emitOffsets(k, g, counts);
        emitRows(k, g, counts, perWarp);
      });
  if (succeeded(status))
    status = launch(host, "group_pairs", one, groupThreads, [&](KernelCode &k) {
      emitPairs(k, g, k.shared(groupWarps, k.i32()));
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
  Value found = allocateFilled(host, tokens, host.number(0, host.i32()));
  Value rowsOf =
      allocateFilled(host, host.mul(tokens, most), host.number(-1, host.i32()));

  LogicalResult status =
      launch(host, "rows_of_tokens", host.ceilDiv(rows, threads), threads,
             [&](KernelCode &k) {
               Value row = k.add(k.mul(k.block(), threads), k.thread());
               k.when(k.isBelow(row, rows), [&] {
                 Value token = k.load(index, row);
                 k.when(k.isWithin(token, tokens), [&] {
                   Value at = k.toIndex(token);
                   Value place = memref::AtomicRMWOp::create(
                       k.b, k.loc, arith::AtomicRMWKind::addi,
                       k.number(1, k.i32()), found, at);
                   k.when(k.isWithin(place, k.index(most)), [&] {
                     k.store(k.toI32(row), rowsOf,
                             k.add(k.mul(at, most), k.toIndex(place)));
                   });
                 });
               });
             });
  if (succeeded(status))
    status = launch(host, "combine", tokens, threads, [&](KernelCode &k) {
      Value sorted = k.shared(most, k.i32()), token = k.block();
      k.when(k.isEqual(k.thread(), k.index(0)),
             [&] { emitSorted(k, rowsOf, k.mul(token, most), sorted, most); });
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
