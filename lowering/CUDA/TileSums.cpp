// Long sums that are products of two matrices, as tiles on tensor cores.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/TileSums.h"

#include "lowering/CUDA/StructuredBody.h"
#include "lowering/CUDA/TileMatmul.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace moec::lowering;

/// Numbers that one copy brings.
static constexpr int64_t copied = 8;
/// Columns up to which tiles are narrow, and rows of such a tile: a GPU has too few tiles of 64 x 64 of a router's logits.
static constexpr int64_t mostNarrowColumns = 128, narrowRows = 32;

//===----------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------===//

/// Whether a condition is the same for all terms and columns of a row: computed of what is read by row.
static bool isOfRow(const LongSum &sum, Value condition) {
  linalg::LinalgOp structured = sum.op;
  Block *body = structured.getBlock();
  SmallVector<Value> open = {condition};
  SmallVector<BodyRead> reads = readsOf(structured);
  while (!open.empty()) {
    Value value = open.pop_back_val();
    const auto *read = llvm::find_if(
        reads, [&](const BodyRead &each) { return each.value == value; });
    if (read != reads.end()) {
      if (llvm::any_of(read->dimensions, [&](std::optional<unsigned> dim) {
            return dim != sum.rows[0];
          }))
        return false;
      continue;
    }
    Operation *op = value.getDefiningOp();
    if (!op || op->getBlock() != body)
      continue;
    if (isa<linalg::IndexOp>(op))
      return false;
    llvm::append_range(open, op->getOperands());
  }
  return true;
}

/// Whether rows of a matrix may be a multiple of what is copied apart, and their numbers beside each other.
static bool mayCopy(MemRefType type) {
  auto [strides, offset] = type.getStridesAndOffset();
  auto isMultiple = [](int64_t number) {
    return ShapedType::isDynamic(number) || number % copied == 0;
  };
  return isMultiple(strides[0]) && isMultiple(offset) &&
         (ShapedType::isDynamic(strides[1]) || strides[1] == 1) &&
         !type.isDynamicDim(1) && type.getDimSize(1) % copied == 0;
}

/// The matrix that a factor of a term is read from, widened or not: its indices are `row` and `column`.
static Value bufferOf(const LongSum &sum, Value factor, unsigned row,
                      unsigned column) {
  if (auto widening = factor.getDefiningOp<arith::ExtFOp>())
    factor = widening.getIn();
  for (const BodyRead &read : readsOf(sum.op)) {
    auto type = dyn_cast<MemRefType>(read.buffer.getType());
    if (read.value != factor || !type || type.getRank() != 2 ||
        read.dimensions[0] != row || read.dimensions[1] != column)
      continue;
    Type element = type.getElementType();
    if ((element.isF16() || element.isBF16()) && mayCopy(type))
      return read.buffer;
  }
  return Value();
}

std::optional<TileFactors> moec::lowering::findTileFactors(const LongSum &sum) {
  auto product = sum.term.getDefiningOp<arith::MulFOp>();
  if (!product || !sum.columns || sum.rows.size() != 1 ||
      (sum.condition && !isOfRow(sum, sum.condition)))
    return std::nullopt;
  for (auto [left, right] : {std::pair(product.getLhs(), product.getRhs()),
                             std::pair(product.getRhs(), product.getLhs())}) {
    Value x = bufferOf(sum, left, sum.rows[0], sum.depth);
    Value w = bufferOf(sum, right, sum.depth, *sum.columns);
    if (!x || !w || elementOf(x) != elementOf(w))
      continue;
    return TileFactors{x, w, cast<MemRefType>(x.getType()).getDimSize(1),
                       cast<MemRefType>(w.getType()).getDimSize(1)};
  }
  return std::nullopt;
}

