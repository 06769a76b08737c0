// x·A of each pair: of few pairs by a block for each, of many by tiles on tensor cores.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/SortByGroup.h"
#include "lowering/CUDA/TileMatmul.h"
#include "lowering/CUDA/TiledProduct.h"

using namespace mlir;
using namespace moec::lowering;

//===----------------------------------------------------------------------===//
// A block for each pair
//===----------------------------------------------------------------------===//

/// This thread's share of one column of x·A: lanes beside each other have
/// columns beside each other, and what is left of a warp's lanes and the warps
/// take turns in the reduction. A warp's lanes are added up.
static Value shareOfColumn(KernelCode &k, const TiledProduct &p,
                           const MatrixPool &a, Value row, Value expert,
                           Value column, int64_t lanes) {
  /// Loads that are on their way at once.
  constexpr int64_t unrolled = 8;
  auto [begin, isThere] = a.find(k, expert);
  Value depth = k.select(isThere, k.index(a.rows), k.index(0));
  Value from = k.mul(k.toIndex(row), a.rows);
  Value sum = k.unrolledLoop(
      k.div(k.thread(), lanes), depth, k.threads / lanes, unrolled, {k.zero()},
      [&, begin = begin](Value d, ValueRange before) {
        Value x = k.loadFloat(p.x, k.add(from, d));
        Value at = k.add(begin, k.add(k.mul(d, a.columns), column));
        return Code::Values{k.fma(x, k.loadFloat(a.list, at), before[0])};
      })[0];
  return k.sumOfLanes(sum, lanes);
}

