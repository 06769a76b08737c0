// Rows on their way to other ranks and back: verification (X1 to X3), effects, extents.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/VerifyShapes.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace moec::moe;
using namespace moec::moe::shapes;

#define GET_OP_CLASSES
#include "dialects/MoE/IR/CommunicationOps.cpp.inc"

using Effects =
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;

/// Each one depends on those in front of it, and is there for those behind it.
static void addCommunication(Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), Communication::get());
  effects.emplace_back(MemoryEffects::Write::get(), Communication::get());
}

Type moec::moe::withAnyRows(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getRank() == 0)
    return type;
  SmallVector<int64_t> shape(tensor.getShape());
  shape.front() = ShapedType::kDynamic;
  return tensor.clone(shape);
}

//===----------------------------------------------------------------------===//
// DispatchOp
//===----------------------------------------------------------------------===//

LogicalResult DispatchOp::verify() {
  if (failed(verifyTokens(*this, "X1", "input", getInput(), 2)) ||
      failed(verifyTokens(*this, "X1", "ids", getIds(), 2)) ||
      failed(verifyTokens(*this, "X1", "weights", getWeights(), 2)) ||
      failed(verifySameLeading(*this, "X1", "ids", getIds(), "weights",
                               getWeights(), 2)) ||
      failed(verifySameLeading(*this, "X1", "ids", getIds(), "input",
                               getInput(), 1)))
    return failure();
  if (elementOf(getWeights()) != elementOf(getInput()))
    return emitOpError("X1: gate weights are ")
           << getWeights().getType() << " but tokens are "
           << getInput().getType();
  IdType id = getIdType(getIds());
  if (id.getSpecials())
    return emitOpError("X1: expected ids without special experts, which no "
                       "rank has, found ")
           << id;
  if (!getTable())
    return success();
  auto table = cast<TableType>(getTable().getType());
  if (table.getFrom() != id.getAxis() ||
      table.getFromCount() != id.getCount() || table.getTo() != Axis::cluster)
    return emitOpError("X2: expected a table from ")
           << id << " to clusters, found " << table;
  return success();
}

void DispatchOp::getEffects(Effects &effects) { addCommunication(effects); }

//===----------------------------------------------------------------------===//
// ReturnOp
//===----------------------------------------------------------------------===//

DispatchOp ReturnOp::getDispatch() {
  return getExchange().getDefiningOp<DispatchOp>();
}

LogicalResult ReturnOp::verify() {
  DispatchOp dispatch = getDispatch();
  if (!dispatch)
    return emitOpError("X3: expected the exchange of a moe.dispatch");
  if (getRows().getType() != dispatch.getRows().getType())
    return emitOpError("X3: expected rows as its moe.dispatch yields, ")
           << dispatch.getRows().getType() << ", found " << getRows().getType();
  if (getType() != dispatch.getInput().getType())
    return emitOpError("X3: expected a result as the tokens of its "
                       "moe.dispatch, ")
           << dispatch.getInput().getType() << ", found " << getType();
  return success();
}

void ReturnOp::getEffects(Effects &effects) { addCommunication(effects); }

LogicalResult
ReturnOp::reifyResultShapes(OpBuilder &builder,
                            ReifiedRankedShapedTypeDims &extents) {
  extents.push_back(
      tensor::getMixedSizes(builder, getLoc(), getDispatch().getInput()));
  return success();
}
