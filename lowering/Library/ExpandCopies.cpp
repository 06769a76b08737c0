// moe-expand-copies: copies between strided buffers as loops.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace moec::lowering {
#define GEN_PASS_DEF_EXPANDCOPIESPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;

namespace {
struct ExpandCopiesPass
    : moec::lowering::impl::ExpandCopiesPassBase<ExpandCopiesPass> {
  using Base::Base;

  void runOnOperation() override {
    auto isPlain = [](Value buffer) {
      auto type = dyn_cast<MemRefType>(buffer.getType());
      return !type || type.getLayout().isIdentity();
    };
    getOperation()->walk([&](memref::CopyOp copy) {
      if (isPlain(copy.getSource()) && isPlain(copy.getTarget()))
        return;
      OpBuilder builder(copy);
      linalg::makeMemRefCopyOp(builder, copy.getLoc(), copy.getSource(),
                               copy.getTarget());
      copy.erase();
    });
  }
};
} // namespace
