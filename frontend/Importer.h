// From a checkpoint to a module in graph form.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_FRONTEND_IMPORTER_H
#define MOEC_FRONTEND_IMPORTER_H

#include "frontend/Checkpoint.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace moec::frontend {

/// The scope of the imported params' values: #moe.external<"model"::"...">.
inline constexpr char modelScope[] = "model";

/// A module with a public function @layerN for each MoE layer, from tokens x
/// [?, hidden] to y of that type, in f32. Weights are params by the keys of
/// Checkpoint::source in scope "model", encoded as they are stored, so that
/// their values are exact: none of them is in the module. Loads the dialects
/// it needs into the context.
mlir::OwningOpRef<mlir::ModuleOp>
importCheckpoint(mlir::MLIRContext &context, const Checkpoint &checkpoint);

} // namespace moec::frontend

#endif // MOEC_FRONTEND_IMPORTER_H
