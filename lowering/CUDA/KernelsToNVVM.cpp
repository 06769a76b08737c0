// convert-kernels-to-nvvm: device functions in the LLVM and NVVM dialects.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/HopperCode.h"
#include "lowering/CUDA/KernelTable.h"
#include "lowering/Passes.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/LoweringOptions.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace moec::lowering {
#define GEN_PASS_DEF_CONVERTKERNELSTONVVMPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec::lowering;

namespace {
struct ConvertKernelsToNVVMPass
    : moec::lowering::impl::ConvertKernelsToNVVMPassBase<
          ConvertKernelsToNVVMPass> {
  using Base::Base;

  /// Functions that GPUs have no instruction for become polynomials.
  void expandMath() {
    RewritePatternSet patterns(&getContext());
    auto isExpanded = [](StringRef name) {
      return !llvm::is_contained({"math.sqrt", "math.absf"}, name);
    };
    populateMathF32ExpansionPatterns(patterns, isExpanded);
    populateMathPolynomialApproximationPatterns(patterns, isExpanded);
    math::populateExpansionPatterns(patterns, {"rsqrt", "fpowi"});
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }

  /// In f64 there are neither polynomials nor instructions, and LLVM would call a function that there is not.
  LogicalResult checkMath() {
    WalkResult walk = getOperation()->walk([](Operation *op) -> WalkResult {
      bool isFunction =
          isa<math::ExpOp, math::Exp2Op, math::ExpM1Op, math::LogOp,
              math::Log1pOp, math::Log2Op, math::PowFOp, math::TanhOp,
              math::ErfOp, math::SinOp, math::CosOp>(op);
      if (!isFunction || !op->getResult(0).getType().isF64())
        return WalkResult::advance();
      return op->emitOpError("has no device code in f64: expected f32");
    });
    return failure(walk.wasInterrupted());
  }

  /// What a kernel has a tensor map of becomes a pointer to the map.
  static void replaceMappedViews(gpu::GPUFuncOp kernel) {
    auto maps = kernel->getAttrOfType<ArrayAttr>(tensorMapsAttrName);
    for (unsigned i = 0; maps && i < maps.size(); ++i) {
      BlockArgument view = kernel.getArgument(i);
      auto pointer = LLVM::LLVMPointerType::get(kernel.getContext());
      SmallVector<Operation *> casts(view.getUsers());
      view.setType(pointer);
      for (Operation *cast : casts) {
        cast->replaceAllUsesWith(ValueRange{view});
        cast->erase();
      }
    }
    // What kernels share follows their arguments.
    kernel.setType(FunctionType::get(
        kernel.getContext(),
        llvm::to_vector(
            llvm::map_range(kernel.getArguments().take_front(
                                kernel.getFunctionType().getNumInputs()),
                            [](Value argument) { return argument.getType(); })),
        {}));
  }

  /// Tensor maps are handed over themselves, and read where they are.
  static void takeMapsByValue(LLVM::LLVMFuncOp kernel) {
    auto maps = kernel->getAttrOfType<ArrayAttr>(tensorMapsAttrName);
    Builder builder(kernel.getContext());
    Type bytes =
        LLVM::LLVMArrayType::get(builder.getIntegerType(8), tensorMapBytes);
    for (unsigned i = 0; maps && i < maps.size(); ++i) {
      kernel.setArgAttr(i, LLVM::LLVMDialect::getByValAttrName(),
                        TypeAttr::get(bytes));
      kernel.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(),
                        builder.getI64IntegerAttr(tensorMapAlignment));
      kernel.setArgAttr(i, NVVM::NVVMDialect::getGridConstantAttrName(),
                        builder.getUnitAttr());
    }
  }

  /// What a launch gives of shared memory is nobody's own: LLVM would make one byte of it. Boxes that tensor maps bring lie
  /// at multiples of their swizzle's pattern.
  static void declareDynamicShared(LLVM::GlobalOp global) {
    auto type = dyn_cast<LLVM::LLVMArrayType>(global.getGlobalType());
    if (!type || type.getNumElements() != 0)
      return;
    global.setLinkage(LLVM::Linkage::External);
    global.setAlignment(HopperCode::patternBytes);
  }

  /// What a loop says about itself, where LLVM looks for it.
  static void annotateLoop(LLVM::BrOp latch) {
    Attribute said =
        latch->removeDiscardableAttr(KernelCode::loopAnnotationAttrName);
    if (auto annotation = dyn_cast_or_null<LLVM::LoopAnnotationAttr>(said))
      latch.setLoopAnnotationAttr(annotation);
  }

  void runOnOperation() override {
    expandMath();
    if (failed(checkMath()))
      return signalPassFailure();
    getOperation()->walk(replaceMappedViews);
    MLIRContext *context = &getContext();
    LLVMTypeConverter converter(context);
    configureGpuToNVVMTypeConverter(converter);
    RewritePatternSet patterns(context);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
    // In front of upstream's calls of CUDA's library.
    populateMathToLLVMConversionPatterns(converter, patterns,
                                         /*approximateLog1p=*/false,
                                         /*benefit=*/2);
    populateGpuToNVVMConversionPatterns(converter, patterns);
    LLVMConversionTarget target(*context);
    target.addLegalDialect<NVVM::NVVMDialect>();
    target.addIllegalDialect<gpu::GPUDialect>();
    target.addLegalOp<gpu::GPUModuleOp>();
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      return signalPassFailure();
    getOperation()->walk(takeMapsByValue);
    getOperation()->walk(declareDynamicShared);
    getOperation()->walk(annotateLoop);
  }
};
} // namespace
