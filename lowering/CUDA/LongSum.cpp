// Structured operations that are long sums.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/LongSum.h"

#include "lowering/CUDA/StructuredBody.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moec::lowering;

/// Terms from which on a block is worth it: of products, and of sums of rows, which are better off in a router's kernel.
static constexpr int64_t leastTermsOfProduct = 64, leastTermsOfRow = 512;

SmallVector<BodyRead> moec::lowering::readsOf(linalg::LinalgOp op) {
  SmallVector<BodyRead> reads;
  for (OpOperand *input : op.getDpsInputOperands()) {
    BodyRead read{op.getMatchingBlockArgument(input), input->get(), {}};
    for (AffineExpr at : op.getMatchingIndexingMap(input).getResults()) {
      auto dim = dyn_cast<AffineDimExpr>(at);
      read.dimensions.push_back(dim ? std::optional(dim.getPosition())
                                    : std::nullopt);
    }
    reads.push_back(read);
  }
  for (auto load : op.getBlock()->getOps<memref::LoadOp>()) {
    BodyRead read{load.getResult(), load.getMemRef(), {}};
    for (Value at : load.getIndices()) {
      auto index = at.getDefiningOp<linalg::IndexOp>();
      read.dimensions.push_back(index ? std::optional<unsigned>(index.getDim())
                                      : std::nullopt);
    }
    reads.push_back(read);
  }
  return reads;
}

/// Takes `acc + term`, or `condition ? acc + term : acc`, apart.
static LogicalResult matchTerm(LongSum &sum) {
  Block *body = sum.op.getBlock();
  BlockArgument carried =
      sum.op.getMatchingBlockArgument(sum.op.getDpsInitOperand(0));
  Value next = body->getTerminator()->getOperand(0);
  unsigned uses = 1;
  if (auto choice = next.getDefiningOp<arith::SelectOp>();
      choice && choice.getFalseValue() == carried) {
    sum.condition = choice.getCondition();
    next = choice.getTrueValue();
    ++uses;
  }
  auto addition = next.getDefiningOp<arith::AddFOp>();
  if (!addition || llvm::range_size(carried.getUses()) != uses)
    return failure();
  if (addition.getLhs() == carried)
    sum.term = addition.getRhs();
  else if (addition.getRhs() == carried)
    sum.term = addition.getLhs();
  return success(bool(sum.term));
}

/// Finds columns: the result's last dimension, if something depends on it and on the depth. Of a list of sums, those whose
/// neighbours lie beside each other; else they are rows.
static void findColumns(LongSum &sum) {
  AffineMap map = sum.op.getMatchingIndexingMap(sum.op.getDpsInitOperand(0));
  if (map.getNumResults() == 0)
    return;
  unsigned last = cast<AffineDimExpr>(map.getResults().back()).getPosition();
  for (const BodyRead &read : readsOf(sum.op)) {
    if (!llvm::is_contained(read.dimensions, sum.depth) ||
        !llvm::is_contained(read.dimensions, last))
      continue;
    sum.hasColumnsInside = read.dimensions.back() == last;
    if (sum.rows.size() == 1 && !sum.hasColumnsInside)
      return;
    sum.columns = last;
    llvm::erase(sum.rows, last);
    return;
  }
}

std::optional<LongSum> moec::lowering::findLongSum(linalg::LinalgOp op) {
  SmallVector<unsigned> depth;
  op.getReductionDims(depth);
  if (!op.hasPureBufferSemantics() || op.getNumDpsInits() != 1 ||
      depth.size() != 1)
    return std::nullopt;
  OpOperand *init = op.getDpsInitOperand(0);
  auto element =
      dyn_cast<FloatType>(getElementTypeOrSelf(init->get().getType()));
  AffineMap map = op.getMatchingIndexingMap(init);
  if (!element || element.getWidth() > 32 || map.isFunctionOfDim(depth[0]) ||
      !map.isProjectedPermutation() ||
      map.getNumResults() + 1 != op.getNumLoops())
    return std::nullopt;
  LongSum sum;
  sum.op = op;
  sum.depth = depth[0];
  op.getParallelDims(sum.rows);
  if (failed(matchTerm(sum)))
    return std::nullopt;
  findColumns(sum);
  int64_t terms = op.getStaticLoopRanges()[sum.depth];
  int64_t least = sum.columns ? leastTermsOfProduct : leastTermsOfRow;
  if (ShapedType::isDynamic(terms) ? !sum.columns : terms < least)
    return std::nullopt;
  return sum;
}

void moec::lowering::addToResult(Code &k, const LongSum &sum, ValueRange turn,
                                 Value total) {
  linalg::LinalgOp op = sum.op;
  OpOperand &init = *op.getDpsInitOperand(0);
  SmallVector<Value> place = StructuredTurn{op, turn}.placeOf(k.b, init);
  Value before = memref::LoadOp::create(k.b, k.loc, init.get(), place);
  Type type = before.getType();
  if (!type.isF32())
    before = arith::ExtFOp::create(k.b, k.loc, k.f32(), before);
  total = arith::AddFOp::create(k.b, k.loc, before, total);
  if (!type.isF32())
    total = arith::TruncFOp::create(k.b, k.loc, type, total);
  memref::StoreOp::create(k.b, k.loc, total, init.get(), place);
}
