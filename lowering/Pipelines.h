// Pipelines from moe to LLVM.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_PIPELINES_H
#define MOEC_LOWERING_PIPELINES_H

#include "lowering/CPU/Schedule.h"
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

/// Options of `moe-cpu`.
struct CPUOptions : ReferenceOptions {
  Option<std::string> isa{
      *this, "isa",
      llvm::cl::desc("Instruction set: portable, x86-64-v3 or x86-64-v4"),
      llvm::cl::init("x86-64-v3")};
};

/// Options of `moe-cuda`.
struct CUDAOptions : ReferenceOptions {
  Option<std::string> target{
      *this, "target",
      llvm::cl::desc("What GPUs the code is for: sm_80 or sm_90a"),
      llvm::cl::init("sm_80")};
  Option<bool> fastActivations{
      *this, "fast-activations",
      llvm::cl::desc("Whether activations are made of the instruction for "
                     "tanh, which is less exact"),
      llvm::cl::init(false)};
  Option<bool> overlap{
      *this, "overlap",
      llvm::cl::desc("Whether kernels begin before the ones in front of them "
                     "have ended, where GPUs can"),
      llvm::cl::init(true)};
  Option<bool> atomicSums{
      *this, "atomic-sums",
      llvm::cl::desc("Whether blocks add to one sum in any order, so that "
                     "results may differ in their last bits"),
      llvm::cl::init(false)};
  Option<std::string> residualForm{
      *this, "residual-form",
      llvm::cl::desc("How experts' residuals are added: auto, dense, present "
                     "or slot"),
      llvm::cl::init("auto")};
  Option<std::string> ptxas{
      *this, "ptxas",
      llvm::cl::desc(
          "CUDA's assembler, by which kernels are kept as a cubin too")};
};

/// How kernels are made for a GPU.
struct KernelOptions {
  /// What findGPUTarget knows.
  std::string target = "sm_80";
  /// Activations are made of the instruction for tanh, which is less exact.
  bool fastActivations = false;
  /// Kernels begin before the ones in front of them have ended, where GPUs can.
  bool overlap = true;
  /// "auto", or a form of residuals.
  std::string residualForm = "auto";
  /// Blocks add to one sum in any order: results may differ in their last bits.
  bool atomicSums = false;
};

/// moe to linalg on tensors; public functions take buffers.
void buildReferenceToLinalg(mlir::OpPassManager &manager,
                            const ReferenceOptions &options);

/// The same, but operations that CPU kernels do stay.
void buildCPUToLinalg(mlir::OpPassManager &manager,
                      const ReferenceOptions &options);

/// The same, but operations that CUDA kernels do stay.
void buildCUDAToLinalg(mlir::OpPassManager &manager,
                       const ReferenceOptions &options);

/// linalg on tensors to loops on buffers, and operations that stayed to kernels of an instruction set; scratch memory comes
/// from a workspace argument.
void buildLinalgToLoops(mlir::OpPassManager &manager,
                        const InstructionSet *isa = nullptr);

/// Loops on buffers to the LLVM dialect, with C wrappers for entries.
void buildLoopsToLLVM(mlir::OpPassManager &manager,
                      const InstructionSet *isa = nullptr);

/// linalg on tensors to device functions and what launches them; scratch memory comes from a workspace argument.
void buildLinalgToKernels(mlir::OpPassManager &manager,
                          const KernelOptions &options);

/// Device functions to PTX, and to a cubin if `ptxas` names an assembler; what launches them to the LLVM dialect.
void buildKernelsToLLVM(mlir::OpPassManager &manager, llvm::StringRef target,
                        llvm::StringRef ptxas);

/// `moe-reference`: the three above. The slow path that defines what results are right.
void buildReferencePipeline(mlir::OpPassManager &manager,
                            const ReferenceOptions &options);

/// `moe-cpu`: the same with CPU kernels.
void buildCPUPipeline(mlir::OpPassManager &manager, const CPUOptions &options);

/// `moe-cuda`: kernels for GPUs, by the reference lowering where there is none of their own.
void buildCUDAPipeline(mlir::OpPassManager &manager,
                       const CUDAOptions &options);

/// Registers the pipelines of this file by their flags.
void registerPipelines();

} // namespace moec::lowering

#endif // MOEC_LOWERING_PIPELINES_H
