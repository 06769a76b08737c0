// moe-plan-workspace: scratch memory comes from one buffer that the caller hands in.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/Transforms/BufferViewFlowAnalysis.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"
#include "passes/Analysis/ExtentClasses.h"

#include <map>

namespace moec::lowering {
#define GEN_PASS_DEF_PLANWORKSPACEPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;

namespace {
/// What moert/abi.h promises of the workspace, and the plan of each part of it.
constexpr int64_t workspaceAlignment = 64;

/// Extents from here on are answered with "more than there is", so that no product of them overflows unseen.
constexpr int64_t largestExtent = std::numeric_limits<int32_t>::max();

//===----------------------------------------------------------------------===//
// Sizes, as functions of the arguments' extents
//===----------------------------------------------------------------------===//

/// A dimension of an argument.
using ArgumentExtent = std::pair<unsigned, int64_t>;

/// Computes index values ahead of where they stand, from the extents of the function's arguments alone.
class ExtentSlice {
public:
  explicit ExtentSlice(func::FuncOp function)
      : function(function), classes(function) {
    int64_t number = 0;
    function.walk<WalkOrder::PreOrder>(
        [&](Operation *op) { order[op] = number++; });
    // One argument speaks for all extents of a class.
    for (BlockArgument argument : function.getArguments()) {
      auto type = cast<MemRefType>(argument.getType());
      for (int64_t d = 0; d < type.getRank(); ++d)
        if (type.isDynamicDim(d))
          extentOfClass.try_emplace(classes.classOf(argument, d),
                                    ArgumentExtent(argument.getArgNumber(), d));
    }
  }

  /// Takes in what `value` is computed from. Returns why not, if it depends on more than extents.
  std::optional<StringRef> add(Value value) {
    SmallVector<Value> worklist{value};
    SmallVector<Operation *> found;
    while (!worklist.empty()) {
      Value next = worklist.pop_back_val();
      Operation *op = next.getDefiningOp();
      if (!op)
        return "is computed from a loop's variables";
      if (ops.contains(op) || llvm::is_contained(found, op))
        continue;
      if (auto dim = dyn_cast<memref::DimOp>(op)) {
        std::optional<Origin> origin = traceDim(dim);
        if (!origin)
          return "is the extent of a buffer that is no argument's";
        llvm::append_range(worklist, origin->values);
        origins[dim] = std::move(*origin);
      } else if (!isPure(op) || op->getNumRegions() ||
                 !llvm::all_of(op->getOperandTypes(),
                               [](Type type) { return type.isIntOrIndex(); })) {
        return "depends on data";
      } else {
        llvm::append_range(worklist, op->getOperands());
      }
      found.push_back(op);
    }
    ops.insert_range(found);
    return std::nullopt;
  }

  /// A name for the value that equal extents share.
  std::pair<int64_t, int64_t> keyOf(Value value) const {
    if (auto dim = value.getDefiningOp<memref::DimOp>())
      if (const Origin &origin = origins.at(dim); origin.constant == 1 &&
                                                  origin.values.empty() &&
                                                  origin.extents.size() == 1)
        return origin.extents.front();
    return {-1, order.at(value.getDefiningOp())};
  }

  /// Emits the computation of everything taken in. `arguments` are the function's, or its twin's. `*largest`, if asked
  /// for, becomes the largest extent used, and stays null if there is none.
  IRMapping emit(OpBuilder &builder, ValueRange arguments, Value *largest) {
    Location loc = function.getLoc();
    IRMapping mapping;
    std::map<ArgumentExtent, Value> extents;
    auto extentOf = [&](ArgumentExtent extent) {
      Value &value = extents[extent];
      if (value)
        return value;
      value = memref::DimOp::create(builder, loc, arguments[extent.first],
                                    extent.second);
      if (largest)
        *largest = *largest
                       ? arith::MaxUIOp::create(builder, loc, *largest, value)
                       : value;
      return value;
    };
    SmallVector<Operation *> sorted(ops.begin(), ops.end());
    llvm::sort(sorted, [&](Operation *left, Operation *right) {
      return order.at(left) < order.at(right);
    });
    for (Operation *op : sorted) {
      auto dim = dyn_cast<memref::DimOp>(op);
      if (!dim) {
        builder.clone(*op, mapping);
        continue;
      }
      const Origin &origin = origins.at(dim);
      SmallVector<Value> factors;
      for (ArgumentExtent extent : origin.extents)
        factors.push_back(extentOf(extent));
      for (Value value : origin.values)
        factors.push_back(mapping.lookup(value));
      if (origin.constant != 1 || factors.empty())
        factors.push_back(
            arith::ConstantIndexOp::create(builder, loc, origin.constant));
      Value value = factors.front();
      for (Value factor : llvm::drop_begin(factors))
        value = arith::MulIOp::create(builder, loc, value, factor);
      mapping.map(dim.getResult(), value);
    }
    return mapping;
  }

private:
  /// An extent of a buffer as a product.
  struct Origin {
    int64_t constant = 1;
    SmallVector<ArgumentExtent> extents;
    SmallVector<Value> values;
  };

