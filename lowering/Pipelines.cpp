// Pipelines from moe to LLVM: each a table of contents.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Pipelines.h"

#include "lowering/CUDA/Targets.h"
#include "lowering/Passes.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace moec::lowering;

static void buildToLinalg(OpPassManager &manager,
                          const ReferenceOptions &options,
                          std::unique_ptr<Pass> selectKernels = nullptr) {
  // Entries are public functions; what they call becomes part of them.
  manager.addPass(createInlinerPass());
  manager.addPass(createSymbolDCEPass());
  // Extents are related by what moe operations mean, so entries are described before they are lowered.
  manager.addPass(createExportEntriesPass());
  if (selectKernels)
    manager.addPass(std::move(selectKernels));
  ConvertMoEToLinalgPassOptions conversion;
  llvm::append_range(conversion.weights, options.weights);
  conversion.maxBytes = options.maxBytes;
  manager.addPass(createConvertMoEToLinalgPass(conversion));
  // Element-wise arith and math on tensors, which the model or a rewrite put beside moe operations.
  manager.addPass(createConvertElementwiseToLinalgPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void moec::lowering::buildReferenceToLinalg(OpPassManager &manager,
                                            const ReferenceOptions &options) {
  buildToLinalg(manager, options);
}

void moec::lowering::buildCPUToLinalg(OpPassManager &manager,
                                      const ReferenceOptions &options) {
  buildToLinalg(manager, options, createSelectCPUKernelsPass());
}

void moec::lowering::buildCUDAToLinalg(OpPassManager &manager,
                                       const ReferenceOptions &options) {
  buildToLinalg(manager, options, createSelectCUDAKernelsPass());
}

/// linalg on tensors to linalg on buffers.
static void buildBuffers(OpPassManager &manager) {
  // Extents that are not an argument's are traced back to one that is: workspace sizes are computed from them.
  manager.addPass(memref::createResolveRankedShapeTypeResultDimsPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  // Results are computed in the workspace and copied out at the end. Eliminating empty tensors first would put them where
  // the caller wants them, but upstream then lets a value that several results share live in one result's memory.
  manager.addPass(bufferization::createOneShotBufferizePass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void moec::lowering::buildLinalgToLoops(OpPassManager &manager,
                                        const InstructionSet *isa) {
  buildBuffers(manager);
  if (isa) {
    manager.addPass(createWrapProductsPass());
    ConvertMoEToCPUPassOptions kernels;
    kernels.instructionSet = isa->name.str();
    manager.addPass(createConvertMoEToCPUPass(kernels));
    manager.addPass(createCanonicalizerPass());
    manager.addPass(createCSEPass());
  }
  manager.addPass(createPlanWorkspacePass());
  // From here on names are those of C.
  manager.addPass(createPrefixEntriesPass());
  // What is left of copies is strided on the caller's side.
  manager.addNestedPass<func::FuncOp>(createExpandCopiesPass());
  // The reference lowering keeps the order that an operation has.
  if (isa) {
    manager.addNestedPass<func::FuncOp>(createOrderLoopsPass());
    manager.addNestedPass<func::FuncOp>(createVectorizeLoopsPass());
  }
  manager.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
}

/// Arithmetic on f16 and bf16 that a target does in f32.
template <typename Function>
static void addNarrowFloats(OpPassManager &manager, bool keepHalfVectors) {
  // Arithmetic on f16 and bf16 is done in f32 and rounded; conversions become integer operations. Nothing may fold in
  // between: a rounding that looks superfluous is part of the meaning.
  manager.addNestedPass<Function>(math::createMathExtendToSupportedTypes());
  arith::ArithEmulateUnsupportedFloatsOptions narrow;
  narrow.sourceTypeStrs = {"f16", "bf16"};
  narrow.targetTypeStr = "f32";
  manager.addNestedPass<Function>(
      arith::createArithEmulateUnsupportedFloats(narrow));
  ExpandNarrowFloatsPassOptions expansion;
  expansion.keepHalfVectors = keepHalfVectors;
  manager.addNestedPass<Function>(createExpandNarrowFloatsPass(expansion));
}

void moec::lowering::buildLoopsToLLVM(OpPassManager &manager,
                                      const InstructionSet *isa) {
  // Parallel loops, of which the reference lowering makes none, run on the caller's threads.
  manager.addPass(createOutlineParallelPass());
  // What asks for bases of clusters, if they are paged; its argument stands behind the executor.
  manager.addPass(createConvertMoERTToLLVMPass());
  addNarrowFloats<func::FuncOp>(manager, isa && isa->hasHalf);
  // What the C library has no function for.
  math::MathExpandOpsPassOptions expanded;
  expanded.opMnemonics = {"rsqrt", "fpowi"};
  manager.addNestedPass<func::FuncOp>(math::createMathExpandOpsPass(expanded));
  // The C library's functions are exact where LLVM's expansions are not (log1p), and the same on every CPU.
  manager.addPass(createConvertMathToLibmPass());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(createConvertToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  // Nothing but moves is left of f16 and bf16: as integers LLVM cannot make arithmetic of them again.
  manager.addPass(createKeepNarrowFloatsAsBitsPass());
}

void moec::lowering::buildLinalgToKernels(OpPassManager &manager,
                                          const KernelOptions &options) {
  ScheduleCUDAKernelsPassOptions schedule;
  schedule.target = options.target;
  schedule.fastActivations = options.fastActivations;
  schedule.residualForm = options.residualForm;
  schedule.atomicSums = options.atomicSums;
  manager.addPass(createScheduleCUDAKernelsPass(schedule));
  buildBuffers(manager);
  manager.addPass(createConvertMoEToCUDAPass());
  manager.addPass(createSplitSumsPass());
  manager.addPass(createMakeParallelLoopsPass());
  // Extents that are equal become one value.
  manager.addPass(createCSEPass());
  // In front of the plan: what a turn wrote may not lie where another's row comes to lie.
  manager.addPass(createFuseTurnsPass());
  manager.addPass(createPlanWorkspacePass());
  manager.addPass(createPrefixEntriesPass());
  manager.addPass(createOutlineKernelsPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  // An unknown target is reported by the schedule.
  const GPUTarget *gpu = findGPUTarget(options.target);
  if (options.overlap && gpu && gpu->hasDependentLaunches())
    manager.addPass(createOverlapKernelsPass());
}

void moec::lowering::buildKernelsToLLVM(OpPassManager &manager,
                                        StringRef target, StringRef ptxas) {
  addNarrowFloats<gpu::GPUModuleOp>(manager, /*keepHalfVectors=*/false);
  OpPassManager &device = manager.nest<gpu::GPUModuleOp>();
  device.addPass(memref::createExpandStridedMetadataPass());
  device.addPass(createLowerAffinePass());
  device.addPass(createSCFToControlFlowPass());
  device.addPass(createConvertKernelsToNVVMPass());
  // Instructions that LLVM has no intrinsic for.
  device.addPass(createConvertNVVMToLLVMPass());
  device.addPass(createCanonicalizerPass());
  device.addPass(createReconcileUnrealizedCastsPass());
  KernelsToPTXPassOptions code;
  code.target = target.str();
  code.ptxas = ptxas.str();
  manager.addPass(createKernelsToPTXPass(code));
  buildLoopsToLLVM(manager);
  manager.addPass(createDefineLaunchesPass());
}

void moec::lowering::buildReferencePipeline(OpPassManager &manager,
                                            const ReferenceOptions &options) {
  buildReferenceToLinalg(manager, options);
  buildLinalgToLoops(manager);
  buildLoopsToLLVM(manager);
}

void moec::lowering::buildCPUPipeline(OpPassManager &manager,
                                      const CPUOptions &options) {
  const InstructionSet *isa = findInstructionSet(options.isa);
  // An unknown name is reported by the conversion.
  InstructionSet unknown = instructionSets().front();
  unknown.name = options.isa;
  if (!isa)
    isa = &unknown;
  buildCPUToLinalg(manager, options);
  buildLinalgToLoops(manager, isa);
  buildLoopsToLLVM(manager, isa);
}

void moec::lowering::buildCUDAPipeline(OpPassManager &manager,
                                       const CUDAOptions &options) {
  buildCUDAToLinalg(manager, options);
  buildLinalgToKernels(manager, {options.target, options.fastActivations,
                                 options.overlap, options.residualForm,
                                 options.atomicSums});
  buildKernelsToLLVM(manager, options.target, options.ptxas);
}

void moec::lowering::registerPipelines() {
  PassPipelineRegistration<ReferenceOptions>(
      "moe-reference",
      "Lowers moe to the LLVM dialect plainly: what other pipelines are "
      "compared with",
      buildReferencePipeline);
  PassPipelineRegistration<CPUOptions>(
      "moe-cpu",
      "Lowers moe to the LLVM dialect with CPU kernels for scheduled "
      "operations",
      buildCPUPipeline);
  PassPipelineRegistration<CUDAOptions>(
      "moe-cuda",
      "Lowers moe to PTX, and to host code in the LLVM dialect that launches "
      "it",
      buildCUDAPipeline);
}
