// convert-moert-to-llvm: what compiled code asks of the runtime becomes calls.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoERT/IR/MoERT.h"
#include "lowering/Code/Code.h"
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

namespace moec::lowering {
#define GEN_PASS_DEF_CONVERTMOERTTOLLVMPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;
using namespace moec::moert;

namespace {
/// Replaces the operations of one entry.
class Converter {
public:
  Converter(func::FuncOp entry, SymbolTable &symbols)
      : entry(entry), symbols(symbols) {}

  LogicalResult run() {
    SmallVector<Operation *> found;
    entry.walk([&](Operation *op) {
      if (isa_and_nonnull<MoERTDialect>(op->getDialect()))
        found.push_back(op);
    });
    if (found.empty())
      return success();
    addPaging();
    for (Operation *op : found)
      if (failed(convert(op)))
        return failure();
    // Leases have lost their releases.
    for (Operation *op : llvm::reverse(found))
      op->erase();
    return success();
  }

private:
  /// The last argument of an entry, behind the executor.
  void addPaging() {
    auto pointer = LLVM::LLVMPointerType::get(entry.getContext());
    auto append = [&] {
      LogicalResult inserted = entry.insertArgument(
          entry.getNumArguments(), pointer, /*argAttrs=*/{}, entry.getLoc());
      assert(succeeded(inserted) && "functions take any argument");
      (void)inserted;
    };
    // Without parallel loops there is no executor yet.
    if (entry.getNumArguments() == 0 ||
        entry.getArgumentTypes().back() != pointer)
      append();
    append();
  }

  /// Numbers one behind the other. An argument's are: moe-export-entries asks
  /// for that.
  FailureOr<Value> pointerTo(lowering::Code &c, Value numbers, Operation *op) {
    Value origin = numbers;
    while (auto cast = origin.getDefiningOp<memref::CastOp>())
      origin = cast.getSource();
    auto type = cast<MemRefType>(numbers.getType());
    if (!isa<BlockArgument>(origin) && !lowering::isCompact(type))
      return op->emitOpError("expected numbers one behind the other, found ")
             << type;
    return c.address(c.flatten(numbers), c.index(0));
  }

  Value countOf(lowering::Code &c, Value numbers) {
    Value count = c.index(1);
    auto type = cast<MemRefType>(numbers.getType());
    for (int64_t d = 0; d < type.getRank(); ++d)
      count = c.mul(count, c.extent(numbers, d));
    return arith::IndexCastOp::create(c.b, c.loc, c.b.getI64Type(), count);
  }

  LogicalResult convert(Operation *op) {
    OpBuilder b(op);
    lowering::Code c(b, op->getLoc());
    Value paging = entry.getArguments().back();
    auto pointerOrFail = [&](Value numbers) {
      return pointerTo(c, numbers, op);
    };
    if (auto prefetch = dyn_cast<PrefetchOp>(op)) {
      FailureOr<Value> clusters = pointerOrFail(prefetch.getClusters());
      if (failed(clusters))
        return failure();
      call(c, "moert_paging_prefetch",
           {paging, c.number(prefetch.getAhead(), c.i32()), *clusters,
            countOf(c, prefetch.getClusters())});
      return success();
    }
    if (auto acquire = dyn_cast<AcquireOp>(op)) {
      FailureOr<Value> clusters = pointerOrFail(acquire.getClusters());
      FailureOr<Value> table = pointerOrFail(acquire.getTable());
      FailureOr<Value> slots = pointerOrFail(acquire.getInit());
      if (failed(clusters) || failed(table) || failed(slots))
        return failure();
      call(c, "moert_paging_acquire",
           {paging, *clusters, countOf(c, acquire.getClusters()), *table,
            countOf(c, acquire.getTable()), *slots});
      return success();
    }
    auto release = cast<ReleaseOp>(op);
    FailureOr<Value> slots = pointerOrFail(release.getSlots());
    if (failed(slots))
      return failure();
    call(c, "moert_paging_release", {paging, *slots});
    return success();
  }

  /// Calls what moert/abi.h declares.
  void call(lowering::Code &c, StringRef name, ValueRange arguments) {
    auto function = symbols.lookup<func::FuncOp>(name);
    if (!function) {
      function = func::FuncOp::create(
          c.loc, name,
          FunctionType::get(entry.getContext(), arguments.getTypes(), {}));
      function.setPrivate();
      symbols.insert(function);
    }
    func::CallOp::create(c.b, c.loc, function, arguments);
  }

  func::FuncOp entry;
  SymbolTable &symbols;
};

struct ConvertMoERTToLLVMPass
    : lowering::impl::ConvertMoERTToLLVMPassBase<ConvertMoERTToLLVMPass> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (func::FuncOp entry : lowering::findEntries(getOperation()))
      if (failed(Converter(entry, symbols).run()))
        return signalPassFailure();
  }
};
} // namespace