  std::optional<Origin> traceDim(memref::DimOp dim) {
    std::optional<int64_t> index = dim.getConstantIndex();
    if (!index)
      return std::nullopt;
    Origin origin;
    SmallVector<std::pair<Value, int64_t>> worklist{{dim.getSource(), *index}};
    while (!worklist.empty()) {
      auto [source, index] = worklist.pop_back_val();
      auto type = dyn_cast<MemRefType>(source.getType());
      if (!type)
        return std::nullopt;
      if (std::optional<int64_t> known = classes.constantOf(source, index)) {
        origin.constant *= *known;
        continue;
      }
      auto it = extentOfClass.find(classes.classOf(source, index));
      if (it != extentOfClass.end()) {
        origin.extents.push_back(it->second);
        continue;
      }
      // No argument's extent: what the buffer is made of.
      Operation *op = source.getDefiningOp();
      OpFoldResult size;
      if (auto cast = dyn_cast_or_null<memref::CastOp>(op))
        worklist.push_back({cast.getSource(), index});
      else if (auto alloc = dyn_cast_or_null<memref::AllocOp>(op))
        size = alloc.getMixedSizes()[index];
      else if (auto expand = dyn_cast_or_null<memref::ExpandShapeOp>(op))
        size = expand.getMixedOutputShape()[index];
      else if (auto slice = dyn_cast_or_null<memref::SubViewOp>(op);
               slice && slice.getDroppedDims().none())
        size = slice.getMixedSizes()[index];
      else if (auto collapse = dyn_cast_or_null<memref::CollapseShapeOp>(op)) {
        ReassociationIndices group = collapse.getReassociationIndices()[index];
        for (int64_t d : group)
          worklist.push_back({collapse.getSrc(), d});
      } else
        return std::nullopt;
      if (auto value = dyn_cast_if_present<Value>(size))
        origin.values.push_back(value);
      else if (size)
        origin.constant *= *getConstantIntValue(size);
    }
    return origin;
  }

  func::FuncOp function;
  ExtentClasses classes;
  DenseMap<Operation *, int64_t> order;
  DenseMap<unsigned, ArgumentExtent> extentOfClass;
  DenseMap<memref::DimOp, Origin> origins;
  llvm::SetVector<Operation *> ops;
};

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

/// Scratch memory that an allocation asks for: a number of bytes times some extents.
struct Request {
  memref::AllocOp alloc;
  int64_t bytes = 0;
  SmallVector<Value> extents;
  /// The same for equal products of extents.
  SmallVector<std::pair<int64_t, int64_t>> key;
  /// First and last operation of the function's block that may touch it.
  int64_t begin = 0, end = 0;
  unsigned slot = 0;
};

/// A part of the workspace, used by one request after the other.
struct Slot {
  int64_t bytes;
  SmallVector<Value> extents;
  SmallVector<std::pair<int64_t, int64_t>> key;
  int64_t end;
};

/// Plans one function.
class Planner {
public:
  explicit Planner(func::FuncOp function)
      : function(function), sizes(function) {}

  LogicalResult run() {
    if (failed(collect()))
      return failure();
    assignSlots();
    createQuery();
    rewrite();
    return success();
  }

private:
  LogicalResult collect() {
    BufferViewFlowAnalysis aliases(function);
    WalkResult walk = function.walk([&](memref::AllocOp alloc) {
      return WalkResult(addRequest(alloc, aliases));
    });
    return failure(walk.wasInterrupted());
  }

