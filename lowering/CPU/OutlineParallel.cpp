// moe-outline-parallel: parallel loops of entries run on the caller's threads.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Code/Code.h"
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/RegionUtils.h"

namespace moec::lowering {
#define GEN_PASS_DEF_OUTLINEPARALLELPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;

namespace {
/// What moert/abi.h declares for compiled code.
constexpr llvm::StringLiteral parallelFor = "moert_parallel_for";

/// The loop's fewest turns for a call of their own.
constexpr llvm::StringLiteral grainName = "moe.grain";

/// Whether the loop can be shared among threads: one dimension, step 1, no
/// reduction.
bool isShared(scf::ParallelOp loop) {
  return loop.getNumLoops() == 1 && loop.getInitVals().empty() &&
         matchPattern(loop.getStep().front(), m_One());
}

/// Takes the parallel loops out of one entry.
class Outliner {
public:
  Outliner(func::FuncOp entry, SymbolTable &symbols)
      : entry(entry), symbols(symbols), context(entry.getContext()),
        pointer(LLVM::LLVMPointerType::get(context)),
        i64(IntegerType::get(context, 64)), converter(context) {}

  LogicalResult run() {
    SmallVector<scf::ParallelOp> loops;
    entry.walk<WalkOrder::PreOrder>([&](scf::ParallelOp loop) {
      if (!isShared(loop))
        return WalkResult::advance();
      loops.push_back(loop);
      return WalkResult::skip();
    });
    if (loops.empty())
      return success();
    if (failed(entry.insertArgument(entry.getNumArguments(), pointer,
                                    /*argAttrs=*/{}, entry.getLoc())))
      return failure();
    for (scf::ParallelOp loop : loops)
      if (failed(outline(loop)))
        return failure();
    return success();
  }

private:
  LogicalResult outline(scf::ParallelOp loop) {
    OpBuilder builder(loop);
    Value lower = loop.getLowerBound().front();
    int64_t grain = 1;
    if (Attribute asked = loop->getAttr(grainName)) {
      auto number = dyn_cast<IntegerAttr>(asked);
      if (!number || number.getInt() < 1)
        return loop.emitOpError("has ") << grainName << " = " << asked
                                        << ": expected a number from 1 on";
      grain = number.getInt();
    }
    if (failed(checkAllocas(loop)) || failed(collectCaptures(loop, lower)))
      return failure();

    func::FuncOp body = createBody(loop, lower);
    Location loc = loop.getLoc();
    Value data = storeCaptures(loc, builder);
    auto toInteger = [&](Value index) {
      return arith::IndexCastOp::create(builder, loc, i64, index);
    };
    Value count = arith::SubIOp::create(builder, loc,
                                        toInteger(loop.getUpperBound().front()),
                                        toInteger(lower));
    Value address = UnrealizedConversionCastOp::create(
                        builder, loc, pointer,
                        func::ConstantOp::create(
                            builder, loc, body.getFunctionType(),
                            FlatSymbolRefAttr::get(body.getSymNameAttr()))
                            .getResult())
                        .getResult(0);
    Value executor = entry.getArguments().back();
    func::CallOp::create(
        builder, loc, declareParallelFor(), TypeRange(),
        ValueRange{executor, count,
                   arith::ConstantIntOp::create(builder, loc, grain, 64),
                   address, data});
    loop.erase();
    return success();
  }

  LogicalResult checkAllocas(scf::ParallelOp loop) {
    WalkResult walk = loop.walk([&](memref::AllocaOp alloca) {
      if (alloca->getNumOperands() == 0)
        return WalkResult::advance();
      alloca.emitOpError("in a parallel loop is of type ")
          << alloca.getType() << ": expected constant extents";
      return WalkResult::interrupt();
    });
    return failure(walk.wasInterrupted());
  }

  LogicalResult collectCaptures(scf::ParallelOp loop, Value lower) {
    llvm::SetVector<Value> used;
    used.insert(lower);
    getUsedValuesDefinedAbove(loop.getRegion(), used);
    captures.clear();
    constants.clear();
    SmallVector<Type> types;
    for (Value value : used) {
      if (lowering::isRematerialised(value)) {
        constants.push_back(value);
        continue;
      }
      Type type = converter.convertType(value.getType());
      if (!type || !LLVM::isCompatibleType(type))
        return loop.emitOpError("uses a value of type ")
               << value.getType()
               << " from outside: expected buffers, vectors and scalars";
      captures.push_back(value);
      types.push_back(type);
    }
    structure = LLVM::LLVMStructType::getLiteral(context, types);
    return success();
  }

