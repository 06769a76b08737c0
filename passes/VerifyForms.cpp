// What the verify passes share.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/VerifyForms.h"

using namespace mlir;
using namespace moec::moe;

LogicalResult
moec::verifyForm(func::FuncOp function, StringRef form,
                 llvm::function_ref<bool(Operation *)> isAllowed) {
  bool valid = true;
  function.walk([&](Operation *op) {
    if (!isa_and_nonnull<MoEDialect>(op->getDialect()))
      return;
    if (isa<LeafOp, WrapOp, IdCastOp, RouteOp, DispatchOp, ReturnOp,
            WeightSelectOp, WeightMulOp, WeightAddOp, WeightMixOp,
            WeightScaleOp, WeightRaggedOp, WeightSparseOp, WeightSliceOp>(op) ||
        isAllowed(op))
      return;
    // A product with one matrix for all rows, as a router's, is the same in every form.
    if (auto apply = dyn_cast<ApplyOp>(op); apply && !apply.getIds())
      return;
    op->emitOpError("is not part of ") << form;
    valid = false;
  });
  return success(valid);
}
