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
  return {product(type.getCount(), elements), elements};
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
  llvm::DenseMap<Value, int64_t> multiplyAdds;
  WeightCost cost;
  SmallVector<Value> work{weight};
  while (!work.empty()) {
    Value current = work.back();
    if (multiplyAdds.contains(current)) {
      work.pop_back();
      continue;
    }
    SmallVector<Value> parts = partsOf(current);
    int64_t total = 0;
    bool ready = true;
    for (Value part : parts) {
      auto known = multiplyAdds.find(part);
      if (known == multiplyAdds.end()) {
        work.push_back(part);
        ready = false;
      } else {
        total = sum(total, known->second);
      }
    }
    if (!ready)
      continue;
    if (parts.empty()) {
      auto sparse = current.getDefiningOp<WeightSparseOp>();
      WeightCost own = getCostOfBuilt(sparse ? sparse.getValues() : current);
      total = own.multiplyAddsPerRow;
      cost.storedNumbers = sum(cost.storedNumbers, own.storedNumbers);
    }
    multiplyAdds[current] = total;
    work.pop_back();
  }
  cost.multiplyAddsPerRow = multiplyAdds.lookup(weight);
  return cost;
}
