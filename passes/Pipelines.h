// Named pipelines from moe to moe.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_PIPELINES_H
#define MOEC_PASSES_PIPELINES_H

namespace mlir {
class OpPassManager;
}

namespace moec {

/// Forms a pipeline can stop at.
enum class Form { graph, slot, scheduled };

/// Graph form to `last`: decompose, share, group, fuse, each stage closed by its verify pass. Exact.
void buildOptimizePipeline(mlir::OpPassManager &manager, Form last);

/// Registers `moe-optimize`, with its option `to`.
void registerPassPipelines();

} // namespace moec

#endif // MOEC_PASSES_PIPELINES_H
