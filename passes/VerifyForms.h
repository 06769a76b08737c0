// What the verify passes share: walks a function and refuses what a form does not allow.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_VERIFYFORMS_H
#define MOEC_PASSES_VERIFYFORMS_H

#include "dialects/MoE/IR/MoE.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// Fails, with an error at each of them, if the function has moe operations that are neither of the symbolic ones every
/// form has (leaf, wrap, id_cast, weight.*, route, dispatch, return, apply without ids) nor accepted by `isAllowed`.
mlir::LogicalResult
verifyForm(mlir::func::FuncOp function, llvm::StringRef form,
           llvm::function_ref<bool(mlir::Operation *)> isAllowed);

} // namespace moec

#endif // MOEC_PASSES_VERIFYFORMS_H
