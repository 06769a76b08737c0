// A small vocabulary over OpBuilder for CPU kernels.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Code/Code.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moec::lowering;

MemRefType moec::lowering::flatType(Type element) {
  MLIRContext *context = element.getContext();
  return MemRefType::get(
      {ShapedType::kDynamic}, element,
      StridedLayoutAttr::get(context, ShapedType::kDynamic, {1}));
}

Type moec::lowering::elementOf(Value list) {
  return cast<MemRefType>(list.getType()).getElementType();
}

bool moec::lowering::isCompact(MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return false;
  int64_t expected = 1;
  for (int64_t d = type.getRank() - 1; d >= 0; --d) {
    if (strides[d] != expected)
      return false;
    // Only the outermost extent may be unknown without strides being so.
    expected = type.isDynamicDim(d) ? 0 : expected * type.getDimSize(d);
  }
  return true;
}

bool moec::lowering::isRematerialised(Value value) {
  Operation *op = value.getDefiningOp();
  return op && op->getNumOperands() == 0 && op->getNumRegions() == 0 &&
         (op->hasTrait<OpTrait::ConstantLike>() ||
          isa<memref::GetGlobalOp>(op));
}

Type Code::pointer() { return LLVM::LLVMPointerType::get(b.getContext()); }

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

Value Code::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value Code::number(int64_t value, Type type) {
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
}

Value Code::add(Value lhs, Value rhs) {
  return b.createOrFold<arith::AddIOp>(loc, lhs, rhs);
}

Value Code::sub(Value lhs, Value rhs) {
  return b.createOrFold<arith::SubIOp>(loc, lhs, rhs);
}

Value Code::mul(Value lhs, Value rhs) {
  return b.createOrFold<arith::MulIOp>(loc, lhs, rhs);
}

Value Code::div(Value lhs, Value rhs) {
  return b.createOrFold<arith::DivUIOp>(loc, lhs, rhs);
}

Value Code::rem(Value lhs, Value rhs) {
  return b.createOrFold<arith::RemUIOp>(loc, lhs, rhs);
}

Value Code::min(Value lhs, Value rhs) {
  return b.createOrFold<arith::MinUIOp>(loc, lhs, rhs);
}

Value Code::compare(arith::CmpIPredicate how, Value lhs, Value rhs) {
  return b.createOrFold<arith::CmpIOp>(loc, how, lhs, rhs);
}

Value Code::both(Value lhs, Value rhs) {
  return b.createOrFold<arith::AndIOp>(loc, lhs, rhs);
}

Value Code::either(Value lhs, Value rhs) {
  return b.createOrFold<arith::OrIOp>(loc, lhs, rhs);
}

Value Code::select(Value condition, Value yes, Value no) {
  return b.createOrFold<arith::SelectOp>(loc, condition, yes, no);
}

Value Code::toIndex(Value i32) {
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), i32);
}

Value Code::toI32(Value index) {
  return arith::IndexCastOp::create(b, loc, i32(), index);
}

Value Code::isWithin(Value i32, Value bound) {
  return compare(arith::CmpIPredicate::ult, toIndex(i32), bound);
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

void Code::loop(Value from, Value to, Value step,
                llvm::function_ref<void(Value)> body) {
  scf::ForOp::create(b, loc, from, to, step, ValueRange(),
                     [&](OpBuilder &, Location, Value i, ValueRange) {
                       OpBuilder::InsertionGuard guard(b);
                       body(i);
                       scf::YieldOp::create(b, loc);
                     });
}

Code::Values Code::loop(Value from, Value to, Value step, ValueRange inits,
                        llvm::function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(
      b, loc, from, to, step, inits,
      [&](OpBuilder &, Location, Value i, ValueRange carried) {
        scf::YieldOp::create(b, loc, body(i, carried));
      });
  return Values(loop.getResults());
}

void Code::when(Value condition, llvm::function_ref<void()> then,
                llvm::function_ref<void()> otherwise) {
  auto branch =
      scf::IfOp::create(b, loc, condition, /*withElseRegion=*/bool(otherwise));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  then();
  if (!otherwise)
    return;
  b.setInsertionPointToStart(branch.elseBlock());
  otherwise();
}

Code::Values Code::choose(Value condition, TypeRange types,
                          llvm::function_ref<Values()> then,
                          llvm::function_ref<Values()> otherwise) {
  auto branch = scf::IfOp::create(b, loc, types, condition,
                                  /*addThenBlock=*/true, /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, loc, then());
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, loc, otherwise());
  return Values(branch.getResults());
}

