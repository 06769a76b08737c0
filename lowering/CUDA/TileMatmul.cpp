// One tile of a product on tensor cores: cp.async stages, ldmatrix, mma.sync.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/TileMatmul.h"

using namespace mlir;
using namespace moec::lowering;

namespace {
/// Numbers that one asynchronous copy brings.
constexpr int64_t copied = 8;

/// Of the warps that share the reduction, which this is.
Value warpInDepth(KernelCode &k, const TileSchedule &s) {
  return k.div(k.warp(), s.warpsDown * s.warpsAcross);
}

class TileEmitter {
public:
  TileEmitter(KernelCode &k, const TileSchedule &s, const TileOperands &o,
              Value firstColumn, Value bytes)
      : k(k), s(s), o(o), firstColumn(firstColumn), bytes(bytes),
        element(elementOf(o.x)), matrices(o.matrices.size()),
        warpRows(s.rows / s.warpsDown), warpColumns(s.columns / s.warpsAcross),
        rowBlocks(warpRows / 16), columnBlocks(warpColumns / 8) {}

  WarpSums emit() {
    findRows();
    int64_t steps = (o.depth + s.depth - 1) / s.depth;
    for (int64_t i = 0; i < s.stages - 1; ++i) {
      if (i < steps)
        load(k.index(i), k.index(i));
      k.commitCopies();
    }
    Code::Values sums =
        k.loop(k.index(0), k.index(steps), 1,
               Code::Values(matrices * rowBlocks * columnBlocks * 4, k.zero()),
               [&](Value step, ValueRange before) {
                 k.waitCopies(s.stages - 2);
                 // All have this stage, and nobody reads the one that is filled next.
                 k.barrier();
                 Value next = k.add(step, s.stages - 1);
                 k.when(k.isBelow(next, k.index(steps)),
                        [&] { load(next, stageOf(next)); });
                 k.commitCopies();
                 return multiply(stageOf(step), before);
               });
    k.waitCopies(0);
    return warpSums(sums);
  }

private:
  Value stageOf(Value step) { return k.rem(step, k.index(s.stages)); }

  Value stage() {
    return k.sharedView(bytes, 0, s.stages * s.stageBytes(matrices) / 2,
                        element);
  }
  Value beginOfX(Value stage) {
    return k.mul(stage, s.stageBytes(matrices) / 2);
  }
  Value beginOfW(Value stage, int64_t matrix) {
    return k.add(beginOfX(stage), s.xElements() + matrix * s.wElements());
  }

  /// A row in device memory: where in its list it begins, and whether it is
  /// there.
  struct Line {
    Value begin, isThere;
  };

  Value beginOfLine(Value rowOfX) {
    return k.mul(rowOfX, o.pitch ? o.pitch : k.index(o.depth));
  }

  /// Rows that are looked up in a list are so once, for each of this thread's
  /// copies of x.
  void findRows() {
    if (!o.rowAtPlace)
      return;
    for (int64_t i = 0; i < s.rows * s.depth / copied; i += s.threads()) {
      Value r = k.div(k.add(k.thread(), i), s.depth / copied);
      Value place = k.add(o.firstRow, r), isThere = k.isBelow(place, o.endRow);
      place = k.select(isThere, place, k.index(0));
      Value row = k.toIndex(k.load(o.rowAtPlace, place));
      linesOfX.push_back({beginOfLine(row), isThere});
    }
  }

  /// Starts the copies of one step; what is outside becomes zero.
  void load(Value step, Value at) {
    Value depth = k.mul(step, s.depth);
    auto lineOfX = [&](int64_t turn, Value r) {
      if (o.rowAtPlace)
        return linesOfX[turn];
      Value row = k.add(o.firstRow, r);
      return Line{beginOfLine(row), k.isBelow(row, o.endRow)};
    };
    copyRows(o.x, lineOfX, depth, o.depth, s.rows, s.depth, beginOfX(at),
             s.pitchOfX());
    for (auto [i, matrix] : llvm::enumerate(o.matrices)) {
      auto lineOfW = [&](int64_t, Value r) {
        Value row = k.add(depth, r);
        Value pitch = matrix.pitch ? matrix.pitch : k.index(matrix.columns);
        return Line{k.add(matrix.begin, k.mul(row, pitch)),
                    k.both(matrix.isThere, k.isBelow(row, k.index(o.depth)))};
      };
      copyRows(matrix.list, lineOfW, firstColumn, matrix.columns, s.depth,
               s.columns, beginOfW(at, i), s.pitchOfW());
    }
  }

