// moe.grouped_up and moe.grouped_matmul as kernels: tiles of the base on tensor cores, and what the experts of a row add to it
// while its tile is in shared memory.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CPU/Activation.h"
#include "lowering/CUDA/ScheduledKernels.h"
#include "lowering/CUDA/TileMatmul.h"
#include "lowering/ScheduleFields.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

namespace moec::lowering {
/// A product over groups of rows, its operands as lists, and what the first kernels work out for the last.
struct TiledProduct {
  /// Rows as they are, which residuals get, and as the weights get them.
  Value x, factor, offsets;
  Value rows;
  int64_t groups = 0;
  SmallVector<MatrixPool> weights;
  ActivationAttr act;
  Type element;

  // Pairs, by row. Without any, a row is one expert's.
  Value pairRow, pairExpert, pairWeight, pairs;
  /// For each weight the two factors of its residual.
  SmallVector<MatrixPool> residuals;
  /// h·shrink of each pair.
  std::optional<MatrixPool> shrink;
  /// What each pair adds: pairWeight·segment·expand.
  std::optional<MatrixPool> expand;
  Value segment;

  /// Rows, or hidden rows; and v.
  Value output, shrunk;

  // Worked out.
  TilePlan tiles;
  /// For each row its first pair.
  Value pairFirst;
  /// x·A of each pair: for each weight its rank.
  Value low;
  /// v in parts, one for each run of columns.
  Value parts, runs;

  /// Sizes, of which the host takes one by rows of a group.
  SmallVector<TileSchedule> schedules;
  /// For each but the last whether the groups have no more rows than it is for.
  SmallVector<Value> isFew;

  bool isUp() const { return bool(pairWeight) && !expand; }
  int64_t columns() const { return weights.front().columns; }
  int64_t columnTiles(const TileSchedule &schedule) const {
    return llvm::divideCeil(columns(), schedule.columns);
  }
  /// Runs that the tiles of columns are split into.
  int64_t runsOf(const TileSchedule &schedule) const {
    return std::min(columnTiles(schedule), schedule.runs);
  }
  int64_t lowColumns() const {
    int64_t sum = 0;
    for (size_t i = 0; i < residuals.size(); i += 2)
      sum += residuals[i].columns;
    return sum;
  }
};
} // namespace moec::lowering

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

/// What `value` gives for the schedule that is taken.
static Value pick(Code &host, const TiledProduct &p,
                  llvm::function_ref<Value(const TileSchedule &)> value) {
  Value taken = value(p.schedules.back());
  for (size_t i = p.isFew.size(); i-- > 0;)
    taken = host.select(p.isFew[i], value(p.schedules[i]), taken);
  return taken;
}

/// `body` for each schedule, on the host where that is the one taken.
static void forTaken(Code &host, const TiledProduct &p,
                     llvm::function_ref<void(const TileSchedule &)> body,
                     size_t first = 0) {
  if (first == p.isFew.size())
    return body(p.schedules[first]);
  host.when(
      p.isFew[first], [&] { body(p.schedules[first]); },
      [&] { forTaken(host, p, body, first + 1); });
}

