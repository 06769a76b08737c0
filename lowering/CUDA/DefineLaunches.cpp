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
static constexpr llvm::StringLiteral tensorMapName = "moert_cuda_tensor_map";
/// Bytes of a row of a map's swizzle's pattern.
static constexpr int64_t swizzleBytes = 128;

namespace {
/// Functions of the runtime; the second where a kernel takes tensor maps.
struct Runtime {
  LLVM::LLVMFuncOp launch, tensorMap;
};
} // namespace

namespace {
/// Gives one launch its body: the kernel's arguments in a list of pointers, as drivers take them.
class LaunchDefiner {
public:
  explicit LaunchDefiner(LLVM::LLVMFuncOp function)
      : function(function), loc(function.getLoc()),
        builder(function.getContext()),
        pointer(LLVM::LLVMPointerType::get(function.getContext())) {}

  void run(const Runtime &runtime) {
    Block *block = function.addEntryBlock(builder);
    builder.setInsertionPointToStart(block);
    Value context = block->getArgument(0), blocks = block->getArgument(1);
    ValueRange rest = block->getArguments().drop_front(2);
    SmallVector<Value> places;
    if (auto maps = function->getAttrOfType<ArrayAttr>(tensorMapsAttrName))
      for (auto map : maps.getAsRange<DictionaryAttr>()) {
        places.push_back(makeTensorMap(runtime, context, map, rest));
        rest = rest.drop_front(valuesOfView(rankOf(map)));
      }
    for (Value value : rest)
      places.push_back(stored(value));
    Value arguments = list(pointer, places);
    Value one = number(1);
    Value kernel = number32(attribute(kernelNumberAttrName));
    LLVM::CallOp::create(builder, loc, runtime.launch,
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

  Value number32(int64_t value) {
    return LLVM::ConstantOp::create(builder, loc, builder.getI32Type(),
                                    builder.getI32IntegerAttr(value));
  }
  /// Where a value is.
  Value stored(Value value) {
    Value at = place(value.getType());
    LLVM::StoreOp::create(builder, loc, value, at);
    return at;
  }
  /// Where values are, one behind the other.
  Value list(Type element, ValueRange values) {
    auto type = LLVM::LLVMArrayType::get(element, values.size());
    Value list = place(type);
    for (auto [i, value] : llvm::enumerate(values)) {
      Value entry = LLVM::GEPOp::create(builder, loc, pointer, type, list,
                                        ArrayRef<LLVM::GEPArg>{0, int32_t(i)});
      LLVM::StoreOp::create(builder, loc, value, entry);
    }
    return list;
  }

  static ArrayRef<int64_t> boxOf(DictionaryAttr map) {
    return map.getAs<DenseI64ArrayAttr>("box").asArrayRef();
  }
  static size_t rankOf(DictionaryAttr map) { return boxOf(map).size(); }
  /// What a buffer is taken apart into: two pointers, the offset, extents and strides.
  static size_t valuesOfView(size_t rank) { return 3 + 2 * rank; }

  /// The map of the view that is first in `values`, on the stack.
  Value makeTensorMap(const Runtime &runtime, Value context, DictionaryAttr map,
                      ValueRange values) {
    size_t rank = rankOf(map);
    int64_t bits = map.getAs<IntegerAttr>("bits").getInt();
    Type i64 = builder.getI64Type();
    Value at =
        LLVM::AllocaOp::create(builder, loc, pointer, builder.getIntegerType(8),
                               number(tensorMapBytes), tensorMapAlignment);
    Value address =
        LLVM::GEPOp::create(builder, loc, pointer, builder.getIntegerType(bits),
                            values[1], ArrayRef<LLVM::GEPArg>{values[2]});
    SmallVector<Value> box;
    for (int64_t extent : boxOf(map))
      box.push_back(number(extent));
    LLVM::CallOp::create(
        builder, loc, runtime.tensorMap,
        ValueRange{context, at,
                   number32(map.getAs<IntegerAttr>("code").getInt()),
                   number32(bits), number32(rank), address,
                   list(i64, values.slice(3, rank)),
                   list(i64, values.slice(3 + rank, rank)), list(i64, box),
                   number32(swizzleBytes)});
    return at;
  }

  LLVM::LLVMFuncOp function;
  Location loc;
  OpBuilder builder;
  LLVM::LLVMPointerType pointer;
};

struct DefineLaunchesPass
    : moec::lowering::impl::DefineLaunchesPassBase<DefineLaunchesPass> {
  using Base::Base;

  /// Declares a function of the runtime that returns nothing.
  LLVM::LLVMFuncOp declare(StringRef name, ArrayRef<Type> arguments) {
    OpBuilder builder = OpBuilder::atBlockBegin(getOperation().getBody());
    return LLVM::LLVMFuncOp::create(
        builder, getOperation().getLoc(), name,
        LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()),
                                    arguments));
  }

  void runOnOperation() override {
    SmallVector<LLVM::LLVMFuncOp> launches;
    for (auto function : getOperation().getOps<LLVM::LLVMFuncOp>())
      if (function.isExternal() && function->hasAttr(kernelNumberAttrName))
        launches.push_back(function);
    if (launches.empty())
      return;
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    Type i32 = IntegerType::get(&getContext(), 32);
    Type i64 = IntegerType::get(&getContext(), 64);
    Runtime runtime;
    runtime.launch = declare(
        launchName, {pointer, i32, i64, i64, i64, i64, i64, i64, i64, pointer});
    if (llvm::any_of(launches, [](LLVM::LLVMFuncOp launch) {
          return launch->hasAttr(tensorMapsAttrName);
        }))
      runtime.tensorMap =
          declare(tensorMapName, {pointer, pointer, i32, i32, i32, pointer,
                                  pointer, pointer, pointer, i32});
    for (LLVM::LLVMFuncOp function : launches)
      LaunchDefiner(function).run(runtime);
  }
};
} // namespace