  /// `rows` x `columns` numbers of rows of `length`, from column `column` on:
  /// of row r and this thread's so many-th copy, which `lineOf` finds.
  void copyRows(Value list, llvm::function_ref<Line(int64_t, Value)> lineOf,
                Value column, int64_t length, int64_t rows, int64_t columns,
                Value to, int64_t pitch) {
    int64_t perRow = columns / copied, copies = rows * perRow;
    for (int64_t i = 0; i < copies; i += s.threads()) {
      Value number = k.add(k.thread(), i);
      auto copy = [&] {
        Value r = k.div(number, perRow);
        Value c = k.mul(k.rem(number, k.index(perRow)), copied);
        Line line = lineOf(i / s.threads(), r);
        Value from = k.add(column, c);
        Value isInside = k.both(line.isThere, k.isBelow(from, k.index(length)));
        // No address outside of the list is formed.
        Value at = k.select(isInside, k.add(line.begin, from), k.index(0));
        Value place = k.add(to, k.add(k.mul(r, pitch), c));
        k.copyAsync(k.sharedAddress(stage(), place), k.address(list, at),
                    isInside);
      };
      if (i + s.threads() <= copies)
        copy();
      else
        k.when(k.isBelow(number, k.index(copies)), copy);
    }
  }

  /// Among the warps that share no sums with each other.
  Value warpOfTile() {
    if (s.warpsDeep == 1)
      return k.warp();
    return k.rem(k.warp(), k.index(s.warpsDown * s.warpsAcross));
  }
  Value firstRowOfWarp() {
    return k.mul(k.div(warpOfTile(), s.warpsAcross), warpRows);
  }
  Value firstColumnOfWarp() {
    return k.mul(k.rem(k.warp(), k.index(s.warpsAcross)), warpColumns);
  }

  /// One stage's products: `before` has, for each matrix, row block and column block, four sums.
  Code::Values multiply(Value at, ValueRange before) {
    Code::Values sums(before.begin(), before.end());
    Value lane = k.lane();
    // ldmatrix: lanes 0 to 15 have the rows of the left two matrices, 16 to 31 those of the right two.
    Value laneRow = k.rem(lane, k.index(16));
    Value laneColumn = k.mul(k.div(lane, 16), copied);
    // Warps that share the reduction have 16 of it each, in turns.
    for (int64_t first = 0; first < s.depth; first += 16 * s.warpsDeep) {
      Value depth = k.index(first);
      if (s.warpsDeep > 1)
        depth = k.add(depth, k.mul(warpInDepth(k, s), 16));
      SmallVector<std::array<Value, 4>> x;
      for (int64_t i = 0; i < rowBlocks; ++i) {
        Value row = k.add(k.add(firstRowOfWarp(), i * 16), laneRow);
        Value place = k.add(k.mul(row, s.pitchOfX()), k.add(laneColumn, depth));
        x.push_back(
            k.loadMatrices(k.sharedAddress(stage(), k.add(beginOfX(at), place)),
                           /*isTransposed=*/false));
      }
      for (size_t matrix = 0; matrix < matrices; ++matrix)
        for (int64_t j = 0; j < columnBlocks; j += 2) {
          Value column = k.add(k.add(firstColumnOfWarp(), j * 8), laneColumn);
          Value place =
              k.add(k.mul(k.add(laneRow, depth), s.pitchOfW()), column);
          std::array<Value, 4> w = k.loadMatrices(
              k.sharedAddress(stage(), k.add(beginOfW(at, matrix), place)),
              /*isTransposed=*/true);
          for (int64_t i = 0; i < rowBlocks; ++i)
            for (int64_t half = 0; half < 2; ++half) {
              size_t place = placeOf(matrix, i, j + half);
              std::array<Value, 4> added =
                  k.multiply(element, x[i], {w[2 * half], w[2 * half + 1]},
                             {sums[place], sums[place + 1], sums[place + 2],
                              sums[place + 3]});
              llvm::copy(added, sums.begin() + place);
            }
        }
    }
    return sums;
  }