  LogicalResult addRequest(memref::AllocOp alloc,
                           BufferViewFlowAnalysis &aliases) {
    MemRefType type = alloc.getType();
    if (!type.getLayout().isIdentity() || type.getMemorySpace() ||
        alloc.getAlignment().value_or(1) > workspaceAlignment)
      return alloc.emitOpError("of type ")
             << type << ": expected rows behind each other in the default "
             << "memory space, aligned to at most " << workspaceAlignment
             << " bytes";
    if (failed(checkLoops(alloc, aliases)))
      return failure();

    Request request;
    request.alloc = alloc;
    DataLayout layout = DataLayout::closest(alloc);
    Type element = type.getElementType();
    int64_t size = llvm::alignTo(layout.getTypeSize(element).getFixedValue(),
                                 layout.getTypeABIAlignment(element));
    request.bytes = size;
    for (int64_t extent : type.getShape())
      if (ShapedType::isStatic(extent) &&
          llvm::MulOverflow(request.bytes, extent, request.bytes))
        return alloc.emitOpError("of type ")
               << type << " needs more bytes than can be counted";
    for (Value extent : alloc.getDynamicSizes()) {
      std::optional<StringRef> refusal = sizes.add(extent);
      if (!refusal) {
        request.extents.push_back(extent);
        request.key.push_back(sizes.keyOf(extent));
        continue;
      }
      // A bound does as well: a tile at the end is smaller than the others.
      FailureOr<int64_t> bound = ValueBoundsConstraintSet::computeConstantBound(
          presburger::BoundType::UB, extent, /*stopCondition=*/nullptr,
          /*closedUB=*/true);
      if (failed(bound) || *bound < 0 ||
          llvm::MulOverflow(request.bytes, *bound, request.bytes))
        return alloc.emitOpError("has an extent that ")
               << *refusal << ": expected scratch memory whose size follows "
               << "from the extents of the function's arguments";
    }
    llvm::sort(request.key);
    collectTouching(alloc, aliases, request);
    requests.push_back(request);
    return success();
  }

  /// One place serves all turns of a loop, so nothing in it may outlive a turn.
  LogicalResult checkLoops(memref::AllocOp alloc,
                           BufferViewFlowAnalysis &aliases) {
    for (Operation *parent = alloc->getParentOp(); parent != function;
         parent = parent->getParentOp()) {
      if (parent->hasTrait<OpTrait::HasParallelRegion>()) {
        return alloc.emitOpError("stands in a parallel loop: expected scratch "
                                 "memory outside, or a slice for each turn");
      }
      if (!isa<LoopLikeOpInterface>(parent))
        continue;
      for (Value alias : aliases.resolve(alloc.getMemref())) {
        auto argument = dyn_cast<BlockArgument>(alias);
        bool isCarried = argument ? argument.getOwner()->getParentOp() == parent
                                  : alias.getDefiningOp() == parent;
        if (isCarried)
          return alloc.emitOpError("stands in a loop and is carried to its "
                                   "next turn: expected a buffer allocated in "
                                   "front of the loop");
      }
    }
    return success();
  }

  void collectTouching(memref::AllocOp alloc, BufferViewFlowAnalysis &aliases,
                       Request &request) {
    if (positions.empty())
      for (auto [i, op] : llvm::enumerate(function.getBody().front()))
        positions[&op] = i;
    auto positionOf = [&](Operation *op) {
      return positions.at(
          function.getBody().front().findAncestorOpInBlock(*op));
    };
    request.begin = request.end = positionOf(alloc);
    for (Value alias : aliases.resolve(alloc.getMemref()))
      for (Operation *user : alias.getUsers())
        if (!isa<memref::DeallocOp>(user))
          request.end = std::max(request.end, positionOf(user));
  }

  /// Requests come in the order of the text, so by `begin`. Each takes the free slot that fits best among those of its kind: same product of
  /// extents.
  void assignSlots() {
    for (Request &request : requests) {
      std::optional<unsigned> best;
      auto waste = [&](unsigned slot) {
        return std::abs(slots[slot].bytes - request.bytes);
      };
      for (unsigned slot = 0; slot < slots.size(); ++slot)
        if (slots[slot].end < request.begin && slots[slot].key == request.key &&
            (!best || waste(slot) < waste(*best)))
          best = slot;
      if (!best) {
        best = slots.size();
        slots.push_back({0, request.extents, request.key, 0});
      }
      request.slot = *best;
      slots[*best].bytes = std::max(slots[*best].bytes, request.bytes);
      slots[*best].end = request.end;
    }
  }

  //===--------------------------------------------------------------------===//
  // Code
  //===--------------------------------------------------------------------===//

  /// Bytes in 64 bits that stop at the largest number instead of wrapping.
  struct Saturating {
    OpBuilder &builder;
    Location loc;

    Value constant(int64_t number) {
      return arith::ConstantIntOp::create(builder, loc, number, 64);
    }
    Value limit(Value isTooMuch, Value otherwise) {
      return arith::SelectOp::create(
          builder, loc, isTooMuch,
          constant(std::numeric_limits<int64_t>::max()), otherwise);
    }
    Value isNegative(Value value) {
      return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt,
                                   value, constant(0));
    }
    Value add(Value left, Value right) {
      Value sum = arith::AddIOp::create(builder, loc, left, right);
      return limit(isNegative(sum), sum);
    }
    Value multiply(Value left, Value right) {
      auto product = arith::MulUIExtendedOp::create(builder, loc, left, right);
      Value overflows =
          arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne,
                                product.getHigh(), constant(0));
      return limit(arith::OrIOp::create(builder, loc, overflows,
                                        isNegative(product.getLow())),
                   product.getLow());
    }
  };