/// A block for each pair, whose warps are added up in their order.
LogicalResult ScheduledKernels::shrinkPairs(Code &host, const TiledProduct &p) {
  int64_t columns = p.lowColumns();
  // As many as shared memory has room for the sums of.
  const int64_t warps = columns <= 512 ? 16 : 4;
  const int64_t threads = warps * KernelCode::warpSize;
  return launch(host, "shrink", p.pairs, threads, [&](KernelCode &k) {
    Value sums = k.shared(warps * columns, k.f32());
    Value pair = k.block(), row = k.load(p.pairRow, pair);
    Value expert = k.load(p.pairExpert, pair);
    k.when(k.isWithin(row, p.rows), [&] {
      int64_t first = 0;
      for (size_t i = 0; i < p.residuals.size(); i += 2) {
        const MatrixPool &a = p.residuals[i];
        int64_t lanes = std::min<int64_t>(llvm::PowerOf2Ceil(a.columns),
                                          KernelCode::warpSize);
        Value laneOfColumn = k.rem(k.lane(), k.index(lanes));
        k.loop(k.index(0), k.index(a.columns), lanes, [&](Value columnTile) {
          Value column = k.add(columnTile, laneOfColumn);
          Value isColumn = k.isBelow(column, k.index(a.columns));
          Value safe = k.select(isColumn, column, k.index(0));
          Value sum = shareOfColumn(k, p, a, row, expert, safe, lanes);
          Value isFirst = k.isBelow(k.lane(), k.index(lanes));
          k.when(k.both(isFirst, isColumn), [&] {
            Value place = k.add(k.mul(k.warp(), columns), k.add(column, first));
            k.store(sum, sums, place);
          });
        });
        first += a.columns;
      }
    });
    k.barrier();
    k.when(k.isWithin(row, p.rows), [&] {
      k.spread(k.index(columns), [&](Value column) {
        Value sum = k.load(sums, column);
        for (int64_t warp = 1; warp < warps; ++warp)
          sum = k.addF(sum, k.load(sums, k.add(column, warp * columns)));
        k.store(sum, p.low, k.add(k.mul(pair, columns), column));
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// Tiles of one expert's pairs
//===----------------------------------------------------------------------===//

namespace {
/// The kernel of tiles of pairs, sorted by their experts, and columns of A.
class ShrinkTile {
public:
  ShrinkTile(KernelCode &k, const TiledProduct &p, const PairsByExpert &pairs,
             const TileSchedule &s)
      : k(k), p(p), pairs(pairs), s(s),
        bytes(k.shared(s.sharedBytes(p.residuals.size() / 2),
                       k.b.getIntegerType(8))) {}

  void emit() {
    Value tile = k.div(k.block(), columnTiles());
    Value expert = k.load(pairs.tiles.group, tile);
    Value isTile =
        k.compare(arith::CmpIPredicate::sge, expert, k.number(0, k.i32()));
    k.when(isTile, [&] {
      TileOperands operands;
      operands.x = p.x;
      operands.firstRow = k.toIndex(k.load(pairs.tiles.firstRow, tile));
      operands.endRow = k.toIndex(k.load(pairs.tiles.endRow, tile));
      operands.rowAtPlace = pairs.row;
      operands.depth = p.residuals.front().rows;
      for (size_t i = 0; i < p.residuals.size(); i += 2)
        operands.matrices.push_back(matrixOf(k, p.residuals[i], expert));
      Value firstColumn =
          k.mul(k.rem(k.block(), k.index(columnTiles())), s.columns);
      WarpSums own = multiplyTile(k, s, operands, firstColumn, bytes);
      store(shareSums(k, s, operands.matrices.size(), own, bytes), operands,
            firstColumn);
    });
  }

  int64_t columnTiles() const {
    return llvm::divideCeil(p.mostLowColumns(), s.columns);
  }

private:
  /// Rows of T lie in the order of pairs.
  void store(ValueRange lists, const TileOperands &operands,
             Value firstColumn) {
    int64_t before = 0;
    for (auto [list, matrix] : llvm::zip_equal(lists, operands.matrices)) {
      k.spread(k.index(s.rows * s.columns), [&](Value i) {
        Value place = k.add(operands.firstRow, k.div(i, s.columns));
        Value column = k.add(firstColumn, k.rem(i, k.index(s.columns)));
        Value isInside = k.both(k.isBelow(place, operands.endRow),
                                k.isBelow(column, k.index(matrix.columns)));
        k.when(isInside, [&] {
          Value row =
              k.mul(k.toIndex(k.load(pairs.pair, place)), p.lowColumns());
          k.store(k.load(list, i), p.low, k.add(row, k.add(column, before)));
        });
      });
      before += matrix.columns;
    }
  }

  KernelCode &k;
  const TiledProduct &p;
  const PairsByExpert &pairs;
  const TileSchedule &s;
  Value bytes;
};
} // namespace

/// Pairs of each expert one behind the other, and tiles of them.
LogicalResult ScheduledKernels::sortPairs(Code &host, const TiledProduct &p,
                                          const PairsByExpert &pairs,
                                          int64_t tileRows) {
  GroupedItems items{p.pairExpert, p.pairs, p.experts, pairs.offsets};
  LogicalResult status =
      launch(host, "pairs_by_expert", blocksOfSort(host, p.pairs), sortThreads,
             [&](KernelCode &k) {
               sortByGroup(
                   k, items, [](Value) {},
                   [&](Value pair, Value at) {
                     k.store(k.toI32(pair), pairs.pair, at);
                     k.store(k.load(p.pairRow, pair), pairs.row, at);
                   });
             });
  if (failed(status))
    return failure();
  return planTiles(host, pairs.offsets, p.experts, host.index(tileRows),
                   pairs.tiles);
}

LogicalResult ScheduledKernels::shrinkTiles(Code &host, const TiledProduct &p,
                                            PairsByExpert pairs,
                                            int64_t tileRows) {
  TileSchedule s =
      narrowSchedule(tileRows, p.mostLowColumns(), p.residuals.size() / 2);
  pairs.tiles.count = host.add(host.ceilDiv(p.pairs, tileRows), p.experts);
  if (failed(sortPairs(host, p, pairs, tileRows)))
    return failure();
  int64_t columnTiles = llvm::divideCeil(p.mostLowColumns(), s.columns);
  return launch(host, "shrink_" + std::to_string(tileRows),
                host.mul(pairs.tiles.count, columnTiles), s.threads(),
                [&](KernelCode &k) { ShrinkTile(k, p, pairs, s).emit(); });
}

//===----------------------------------------------------------------------===//
// Both
//===----------------------------------------------------------------------===//

/// `body` for each number of rows of a tile, on the host where a schedule that
/// has it is the one taken. Schedules beside each other that have the same
/// share it.
static void forTakenRows(Code &host, const TiledProduct &p,
                         llvm::function_ref<void(int64_t)> body,
                         size_t first = 0) {
  int64_t rows = p.schedules[first].shrinkRows;
  size_t next = first;
  while (next < p.schedules.size() && p.schedules[next].shrinkRows == rows)
    ++next;
  if (next == p.schedules.size())
    return body(rows);
  host.when(
      p.isFew[next - 1], [&] { body(rows); },
      [&] { forTakenRows(host, p, body, next); });
}

LogicalResult ScheduledKernels::shrink(Code &host, TiledProduct &p) {
  p.low = host.allocate(host.mul(p.pairs, p.lowColumns()), host.f32());
  PairsByExpert pairs;
  int64_t leastRows = TileSchedule::any;
  for (const TileSchedule &s : p.schedules)
    if (s.shrinkRows)
      leastRows = std::min(leastRows, s.shrinkRows);
  if (leastRows != TileSchedule::any) {
    pairs.pair = host.allocate(p.pairs, host.i32());
    pairs.row = host.allocate(p.pairs, host.i32());
    pairs.offsets = host.allocate(host.index(p.experts + 1), host.i32());
    // As many as any of the schedules has.
    pairs.tiles.count = host.add(host.ceilDiv(p.pairs, leastRows), p.experts);
    pairs.tiles.allocate(host);
  }
  LogicalResult status = success();
  forTakenRows(host, p, [&](int64_t rows) {
    if (failed(rows ? shrinkTiles(host, p, pairs, rows) : shrinkPairs(host, p)))
      status = failure();
  });
  return status;
}
