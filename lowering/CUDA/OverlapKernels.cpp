// moe-overlap-kernels: kernels begin before the ones in front of them have ended.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Each waits, in all its threads and whatever it reads, until the one before it
// is done. So when a kernel is done, all before it are, and memory that a call
// uses again is not written too early.
#include "lowering/CUDA/KernelTable.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace moec::lowering {
#define GEN_PASS_DEF_OVERLAPKERNELSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec::lowering;

/// Memory that nobody but a block, or a thread, has.
static bool isOfBlock(Value value) {
  auto type = dyn_cast_if_present<MemRefType>(value ? value.getType() : Type());
  return type &&
         (gpu::GPUDialect::hasWorkgroupMemoryAddressSpace(type) ||
          isa_and_present<gpu::AddressSpaceAttr>(type.getMemorySpace()));
}

/// Whether an operation, without those in its regions, may read or write device
/// memory.
static bool touchesDevice(Operation *op) {
  // Barriers and what prepares them are of shared memory, and maps that are brought near are arguments.
  if (isa<NVVM::PrefetchOp, gpu::BarrierOp, NVVM::MBarrierInitOp,
          NVVM::FenceMbarrierInitOp, NVVM::ClusterArriveOp,
          NVVM::ClusterWaitOp>(op) ||
      op->hasTrait<OpTrait::HasRecursiveMemoryEffects>())
    return false;
  auto known = dyn_cast<MemoryEffectOpInterface>(op);
  if (!known)
    return true;
  SmallVector<MemoryEffects::EffectInstance> effects;
  known.getEffects(effects);
  return llvm::any_of(effects, [](const MemoryEffects::EffectInstance &effect) {
    return !isOfBlock(effect.getValue());
  });
}

static bool mayTouchDevice(Operation &op) {
  return op
      .walk([](Operation *inner) {
        return touchesDevice(inner) ? WalkResult::interrupt()
                                    : WalkResult::advance();
      })
      .wasInterrupted();
}

/// As LLVM's intrinsics these would not touch memory, and loads could be moved over them.
static void control(OpBuilder &builder, Location loc, StringRef action) {
  LLVM::InlineAsmOp::create(
      builder, loc, /*res=*/TypeRange(), ValueRange(),
      ("griddepcontrol." + action + ";").str(), "~{memory}",
      /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(builder.getContext(), LLVM::AsmDialect::AD_ATT),
      /*operand_attrs=*/ArrayAttr());
}

static void overlap(gpu::GPUFuncOp kernel) {
  Block &body = kernel.getBody().front();
  auto first = llvm::find_if(body.without_terminator(), mayTouchDevice);
  OpBuilder builder(&body, first);
  control(builder, kernel.getLoc(), "wait");
  builder.setInsertionPointToStart(&body);
  control(builder, kernel.getLoc(), "launch_dependents");
}

namespace {
struct OverlapKernelsPass
    : moec::lowering::impl::OverlapKernelsPassBase<OverlapKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    auto kernels =
        getOperation().lookupSymbol<gpu::GPUModuleOp>(kernelsModuleName);
    if (!kernels)
      return;
    for (auto kernel : kernels.getOps<gpu::GPUFuncOp>())
      if (kernel.isKernel())
        overlap(kernel);
    for (auto launch : getOperation().getOps<func::FuncOp>())
      if (launch->hasAttr(kernelNumberAttrName))
        launch->setAttr(isDependentAttrName, UnitAttr::get(&getContext()));
  }
};
} // namespace
