// moe-prefix-entries: keeps the names of a model apart from those of C.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

namespace moec::lowering {
#define GEN_PASS_DEF_PREFIXENTRIESPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;

namespace {
struct PrefixEntriesPass
    : lowering::impl::PrefixEntriesPassBase<PrefixEntriesPass> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      StringRef name = function.getSymName();
      if (function.isExternal() || name.starts_with(lowering::entryPrefix))
        continue;
      auto prefixed =
          StringAttr::get(&getContext(), lowering::entryPrefix + name);
      if (symbols.lookup(prefixed) ||
          failed(symbols.rename(function, prefixed))) {
        function.emitError("needs the name '")
            << prefixed.getValue() << "', which something else has";
        return signalPassFailure();
      }
    }
  }
};
} // namespace
