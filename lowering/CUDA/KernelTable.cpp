// The kernels of a module, and their launches.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/KernelTable.h"

#include "lowering/Code/Code.h"
#include "lowering/Library/EntryArguments.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moec::lowering;

KernelTable::KernelTable(ModuleOp module)
    : module(module), symbols(module),
      device(symbols.lookup<gpu::GPUModuleOp>(kernelsModuleName)) {
  for (auto function : module.getOps<func::FuncOp>())
    count += function->hasAttr(kernelNumberAttrName);
}

gpu::GPUModuleOp KernelTable::kernels() {
  if (!device) {
    OpBuilder builder(module.getContext());
    device =
        gpu::GPUModuleOp::create(builder, module.getLoc(), kernelsModuleName);
    symbols.insert(device);
    module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                    builder.getUnitAttr());
  }
  return device;
}

/// What PTX takes as a name.
static std::string identifierOf(StringRef name) {
  std::string result;
  for (char c : name)
    result += llvm::isAlnum(c) ? c : '_';
  return result;
}

FailureOr<Kernel> KernelTable::add(Location loc, StringRef name,
                                   int64_t threads, Body body,
                                   int64_t sharedBytes, int64_t cluster) {
  std::string unique = identifierOf(name) + "_" + std::to_string(count);
  OpBuilder builder = OpBuilder::atBlockEnd(kernels().getBody());
  Kernel kernel;
  kernel.function = gpu::GPUFuncOp::create(builder, loc, unique,
                                           builder.getFunctionType({}, {}));
  kernel.function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                           builder.getUnitAttr());
  kernel.function.setKnownBlockSize(
      ArrayRef<int32_t>{static_cast<int32_t>(threads), 1, 1});
  builder.setInsertionPointToStart(&kernel.function.getBody().front());
  body(builder, kernel.function);
  gpu::ReturnOp::create(builder, loc);
  if (failed(capture(kernel)))
    return failure();
  declareLaunch(kernel.function, threads, sharedBytes, cluster);
  return kernel;
}

/// Views of the host that a kernel has tensor maps of, and what is to be said of each map.
static SetVector<Value> collectTensorMaps(gpu::GPUFuncOp function) {
  SetVector<Value> views;
  SmallVector<Attribute> maps;
  Builder builder(function.getContext());
  function.walk([&](UnrealizedConversionCastOp cast) {
    Attribute box = cast->getAttr(tensorMapAttrName);
    if (!box || !views.insert(cast.getOperand(0)))
      return;
    EntryElementType element = *entryElementType(elementOf(cast.getOperand(0)));
    maps.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr("bits", builder.getI32IntegerAttr(element.bits)),
         builder.getNamedAttr("box", box),
         builder.getNamedAttr("code",
                              builder.getI32IntegerAttr(element.code))}));
  });
  if (!maps.empty())
    function->setAttr(tensorMapsAttrName, builder.getArrayAttr(maps));
  return views;
}

/// Values of the host become the kernel's own.
LogicalResult KernelTable::capture(Kernel &kernel) {
  gpu::GPUFuncOp function = kernel.function;
  SetVector<Value> outside = collectTensorMaps(function);
  function.walk([&](Operation *op) {
    for (Value value : op->getOperands())
      if (!function->isAncestor(value.getParentRegion()->getParentOp()))
        outside.insert(value);
  });
  for (Value value : outside) {
    Value inside;
    if (isRematerialised(value)) {
      OpBuilder builder = OpBuilder::atBlockBegin(&function.getBody().front());
      Operation *made = builder.clone(*value.getDefiningOp());
      if (auto global = dyn_cast<memref::GetGlobalOp>(made))
        shareGlobal(global.getNameAttr());
      inside = made->getResult(cast<OpResult>(value).getResultNumber());
    } else {
      if (!isa<MemRefType>(value.getType()) &&
          !value.getType().isIntOrIndexOrFloat())
        return emitError(function.getLoc(), "a kernel needs a value of type ")
               << value.getType() << ": expected buffers and scalars";
      unsigned place = kernel.captures.size();
      if (failed(function.insertArgument(place, value.getType(),
                                         /*argAttrs=*/{}, value.getLoc())))
        return failure();
      inside = function.getArgument(place);
      kernel.captures.push_back(value);
    }
    value.replaceUsesWithIf(inside, [&](OpOperand &use) {
      return function->isProperAncestor(use.getOwner());
    });
  }
  return success();
}

void KernelTable::shareGlobal(FlatSymbolRefAttr name) {
  if (SymbolTable::lookupSymbolIn(kernels(), name))
    return;
  OpBuilder builder = OpBuilder::atBlockBegin(kernels().getBody());
  builder.clone(*symbols.lookup<memref::GlobalOp>(name.getValue()));
}

void KernelTable::declareLaunch(gpu::GPUFuncOp kernel, int64_t threads,
                                int64_t sharedBytes, int64_t cluster) {
  OpBuilder builder(module.getContext());
  SmallVector<Type> types{LLVM::LLVMPointerType::get(module.getContext()),
                          builder.getIndexType()};
  llvm::append_range(types, kernel.getFunctionType().getInputs());
  auto launch = func::FuncOp::create(builder, kernel.getLoc(),
                                     (launchPrefix + kernel.getName()).str(),
                                     builder.getFunctionType(types, {}));
  launch.setPrivate();
  launch->setAttr(kernelNumberAttrName, builder.getI64IntegerAttr(count++));
  launch->setAttr(blockAttrName, builder.getI64IntegerAttr(threads));
  launch->setAttr(sharedBytesAttrName, builder.getI64IntegerAttr(sharedBytes));
  if (cluster > 1)
    launch->setAttr(clusterAttrName, builder.getI64IntegerAttr(cluster));
  if (Attribute maps = kernel->getAttr(tensorMapsAttrName))
    launch->setAttr(tensorMapsAttrName, maps);
  symbols.insert(launch);
}

void KernelTable::launch(OpBuilder &builder, Location loc, StringRef kernel,
                         Value context, Value blocks, ValueRange arguments) {
  SmallVector<Value> operands{context, blocks};
  llvm::append_range(operands, arguments);
  func::CallOp::create(builder, loc, (launchPrefix + kernel).str(), TypeRange(),
                       operands);
}
