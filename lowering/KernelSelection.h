// Scheduled operations that become kernels: which, and what is left around them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_KERNELSELECTION_H
#define MOEC_LOWERING_KERNELSELECTION_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/TypeSwitch.h"

#include <string>

namespace moec::lowering {

/// The operations of the scheduled form below `root`, in its order.
llvm::SmallVector<mlir::Operation *> findScheduled(mlir::Operation *root);

/// Sets `moe.kernel` on the operations of the scheduled form that nothing speaks against, and on wraps of their weights,
/// which get one of their own where others read them too. A remark says what speaks against another, and how many are taken.
void selectKernels(
    mlir::ModuleOp module, llvm::StringRef passName,
    llvm::function_ref<std::string(mlir::Operation *)> reasonAgainst);

/// On buffers: memory for ids becomes memory for numbers.
void allocateNumbers(mlir::func::FuncOp entry);

/// Ids as the numbers that they are, where they are a view of such.
mlir::Value numbersOf(mlir::Value ids);

/// Whether an operation that is to become kernels has not been bufferised.
bool isOnTensors(mlir::Operation *op);

/// On buffers: erases views of weights and ids that nobody reads any more; extents of such views are their buffers'.
void eraseViews(mlir::func::FuncOp entry);

/// On buffers: `emitter.emit` for each operation of the scheduled form that passes the check, and then eraseViews. Fails for
/// one that is not of `Ops`.
template <typename... Ops, typename Emitter>
mlir::LogicalResult emitScheduled(
    mlir::func::FuncOp entry, Emitter &emitter,
    llvm::function_ref<mlir::LogicalResult(mlir::Operation *)> check) {
  for (mlir::Operation *op : findScheduled(entry)) {
    if (failed(check(op)))
      return mlir::failure();
    auto emitted =
        llvm::TypeSwitch<mlir::Operation *, mlir::LogicalResult>(op)
            .Case<Ops...>([&](auto each) { return emitter.emit(each); })
            .Default(mlir::failure());
    if (failed(emitted))
      return mlir::failure();
  }
  eraseViews(entry);
  return mlir::success();
}

} // namespace moec::lowering

#endif // MOEC_LOWERING_KERNELSELECTION_H