  /// A value as the LLVM dialect has it, and back; conversion folds both.
  Value castTo(Type type, Value value, OpBuilder &builder) {
    if (value.getType() == type)
      return value;
    return UnrealizedConversionCastOp::create(builder, value.getLoc(), type,
                                              value)
        .getResult(0);
  }
  Value fieldOf(Value data, unsigned field, Location loc, OpBuilder &builder) {
    return LLVM::GEPOp::create(builder, loc, pointer, structure, data,
                               ArrayRef<LLVM::GEPArg>{0, int32_t(field)});
  }

  /// Puts what the loop uses where its body finds it; the place is made at the
  /// entry's begin, so once.
  Value storeCaptures(Location loc, OpBuilder &builder) {
    if (captures.empty())
      return LLVM::ZeroOp::create(builder, loc, pointer);
    OpBuilder start = OpBuilder::atBlockBegin(&entry.getBody().front());
    Value one =
        LLVM::ConstantOp::create(start, loc, i64, start.getI64IntegerAttr(1));
    Value data = LLVM::AllocaOp::create(start, loc, pointer, structure, one);
    for (auto [i, value] : llvm::enumerate(captures))
      LLVM::StoreOp::create(builder, loc,
                            castTo(structure.getBody()[i], value, builder),
                            fieldOf(data, i, loc, builder));
    return data;
  }

  /// body(data, first, last): the turns from `first` on, up to `last`, one
  /// after the other.
  func::FuncOp createBody(scf::ParallelOp loop, Value lower) {
    Location loc = loop.getLoc();
    OpBuilder builder(context);
    auto body = func::FuncOp::create(
        builder, loc, (entry.getSymName() + ".parallel").str(),
        FunctionType::get(context, {pointer, i64, i64}, {}));
    body.setPrivate();
    symbols.insert(body, ++Block::iterator(entry));

    Block *block = body.addEntryBlock();
    builder.setInsertionPointToStart(block);
    IRMapping mapping;
    for (Value constant : constants)
      builder.clone(*constant.getDefiningOp(), mapping);
    for (auto [i, value] : llvm::enumerate(captures)) {
      Value loaded =
          LLVM::LoadOp::create(builder, loc, structure.getBody()[i],
                               fieldOf(block->getArgument(0), i, loc, builder));
      mapping.map(value, castTo(value.getType(), loaded, builder));
    }
    auto boundOf = [&](Value number) -> Value {
      Value index = arith::IndexCastOp::create(builder, loc,
                                               builder.getIndexType(), number);
      return arith::AddIOp::create(builder, loc, mapping.lookup(lower), index);
    };
    Value first = boundOf(block->getArgument(1));
    Value last = boundOf(block->getArgument(2));
    auto turns =
        scf::ForOp::create(builder, loc, first, last,
                           arith::ConstantIndexOp::create(builder, loc, 1));
    mapping.map(loop.getInductionVars().front(), turns.getInductionVar());
    func::ReturnOp::create(builder, loc);

    builder.setInsertionPointToStart(turns.getBody());
    for (Operation &op : loop.getBody()->without_terminator())
      builder.clone(op, mapping);
    // One place on the stack serves all turns: a turn finds nothing in it that
    // it may read.
    turns.walk([&](memref::AllocaOp alloca) {
      alloca->moveBefore(block, block->begin());
    });
    return body;
  }

  FlatSymbolRefAttr declareParallelFor() {
    if (!symbols.lookup(parallelFor)) {
      OpBuilder builder(context);
      auto function = func::FuncOp::create(
          builder, entry.getLoc(), parallelFor,
          FunctionType::get(context, {pointer, i64, i64, pointer, pointer},
                            {}));
      function.setPrivate();
      symbols.insert(function);
    }
    return FlatSymbolRefAttr::get(context, parallelFor);
  }

  func::FuncOp entry;
  SymbolTable &symbols;
  MLIRContext *context;
  LLVM::LLVMPointerType pointer;
  IntegerType i64;
  LLVMTypeConverter converter;

  // Of the loop at hand.
  SmallVector<Value> captures, constants;
  LLVM::LLVMStructType structure;
};

struct OutlineParallelPass
    : lowering::impl::OutlineParallelPassBase<OutlineParallelPass> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (func::FuncOp entry : lowering::findEntries(getOperation()))
      if (failed(Outliner(entry, symbols).run()))
        return signalPassFailure();
  }
};
} // namespace
