// moe-order-loops: columns of a result are the innermost dimension of a reduction.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/IR/PatternMatch.h"

namespace moec::lowering {
#define GEN_PASS_DEF_ORDERLOOPSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;

/// The dimension that an operand's last extent is along, where it is that
/// alone.
static std::optional<unsigned> lastDimension(AffineMap map) {
  if (map.getNumResults() == 0)
    return std::nullopt;
  auto last = dyn_cast<AffineDimExpr>(map.getResults().back());
  return last ? std::optional(last.getPosition()) : std::nullopt;
}

/// The parallel dimension that should be the innermost loop and is not: columns
/// of the only result, with numbers beside each other in each operand that has
/// them.
static std::optional<unsigned> columnsOf(linalg::LinalgOp op) {
  if (!op.hasPureBufferSemantics() || op.getNumDpsInits() != 1 ||
      op.getNumReductionLoops() == 0)
    return std::nullopt;
  std::optional<unsigned> columns =
      lastDimension(op.getMatchingIndexingMap(op.getDpsInitOperand(0)));
  if (!columns || *columns + 1 == op.getNumLoops())
    return std::nullopt;
  bool isRead = false;
  for (OpOperand *input : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(input);
    if (!map.isFunctionOfDim(*columns))
      continue;
    if (lastDimension(map) != columns)
      return std::nullopt;
    for (AffineExpr other : map.getResults().drop_back())
      if (other.isFunctionOfDim(*columns))
        return std::nullopt;
    isRead = true;
  }
  return isRead ? columns : std::nullopt;
}

namespace {
struct OrderLoopsPass
    : moec::lowering::impl::OrderLoopsPassBase<OrderLoopsPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<std::pair<linalg::LinalgOp, unsigned>> found;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (std::optional<unsigned> columns = columnsOf(op))
        found.emplace_back(op, *columns);
    });
    IRRewriter rewriter(&getContext());
    for (auto [op, columns] : found) {
      rewriter.setInsertionPoint(op);
      auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
      if (!generic) {
        FailureOr<linalg::GenericOp> named =
            linalg::generalizeNamedOp(rewriter, op);
        if (failed(named))
          continue;
        generic = *named;
      }
      SmallVector<unsigned> order;
      for (unsigned d = 0; d < generic.getNumLoops(); ++d)
        if (d != columns)
          order.push_back(d);
      order.push_back(columns);
      (void)linalg::interchangeGenericOp(rewriter, generic, order);
    }
  }
};
} // namespace
