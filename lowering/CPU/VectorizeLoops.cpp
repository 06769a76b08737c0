// moe-vectorize-loops: norms and element-wise operations as loops of vectors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Code/Code.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

namespace moec::lowering {
#define GEN_PASS_DEF_VECTORIZELOOPSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec::lowering;

//===----------------------------------------------------------------------===//
// What is vectorised
//===----------------------------------------------------------------------===//

/// Whether an operation does the same to each number of a vector, by
/// instructions: functions of the C library would be called number by number.
static bool isElementwise(Operation &op) {
  if (!isa<arith::ArithDialect>(op.getDialect()) &&
      !isa<math::SqrtOp, math::RsqrtOp, math::AbsFOp>(op))
    return false;
  auto isNumber = [](Type type) {
    return type.isInteger() || type.isF16() || type.isBF16() || type.isF32() ||
           type.isF64();
  };
  return (isa<arith::ConstantOp>(op) ||
          OpTrait::hasElementwiseMappableTraits(&op)) &&
         llvm::all_of(op.getOperandTypes(), isNumber) &&
         llvm::all_of(op.getResultTypes(), isNumber);
}

/// Whether numbers along the last loop are beside each other, or may be: only
/// the last extent of the operand is along it.
static bool isRow(linalg::LinalgOp op, OpOperand &operand) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  unsigned columns = op.getNumLoops() - 1;
  if (map.getResults().back() != getAffineDimExpr(columns, op.getContext()))
    return false;
  for (AffineExpr other : map.getResults().drop_back())
    if (other.isFunctionOfDim(columns))
      return false;
  auto type = cast<MemRefType>(operand.get().getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  Type element = type.getElementType();
  return succeeded(type.getStridesAndOffset(strides, offset)) &&
         (strides.back() == 1 || ShapedType::isDynamic(strides.back())) &&
         (element.isF16() || element.isBF16() || element.isF32() ||
          element.isF64() || element.isInteger(32));
}

static bool isOverColumns(linalg::LinalgOp op, OpOperand &operand) {
  return op.getMatchingIndexingMap(&operand).isFunctionOfDim(op.getNumLoops() -
                                                             1);
}

/// What adds a number to the only sum, or null where that is not all that is
/// done with it. Sums of f32 alone: others keep their order.
static Operation *combinerOf(linalg::LinalgOp op) {
  Block &body = *op.getBlock();
  BlockArgument sum = body.getArguments().back();
  if (op.getNumDpsInits() != 1 || !sum.getType().isF32() || !sum.hasOneUse())
    return nullptr;
  Operation *combiner = *sum.getUsers().begin();
  if (combiner->getNumOperands() != 2 ||
      body.getTerminator()->getOperand(0) != combiner->getResult(0) ||
      !combiner->getResult(0).hasOneUse() ||
      !linalg::getCombinerOpKind(combiner) ||
      !arith::getNeutralElement(combiner))
    return nullptr;
  return combiner;
}

static bool isVectorizable(linalg::LinalgOp op) {
  if (!op.hasPureBufferSemantics() || op.getNumLoops() == 0 ||
      op.hasIndexSemantics() ||
      !llvm::all_of(op.getBlock()->without_terminator(), isElementwise))
    return false;
  int64_t columns = op.getStaticLoopRanges().back();
  if (!ShapedType::isDynamic(columns) && columns < lanes)
    return false;
  for (OpOperand &operand : op->getOpOperands())
    if (!isa<MemRefType>(operand.get().getType()) ||
        (isOverColumns(op, operand) && !isRow(op, operand)))
      return false;
  bool isReduction =
      linalg::isReductionIterator(op.getIteratorTypesArray().back());
  if (isReduction && !combinerOf(op))
    return false;
  return llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &init) {
    return isOverColumns(op, init) != isReduction;
  });
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

namespace {
/// Writes one operation as loops.
class RowLoops {
public:
  RowLoops(OpBuilder &builder, linalg::LinalgOp op)
      : c(builder, op.getLoc()), op(op),
        ranges(op.createLoopRanges(builder, op.getLoc())),
        combiner(linalg::isReductionIterator(op.getIteratorTypesArray().back())
                     ? combinerOf(op)
                     : nullptr) {}

