// moe-prefix-entries: keeps the names of a model apart from those of C.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringSet.h"

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
    llvm::StringSet<> renamed;
    for (auto function :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
      StringRef name = function.getSymName();
      if (function.isExternal() || name.starts_with(lowering::entryPrefix))
        continue;
      std::string prefixed = (lowering::entryPrefix + name).str();
      if (symbols.lookup(prefixed)) {
        function.emitError("needs the name '")
            << prefixed << "', which something else has";
        return signalPassFailure();
      }
      renamed.insert(name);
      function.setSymName(prefixed);
      // The C wrapper of an entry takes pointers to descriptors.
      if (!function.isPrivate())
        function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                          UnitAttr::get(&getContext()));
    }
    // One walk for all: SymbolTable::rename would make one for each function.
    getOperation().walk([&](func::CallOp call) {
      if (renamed.contains(call.getCallee()))
        call.setCallee((lowering::entryPrefix + call.getCallee()).str());
    });
  }
};
} // namespace
