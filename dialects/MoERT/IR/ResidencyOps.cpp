// Operations on residency: verification (M1 to M4), effects, equal hints.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoERT/IR/MoERT.h"

#include "dialects/MoE/IR/VerifyShapes.h"
#include "dialects/MoERT/IR/BufferEffects.h"

using namespace mlir;
using namespace moec::moert;
using moec::moe::shapes::shapeOf;
using moec::moe::shapes::verifyOneForm;

#define GET_OP_CLASSES
#include "dialects/MoERT/IR/ResidencyOps.cpp.inc"

//===----------------------------------------------------------------------===//
// What the operations share
//===----------------------------------------------------------------------===//

static LogicalResult verifyClusters(Operation *op, Value clusters) {
  size_t rank = shapeOf(clusters).size();
  if (rank == 1 || rank == 2)
    return success();
  return op->emitOpError("M2: expected clusters to be a list of i32, or to "
                         "have a row for each token, found ")
         << clusters.getType();
}

/// A place for each cluster of a layer: their number is known.
static LogicalResult verifyPlaces(Operation *op, StringRef what, Value places) {
  ArrayRef<int64_t> shape = shapeOf(places);
  if (shape.size() == 1 && !ShapedType::isDynamic(shape[0]))
    return success();
  return op->emitOpError("M3: expected ")
         << what << " to be a list of i32 of known length, found "
         << places.getType();
}

static LogicalResult verifyPools(Operation *op, OperandRange pools) {
  for (Value pool : pools)
    if (shapeOf(pool).size() < 2)
      return op->emitOpError("M4: expected a pool to have a row for each "
                             "place, found ")
             << pool.getType();
  return success();
}

//===----------------------------------------------------------------------===//
// PrefetchOp
//===----------------------------------------------------------------------===//

LogicalResult PrefetchOp::verify() {
  return verifyClusters(*this, getClusters());
}

void PrefetchOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Write::get(), Residency::get());
  addEffect<MemoryEffects::Read>(getClustersMutable(), effects);
}

/// Two equal ones with nothing between them that has an effect: one will do.
LogicalResult PrefetchOp::canonicalize(PrefetchOp op,
                                       PatternRewriter &rewriter) {
  Operation *before = op->getPrevNode();
  while (before && isMemoryEffectFree(before))
    before = before->getPrevNode();
  auto other = dyn_cast_or_null<PrefetchOp>(before);
  if (!other || other.getClusters() != op.getClusters() ||
      other.getAhead() != op.getAhead())
    return rewriter.notifyMatchFailure(op, "no equal prefetch in front of it");
  rewriter.eraseOp(op);
  return success();
}

//===----------------------------------------------------------------------===//
// AcquireOp
//===----------------------------------------------------------------------===//

LogicalResult AcquireOp::verify() {
  if (failed(verifyOneForm(*this, "M1")))
    return failure();
  bool isOnTensors = isa<TensorType>(getInit().getType());
  if (isOnTensors != bool(getSlots()) ||
      (isOnTensors && getSlots().getType() != getInit().getType()))
    return emitOpError("M1: expected ")
           << (isOnTensors ? "a result of the destination's type"
                           : "no result on buffers");
  if (failed(verifyClusters(*this, getClusters())) ||
      failed(verifyPlaces(*this, "the table", getTable())))
    return failure();
  if (shapeOf(getInit()) != shapeOf(getTable()))
    return emitOpError("M3: expected a destination with a place for each "
                       "cluster of the table, found ")
           << getInit().getType() << " for " << getTable().getType();
  return verifyPools(*this, getPools());
}

void AcquireOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), Residency::get());
  effects.emplace_back(MemoryEffects::Write::get(), Residency::get());
  effects.emplace_back(MemoryEffects::Allocate::get(),
                       cast<OpResult>(getLease()), Residency::get());
  addEffect<MemoryEffects::Read>(getClustersMutable(), effects);
  addEffect<MemoryEffects::Read>(getTableMutable(), effects);
  addEffect<MemoryEffects::Write>(getPoolsMutable(), effects);
  addEffect<MemoryEffects::Write>(getInitMutable(), effects);
}

//===----------------------------------------------------------------------===//
// ReleaseOp
//===----------------------------------------------------------------------===//

LogicalResult ReleaseOp::verify() {
  if (failed(verifyOneForm(*this, "M1")) ||
      failed(verifyPlaces(*this, "slots", getSlots())))
    return failure();
  return verifyPools(*this, getPools());
}

void ReleaseOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Write::get(), Residency::get());
  effects.emplace_back(MemoryEffects::Free::get(), &getLeaseMutable(),
                       Residency::get());
  addEffect<MemoryEffects::Read>(getSlotsMutable(), effects);
  addEffect<MemoryEffects::Write>(getPoolsMutable(), effects);
}
