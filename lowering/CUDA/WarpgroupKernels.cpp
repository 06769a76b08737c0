// The kernel of a product whose tiles warpgroups multiply.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/FinishFragments.h"
#include "lowering/CUDA/FinishRows.h"
#include "lowering/CUDA/WarpgroupMatmul.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace moec::lowering;

/// Tiles of rows whose runs are neighbours, those of a cluster of blocks as one: blocks that run at the same time share what they
/// read of x and of weights, and all of it stays in L2.
static int64_t tilesOfBand(const TileSchedule &s) { return 16 / s.cluster; }

/// A list as a matrix, or as several, for the host to make a tensor map of.
static Value viewOf(Code &host, Value list, ArrayRef<OpFoldResult> extents) {
  auto parts = memref::ExtractStridedMetadataOp::create(host.b, host.loc, list);
  SmallVector<int64_t> sizes, strides;
  int64_t stride = 1;
  for (OpFoldResult extent : llvm::reverse(extents)) {
    strides.insert(strides.begin(), stride);
    stride *= getConstantIntValue(extent).value_or(1);
  }
  for (OpFoldResult extent : extents)
    sizes.push_back(getConstantIntValue(extent).value_or(ShapedType::kDynamic));
  auto type =
      MemRefType::get(sizes, elementOf(list),
                      StridedLayoutAttr::get(host.b.getContext(),
                                             ShapedType::kDynamic, strides));
  return memref::ReinterpretCastOp::create(
      host.b, host.loc, type, parts.getBaseBuffer(),
      OpFoldResult(parts.getOffset()), extents,
      getAsIndexOpFoldResult(host.b.getContext(), strides));
}

namespace {
/// Finds the runs of tiles of one product, and finishes their tiles.
class WarpgroupKernel {
public:
  WarpgroupKernel(KernelCode &code, const TiledProduct &p,
                  const TileSchedule &s)
      : k(code), p(p), s(s), shape(p.shapeOf(s)), tilesOfRun(p.tilesOfRun(s)),
        shared(k.dynamicShared()) {}

  void emit(Value x, ValueRange weights, Value runs) {
    WarpgroupOperands operands;
    operands.x = k.tensorMap(x, {shape.rows, shape.depth});
    for (Value weight : weights)
      operands.weights.push_back(
          k.tensorMap(weight, {1, shape.boxRows(), shape.boxColumns}));
    operands.element = elementOf(p.factor);
    operands.depth = p.weights.front().rows;
    multiplyByWarpgroups(
        k, shape, operands, shared, runs,
        [&](Value run) { return findRun(run); },
        [&](const TileRun &run, Value tile, Value warp, ValueRange numbers) {
          finish(run, tile, warp, numbers);
        });
  }

private:
  /// Runs of a band of tiles of rows come together, and of these the rows of one run of columns.
  TileRun findRun(Value number) {
    int64_t ofBand = tilesOfBand(s) * p.runsOf(s);
    Value band = k.div(number, ofBand), within = k.rem(number, k.index(ofBand));
    Value rows = k.add(k.mul(band, tilesOfBand(s)),
                       k.rem(within, k.index(tilesOfBand(s))));
    Value isTile = k.isBelow(rows, p.tiles.count);
    rows = k.select(isTile, rows, k.index(0));
    Value group = k.load(p.tiles.group, rows);
    isTile = k.both(isTile, k.compare(arith::CmpIPredicate::sge, group,
                                      k.number(0, k.i32())));
    TileRun run;
    run.group = k.toIndex(group);
    run.firstRow = k.toIndex(k.load(p.tiles.firstRow, rows));
    run.endRow = k.toIndex(k.load(p.tiles.endRow, rows));
    // Blocks of a cluster have rows below each other.
    if (s.cluster > 1)
      run.firstRow =
          k.add(run.firstRow, k.mul(k.toIndex(k.blockOfCluster()), s.rows));
    run.firstTile = k.mul(k.div(within, tilesOfBand(s)), tilesOfRun);
    Value end =
        k.min(k.add(run.firstTile, tilesOfRun), k.index(p.columnTiles(s)));
    run.endTile = k.select(isTile, end, run.firstTile);
    for (const MatrixPool &pool : p.weights)
      run.places.push_back(placeOf(pool, group));
    return run;
  }

