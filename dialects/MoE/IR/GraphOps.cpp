// Graph form: verification of routers (R1–R22) and expert layers (E1–E7).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/VerifyShapes.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace moec::moe;
using namespace moec::moe::shapes;

#define GET_OP_CLASSES
#include "dialects/MoE/IR/GraphOps.cpp.inc"

//===----------------------------------------------------------------------===//
// RouteOp
//===----------------------------------------------------------------------===//

static LogicalResult verifyRouteShapes(RouteOp op) {
  if (failed(verifyTokens(op, "R22", "logits", op.getLogits(), 2)) ||
      failed(verifyTokens(op, "R1", "ids", op.getIds(), 2)) ||
      failed(verifyTokens(op, "R1", "weights", op.getWeights(), 2)) ||
      failed(verifySameLeading(op, "R1", "ids", op.getIds(), "weights",
                               op.getWeights(), 2)) ||
      failed(verifySameLeading(op, "R1", "ids", op.getIds(), "logits",
                               op.getLogits(), 1)))
    return failure();
  int64_t columns = shapeOf(op.getLogits())[1], k = op.getChoice().getK();
  if (shapeOf(op.getIds())[1] != k)
    return op.emitOpError() << "R1: chooses " << k << " but ids are "
                            << op.getIds().getType();
  if (elementOf(op.getWeights()) != elementOf(op.getLogits()))
    return op.emitOpError() << "R1: weights are " << op.getWeights().getType()
                            << " but logits are " << op.getLogits().getType();
  if (k > columns)
    return op.emitOpError() << "R3: cannot choose " << k << " of " << columns;
  if (Value bias = op.getBias()) {
    int64_t expected[] = {columns};
    if (shapeOf(bias) != ArrayRef(expected) ||
        elementOf(bias) != elementOf(op.getLogits()))
      return op.emitOpError() << "R22: bias must have " << columns
                              << " elements of the logits' type, is "
                              << bias.getType();
  }
  return success();
}

/// Columns of the logits against the experts that ids can name.
static LogicalResult verifyRouteColumns(RouteOp op) {
  int64_t columns = shapeOf(op.getLogits())[1];
  IdType id = getIdType(op.getIds());
  int64_t specials = op.getSpecials() ? op.getSpecialsAttr().getCount() : 0;
  if (id.getSpecials() != specials)
    return op.emitOpError() << "R20: " << specials
                            << " special experts but ids are " << id;
  Value candidates = op.getCandidates();
  if (!candidates) {
    if (columns != id.getCount() + specials)
      return op.emitOpError()
             << "R2: " << columns << " logits for " << id.getCount()
             << " experts and " << specials << " special ones";
    return success();
  }
  if (failed(verifyTokens(op, "R21", "candidates", candidates, 2)) ||
      failed(verifySameLeading(op, "R21", "candidates", candidates, "logits",
                               op.getLogits(), 2)))
    return failure();
  if (getIdType(candidates) != id)
    return op.emitOpError() << "R21: candidates are " << getIdType(candidates)
                            << " but ids are " << id;
  if (op.getBias())
    return op.emitOpError("R21: candidates exclude a bias");
  if (op.getHashTable())
    return op.emitOpError("R21: candidates exclude a hash table");
  return success();
}

