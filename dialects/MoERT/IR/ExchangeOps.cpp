// Operations on exchanges of rows: verification (Y1 to Y4), effects.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoERT/IR/MoERT.h"

#include "dialects/MoE/IR/VerifyShapes.h"
#include "dialects/MoERT/IR/BufferEffects.h"

using namespace mlir;
using namespace moec::moert;
using moec::moe::shapes::elementOf;
using moec::moe::shapes::shapeOf;
using moec::moe::shapes::verifyOneForm;
using moec::moe::shapes::verifySameLeading;
using moec::moe::shapes::verifyTokens;

#define GET_OP_CLASSES
#include "dialects/MoERT/IR/ExchangeOps.cpp.inc"

//===----------------------------------------------------------------------===//
// What the operations share
//===----------------------------------------------------------------------===//

/// Tensors have results for what is written; buffers are written in place.
static LogicalResult verifyResults(Operation *op, ValueRange destinations) {
  if (failed(verifyOneForm(op, "Y1")))
    return failure();
  SmallVector<Type> expected;
  for (Value destination : destinations)
    if (isa<TensorType>(destination.getType()))
      expected.push_back(destination.getType());
  SmallVector<Type> found;
  for (Value result : op->getResults())
    if (isa<TensorType>(result.getType()))
      found.push_back(result.getType());
  if (found == expected)
    return success();
  return op->emitOpError("Y1: expected results of the destinations' types on "
                         "tensors, none on buffers, found ")
         << found.size() << " results for " << expected.size()
         << " destinations";
}

/// Rows, ids, gate weights and clusters of the same tokens.
static LogicalResult verifyTokensOf(Operation *op, Value rows, Value ids,
                                    Value gates, Value clusters) {
  if (failed(verifyTokens(op, "Y2", "rows", rows, 2)) ||
      failed(verifyTokens(op, "Y2", "ids", ids, 2)) ||
      failed(verifyTokens(op, "Y2", "gates", gates, 2)) ||
      failed(verifySameLeading(op, "Y2", "ids", ids, "rows", rows, 1)) ||
      failed(verifySameLeading(op, "Y2", "gates", gates, "ids", ids, 2)))
    return failure();
  if (!clusters)
    return success();
  if (failed(verifyTokens(op, "Y2", "clusters", clusters, 2)))
    return failure();
  return verifySameLeading(op, "Y2", "clusters", clusters, "ids", ids, 2);
}

/// A row for each row, of the same numbers.
static LogicalResult verifySums(Operation *op, Value rows, Value sums) {
  if (failed(verifyTokens(op, "Y2", "the destination", sums, 2)) ||
      failed(verifySameLeading(op, "Y2", "the destination", sums, "rows", rows,
                               2)))
    return failure();
  if (elementOf(sums) == elementOf(rows))
    return success();
  return op->emitOpError("Y2: expected a destination of the rows' element "
                         "type, found ")
         << sums.getType() << " for " << rows.getType();
}

/// A part of the exchange, where the function says how many it has.
template <typename OpTy> static LogicalResult verifyPart(OpTy op) {
  auto begin = op.getExchange().template getDefiningOp<BeginOp>();
  if (!begin || op.getPart() < begin.getParts())
    return success();
  return op.emitOpError("Y3: expected a part below ")
         << begin.getParts() << ", found " << op.getPart();
}

/// Rows are those of the exchange that they were received in, as far as this
/// is known here.
static LogicalResult verifyReceived(Operation *op, Value received, Value rows) {
  if (failed(verifyTokens(op, "Y4", "rows", rows, 2)))
    return failure();
  auto receive = received.getDefiningOp<ReceiveOp>();
  auto begin =
      receive ? receive.getExchange().getDefiningOp<BeginOp>() : BeginOp();
  if (!begin || (shapeOf(rows)[1] == shapeOf(begin.getRows())[1] &&
                 elementOf(rows) == elementOf(begin.getRows())))
    return success();
  return op->emitOpError("Y4: expected rows as those of the exchange, ")
         << begin.getRows().getType() << ", found " << rows.getType();
}

