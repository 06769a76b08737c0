// Named pipelines from moe to moe.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Pipelines.h"

#include "passes/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void moec::buildOptimizePipeline(OpPassManager &manager, Form last) {
  OpPassManager &function = manager.nest<func::FuncOp>();

  // Graph form. CSE makes each param one value, by which routers and selects are seen to use the same table.
  // Canonicalisation pulls selects outward, so that what a cluster shares stands in one value.
  function.addPass(createVerifyWeightsPass());
  function.addPass(createVerifyGraphFormPass());
  function.addPass(createCSEPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
  if (last == Form::graph)
    return;

  // Slot form: lay open the parts of each weight, then compute what is shared once.
  function.addPass(createDecomposeExpertsPass());
  function.addPass(createDistributeWeightsPass());
  function.addPass(createShareBasePass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
  function.addPass(createVerifySlotFormPass());
  if (last == Form::slot)
    return;

  // Scheduled form: rows sorted by cluster, residuals in the base products, hidden activations summed as they arise.
  function.addPass(createGroupTokensPass());
  function.addPass(createCSEPass());
  function.addPass(createFuseResidualPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
  function.addPass(createFuseCombinePass());
  function.addPass(createCSEPass());
  function.addPass(createVerifyScheduledFormPass());
}

namespace {
struct OptimizeOptions : PassPipelineOptions<OptimizeOptions> {
  Option<moec::Form> to{
      *this, "to",
      llvm::cl::desc("Last form: graph, slot or scheduled (default)"),
      llvm::cl::values(
          clEnumValN(moec::Form::graph, "graph", "after clean-up only"),
          clEnumValN(moec::Form::slot, "slot", "after sharing the base"),
          clEnumValN(moec::Form::scheduled, "scheduled",
                     "after fusing the residual")),
      llvm::cl::init(moec::Form::scheduled)};
};
} // namespace

void moec::registerPassPipelines() {
  PassPipelineRegistration<OptimizeOptions>(
      "moe-optimize",
      "From graph form to scheduled form: shares the base, combines before "
      "down, fuses the residual. Exact.",
      [](OpPassManager &manager, const OptimizeOptions &options) {
        buildOptimizePipeline(manager, options.to);
      });
}