static LogicalResult verifyLimit(RouteOp op, bool nonNegative) {
  LimitAttr limit = op.getLimitAttr();
  Value clusters = op.getClusters(), groupLogits = op.getGroupLogits();
  if (!limit) {
    if (clusters || groupLogits)
      return op.emitOpError("R9: clusters or group logits without a limit");
    return success();
  }
  int64_t columns = shapeOf(op.getLogits())[1];
  int64_t groups = limit.getGroups();
  if (op.getChoice().getKind() != ChoiceKind::top_k || op.getCandidates())
    return op.emitOpError("R4: a limit applies to top_k without candidates, "
                          "not to ")
           << stringifyChoiceKind(op.getChoice().getKind());
  if (clusters) {
    auto table = cast<TableType>(clusters.getType());
    IdType id = getIdType(op.getIds());
    if (table.getFrom() != id.getAxis() ||
        table.getFromCount() != id.getCount() || table.getToCount() != groups)
      return op.emitOpError("R5: ") << table << " does not map " << id << " to "
                                    << groups << " groups";
  } else if (columns % groups) {
    return op.emitOpError("R5: ") << groups << " groups do not divide "
                                  << columns << " columns";
  }
  if (limit.getMasked() == Masked::zero && !nonNegative)
    return op.emitOpError("R6: 'masked zero' needs non-negative scores");
  if (!clusters) {
    int64_t perGroup = columns / groups;
    if (op.getChoice().getK() > limit.getKeep() * perGroup)
      return op.emitOpError("R7: the kept groups hold fewer than ")
             << op.getChoice().getK() << " columns";
    if (limit.getBy() == GroupBy::top2_sum && perGroup < 2)
      return op.emitOpError("R8: top2_sum needs two columns in a group");
  }
  if ((limit.getBy() == GroupBy::logits) != bool(groupLogits))
    return op.emitOpError("R9: 'by logits' and group logits go together");
  if (!groupLogits)
    return success();
  if (failed(verifyTokens(op, "R9", "group logits", groupLogits, 2)) ||
      failed(verifySameLeading(op, "R9", "group logits", groupLogits, "logits",
                               op.getLogits(), 1)))
    return failure();
  if (shapeOf(groupLogits)[1] != groups ||
      elementOf(groupLogits) != elementOf(op.getLogits()))
    return op.emitOpError("R9: group logits must have ")
           << groups << " columns of the logits' type, are "
           << groupLogits.getType();
  return success();
}

static LogicalResult verifyHash(RouteOp op) {
  bool hash = op.getChoice().getKind() == ChoiceKind::hash;
  Value table = op.getHashTable(), tokens = op.getTokenIds();
  if (hash != bool(table) || hash != bool(tokens))
    return op.emitOpError("R10: hash choice, hash table ('from') and token ids "
                          "('at') go together");
  if (!hash)
    return success();
  if (op.getBias())
    return op.emitOpError("R10: a bias steers a choice by score, not by hash");
  if (shapeOf(table).size() != 2 ||
      shapeOf(table)[1] != op.getChoice().getK() ||
      getIdType(table) != getIdType(op.getIds()))
    return op.emitOpError("R10: hash table must hold ")
           << op.getChoice().getK() << " " << getIdType(op.getIds())
           << " for each token id, is " << table.getType();
  if (failed(verifyTokens(op, "R10", "token ids", tokens, 1)))
    return failure();
  return verifySameLeading(op, "R10", "token ids", tokens, "logits",
                           op.getLogits(), 1);
}

static LogicalResult verifyChoiceAndGates(RouteOp op, bool nonNegative) {
  ChoiceAttr choice = op.getChoice();
  GatesAttr gates = op.getGates();
  bool sparsemixer = choice.getKind() == ChoiceKind::sparsemixer;
  if (sparsemixer != (gates.getSource() == GateSource::sparsemixer))
    return op.emitOpError("R11: sparsemixer choice and gates go together");
  if (sparsemixer && (choice.getK() != 2 || op.getScore() != Score::identity ||
                      op.getBias() || op.getCandidates()))
    return op.emitOpError("R11: sparsemixer chooses 2 by identity score, "
                          "without bias or candidates");
  if (choice.getKind() == ChoiceKind::top_p && op.getScore() != Score::softmax)
    return op.emitOpError("R12: top_p needs softmax scores");
  if (choice.getKind() == ChoiceKind::expert_choice &&
      (op.getCapacity() || op.getCandidates()))
    return op.emitOpError("R13: expert choice sets its own capacity and "
                          "excludes candidates");
  if (gates.getSource() == GateSource::scores && gates.getNorm() != Norm::keep &&
      !nonNegative)
    return op.emitOpError("R14: normalising identity scores; use gates "
                          "<softmax>");
  bool fromLogits = gates.getSource() == GateSource::softmax ||
                    gates.getSource() == GateSource::sigmoid;
  if (fromLogits && op.getScore() != Score::identity)
    return op.emitOpError("R15: gates <")
           << stringifyGateSource(gates.getSource())
           << "> start from logits; score must be identity";
  return success();
}

