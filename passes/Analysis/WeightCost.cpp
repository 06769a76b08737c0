// What a weight expression costs: as its parts, and built as one dense matrix per entry.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Analysis/WeightCost.h"

#include "dialects/MoE/IR/MoE.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moec;
using namespace moec::moe;

/// Numbers that stand for "too many": sums and products stop here instead of overflowing.
static constexpr int64_t many = INT64_MAX >> 8;

static int64_t product(int64_t a, int64_t b) {
  return std::min<uint64_t>(llvm::SaturatingMultiply<uint64_t>(a, b), many);
}

static int64_t sum(int64_t a, int64_t b) { return std::min(a + b, many); }

WeightCost moec::getCostOfBuilt(Value weight) {
  WeightType type = getWeightType(weight);
  int64_t elements = product(type.getRows(), type.getCols());
  return {product(type.getCount(), elements), elements, 1};
}

/// Operands of an expression that is multiplied by part by part; empty if it counts as built.
static SmallVector<Value> partsOf(Value weight) {
  Operation *op = weight.getDefiningOp();
  if (isa_and_nonnull<WeightAddOp, WeightMulOp>(op))
    return op->getOperands();
  if (auto select = dyn_cast_or_null<WeightSelectOp>(op))
    return {select.getWeight()};
  if (auto scale = dyn_cast_or_null<WeightScaleOp>(op))
    return {scale.getWeight(), scale.getDiagonal()};
  return {};
}

WeightCost moec::getCostOfParts(Value weight) {
  // Each value once, operands first: an expression is a graph in which parts may be shared many times over.
  struct PerRow {
    int64_t multiplyAdds = 0, products = 0;
  };
  llvm::DenseMap<Value, PerRow> perRow;
  WeightCost cost;
  SmallVector<Value> work{weight};
  while (!work.empty()) {
    Value current = work.back();
    if (perRow.contains(current)) {
      work.pop_back();
      continue;
    }
    SmallVector<Value> parts = partsOf(current);
    PerRow total;
    bool ready = true;
    for (Value part : parts) {
      auto known = perRow.find(part);
      if (known == perRow.end()) {
        work.push_back(part);
        ready = false;
      } else {
        total.multiplyAdds =
            sum(total.multiplyAdds, known->second.multiplyAdds);
        total.products = sum(total.products, known->second.products);
      }
    }
    if (!ready)
      continue;
    if (parts.empty()) {
      auto sparse = current.getDefiningOp<WeightSparseOp>();
      WeightCost own = getCostOfBuilt(sparse ? sparse.getValues() : current);
      total = {own.multiplyAddsPerRow, 1};
      cost.storedNumbers = sum(cost.storedNumbers, own.storedNumbers);
    }
    perRow[current] = total;
    work.pop_back();
  }
  cost.multiplyAddsPerRow = perRow.lookup(weight).multiplyAdds;
  cost.products = perRow.lookup(weight).products;
  return cost;
}
