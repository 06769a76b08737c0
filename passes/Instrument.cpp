// moe-instrument: what a router decided becomes a result, for a profile of the traffic.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"

namespace moec {
#define GEN_PASS_DEF_INSTRUMENTPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

namespace {
struct InstrumentPass : moec::impl::InstrumentPassBase<InstrumentPass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isPrivate() || function.isExternal() ||
        !function.getBody().hasOneBlock())
      return;
    Operation *terminator = function.getBody().front().getTerminator();
    SmallVector<RouteOp> routes;
    for (auto route : function.getBody().front().getOps<RouteOp>())
      routes.push_back(route);
    for (auto [i, route] : llvm::enumerate(routes)) {
      std::string number = routes.size() == 1 ? "" : std::to_string(i);
      add(function, terminator, route.getResult(0), "ids" + number);
      add(function, terminator, route.getResult(1), "gates" + number);
    }
  }

  void add(func::FuncOp function, Operation *terminator, Value value,
           const std::string &name) {
    MLIRContext *context = &getContext();
    NamedAttribute called(StringAttr::get(context, "moec.name"),
                          StringAttr::get(context, name));
    LogicalResult inserted = function.insertResult(
        function.getNumResults(), value.getType(),
        DictionaryAttr::get(context, called));
    assert(succeeded(inserted) && "functions return anything");
    (void)inserted;
    terminator->insertOperands(terminator->getNumOperands(), value);
  }
};
} // namespace