  /// Where in the pool the matrix of a group is, as maps count; outside of it where there is none.
  Value placeOf(const MatrixPool &pool, Value group) {
    auto [begin, isThere] = pool.find(k, group);
    Value place = k.div(begin, pool.rows * pool.columns);
    return k.select(isThere, k.toI32(place), k.number(-1, k.i32()));
  }

  void finish(const TileRun &run, Value tile, Value warp, ValueRange numbers) {
    if (s.isFinishedInRegisters())
      finishInRegisters(run, tile, warp, numbers);
    else
      finishInShared(run, tile, warp, numbers);
  }

  void finishInRegisters(const TileRun &run, Value tile, Value warp,
                         ValueRange numbers) {
    FragmentSums sums;
    sums.form = s.residualForm();
    sums.group = run.group;
    sums.numbers = numbers;
    sums.columns = shape.columns;
    // What is missing of a rank's last 16 takes registers.
    sums.columnsAtOnce = p.expand && p.expand->rows % 16 != 0 ? 16 : 32;
    sums.hasAllColumns = p.columns() % s.columns == 0;
    sums.firstRow =
        k.add(run.firstRow, k.mul(warp, WarpgroupShape::rowsOfWarp));
    sums.endRow = run.endRow;
    sums.firstColumn = k.mul(tile, shape.columns);
    sums.part = k.div(tile, tilesOfRun);
    finishFragments(k, p, sums);
    // Lanes went their own ways; warpgroups multiply with all of them.
    k.syncWarp();
  }

  /// A warp writes the sums of its rows and reads them.
  void finishInShared(const TileRun &run, Value tile, Value warp,
                      ValueRange numbers) {
    SharedSums sums;
    sums.group = run.group;
    sums.columns = shape.columns;
    sums.pitch = shape.pitchOfSums();
    sums.firstRow = run.firstRow;
    sums.endRow = run.endRow;
    sums.firstColumn = k.mul(tile, shape.columns);
    sums.run = k.div(tile, tilesOfRun);
    for (int64_t i = 0; i < shape.matrices; ++i)
      sums.lists.push_back(
          k.sharedView(shared, shape.sumsAt() + 4 * i * shape.columns,
                       shape.rows * sums.pitch - i * shape.columns, k.f32()));
    Value from = k.mul(warp, WarpgroupShape::rowsOfWarp);
    store(numbers, sums.lists.front(), from);
    k.syncWarp();
    finishRows(k, p, sums, from, WarpgroupShape::rowsOfWarp);
    k.syncWarp();
  }

  void store(ValueRange numbers, Value list, Value from) {
    Value row = k.add(from, k.div(k.lane(), 4));
    Value column = k.mul(k.rem(k.lane(), k.index(4)), 2);
    Value at = k.add(k.mul(row, shape.pitchOfSums()), column);
    for (auto [i, number] : llvm::enumerate(numbers)) {
      int64_t below = i / 2 % 2 * 8, right = i / 4 * 8 + i % 2;
      k.store(number, list, k.add(at, below * shape.pitchOfSums() + right));
    }
  }

  HopperCode k;
  const TiledProduct &p;
  const TileSchedule &s;
  const WarpgroupShape shape;
  const int64_t tilesOfRun;
  Value shared;
};
} // namespace

LogicalResult ScheduledKernels::multiplyByWarpgroups(Code &host,
                                                     const TiledProduct &p,
                                                     const TileSchedule &s,
                                                     StringRef name) {
  auto constant = [&](int64_t number) -> OpFoldResult {
    return host.b.getIndexAttr(number);
  };
  const MatrixPool &first = p.weights.front();
  Value x =
      viewOf(host, p.factor, {OpFoldResult(p.rows), constant(first.rows)});
  SmallVector<Value> weights;
  for (const MatrixPool &pool : p.weights)
    weights.push_back(viewOf(
        host, pool.list,
        {constant(pool.places), constant(pool.rows), constant(pool.columns)}));
  Value runs = host.mul(host.ceilDiv(p.tiles.count, tilesOfBand(s)),
                        tilesOfBand(s) * p.runsOf(s));
  Value clusters = host.min(runs, host.index(s.blocks / s.cluster));
  return launch(
      host, name, host.mul(clusters, s.cluster), s.threads(),
      [&](KernelCode &k) { WarpgroupKernel(k, p, s).emit(x, weights, runs); },
      p.shapeOf(s).sharedBytes(), s.cluster);
}
