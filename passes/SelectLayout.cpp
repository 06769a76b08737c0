// moe-select-layout: weights that matmuls read get the layout that the target's kernels want.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "passes/Decisions.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"

namespace moec {
#define GEN_PASS_DEF_SELECTLAYOUTPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "select-layout";

/// Whether the operand is a matrix that rows are multiplied by, read where it is stored.
static bool isMatrixOfProduct(OpOperand &use) {
  Operation *op = use.getOwner();
  Value weight = use.get();
  if (isa<ApplyOp>(op))
    return true;
  if (auto experts = dyn_cast<ExpertsOp>(op))
    return weight == experts.getUp() || weight == experts.getGate() ||
           weight == experts.getDown();
  if (auto up = dyn_cast<GroupedUpOp>(op))
    return !llvm::is_contained(up.getBiases(), weight);
  auto matmul = dyn_cast<GroupedMatmulOp>(op);
  return matmul && !llvm::is_contained(matmul.getBiases(), weight);
}

namespace {
struct SelectLayoutPass : moec::impl::SelectLayoutPassBase<SelectLayoutPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTableCollection symbols;
    llvm::MapVector<Operation *, SmallVector<LeafOp>> leaves;
    module.walk([&](LeafOp leaf) {
      leaves[symbols.lookupNearestSymbolFrom(leaf, leaf.getParamAttr())]
          .push_back(leaf);
    });
    // In the order of the text: leaves may come in any.
    unsigned chosen = 0;
    module.walk([&](ParamOp param) {
      auto weight = dyn_cast<WeightType>(param.getType());
      auto uses = leaves.find(param);
      // What has one row is a vector: biases, scales, mixing weights.
      if (!weight || weight.getRows() == 1 || param.getLayout() ||
          uses == leaves.end())
        return;
      OpOperand *other = nullptr;
      bool isRead = false;
      for (LeafOp leaf : uses->second)
        for (OpOperand &use : leaf->getUses()) {
          isRead = true;
          if (!other && !isMatrixOfProduct(use))
            other = &use;
        }
      if (other) {
        Decision::declined(param.getLoc(), passName)
            << "@" << param.getSymName() << " stays row_major: "
            << other->getOwner()->getName().getStringRef()
            << " does not read it in panels";
        return;
      }
      if (!isRead)
        return;
      param.setLayout(Layout::panel16);
      ++chosen;
    });
    if (chosen != 0)
      Decision::taken(module.getLoc(), passName)
          << "panel16 for " << chosen << (chosen == 1 ? " weight" : " weights");
  }
};
} // namespace