  void emit() {
    isTogether = c.number(1, c.b.getI1Type());
    for (OpOperand &operand : op->getOpOperands())
      rows.push_back(isOverColumns(op, operand) ? together(operand.get())
                                                : operand.get());
    columns = extent(ranges.size() - 1);
    whole = c.mul(c.div(columns, lanes), lanes);
    if (!combiner)
      whole = c.select(isTogether, whole, c.index(0));
    nest({});
  }

private:
  /// How a step reads its columns: a vector of what lies together, a vector of
  /// numbers that do not, or one number.
  enum class Access { together, apart, single };

  /// The buffer as one whose last stride is 1; whether it is so is part of
  /// `isTogether`.
  Value together(Value buffer) {
    auto type = cast<MemRefType>(buffer.getType());
    auto [strides, offset] = type.getStridesAndOffset();
    if (strides.back() == 1)
      return buffer;
    auto parts = memref::ExtractStridedMetadataOp::create(c.b, c.loc, buffer);
    Value stride = parts.getStrides().back();
    isTogether = c.both(isTogether, c.isEqual(stride, c.index(1)));
    strides.back() = 1;
    SmallVector<OpFoldResult> places = parts.getConstifiedMixedStrides();
    places.back() = c.b.getIndexAttr(1);
    auto near = MemRefType::get(
        type.getShape(), type.getElementType(),
        StridedLayoutAttr::get(c.b.getContext(), offset, strides));
    return memref::ReinterpretCastOp::create(
        c.b, c.loc, near, parts.getBaseBuffer(),
        parts.getConstifiedMixedOffset(), parts.getConstifiedMixedSizes(),
        places);
  }

  Value extent(size_t d) {
    return getValueOrCreateConstantIndexOp(c.b, c.loc, ranges[d].size);
  }

  /// The loops around the last one; the first is shared among threads.
  void nest(SmallVector<Value> at) {
    if (at.size() + 1 == ranges.size())
      return row(at);
    auto inside = [&](Value i) {
      SmallVector<Value> next(at);
      next.push_back(i);
      nest(next);
    };
    bool isShared = at.empty() && linalg::isParallelIterator(
                                      op.getIteratorTypesArray().front());
    if (!isShared)
      return c.loop(c.index(0), extent(at.size()), 1, inside);
    constexpr int64_t rowsOfTask = 8;
    auto shared =
        scf::ParallelOp::create(c.b, c.loc, ValueRange{c.index(0)},
                                ValueRange{extent(0)}, ValueRange{c.index(1)});
    shared->setAttr("moe.grain", c.b.getI64IntegerAttr(rowsOfTask));
    OpBuilder::InsertionGuard guard(c.b);
    c.b.setInsertionPointToStart(shared.getBody());
    inside(shared.getInductionVars().front());
  }

  SmallVector<Value> indices(OpOperand &operand, ArrayRef<Value> at) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    SmallVector<Value> result;
    for (AffineExpr each : map.getResults())
      result.push_back(getValueOrCreateConstantIndexOp(
          c.b, c.loc,
          affine::makeComposedFoldedAffineApply(
              c.b, c.loc, AffineMap::get(map.getNumDims(), 0, each),
              getAsOpFoldResult(at))));
    return result;
  }

  /// The last loop: vectors, then what is left, number by number. What is the
  /// same in all of it is computed in front of it.
  void row(ArrayRef<Value> at) {
    IRMapping same;
    SmallVector<Value> first(at);
    first.push_back(c.index(0));
    Value sum;
    for (OpOperand &operand : op->getOpOperands()) {
      if (isOverColumns(op, operand))
        continue;
      Value number = memref::LoadOp::create(c.b, c.loc, operand.get(),
                                            indices(operand, first));
      if (combiner && op.isDpsInit(&operand))
        sum = number;
      else
        same.map(argument(operand), number);
    }
    Block &body = *op.getBlock();
    auto isSame = [&](Value value) {
      return value.getParentBlock() != &body || same.contains(value);
    };
    varying.clear();
    for (Operation &each : body.without_terminator())
      if (llvm::all_of(each.getOperands(), isSame))
        c.b.clone(each, same);
      else
        varying.push_back(&each);
    if (!combiner) {
      c.loop(c.index(0), whole, lanes, [&](Value column) {
        step(at, column, Access::together, same, {});
      });
      c.loop(whole, columns, 1,
             [&](Value column) { step(at, column, Access::single, same, {}); });
      return;
    }
    auto neutral = cast<FloatAttr>(*arith::getNeutralElement(combiner));
    Value none = c.reals(neutral.getValueAsDouble());
    auto reduce = [&](Value from, Value to, int64_t by, Value start,
                      Access access) {
      return c.loop(
          from, to, by, {start}, [&](Value column, ValueRange before) {
            return Code::Values{step(at, column, access, same, before[0])};
          });
    };
    // The same partial sums wherever the numbers are: strides change no bit.
    Value sums = c.choose(
        isTogether, none.getType(),
        [&] {
          return reduce(c.index(0), whole, lanes, none, Access::together);
        },
        [&] {
          return reduce(c.index(0), whole, lanes, none, Access::apart);
        })[0];
    sum = vector::ReductionOp::create(
        c.b, c.loc, *linalg::getCombinerOpKind(combiner), sums, sum);
    sum = reduce(whole, columns, 1, sum, Access::single)[0];
    OpOperand &init = *op.getDpsInitOperand(0);
    memref::StoreOp::create(c.b, c.loc, sum, init.get(), indices(init, first));
  }