void Code::select(Value value, ArrayRef<int64_t> cases,
                  llvm::function_ref<void(int64_t)> body) {
  auto branch = scf::IndexSwitchOp::create(b, loc, TypeRange(), value, cases,
                                           cases.size());
  OpBuilder::InsertionGuard guard(b);
  for (auto [each, region] : llvm::zip_equal(cases, branch.getCaseRegions())) {
    b.setInsertionPointToStart(&region.emplaceBlock());
    body(each);
    scf::YieldOp::create(b, loc);
  }
  b.setInsertionPointToStart(&branch.getDefaultRegion().emplaceBlock());
  scf::YieldOp::create(b, loc);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value Code::extent(Value buffer, int64_t d) {
  return b.createOrFold<memref::DimOp>(loc, buffer, d);
}

Value Code::allocate(Value count, Type element) {
  auto type = MemRefType::get({ShapedType::kDynamic}, element);
  Value buffer =
      memref::AllocOp::create(b, loc, type, count, b.getI64IntegerAttr(64));
  return memref::CastOp::create(b, loc, flatType(element), buffer);
}

Value Code::flatten(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  MemRefType flat = flatType(type.getElementType());
  if (type == flat)
    return buffer;
  Value count = index(1);
  for (int64_t d = 0; d < type.getRank(); ++d)
    count = mul(count, b.createOrFold<memref::DimOp>(loc, buffer, d));
  auto parts = memref::ExtractStridedMetadataOp::create(b, loc, buffer);
  return memref::ReinterpretCastOp::create(
      b, loc, flat, parts.getBaseBuffer(), OpFoldResult(parts.getOffset()),
      ArrayRef<OpFoldResult>{count}, ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
}

Value Code::address(Value list, Value at) {
  Type element = cast<MemRefType>(list.getType()).getElementType();
  auto parts = memref::ExtractStridedMetadataOp::create(b, loc, list);
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(
      b, loc, parts.getBaseBuffer());
  int64_t bytes = (element.getIntOrFloatBitWidth() + 7) / 8;
  Value place = add(base, mul(add(parts.getOffset(), at), bytes));
  Value number = arith::IndexCastOp::create(b, loc, b.getI64Type(), place);
  return LLVM::IntToPtrOp::create(b, loc, pointer(), number);
}

Value Code::advance(Value pointer, Type element, Value elements) {
  Value number = arith::IndexCastOp::create(b, loc, b.getI64Type(), elements);
  return LLVM::GEPOp::create(b, loc, this->pointer(), element, pointer,
                             ArrayRef<LLVM::GEPArg>{number});
}

Value Code::listAt(Value pointer, Type element) {
  // What the LLVM lowering makes of a memref of rank 1.
  MLIRContext *context = b.getContext();
  Type i64 = b.getI64Type(), array = LLVM::LLVMArrayType::get(i64, 1);
  Type type = LLVM::LLVMStructType::getLiteral(
      context, {pointer.getType(), pointer.getType(), i64, array, array});
  auto constant = [&](int64_t value) {
    return LLVM::ConstantOp::create(b, loc, i64, b.getI64IntegerAttr(value));
  };
  Value list = LLVM::PoisonOp::create(b, loc, type);
  auto insert = [&](Value value, ArrayRef<int64_t> at) {
    list = LLVM::InsertValueOp::create(b, loc, list, value, at);
  };
  insert(pointer, {0});
  insert(pointer, {1});
  insert(constant(0), {2});
  insert(constant(std::numeric_limits<int32_t>::max()), {3, 0});
  insert(constant(1), {4, 0});
  auto result = MemRefType::get({ShapedType::kDynamic}, element);
  return UnrealizedConversionCastOp::create(b, loc, TypeRange{result}, list)
      .getResult(0);
}

Value Code::scratch(int64_t elements, Type element) {
  Value buffer = memref::AllocaOp::create(
      b, loc, MemRefType::get({elements}, element), b.getI64IntegerAttr(64));
  return memref::CastOp::create(b, loc, flatType(element), buffer);
}

Value Code::load(Value list, Value at) {
  return memref::LoadOp::create(b, loc, list, at);
}

void Code::store(Value value, Value list, Value at) {
  memref::StoreOp::create(b, loc, value, list, at);
}

Value Code::loadFloat(Value list, Value at) {
  Value loaded = load(list, at);
  if (loaded.getType().isF32())
    return loaded;
  return arith::ExtFOp::create(b, loc, f32(), loaded);
}

void Code::storeFloat(Value value, Value list, Value at) {
  if (Type element = elementOf(list); !element.isF32())
    value = arith::TruncFOp::create(b, loc, element, value);
  store(value, list, at);
}

void Code::fill(Value scalar, Value list, Value at, Value count) {
  Value whole = mul(div(count, lanes), lanes), vector = broadcast(scalar);
  loop(index(0), whole, lanes,
       [&](Value i) { storeVector(vector, list, add(at, i)); });
  loop(whole, count, 1, [&](Value i) { store(scalar, list, add(at, i)); });
}

void Code::fillZeros(Value list, Value at, Value count) {
  Value none =
      arith::ConstantOp::create(b, loc, b.getZeroAttr(elementOf(list)));
  fill(none, list, at, count);
}

void Code::copy(Value from, Value fromAt, Value to, Value toAt, Value count) {
  bool converts = elementOf(from) != elementOf(to);
  Value whole = mul(div(count, lanes), lanes);
  loop(index(0), whole, lanes, [&](Value i) {
    Value source = add(fromAt, i), target = add(toAt, i);
    if (converts)
      storeFloats(loadFloats(from, source), to, target);
    else
      storeVector(loadVector(from, source), to, target);
  });
  loop(whole, count, 1, [&](Value i) {
    Value source = add(fromAt, i), target = add(toAt, i);
    if (converts)
      storeFloat(loadFloat(from, source), to, target);
    else
      store(load(from, source), to, target);
  });
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

Value Code::loadVector(Value list, Value at) {
  return vector::LoadOp::create(b, loc, vectorOf(elementOf(list)), list, at);
}

void Code::storeVector(Value vector, Value list, Value at) {
  vector::StoreOp::create(b, loc, vector, list, at);
}

Value Code::loadFloats(Value list, Value at) {
  Value loaded = loadVector(list, at);
  if (elementOf(list).isF32())
    return loaded;
  return arith::ExtFOp::create(b, loc, vectorOf(f32()), loaded);
}

Value Code::rounded(Value vector, Type element) {
  if (element.isF32())
    return vector;
  Type type = element;
  if (isa<VectorType>(vector.getType()))
    type = vectorOf(element);
  Value narrow = arith::TruncFOp::create(b, loc, type, vector);
  return arith::ExtFOp::create(b, loc, vector.getType(), narrow);
}

void Code::storeFloats(Value vector, Value list, Value at) {
  if (Type element = elementOf(list); !element.isF32())
    vector = arith::TruncFOp::create(b, loc, vectorOf(element), vector);
  storeVector(vector, list, at);
}

Value Code::broadcast(Value scalar) {
  return vector::BroadcastOp::create(b, loc, vectorOf(scalar.getType()),
                                     scalar);
}

Value Code::extract(Value vector, int64_t lane) {
  return vector::ExtractOp::create(b, loc, vector, lane);
}

Value Code::real(double value) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(float(value)));
}

Value Code::zeros() { return reals(0); }

Value Code::reals(double value) {
  VectorType type = vectorOf(f32());
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(type, b.getF32FloatAttr(float(value))));
}

Value Code::ints(int64_t value, Type element) {
  VectorType type = vectorOf(element);
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(type, b.getIntegerAttr(element, value)));
}