Value moec::lowering::canCopy(Code &host, const TileFactors &factors) {
  Value can = host.number(1, host.b.getI1Type());
  for (Value matrix : {factors.x, factors.w}) {
    auto parts =
        memref::ExtractStridedMetadataOp::create(host.b, host.loc, matrix);
    auto [strides, offset] =
        cast<MemRefType>(matrix.getType()).getStridesAndOffset();
    auto require = [&](int64_t known, Value number, bool isOne) {
      if (!ShapedType::isDynamic(known))
        return;
      Value is = isOne ? host.isEqual(number, host.index(1))
                       : host.isEqual(host.rem(number, host.index(copied)),
                                      host.index(0));
      can = host.both(can, is);
    };
    require(offset, parts.getOffset(), /*isOne=*/false);
    require(strides[0], parts.getStrides()[0], /*isOne=*/false);
    require(strides[1], parts.getStrides()[1], /*isOne=*/true);
  }
  return can;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

namespace {
/// A matrix as a list, and how far apart its rows are.
struct StridedRows {
  Value list, pitch;
};

/// A tile of rows and columns of one product.
class TileSum {
public:
  TileSum(KernelCode &k, const LongSum &sum, const TileFactors &factors,
          const TileSchedule &s, const StridedRows &x, const StridedRows &w,
          Value rows)
      : k(k), sum(sum), factors(factors), s(s), x(x), w(w), rows(rows),
        bytes(k.shared(s.sharedBytes(/*matrices=*/1), k.b.getIntegerType(8))) {}

  void emit() {
    int64_t columnTiles = llvm::divideCeil(factors.columns, s.columns);
    firstRow = k.mul(k.div(k.block(), columnTiles), s.rows);
    firstColumn = k.mul(k.rem(k.block(), k.index(columnTiles)), s.columns);
    TileOperands operands;
    operands.x = x.list;
    operands.pitch = x.pitch;
    operands.firstRow = firstRow;
    operands.endRow = k.min(k.add(firstRow, s.rows), rows);
    operands.depth = factors.depth;
    operands.matrices.push_back({w.list, k.index(0),
                                 k.number(1, k.b.getI1Type()), factors.columns,
                                 w.pitch});
    WarpSums own = multiplyTile(k, s, operands, firstColumn, bytes);
    Value list = shareSums(k, s, /*matrices=*/1, own, bytes)[0];
    k.spread(k.index(s.rows * s.columns), [&](Value i) { finish(list, i); });
  }

private:
  void finish(Value list, Value i) {
    Value row = k.add(firstRow, k.div(i, s.columns));
    Value column = k.add(firstColumn, k.rem(i, k.index(s.columns)));
    Value isInside = k.both(k.isBelow(row, rows),
                            k.isBelow(column, k.index(factors.columns)));
    k.when(isInside, [&] {
      Code::Values turn(3, k.index(0));
      turn[sum.rows[0]] = row;
      turn[*sum.columns] = column;
      Value total = k.load(list, i);
      if (sum.condition)
        total = k.select(conditionAt(turn), total, k.zero());
      addToResult(k, sum, turn, total);
    });
  }

  /// It depends on the row alone.
  Value conditionAt(ValueRange turn) {
    linalg::LinalgOp op = sum.op;
    Type type = getElementTypeOrSelf(op.getDpsInits()[0].getType());
    Value zero =
        arith::ConstantOp::create(k.b, k.loc, k.b.getFloatAttr(type, 0));
    return StructuredTurn{op, turn}
        .emitBody(k.b, {zero})
        .lookupOrDefault(sum.condition);
  }

  KernelCode &k;
  const LongSum &sum;
  const TileFactors &factors;
  const TileSchedule &s;
  const StridedRows &x, &w;
  Value rows, bytes, firstRow, firstColumn;
};
} // namespace

static StridedRows listRows(Code &host, Value matrix) {
  auto parts =
      memref::ExtractStridedMetadataOp::create(host.b, host.loc, matrix);
  auto type = cast<MemRefType>(matrix.getType());
  auto [strides, offset] = type.getStridesAndOffset();
  Value pitch = ShapedType::isDynamic(strides[0]) ? parts.getStrides()[0]
                                                  : host.index(strides[0]);
  Value count = host.mul(host.extent(matrix, 0), pitch);
  Value list = memref::ReinterpretCastOp::create(
      host.b, host.loc, flatType(type.getElementType()), parts.getBaseBuffer(),
      OpFoldResult(parts.getOffset()), ArrayRef<OpFoldResult>{count},
      ArrayRef<OpFoldResult>{host.b.getIndexAttr(1)});
  return {list, pitch};
}

LogicalResult moec::lowering::launchTiles(KernelTable &kernels,
                                          func::FuncOp entry, Code &host,
                                          const LongSum &sum,
                                          const TileFactors &factors,
                                          Value rows) {
  TileSchedule s = factors.columns <= mostNarrowColumns
                       ? narrowSchedule(narrowRows, factors.columns, 1)
                       : wideSchedule();
  StridedRows x = listRows(host, factors.x), w = listRows(host, factors.w);
  Value blocks = host.mul(host.ceilDiv(rows, s.rows),
                          llvm::divideCeil(factors.columns, s.columns));
  return launchKernel(
      kernels, entry, host, "product_tile_" + std::to_string(s.rows), blocks,
      s.threads(),
      [&](KernelCode &k) { TileSum(k, sum, factors, s, x, w, rows).emit(); });
}