LogicalResult RouteOp::verify() {
  bool nonNegative = getScore() != Score::identity;
  if (failed(verifyRouteShapes(*this)) || failed(verifyRouteColumns(*this)) ||
      failed(verifyLimit(*this, nonNegative)) || failed(verifyHash(*this)))
    return failure();
  return verifyChoiceAndGates(*this, nonNegative);
}

LogicalResult
RouteOp::reifyResultShapes(OpBuilder &builder,
                           ReifiedRankedShapedTypeDims &extents) {
  return reifyTokenShapes(*this, builder, extents);
}

//===----------------------------------------------------------------------===//
// ExpertsOp
//===----------------------------------------------------------------------===//

LogicalResult ExpertsOp::verify() {
  if (failed(verifyTokens(*this, "E3", "input", getInput(), 2)) ||
      failed(verifyTokens(*this, "E5", "ids", getIds(), 2)) ||
      failed(verifyTokens(*this, "E5", "weights", getWeights(), 2)) ||
      failed(verifySameLeading(*this, "E5", "ids", getIds(), "weights",
                               getWeights(), 2)) ||
      failed(verifySameLeading(*this, "E5", "ids", getIds(), "input",
                               getInput(), 1)))
    return failure();
  if (getType() != getInput().getType())
    return emitOpError("E3: result must have the input's type ")
           << getInput().getType() << ", is " << getType();
  int64_t width = shapeOf(getInput())[1];
  int64_t inner = getWeightType(getUp()).getCols();
  IdType id = getIdType(getIds());
  Type element = elementOf(getInput());
  auto verifyWeight = [&](Value value, StringRef what, int64_t rows,
                          int64_t cols) -> LogicalResult {
    if (!value)
      return success();
    WeightType weight = getWeightType(value);
    if (weight.getRows() != rows || weight.getCols() != cols)
      return emitOpError("E1: ") << what << " must be " << rows << "x" << cols
                                 << ", is " << weight;
    if (weight.getElementType() != element)
      return emitOpError("E7: ") << what << " is " << weight
                                 << " but tokens are " << getInput().getType();
    return verifyIndexedBy(*this, "E2", what, weight, id);
  };
  if (failed(verifyWeight(getUp(), "up", width, inner)) ||
      failed(verifyWeight(getGate(), "gate", width, inner)) ||
      failed(verifyWeight(getDown(), "down", inner, width)) ||
      failed(verifyWeight(getUpBias(), "up_bias", 1, inner)) ||
      failed(verifyWeight(getGateBias(), "gate_bias", 1, inner)) ||
      failed(verifyWeight(getDownBias(), "down_bias", 1, width)))
    return failure();
  if (getGateBias() && !getGate())
    return emitOpError("E4: gate_bias without gate");
  if (elementOf(getWeights()) != element)
    return emitOpError("E7: gate weights are ")
           << getWeights().getType() << " but tokens are "
           << getInput().getType();
  if (failed(verifyActivation(*this, getAct(), bool(getGate()))))
    return failure();
  return verifySpecials(*this, id, getSpecialsAttr(), getInput().getType(),
                        getConstants(), getMixing());
}

LogicalResult
ExpertsOp::reifyResultShapes(OpBuilder &builder,
                             ReifiedRankedShapedTypeDims &extents) {
  return reifyTokenShapes(*this, builder, extents);
}