  size_t placeOf(int64_t matrix, int64_t rowBlock, int64_t columnBlock) const {
    return ((matrix * rowBlocks + rowBlock) * columnBlocks + columnBlock) * 4;
  }

  WarpSums warpSums(ValueRange sums) {
    WarpSums own;
    own.columns = warpColumns;
    own.firstRow = firstRowOfWarp();
    own.firstColumn = firstColumnOfWarp();
    for (int64_t i = 0; i < rowBlocks; ++i) {
      SmallVector<Value> &numbers = own.numbers.emplace_back();
      for (size_t matrix = 0; matrix < matrices; ++matrix)
        llvm::append_range(numbers,
                           sums.slice(placeOf(matrix, i, 0), 4 * columnBlocks));
    }
    return own;
  }

  KernelCode &k;
  const TileSchedule &s;
  const TileOperands &o;
  Value firstColumn, bytes;
  Type element;
  size_t matrices;
  SmallVector<Line> linesOfX;
  /// A warp's part of a tile, as mma.sync has it: 16 x 8 at a time.
  int64_t warpRows, warpColumns;
  int64_t rowBlocks, columnBlocks;
};
} // namespace

TileMatrix moec::lowering::matrixOf(KernelCode &k, const MatrixPool &pool,
                                    Value entry) {
  auto [begin, isThere] = pool.find(k, entry);
  return {pool.list, begin, isThere, pool.columns, /*pitch=*/Value()};
}

WarpSums moec::lowering::multiplyTile(KernelCode &k,
                                      const TileSchedule &schedule,
                                      const TileOperands &operands,
                                      Value firstColumn, Value sharedBytes) {
  return TileEmitter(k, schedule, operands, firstColumn, sharedBytes).emit();
}

/// A warp's sums to where they belong in each matrix's list, or onto what is
/// there.
static void putSums(KernelCode &k, const TileSchedule &s, ValueRange lists,
                    const WarpSums &sums, bool isAdded) {
  Value row = k.add(sums.firstRow, k.div(k.lane(), 4));
  Value column = k.add(sums.firstColumn, k.mul(k.rem(k.lane(), k.index(4)), 2));
  for (auto [matrix, list] : llvm::enumerate(lists))
    for (auto [i, numbers] : llvm::enumerate(sums.numbers)) {
      auto own =
          ArrayRef(numbers).slice(matrix * sums.columns / 2, sums.columns / 2);
      for (auto [j, number] : llvm::enumerate(own)) {
        Value line = k.mul(k.add(row, i * 16 + j / 2 % 2 * 8), s.columns);
        Value at = k.add(line, k.add(column, j / 4 * 8 + j % 2));
        Value sum = isAdded ? k.addF(k.load(list, at), number) : number;
        k.store(sum, list, at);
      }
    }
}

SmallVector<Value> moec::lowering::shareSums(KernelCode &k,
                                             const TileSchedule &s,
                                             int64_t matrices,
                                             const WarpSums &sums,
                                             Value sharedBytes) {
  k.barrier();
  SmallVector<Value> lists;
  for (int64_t matrix = 0; matrix < matrices; ++matrix)
    lists.push_back(k.sharedView(sharedBytes, matrix * s.rows * s.columns * 4,
                                 s.rows * s.columns, k.f32()));
  for (int64_t deep = 0; deep < s.warpsDeep; ++deep) {
    auto put = [&] { putSums(k, s, lists, sums, /*isAdded=*/deep > 0); };
    if (s.warpsDeep == 1)
      put();
    else
      k.when(k.isEqual(warpInDepth(k, s), k.index(deep)), put);
    k.barrier();
  }
  return lists;
}
