// Pipelines from moe to LLVM.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_PIPELINES_H
#define MOEC_LOWERING_PIPELINES_H

#include "mlir/Pass/PassOptions.h"

namespace mlir {
class OpPassManager;
}

namespace moec::lowering {

/// Options of `moe-reference`.
struct ReferenceOptions : mlir::PassPipelineOptions<ReferenceOptions> {
  ListOption<std::string> weights{
      *this, "weights",
      llvm::cl::desc(
          "Binds a scope of external params: scope=file.safetensors, "
          "scope=splat:V or scope=seeded:S[:scale]")};
  Option<int64_t> maxBytes{
      *this, "max-bytes",
      llvm::cl::desc("Most bytes that the values of all params may take"),
      llvm::cl::init(int64_t(1) << 30)};
};

/// moe to linalg on tensors; public functions take buffers.
void buildReferenceToLinalg(mlir::OpPassManager &manager,
                            const ReferenceOptions &options);

/// linalg on tensors to loops on buffers; scratch memory comes from a workspace argument.
void buildLinalgToLoops(mlir::OpPassManager &manager);

/// Loops on buffers to the LLVM dialect, with C wrappers for entries.
void buildLoopsToLLVM(mlir::OpPassManager &manager);

/// `moe-reference`: the three above. The slow path that defines what results are right.
void buildReferencePipeline(mlir::OpPassManager &manager,
                            const ReferenceOptions &options);

/// Registers the pipelines of this file by their flags.
void registerPipelines();

} // namespace moec::lowering

#endif // MOEC_LOWERING_PIPELINES_H