/// Tiles of each group, in order; those behind the last have group -1.
LogicalResult ScheduledKernels::planTiles(Code &host, TiledProduct &p,
                                          Attribute schedule) {
  TilePlan &plan = tilePlans[{p.offsets, schedule}];
  if (plan.count) {
    p.tiles = plan;
    return success();
  }
  Value tileRows =
      pick(host, p, [&](const TileSchedule &s) { return host.index(s.rows); });
  plan.count = pick(host, p, [&](const TileSchedule &s) {
    return host.add(host.ceilDiv(p.rows, s.rows), p.groups);
  });
  for (Value *list : {&plan.group, &plan.firstRow, &plan.endRow})
    *list = host.allocate(plan.count, host.i32());
  p.tiles = plan;
  constexpr int64_t threads = 128;
  return launch(host, "tiles", host.index(1), threads, [&](KernelCode &k) {
    Value offsets = k.shared(p.groups + 1, k.i32());
    k.spread(k.index(p.groups + 1),
             [&](Value i) { k.store(k.load(p.offsets, i), offsets, i); });
    k.spread(p.tiles.count, [&](Value i) {
      k.store(k.number(-1, k.i32()), p.tiles.group, i);
    });
    k.barrier();
    k.when(k.isEqual(k.thread(), k.index(0)), [&] {
      k.loop(k.index(0), k.index(p.groups), 1, {k.index(0)},
             [&](Value group, ValueRange next) {
               Value first = k.toIndex(k.load(offsets, group));
               Value end = k.toIndex(k.load(offsets, k.add(group, 1)));
               Value count = k.ceilDiv(k.sub(end, first), tileRows);
               k.loop(k.index(0), count, 1, [&](Value i) {
                 Value tile = k.add(next[0], i);
                 Value row = k.add(first, k.mul(i, tileRows));
                 k.store(k.toI32(group), p.tiles.group, tile);
                 k.store(k.toI32(row), p.tiles.firstRow, tile);
                 Value behind = k.min(k.add(row, tileRows), end);
                 k.store(k.toI32(behind), p.tiles.endRow, tile);
               });
               return Code::Values{k.add(next[0], count)};
             });
    });
  });
}

/// Rows that no group has are zero.
LogicalResult ScheduledKernels::zeroUnused(Code &host, const TiledProduct &p) {
  return launch(
      host, "zero_unused", p.rows, /*threads=*/128, [&](KernelCode &k) {
        Value used = k.load(p.offsets, k.index(p.groups));
        Value begin = k.mul(k.block(), p.columns());
        k.when(k.compare(arith::CmpIPredicate::sge, k.block(), k.toIndex(used)),
               [&] {
                 k.spread(k.index(p.columns()), [&](Value column) {
                   k.storeFloat(k.zero(), p.output, k.add(begin, column));
                 });
               });
      });
}

/// pairFirst[row] to pairFirst[row + 1]: the pairs of a row, which are sorted by row; -1 stands behind all.
LogicalResult ScheduledKernels::planPairs(Code &host, TiledProduct &p) {
  constexpr int64_t threads = 128;
  Value &plan = pairPlans[p.pairRow];
  if (plan) {
    p.pairFirst = plan;
    return success();
  }
  p.pairFirst = plan = host.allocate(host.add(p.rows, 1), host.i32());
  Value blocks = host.ceilDiv(host.add(p.pairs, 1), threads);
  return launch(host, "pairs_of_rows", blocks, threads, [&](KernelCode &k) {
    Value pair = k.add(k.mul(k.block(), threads), k.thread());
    auto rowOf = [&](Value at) {
      Value row = k.load(p.pairRow, at);
      return k.select(k.isWithin(row, p.rows), k.toIndex(row), p.rows);
    };
    Type type = k.b.getIndexType();
    k.when(k.isBelow(pair, k.add(p.pairs, 1)), [&] {
      Value row = k.choose(
          k.isBelow(pair, p.pairs), type,
          [&] { return Code::Values{rowOf(pair)}; },
          [&] { return Code::Values{p.rows}; })[0];
      Value from = k.choose(
          k.isEqual(pair, k.index(0)), type,
          [&] { return Code::Values{k.index(0)}; },
          [&] {
            return Code::Values{k.add(rowOf(k.sub(pair, k.index(1))), 1)};
          })[0];
      k.loop(from, k.add(row, 1), 1,
             [&](Value i) { k.store(k.toI32(pair), p.pairFirst, i); });
    });
  });
}

