// A small vocabulary over OpBuilder for the reference lowering.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/Emitter.h"

#include "lowering/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace moec::lowering;

Type moec::lowering::accumulatorType(Type elementType) {
  return elementType.isF64() ? elementType
                             : Float32Type::get(elementType.getContext());
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value Emitter::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value Emitter::i32(int64_t value) {
  return arith::ConstantIntOp::create(b, loc, value, 32);
}

Value Emitter::real(Type type, double value) {
  return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
}

Value Emitter::toIndex(Value i32) {
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), i32);
}

Value Emitter::toI32(Value index) {
  return arith::IndexCastOp::create(b, loc, b.getI32Type(), index);
}

Value Emitter::convert(Value value, Type floatType) {
  Type from = value.getType();
  if (from == floatType)
    return value;
  if (from.isInteger())
    return arith::SIToFPOp::create(b, loc, floatType, value);
  unsigned fromBits = from.getIntOrFloatBitWidth();
  unsigned toBits = floatType.getIntOrFloatBitWidth();
  if (fromBits < toBits)
    return arith::ExtFOp::create(b, loc, floatType, value);
  if (fromBits > toBits)
    return arith::TruncFOp::create(b, loc, floatType, value);
  // f16 and bf16: through f32, which holds both exactly.
  return convert(convert(value, b.getF32Type()), floatType);
}

Value Emitter::add(Value lhs, Value rhs) {
  if (isa<FloatType>(lhs.getType()))
    return arith::AddFOp::create(b, loc, lhs, rhs);
  return arith::AddIOp::create(b, loc, lhs, rhs);
}

Value Emitter::sub(Value lhs, Value rhs) {
  if (isa<FloatType>(lhs.getType()))
    return arith::SubFOp::create(b, loc, lhs, rhs);
  return arith::SubIOp::create(b, loc, lhs, rhs);
}

Value Emitter::mul(Value lhs, Value rhs) {
  if (isa<FloatType>(lhs.getType()))
    return arith::MulFOp::create(b, loc, lhs, rhs);
  return arith::MulIOp::create(b, loc, lhs, rhs);
}

Value Emitter::div(Value lhs, Value rhs) {
  return arith::DivFOp::create(b, loc, lhs, rhs);
}

Value Emitter::compare(arith::CmpIPredicate predicate, Value lhs, Value rhs) {
  return arith::CmpIOp::create(b, loc, predicate, lhs, rhs);
}

Value Emitter::compare(arith::CmpFPredicate predicate, Value lhs, Value rhs) {
  return arith::CmpFOp::create(b, loc, predicate, lhs, rhs);
}

Value Emitter::both(Value lhs, Value rhs) {
  return arith::AndIOp::create(b, loc, lhs, rhs);
}

Value Emitter::select(Value condition, Value yes, Value no) {
  return arith::SelectOp::create(b, loc, condition, yes, no);
}

Value Emitter::sigmoid(Value x) {
  Value one = real(x.getType(), 1);
  Value decay = math::ExpOp::create(b, loc, arith::NegFOp::create(b, loc, x));
  return div(one, add(one, decay));
}

Value Emitter::inRange(Value i, int64_t bound) {
  return compare(arith::CmpIPredicate::ult, i, i32(bound));
}

Value Emitter::inRange(Value i, Value bound) {
  return compare(arith::CmpIPredicate::ult, i, bound);
}

Value Emitter::inExtent(Value i, Value bound) {
  return compare(arith::CmpIPredicate::ult, toIndex(i), bound);
}

Value Emitter::safeIndex(Value i, Value valid) {
  return toIndex(select(valid, i, i32(0)));
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

Value Emitter::extract(Value tensor, ValueRange at) {
  return tensor::ExtractOp::create(b, loc, tensor, at);
}

Value Emitter::insert(Value scalar, Value tensor, ValueRange at) {
  return tensor::InsertOp::create(b, loc, scalar, tensor, at);
}

OpFoldResult Emitter::size(Value tensor, int64_t dim) {
  return tensor::getMixedSize(b, loc, tensor, dim);
}

OpFoldResult Emitter::size(int64_t extent) { return b.getIndexAttr(extent); }

Value Emitter::extent(Value tensor, int64_t dim) {
  return getValueOrCreateConstantIndexOp(b, loc, size(tensor, dim));
}

Value Emitter::empty(ArrayRef<OpFoldResult> sizes, Type elementType) {
  return tensor::EmptyOp::create(b, loc, sizes, elementType);
}

Value Emitter::filled(ArrayRef<OpFoldResult> sizes, Value scalar) {
  return linalg::FillOp::create(b, loc, scalar, empty(sizes, scalar.getType()))
      .getResult(0);
}

Value Emitter::castTo(Value value, Type type) {
  if (value.getType() == type)
    return value;
  return tensor::CastOp::create(b, loc, type, value);
}

//===----------------------------------------------------------------------===//
// linalg.generic
//===----------------------------------------------------------------------===//

Value Emitter::generic(StringRef iterators, ArrayRef<Value> inputs,
                       ArrayRef<SmallVector<int64_t>> maps, Value init,
                       ArrayRef<int64_t> initMap, Body body) {
  auto map = [&](ArrayRef<int64_t> loops) {
    SmallVector<AffineExpr> exprs;
    for (int64_t loop : loops)
      exprs.push_back(loop < 0 ? b.getAffineConstantExpr(0)
                               : b.getAffineDimExpr(loop));
    return AffineMap::get(iterators.size(), 0, exprs, b.getContext());
  };
  SmallVector<AffineMap> indexingMaps;
  for (ArrayRef<int64_t> loops : maps)
    indexingMaps.push_back(map(loops));
  indexingMaps.push_back(map(initMap));
  SmallVector<utils::IteratorType> iteratorTypes;
  for (char iterator : iterators)
    iteratorTypes.push_back(iterator == 'p' ? utils::IteratorType::parallel
                                            : utils::IteratorType::reduction);
  return linalg::GenericOp::create(
             b, loc, init.getType(), inputs, init, indexingMaps, iteratorTypes,
             [&](OpBuilder &nested, Location nestedLoc, ValueRange arguments) {
               Emitter inner(nested, nestedLoc);
               linalg::YieldOp::create(nested, nestedLoc,
                                       body(inner, arguments));
             })
      .getResult(0);
}

Value Emitter::loopIndex(int64_t loop) {
  return linalg::IndexOp::create(b, loc, loop);
}

Value Emitter::loopIndexI32(int64_t loop) { return toI32(loopIndex(loop)); }

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

SmallVector<Value> Emitter::loop(Value upper, ValueRange inits, LoopBody body) {
  auto loopOp = scf::ForOp::create(
      b, loc, index(0), upper, index(1), inits,
      [&](OpBuilder &nested, Location nestedLoc, Value i, ValueRange carried) {
        Emitter inner(nested, nestedLoc);
        scf::YieldOp::create(nested, nestedLoc, body(inner, i, carried));
      });
  return SmallVector<Value>(loopOp.getResults());
}

SmallVector<Value> Emitter::freeLoop(Value upper, ValueRange inits,
                                     LoopBody body) {
  SmallVector<Value> results = loop(upper, inits, body);
  results.front().getDefiningOp()->setAttr(freeTurnsAttrName, b.getUnitAttr());
  return results;
}
