// Scheduled operations that become kernels: which, and what is left around them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/KernelSelection.h"

#include "dialects/MoE/IR/MoE.h"
#include "lowering/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/Decisions.h"

using namespace mlir;
using namespace moec;
using namespace moec::moe;

SmallVector<Operation *> lowering::findScheduled(Operation *root) {
  SmallVector<Operation *> found;
  root->walk([&](Operation *op) {
    if (isa<GroupOp, GatherOp, ScatterCombineOp, GroupedMatmulOp, GroupedUpOp>(
            op))
      found.push_back(op);
  });
  return found;
}

void lowering::selectKernels(
    ModuleOp module, StringRef passName,
    llvm::function_ref<std::string(Operation *)> reasonAgainst) {
  auto isKernel = UnitAttr::get(module.getContext());
  // A wrap whose weight both kinds read is there twice.
  DenseMap<Operation *, Operation *> wraps;
  unsigned taken = 0;
  for (Operation *op : findScheduled(module)) {
    std::string reason = reasonAgainst(op);
    if (!reason.empty()) {
      Decision::declined(op->getLoc(), passName)
          << op->getName().getStringRef() << " is lowered plainly: " << reason;
      continue;
    }
    ++taken;
    op->setAttr(kernelAttrName, isKernel);
    for (OpOperand &operand : op->getOpOperands()) {
      auto wrap = operand.get().getDefiningOp<WrapOp>();
      if (!wrap)
        continue;
      Operation *&own = wraps[wrap];
      if (!own) {
        OpBuilder builder(wrap);
        own = builder.clone(*wrap);
        own->setAttr(kernelAttrName, isKernel);
      }
      operand.set(own->getResult(0));
    }
  }
  for (auto &[wrap, own] : wraps)
    if (wrap->use_empty())
      wrap->erase();
  if (taken)
    Decision::taken(module.getLoc(), passName)
        << taken << " operations become kernels";
}

void lowering::allocateNumbers(func::FuncOp entry) {
  SmallVector<memref::AllocOp> allocations;
  entry.walk([&](memref::AllocOp op) {
    if (mlir::isa<IdType>(op.getType().getElementType()))
      allocations.push_back(op);
  });
  for (memref::AllocOp op : allocations) {
    OpBuilder builder(op);
    MemRefType type = op.getType();
    auto numbers = memref::AllocOp::create(
        builder, op.getLoc(),
        MemRefType(
            MemRefType::Builder(type).setElementType(builder.getI32Type())),
        op.getDynamicSizes(), op.getSymbolOperands(), op.getAlignmentAttr());
    auto ids = IdCastOp::create(builder, op.getLoc(), type, numbers);
    op.replaceAllUsesWith(ids.getResult());
    op.erase();
  }
}

Value lowering::numbersOf(Value ids) {
  auto cast = ids.getDefiningOp<IdCastOp>();
  return cast ? cast.getInput() : ids;
}

bool lowering::isOnTensors(Operation *op) {
  return llvm::any_of(op->getOperandTypes(),
                      [](Type type) { return isa<TensorType>(type); });
}

void lowering::eraseViews(func::FuncOp entry) {
  SmallVector<Operation *> views;
  entry.walk([&](Operation *op) {
    if (auto cast = dyn_cast<IdCastOp>(op))
      cast.getResult().replaceUsesWithIf(cast.getInput(), [](OpOperand &use) {
        return isa<memref::DimOp>(use.getOwner());
      });
    if (isa<WrapOp, IdCastOp>(op))
      views.push_back(op);
  });
  for (Operation *op : llvm::reverse(views))
    if (op->use_empty())
      op->erase();
}
