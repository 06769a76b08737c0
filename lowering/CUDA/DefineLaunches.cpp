// moe-define-launches: functions that stand for launches call the runtime.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/KernelTable.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace moec::lowering {
#define GEN_PASS_DEF_DEFINELAUNCHESPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec::lowering;

/// What moert/abi.h declares for compiled code.
static constexpr llvm::StringLiteral launchName = "moert_cuda_launch";

namespace {
/// Gives one launch its body: the kernel's arguments in a list of pointers, as drivers take them.
class LaunchDefiner {
public:
  explicit LaunchDefiner(LLVM::LLVMFuncOp function)
      : function(function), loc(function.getLoc()),
        builder(function.getContext()),
        pointer(LLVM::LLVMPointerType::get(function.getContext())) {}

  void run(LLVM::LLVMFuncOp runtime) {
    Block *block = function.addEntryBlock(builder);
    builder.setInsertionPointToStart(block);
    Value context = block->getArgument(0), blocks = block->getArgument(1);
    Value arguments = store(block->getArguments().drop_front(2));
    Value one = number(1);
    Value kernel = LLVM::ConstantOp::create(
        builder, loc, builder.getI32Type(),
        builder.getI32IntegerAttr(attribute(kernelNumberAttrName)));
    LLVM::CallOp::create(builder, loc, runtime,
                         ValueRange{context, kernel, blocks, one, one,
                                    number(attribute(blockAttrName)), one, one,
                                    number(attribute(sharedBytesAttrName)),
                                    arguments});
    LLVM::ReturnOp::create(builder, loc, ValueRange());
    function.setLinkage(LLVM::Linkage::Internal);
  }

private:
  int64_t attribute(StringRef name) {
    return function->getAttrOfType<IntegerAttr>(name).getInt();
  }
  Value number(int64_t value) {
    return LLVM::ConstantOp::create(builder, loc, builder.getI64Type(),
                                    builder.getI64IntegerAttr(value));
  }
  Value place(Type type) {
    return LLVM::AllocaOp::create(builder, loc, pointer, type, number(1));
  }

  /// A list of pointers to the values.
  Value store(ValueRange values) {
    auto type = LLVM::LLVMArrayType::get(pointer, values.size());
    Value list = place(type);
    for (auto [i, value] : llvm::enumerate(values)) {
      Value at = place(value.getType());
      LLVM::StoreOp::create(builder, loc, value, at);
      Value entry = LLVM::GEPOp::create(builder, loc, pointer, type, list,
                                        ArrayRef<LLVM::GEPArg>{0, int32_t(i)});
      LLVM::StoreOp::create(builder, loc, at, entry);
    }
    return list;
  }

  LLVM::LLVMFuncOp function;
  Location loc;
  OpBuilder builder;
  LLVM::LLVMPointerType pointer;
};

struct DefineLaunchesPass
    : moec::lowering::impl::DefineLaunchesPassBase<DefineLaunchesPass> {
  using Base::Base;

  static LLVM::LLVMFuncOp declareRuntime(ModuleOp module) {
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    MLIRContext *context = module.getContext();
    auto pointer = LLVM::LLVMPointerType::get(context);
    auto i64 = builder.getI64Type();
    return LLVM::LLVMFuncOp::create(
        builder, module.getLoc(), launchName,
        LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context),
                                    {pointer, builder.getI32Type(), i64, i64,
                                     i64, i64, i64, i64, i64, pointer}));
  }

  void runOnOperation() override {
    LLVM::LLVMFuncOp runtime;
    SmallVector<LLVM::LLVMFuncOp> launches;
    for (auto function : getOperation().getOps<LLVM::LLVMFuncOp>())
      if (function.isExternal() && function->hasAttr(kernelNumberAttrName))
        launches.push_back(function);
    if (!launches.empty())
      runtime = declareRuntime(getOperation());
    for (LLVM::LLVMFuncOp function : launches)
      LaunchDefiner(function).run(runtime);
  }
};
} // namespace