/// Numbers as tensor cores take them: a list of the weights' type.
Value ScheduledKernels::roundRows(Code &host, Value list, Value count,
                                  Type element) {
  if (elementOf(list) == element)
    return list;
  Value rounded = host.allocate(count, element);
  AffineMap map = AffineMap::getMultiDimIdentityMap(1, host.b.getContext());
  linalg::GenericOp::create(
      host.b, host.loc, ValueRange{list}, ValueRange{rounded},
      ArrayRef<AffineMap>{map, map}, utils::IteratorType::parallel,
      [&](OpBuilder &builder, Location loc, ValueRange at) {
        linalg::YieldOp::create(
            builder, loc,
            arith::TruncFOp::create(builder, loc, element, at[0]).getResult());
      });
  return rounded;
}

//===----------------------------------------------------------------------===//
// x·A
//===----------------------------------------------------------------------===//

/// A block for each pair: its warps share the reduction, and are added up in their order.
LogicalResult ScheduledKernels::shrink(Code &host, TiledProduct &p) {
  constexpr int64_t threads = 128, warps = threads / KernelCode::warpSize;
  int64_t columns = p.lowColumns();
  p.low = host.allocate(host.mul(p.pairs, columns), host.f32());
  return launch(host, "shrink", p.pairs, threads, [&](KernelCode &k) {
    Value sums = k.shared(warps * columns, k.f32());
    Value pair = k.block(), row = k.load(p.pairRow, pair);
    Value expert = k.load(p.pairExpert, pair);
    k.when(k.isWithin(row, p.rows), [&] {
      int64_t first = 0;
      for (size_t i = 0; i < p.residuals.size(); i += 2) {
        const MatrixPool &a = p.residuals[i];
        auto [begin, isThere] = a.find(k, expert);
        Value depth = k.select(isThere, k.index(a.rows), k.index(0));
        Value from = k.mul(k.toIndex(row), a.rows);
        k.loop(k.lane(), k.index(a.columns), KernelCode::warpSize,
               [&](Value column) {
                 Value sum =
                     k.loop(k.warp(), depth, warps, {k.zero()},
                            [&](Value d, ValueRange before) {
                              Value x = k.loadFloat(p.x, k.add(from, d));
                              Value at = k.add(
                                  begin, k.add(k.mul(d, a.columns), column));
                              return Code::Values{
                                  k.fma(x, k.loadFloat(a.list, at), before[0])};
                            })[0];
                 Value place =
                     k.add(k.mul(k.warp(), columns), k.add(column, first));
                 k.store(sum, sums, place);
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
// Tiles
//===----------------------------------------------------------------------===//

namespace {
/// The kernel of one product. A warp finishes 16 rows of a tile, one after the other; a lane has two of its columns.
class TileKernel {
public:
  TileKernel(KernelCode &k, const TiledProduct &p, const TileSchedule &s)
      : k(k), p(p), s(s), rowsOfWarp(s.rows / s.warps()),
        columnsOfLane(s.columns / KernelCode::warpSize),
        bytes(
            k.shared(s.sharedBytes(p.weights.size()), k.b.getIntegerType(8))) {}

  void emit() {
    int64_t runs = p.runsOf(s), tiles = p.columnTiles(s);
    Value tile = k.div(k.block(), runs);
    run = k.rem(k.block(), k.index(runs));
    Value group = k.load(p.tiles.group, tile);
    Value isTile =
        k.compare(arith::CmpIPredicate::sge, group, k.number(0, k.i32()));
    k.when(isTile, [&] {
      firstRow = k.toIndex(k.load(p.tiles.firstRow, tile));
      endRow = k.toIndex(k.load(p.tiles.endRow, tile));
      TileOperands operands;
      operands.x = p.factor;
      operands.firstRow = firstRow;
      operands.endRow = endRow;
      operands.depth = p.weights.front().rows;
      operands.columns = p.columns();
      for (const MatrixPool &pool : p.weights) {
        auto [begin, isThere] = pool.find(k, group);
        operands.weights.push_back(pool.list);
        operands.begins.push_back(begin);
        operands.hasMatrix =
            operands.hasMatrix ? k.both(operands.hasMatrix, isThere) : isThere;
      }
      int64_t ofRun = llvm::divideCeil(tiles, runs);
      Value first = k.mul(run, ofRun);
      Value last = k.min(k.add(first, ofRun), k.index(tiles));
      k.loop(first, last, 1, [&](Value columnTile) {
        firstColumn = k.mul(columnTile, s.columns);
        sums = multiplyTile(k, s, operands, firstColumn, bytes);
        finishRows();
        // The next tile's stages take the place of these sums.
        k.barrier();
      });
    });
  }

private:
  void finishRows() {
    k.loop(k.index(0), k.index(rowsOfWarp), 1, [&](Value i) {
      Value local = k.add(k.mul(k.warp(), rowsOfWarp), i);
      Value row = k.add(firstRow, local);
      k.when(k.isBelow(row, endRow), [&] {
        columns.clear();
        for (int64_t j = 0; j < columnsOfLane; ++j)
          columns.push_back(k.add(k.lane(), j * KernelCode::warpSize));
        finishRow(local, row);
      });
    });
  }

  Value isColumn(Value column) {
    return k.isBelow(k.add(firstColumn, column), k.index(p.columns()));
  }
  /// A column that there is.
  Value safeColumn(Value column) {
    return k.select(isColumn(column), k.add(firstColumn, column), k.index(0));
  }
  Value rounded(Value value) { return k.rounded(value, p.element); }

  void finishRow(Value local, Value row) {
    Code::Values base;
    for (Value list : sums)
      for (Value column : columns)
        base.push_back(k.load(list, k.add(k.mul(local, s.columns), column)));
    Code::Values results;
    if (p.isUp()) {
      results = overPairs(
          row, Code::Values(columnsOfLane, k.zero()),
          [&](Value pair, Value expert, Value weight, ValueRange before) {
            return addPair(base, pair, expert, weight, before);
          });
    } else {
      results = activate(base);
      if (p.expand)
        results = overPairs(
            row, results,
            [&](Value pair, Value expert, Value weight, ValueRange before) {
              return addSegment(pair, expert, weight, before);
            });
    }
    for (auto [value, column] : llvm::zip_equal(results, columns))
      k.when(isColumn(column), [&, value = value, column = column] {
        Value at = k.add(k.mul(row, p.columns()), k.add(firstColumn, column));
        k.storeFloat(value, p.output, at);
      });
  }

  /// The pairs of a row, in order, carrying a value for each column.
  Code::Values overPairs(
      Value row, Code::Values inits,
      llvm::function_ref<Code::Values(Value, Value, Value, ValueRange)> body) {
    Value from = k.toIndex(k.load(p.pairFirst, row));
    Value to = k.toIndex(k.load(p.pairFirst, k.add(row, 1)));
    return k.loop(from, to, 1, inits, [&](Value pair, ValueRange before) {
      return body(pair, k.load(p.pairExpert, pair),
                  k.loadFloat(p.pairWeight, pair), before);
    });
  }

  /// act of what each weight gives, for each column; without an activation the first weight's.
  Code::Values activate(const Code::Values &products) {
    if (!p.act)
      return products;
    Code::Values results;
    for (int64_t j = 0; j < columnsOfLane; ++j) {
      Value up = rounded(products[j]);
      Value gate = p.weights.size() == 2 ? rounded(products[columnsOfLane + j])
                                         : Value();
      results.push_back(moec::lowering::activate(k, p.act, up, gate));
    }
    return results;
  }

  /// sum += list[from + r]·matrix[r, column] over r, for each column.
  Code::Values expand(Value list, Value from, const MatrixPool &matrix,
                      Value entry, ValueRange inits) {
    auto [begin, isThere] = matrix.find(k, entry);
    Value rank = k.select(isThere, k.index(matrix.rows), k.index(0));
    return k.loop(k.index(0), rank, 1, inits, [&](Value r, ValueRange before) {
      Value low = k.loadFloat(list, k.add(from, r));
      Value line = k.add(begin, k.mul(r, matrix.columns));
      Code::Values next;
      for (auto [sum, column] : llvm::zip_equal(before, columns)) {
        Value number =
            k.loadFloat(matrix.list, k.add(line, safeColumn(column)));
        next.push_back(k.fma(low, number, sum));
      }
      return next;
    });
  }

  /// before + weight·h of a pair, and its part of v.
  Code::Values addPair(const Code::Values &base, Value pair, Value expert,
                       Value weight, ValueRange before) {
    Code::Values products = base;
    int64_t first = 0;
    for (size_t i = 0; i < p.residuals.size(); i += 2) {
      auto begin = products.begin() + i / 2 * columnsOfLane;
      Code::Values inits(begin, begin + columnsOfLane);
      Value from = k.add(k.mul(pair, p.lowColumns()), first);
      Code::Values added =
          expand(p.low, from, p.residuals[i + 1], expert, inits);
      llvm::copy(added, products.begin() + i / 2 * columnsOfLane);
      first += p.residuals[i].columns;
    }
    Code::Values hidden;
    for (Value h : activate(products))
      hidden.push_back(rounded(h));
    if (p.shrink)
      shrinkHidden(hidden, pair, expert);
    Code::Values sums;
    for (auto [sum, h] : llvm::zip_equal(before, hidden))
      sums.push_back(k.addF(sum, k.mulF(weight, h)));
    return sums;
  }

  /// v += h·shrink over the tile's columns, into this run's part.
  void shrinkHidden(const Code::Values &hidden, Value pair, Value expert) {
    const MatrixPool &a = *p.shrink;
    auto [begin, isThere] = a.find(k, expert);
    k.loop(k.index(0), k.select(isThere, k.index(a.columns), k.index(0)), 1,
           [&](Value r) {
             Value sum = k.zero();
             for (auto [h, column] : llvm::zip_equal(hidden, columns)) {
               Value at =
                   k.add(begin, k.add(k.mul(safeColumn(column), a.columns), r));
               Value number = k.loadFloat(a.list, at);
               number = k.select(isColumn(column), number, k.zero());
               sum =
                   k.fma(k.select(isColumn(column), h, k.zero()), number, sum);
             }
             sum = k.sumOfLanes(sum);
             k.when(k.isEqual(k.lane(), k.index(0)), [&] {
               Value place = k.add(k.mul(run, p.pairs), pair);
               place = k.add(k.mul(place, a.columns), r);
               k.store(k.addF(k.load(p.parts, place), sum), p.parts, place);
             });
           });
  }

  /// before + weight·segment·expand of a pair.
  Code::Values addSegment(Value pair, Value expert, Value weight,
                          ValueRange before) {
    Value from = k.mul(pair, p.expand->rows);
    Code::Values added = expand(p.segment, from, *p.expand, expert,
                                Code::Values(columnsOfLane, k.zero()));
    Code::Values sums;
    for (auto [sum, value] : llvm::zip_equal(before, added))
      sums.push_back(k.addF(sum, k.mulF(weight, value)));
    return sums;
  }

  KernelCode &k;
  const TiledProduct &p;
  const TileSchedule &s;
  const int64_t rowsOfWarp, columnsOfLane;
  Value bytes, run, firstRow, endRow, firstColumn;
  SmallVector<Value> sums;
  Code::Values columns;
};
} // namespace

LogicalResult ScheduledKernels::multiply(Code &host, const TiledProduct &p) {
  LogicalResult status = success();
  forTaken(host, p, [&](const TileSchedule &s) {
    if (failed(launch(host, p.isUp() ? "up" : "matmul",
                      host.mul(p.tiles.count, p.runsOf(s)), s.threads(),
                      [&](KernelCode &k) { TileKernel(k, p, s).emit(); })))
      status = failure();
  });
  return status;
}

/// v of each pair, from its parts in their order.
LogicalResult ScheduledKernels::addParts(Code &host, const TiledProduct &p) {
  constexpr int64_t threads = 128;
  Value numbers = host.mul(p.pairs, p.shrink->columns);
  return launch(host, "add_parts", host.ceilDiv(numbers, threads), threads,
                [&](KernelCode &k) {
                  Value i = k.add(k.mul(k.block(), threads), k.thread());
                  k.when(k.isBelow(i, numbers), [&] {
                    Value sum =
                        k.loop(k.index(0), p.runs, 1, {k.zero()},
                               [&](Value run, ValueRange before) {
                                 Value at = k.add(k.mul(run, numbers), i);
                                 return Code::Values{
                                     k.addF(before[0], k.load(p.parts, at))};
                               })[0];
                    k.storeFloat(sum, p.shrunk, i);
                  });
                });
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

template <typename Op>
FailureOr<TiledProduct> ScheduledKernels::productOf(Code &host, Op op) {
  TiledProduct p;
  auto schedules = readTileSchedules(op, op.getWeights().size());
  if (failed(schedules))
    return failure();
  p.schedules = *schedules;
  p.x = contiguous(host, op.getInput());
  p.rows = host.extent(op.getInput(), 0);
  p.element = elementOf(op.getInput());
  p.offsets = contiguous(host, op.getOffsets());
  for (Value weight : op.getWeights())
    p.weights.push_back(poolOf(host, weight));
  p.groups = p.weights.front().entries;
  p.factor = roundRows(host, p.x, host.mul(p.rows, p.weights.front().rows),
                       p.weights.front().element);
  p.act = op.getActAttr();
  for (const TileSchedule &s : ArrayRef(p.schedules).drop_back())
    p.isFew.push_back(host.compare(arith::CmpIPredicate::sle, p.rows,
                                   host.index(s.mostRows * p.groups)));
  p.runs = pick(host, p,
                [&](const TileSchedule &s) { return host.index(p.runsOf(s)); });
  if (!op.getPairRow())
    return p;
  p.pairRow = contiguous(host, op.getPairRow());
  p.pairExpert = contiguous(host, op.getPairExpert());
  p.pairs = host.extent(op.getPairRow(), 0);
  return p;
}

LogicalResult ScheduledKernels::emit(GroupedUpOp op) {
  OpBuilder builder(op);
  Code host(builder, op.getLoc());
  FailureOr<TiledProduct> product = productOf(host, op);
  if (failed(product))
    return failure();
  TiledProduct &p = *product;
  p.pairWeight = contiguous(host, op.getPairWeights());
  for (Value factor : op.getResiduals())
    p.residuals.push_back(poolOf(host, factor));
  p.output = destination(host, op.getHidden());
  if (op.getShrink()) {
    p.shrink = poolOf(host, op.getShrink());
    p.shrunk = destination(host, op.getShrunk());
    p.parts = allocateFilled(
        host, host.mul(host.mul(p.pairs, p.shrink->columns), p.runs),
        host.zero());
  }
  bool isDone = succeeded(zeroUnused(host, p)) &&
                succeeded(planTiles(host, p, op->getAttr(scheduleAttrName))) &&
                succeeded(planPairs(host, p)) &&
                (p.residuals.empty() || succeeded(shrink(host, p))) &&
                succeeded(multiply(host, p)) &&
                (!p.shrink || succeeded(addParts(host, p)));
  op.erase();
  return success(isDone);
}

LogicalResult ScheduledKernels::emit(GroupedMatmulOp op) {
  OpBuilder builder(op);
  Code host(builder, op.getLoc());
  FailureOr<TiledProduct> product = productOf(host, op);
  if (failed(product))
    return failure();
  TiledProduct &p = *product;
  p.output = destination(host, op.getInit());
  if (op.getSegment()) {
    p.pairWeight = contiguous(host, op.getSegmentWeights());
    p.segment = contiguous(host, op.getSegment());
    p.expand = poolOf(host, op.getExpand());
  }
  bool isDone = succeeded(zeroUnused(host, p)) &&
                succeeded(planTiles(host, p, op->getAttr(scheduleAttrName))) &&
                (!p.expand || succeeded(planPairs(host, p))) &&
                succeeded(multiply(host, p));
  op.erase();
  return success(isDone);
}