  /// `@name_workspace(arguments) -> i64`.
  void createQuery() {
    Location loc = function.getLoc();
    OpBuilder builder(function.getContext());
    builder.setInsertionPointAfter(function);
    auto query = func::FuncOp::create(
        builder, loc, (function.getSymName() + "_workspace").str(),
        FunctionType::get(builder.getContext(), function.getArgumentTypes(),
                          builder.getI64Type()));
    builder.setInsertionPointToStart(query.addEntryBlock());
    Value largest;
    IRMapping mapping = sizes.emit(builder, query.getArguments(), &largest);
    Saturating bytes{builder, loc};
    Value total = bytes.constant(0);
    for (const Slot &slot : slots) {
      Value size = bytes.constant(slot.bytes);
      for (Value extent : slot.extents)
        size = bytes.multiply(
            size, arith::IndexCastOp::create(builder, loc, builder.getI64Type(),
                                             mapping.lookup(extent)));
      size = bytes.add(size, bytes.constant(workspaceAlignment - 1));
      size = arith::AndIOp::create(builder, loc, size,
                                   bytes.constant(-workspaceAlignment));
      total = bytes.add(total, size);
    }
    if (largest)
      total = bytes.limit(
          arith::CmpIOp::create(
              builder, loc, arith::CmpIPredicate::ugt, largest,
              arith::ConstantIndexOp::create(builder, loc, largestExtent)),
          total);
    func::ReturnOp::create(builder, loc, total);
  }

  /// Puts each allocation's place, computed up front, where it stood.
  void rewrite() {
    Location loc = function.getLoc();
    Block &body = function.getBody().front();
    OpBuilder builder = OpBuilder::atBlockBegin(&body);
    SmallVector<Value> arguments(function.getArguments());
    auto workspaceType =
        MemRefType::get(ShapedType::kDynamic, builder.getI8Type());
    Value workspace = body.addArgument(workspaceType, loc);
    function.setFunctionType(
        FunctionType::get(builder.getContext(), body.getArgumentTypes(), {}));

    IRMapping mapping = sizes.emit(builder, arguments, /*largest=*/nullptr);
    auto constant = [&](int64_t number) -> Value {
      return arith::ConstantIndexOp::create(builder, loc, number);
    };
    SmallVector<Value> offsets;
    Value offset = constant(0);
    for (const Slot &slot : slots) {
      offsets.push_back(offset);
      Value size = constant(slot.bytes);
      for (Value extent : slot.extents)
        size =
            arith::MulIOp::create(builder, loc, size, mapping.lookup(extent));
      size = arith::AddIOp::create(builder, loc, size,
                                   constant(workspaceAlignment - 1));
      size = arith::AndIOp::create(builder, loc, size,
                                   constant(-workspaceAlignment));
      offset = arith::AddIOp::create(builder, loc, offset, size);
    }

    function.walk([](memref::DeallocOp dealloc) { dealloc.erase(); });
    for (Request &request : requests) {
      memref::AllocOp alloc = request.alloc;
      builder.setInsertionPoint(alloc);
      Value view = memref::ViewOp::create(
          builder, alloc.getLoc(), alloc.getType(), workspace,
          offsets[request.slot], alloc.getDynamicSizes());
      alloc.replaceAllUsesWith(view);
      alloc.erase();
    }
  }

  func::FuncOp function;
  ExtentSlice sizes;
  DenseMap<Operation *, int64_t> positions;
  SmallVector<Request> requests;
  SmallVector<Slot> slots;
};

/// Input that moe-export-entries did not make.
LogicalResult checkEntry(func::FuncOp function) {
  auto isBuffer = [](Type type) { return isa<MemRefType>(type); };
  if (function.isExternal() || !function.getBody().hasOneBlock() ||
      !llvm::all_of(function.getArgumentTypes(), isBuffer) ||
      function.getNumResults())
    return function.emitError("expected an entry to have one block, buffers as "
                              "arguments, and no results");
  return success();
}

struct PlanWorkspacePass
    : lowering::impl::PlanWorkspacePassBase<PlanWorkspacePass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<func::FuncOp> entries;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (lowering::hasEntryArguments(function)) {
        entries.push_back(function);
        continue;
      }
      function.walk([&](memref::AllocOp alloc) {
        alloc.emitOpError("stands in a function that is not an entry: "
                          "expected it to be inlined or exported");
        signalPassFailure();
      });
    }
    for (func::FuncOp function : entries)
      if (failed(checkEntry(function)) || failed(Planner(function).run()))
        signalPassFailure();
  }
};
} // namespace