static void addReadAndWrite(Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), Exchanges::get());
  effects.emplace_back(MemoryEffects::Write::get(), Exchanges::get());
}

//===----------------------------------------------------------------------===//
// BeginOp
//===----------------------------------------------------------------------===//

LogicalResult BeginOp::verify() {
  if (failed(verifyResults(*this, getInit())) ||
      failed(verifyTokensOf(*this, getRows(), getIds(), getGates(),
                            getClusters())))
    return failure();
  return verifySums(*this, getRows(), getInit());
}

void BeginOp::getEffects(Effects &effects) {
  addReadAndWrite(effects);
  effects.emplace_back(MemoryEffects::Allocate::get(),
                       cast<OpResult>(getExchange()), Exchanges::get());
  addEffect<MemoryEffects::Read>(getRowsMutable(), effects);
  addEffect<MemoryEffects::Read>(getIdsMutable(), effects);
  addEffect<MemoryEffects::Read>(getGatesMutable(), effects);
  addEffect<MemoryEffects::Read>(getClustersMutable(), effects);
  addEffect<MemoryEffects::Write>(getInitMutable(), effects);
}

//===----------------------------------------------------------------------===//
// DispatchOp, ReceiveOp, SendBackOp
//===----------------------------------------------------------------------===//

LogicalResult DispatchOp::verify() { return verifyPart(*this); }

void DispatchOp::getEffects(Effects &effects) { addReadAndWrite(effects); }

LogicalResult ReceiveOp::verify() { return verifyPart(*this); }

void ReceiveOp::getEffects(Effects &effects) {
  addReadAndWrite(effects);
  effects.emplace_back(MemoryEffects::Allocate::get(),
                       cast<OpResult>(getReceived()), Exchanges::get());
}

void SendBackOp::getEffects(Effects &effects) {
  addReadAndWrite(effects);
  effects.emplace_back(MemoryEffects::Free::get(), &getReceivedMutable(),
                       Exchanges::get());
}

//===----------------------------------------------------------------------===//
// ReadOp, WriteOp
//===----------------------------------------------------------------------===//

LogicalResult ReadOp::verify() {
  if (failed(verifyResults(*this, {getRows(), getIds(), getGates()})) ||
      failed(verifyTokensOf(*this, getRows(), getIds(), getGates(), Value())))
    return failure();
  return verifyReceived(*this, getReceived(), getRows());
}

void ReadOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), Exchanges::get());
  addEffect<MemoryEffects::Write>(getRowsMutable(), effects);
  addEffect<MemoryEffects::Write>(getIdsMutable(), effects);
  addEffect<MemoryEffects::Write>(getGatesMutable(), effects);
}

LogicalResult WriteOp::verify() {
  return verifyReceived(*this, getReceived(), getRows());
}

void WriteOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Write::get(), Exchanges::get());
  addEffect<MemoryEffects::Read>(getRowsMutable(), effects);
}

//===----------------------------------------------------------------------===//
// CollectOp
//===----------------------------------------------------------------------===//

LogicalResult CollectOp::verify() {
  if (failed(verifyResults(*this, getInit())) || failed(verifyPart(*this)) ||
      failed(verifyTokensOf(*this, getRows(), getIds(), getGates(),
                            getClusters())))
    return failure();
  return verifySums(*this, getRows(), getInit());
}

void CollectOp::getEffects(Effects &effects) {
  addReadAndWrite(effects);
  addEffect<MemoryEffects::Read>(getRowsMutable(), effects);
  addEffect<MemoryEffects::Read>(getIdsMutable(), effects);
  addEffect<MemoryEffects::Read>(getGatesMutable(), effects);
  addEffect<MemoryEffects::Read>(getClustersMutable(), effects);
  addEffect<MemoryEffects::Write>(getInitMutable(), effects);
}
