// moe-kernels-to-ptx: device functions become PTX, kept as an attribute of the module.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/Assemble.h"
#include "lowering/CUDA/KernelTable.h"
#include "lowering/CUDA/Targets.h"
#include "lowering/Library/DeviceCode.h"
#include "lowering/Library/EmitLibrary.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

namespace moec::lowering {
#define GEN_PASS_DEF_KERNELSTOPTXPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec::lowering;

static std::unique_ptr<llvm::TargetMachine>
createTargetMachine(const GPUTarget &gpu) {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string message;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, message);
  assert(target && "LLVM is built with all its targets");
  // The rounding of each operation is part of the meaning: what is to be fused says so.
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, gpu.name, gpu.ptx, options, /*RM=*/std::nullopt,
      /*CM=*/std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

/// What the code calls and does not have: a library of the toolkit's would be needed.
static LogicalResult checkComplete(gpu::GPUModuleOp kernels,
                                   const llvm::Module &code) {
  for (const llvm::Function &function : code)
    if (function.isDeclaration() && !function.isIntrinsic())
      return kernels.emitError("kernels need '")
             << function.getName()
             << "', which GPUs have only in a library: expected operations "
                "that become instructions";
  return success();
}

/// Who reads by tensor maps multiplies by warpgroups: LLVM would end the process where a target has no such instruction.
static LogicalResult checkTarget(gpu::GPUModuleOp kernels,
                                 const GPUTarget &gpu) {
  for (auto kernel : kernels.getOps<LLVM::LLVMFuncOp>())
    if (kernel->hasAttr(tensorMapsAttrName) && !gpu.hasWarpgroups)
      return kernel.emitError("kernel '")
             << kernel.getName()
             << "' is for warpgroups: expected target sm_90a, found "
             << gpu.name;
  return success();
}

static FailureOr<std::string> toPTX(gpu::GPUModuleOp kernels,
                                    const GPUTarget &gpu) {
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(gpu);
  MLIRContext *context = kernels.getContext();
  registerBuiltinDialectTranslation(*context);
  registerGPUDialectTranslation(*context);
  registerLLVMDialectTranslation(*context);
  registerNVVMDialectTranslation(*context);
  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> code =
      translateModuleToLLVMIR(kernels, llvmContext, kernels.getName());
  if (!code)
    return failure();
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  optimize(*code, *machine, /*level=*/2);
  if (failed(checkComplete(kernels, *code)))
    return failure();
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream os(text);
  llvm::legacy::PassManager codegen;
  if (machine->addPassesToEmitFile(codegen, os, /*DwoOut=*/nullptr,
                                   llvm::CodeGenFileType::AssemblyFile))
    llvm_unreachable("LLVM writes PTX as text");
  codegen.run(*code);
  return std::string(text);
}

namespace {
struct KernelsToPTXPass
    : moec::lowering::impl::KernelsToPTXPassBase<KernelsToPTXPass> {
  using Base::Base;

  /// In the order of their numbers.
  SmallVector<DeviceCode::Kernel> collectKernels() {
    SmallVector<DeviceCode::Kernel> kernels;
    for (Operation &op : getOperation().getOps()) {
      auto number = op.getAttrOfType<IntegerAttr>(kernelNumberAttrName);
      if (!number)
        continue;
      StringRef name = SymbolTable::getSymbolName(&op).getValue();
      name.consume_front(launchPrefix);
      auto bytes = op.getAttrOfType<IntegerAttr>(sharedBytesAttrName);
      size_t place = number.getInt();
      kernels.resize(std::max(kernels.size(), place + 1));
      kernels[place].name = name.str();
      kernels[place].sharedBytes = static_cast<uint32_t>(bytes.getInt());
      if (auto cluster = op.getAttrOfType<IntegerAttr>(clusterAttrName))
        kernels[place].cluster = {static_cast<uint32_t>(cluster.getInt()), 1,
                                  1};
      kernels[place].isDependent = op.hasAttr(isDependentAttrName);
    }
    return kernels;
  }

  void runOnOperation() override {
    const GPUTarget *gpu = findGPUTargetOrFail(getOperation().getLoc(), target);
    if (!gpu)
      return signalPassFailure();
    auto kernels =
        getOperation().lookupSymbol<gpu::GPUModuleOp>(kernelsModuleName);
    if (!kernels)
      return;
    if (failed(checkTarget(kernels, *gpu)))
      return signalPassFailure();
    FailureOr<std::string> ptx = toPTX(kernels, *gpu);
    if (failed(ptx))
      return signalPassFailure();
    TargetCode code;
    code.target = gpu->name.str();
    code.code.capability = gpu->capability;
    code.code.isExact = gpu->isExact;
    if (!ptxas.empty()) {
      FailureOr<std::string> cubin =
          assemblePTX(kernels.getLoc(), ptxas, gpu->name, *ptx);
      if (failed(cubin))
        return signalPassFailure();
      code.code.images.push_back({"cubin", *std::move(cubin)});
    }
    code.code.images.push_back({"PTX", *std::move(ptx)});
    code.code.kernels = collectKernels();
    setDeviceCode(getOperation(), code);
    kernels.erase();
    getOperation()->removeAttr(gpu::GPUDialect::getContainerModuleAttrName());
  }
};
} // namespace
