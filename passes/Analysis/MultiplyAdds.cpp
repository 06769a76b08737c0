// Multiply-adds per token of expert layers, read off the IR in any of the three forms.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Analysis/MultiplyAdds.h"

#include "dialects/MoE/IR/MoE.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moec;
using namespace moec::moe;

/// Adds the multiply-adds of some rows times one matrix; stops at the largest number instead of overflowing.
static void addProducts(int64_t &total, int64_t rows, Value weight) {
  WeightType type = getWeightType(weight);
  uint64_t own = llvm::SaturatingMultiply<uint64_t>(
      type.getRows() * type.getCols(), rows);
  total = std::min<uint64_t>(llvm::SaturatingAdd<uint64_t>(total, own),
                             INT64_MAX);
}

static int64_t extentOf(Value value, int64_t dim) {
  return cast<ShapedType>(value.getType()).getDimSize(dim);
}

/// Rows per token of a list in scheduled form: M for rows of a moe.group, k for its pairs, 1 for tokens. Follows each
/// value back to the index that shaped it.
static int64_t getRowsPerToken(Value list) {
  // Chains are as long as a layer; the bound keeps unrelated code from being walked.
  for (int budget = 64; budget; --budget) {
    Operation *op = list.getDefiningOp();
    if (!op)
      return 1;
    if (auto group = dyn_cast<GroupOp>(op)) {
      bool pairs = cast<OpResult>(list).getResultNumber() >= 2;
      return extentOf(pairs ? group.getIds() : group.getClusters(), 1);
    }
    if (auto gather = dyn_cast<GatherOp>(op))
      list = gather.getIndex();
    else if (auto matmul = dyn_cast<GroupedMatmulOp>(op))
      list = matmul.yieldsPairs() ? matmul.getPairRow() : matmul.getInput();
    else if (auto up = dyn_cast<GroupedUpOp>(op))
      list = cast<OpResult>(list).getResultNumber() == 0 ? up.getInput()
                                                         : up.getPairRow();
    else if (auto lookup = dyn_cast<LookupOp>(op))
      list = lookup.getIds();
    else if (auto scatter = dyn_cast<ScatterCombineOp>(op)) {
      // To rows by pair_row, to tokens by row_token.
      auto group = scatter.getIndex().getDefiningOp<GroupOp>();
      bool toRows =
          group &&
          cast<OpResult>(scatter.getIndex()).getResultNumber() == 2;
      return toRows ? extentOf(group.getClusters(), 1) : 1;
    } else if (op->getNumOperands() && isa<ShapedType>(op->getOperand(0).getType()))
      list = op->getOperand(0);
    else
      return 1;
  }
  return 1;
}

static int64_t countExperts(ExpertsOp op) {
  int64_t total = 0;
  for (Value weight : {op.getUp(), op.getGate(), op.getDown()})
    if (weight)
      addProducts(total, extentOf(op.getIds(), 1), weight);
  return total;
}

static int64_t countApply(ApplyOp op) {
  auto type = cast<ShapedType>(op.getType());
  int64_t rows = type.getRank() == 3 ? type.getDimSize(1) : 1;
  int64_t total = 0;
  addProducts(total, rows, op.getWeight());
  return total;
}

static int64_t countGroupedMatmul(GroupedMatmulOp op) {
  int64_t rows = getRowsPerToken(op.getInput());
  int64_t pairs = op.getPairRow() ? getRowsPerToken(op.getPairRow()) : 0;
  int64_t total = 0;
  for (Value weight : op.getWeights())
    addProducts(total, rows, weight);
  for (Value factor : op.getResiduals())
    addProducts(total, pairs, factor);
  if (op.getExpand())
    addProducts(total, pairs, op.getExpand());
  return total;
}

static int64_t countGroupedUp(GroupedUpOp op) {
  int64_t rows = getRowsPerToken(op.getInput());
  int64_t pairs = getRowsPerToken(op.getPairRow());
  int64_t total = 0;
  for (Value weight : op.getWeights())
    addProducts(total, rows, weight);
  for (Value factor : op.getResiduals())
    addProducts(total, pairs, factor);
  if (op.getShrink())
    addProducts(total, pairs, op.getShrink());
  return total;
}

int64_t moec::getMultiplyAddsPerToken(Operation *op) {
  if (auto experts = dyn_cast<ExpertsOp>(op))
    return countExperts(experts);
  if (auto apply = dyn_cast<ApplyOp>(op))
    return countApply(apply);
  if (auto matmul = dyn_cast<GroupedMatmulOp>(op))
    return countGroupedMatmul(matmul);
  if (auto up = dyn_cast<GroupedUpOp>(op))
    return countGroupedUp(up);
  return 0;
}
