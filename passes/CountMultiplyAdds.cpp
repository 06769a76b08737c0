// moe-count-multiply-adds: states the multiply-adds per token of a function's expert layers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "passes/Decisions.h"
#include "passes/Analysis/MultiplyAdds.h"
#include "mlir/IR/Builders.h"

namespace moec {
#define GEN_PASS_DEF_COUNTMULTIPLYADDSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;

namespace {
struct CountMultiplyAddsPass
    : moec::impl::CountMultiplyAddsPassBase<CountMultiplyAddsPass> {
  using Base::Base;

  void runOnOperation() override {
    // What a function without body costs is unknown.
    if (getOperation().isDeclaration())
      return;
    int64_t total = 0;
    getOperation().walk([&](Operation *op) {
      int64_t own = moec::getMultiplyAddsPerToken(op);
      if (!own)
        return;
      total = std::min<uint64_t>(uint64_t(total) + own, INT64_MAX);
      Decision::figure(op->getLoc(), "count-multiply-adds")
          << own << " multiply-adds per token";
    });
    getOperation()->setAttr(
        "moe.multiply_adds_per_token",
        IntegerAttr::get(IntegerType::get(&getContext(), 64), total));
  }
};
} // namespace