  BlockArgument argument(OpOperand &operand) {
    return op.getBlock()->getArgument(operand.getOperandNumber());
  }

  /// One vector of columns, or one column. Returns the next of sums, or stores
  /// results.
  Value step(ArrayRef<Value> at, Value column, Access access,
             const IRMapping &same, Value sums) {
    bool isVector = access != Access::single;
    IRMapping in;
    SmallVector<Value> here(at);
    here.push_back(column);
    auto typeOf = [&](Type element) -> Type {
      return isVector ? Type(c.vectorOf(element)) : element;
    };
    for (auto [i, operand] : llvm::enumerate(op->getOpOperands())) {
      if (!isOverColumns(op, operand) || argument(operand).use_empty())
        continue;
      in.map(argument(operand),
             load(operand, rows[i], indices(operand, here), access));
    }
    if (sums)
      in.map(op.getBlock()->getArguments().back(), sums);
    auto valueOf = [&](Value value) {
      if (Value known = in.lookupOrNull(value))
        return known;
      Value number = same.lookupOrDefault(value);
      return isVector ? Value(vector::BroadcastOp::create(
                            c.b, c.loc, typeOf(number.getType()), number))
                      : number;
    };
    for (Operation *each : varying) {
      OperationState state(c.loc, each->getName());
      for (Value operand : each->getOperands())
        state.operands.push_back(valueOf(operand));
      for (Type type : each->getResultTypes())
        state.types.push_back(typeOf(type));
      state.attributes = each->getAttrDictionary();
      in.map(each->getResults(), c.b.create(state)->getResults());
    }
    ValueRange yielded = op.getBlock()->getTerminator()->getOperands();
    if (combiner)
      return in.lookup(yielded[0]);
    for (OpOperand &init : op.getDpsInitsMutable()) {
      Value value =
          valueOf(yielded[init.getOperandNumber() - op.getNumDpsInputs()]);
      SmallVector<Value> place = indices(init, here);
      if (isVector)
        vector::StoreOp::create(c.b, c.loc, value,
                                rows[init.getOperandNumber()], place);
      else
        memref::StoreOp::create(c.b, c.loc, value, init.get(), place);
    }
    return Value();
  }

  Value load(OpOperand &operand, Value together, SmallVector<Value> place,
             Access access) {
    VectorType type = c.vectorOf(argument(operand).getType());
    if (access == Access::together)
      return vector::LoadOp::create(c.b, c.loc, type, together, place);
    auto number = [&]() -> Value {
      return memref::LoadOp::create(c.b, c.loc, operand.get(), place);
    };
    if (access == Access::single)
      return number();
    SmallVector<Value> numbers;
    Value first = place.back();
    for (int64_t j = 0; j < lanes; ++j) {
      place.back() = c.add(first, j);
      numbers.push_back(number());
    }
    return vector::FromElementsOp::create(c.b, c.loc, type, numbers);
  }

  Code c;
  linalg::LinalgOp op;
  SmallVector<Range> ranges;
  /// Of a reduction along rows.
  Operation *combiner;
  /// The operands, those over columns as together() has them.
  SmallVector<Value> rows;
  Value isTogether, columns, whole;
  SmallVector<Operation *> varying;
};

struct VectorizeLoopsPass
    : moec::lowering::impl::VectorizeLoopsPassBase<VectorizeLoopsPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> found;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (isVectorizable(op))
        found.push_back(op);
    });
    for (linalg::LinalgOp op : found) {
      OpBuilder builder(op);
      RowLoops(builder, op).emit();
      op->erase();
    }
  }
};
} // namespace
