// Slot form: verification (S1–S10) and folds.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/VerifyShapes.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace moec::moe;
using namespace moec::moe::shapes;

/// moe.activate prints the one type its values share.
static ParseResult
parseGatedType(OpAsmParser &parser, Type &up, Type &gate,
               std::optional<OpAsmParser::UnresolvedOperand> gateOperand) {
  if (parser.parseType(up))
    return failure();
  if (gateOperand)
    gate = up;
  return success();
}

static void printGatedType(OpAsmPrinter &printer, Operation *, Type up, Type,
                           Value) {
  printer << up;
}

#define GET_OP_CLASSES
#include "dialects/MoE/IR/SlotOps.cpp.inc"

#define REIFY_TOKEN_SHAPES(Op)                                                 \
  LogicalResult Op::reifyResultShapes(OpBuilder &builder,                      \
                                      ReifiedRankedShapedTypeDims &extents) {   \
    return reifyTokenShapes(*this, builder, extents);                           \
  }
REIFY_TOKEN_SHAPES(ApplyOp)
REIFY_TOKEN_SHAPES(LookupOp)
REIFY_TOKEN_SHAPES(ClustersOfOp)
REIFY_TOKEN_SHAPES(SpreadOp)
REIFY_TOKEN_SHAPES(ScaleRowsOp)
REIFY_TOKEN_SHAPES(CombineOp)
REIFY_TOKEN_SHAPES(ActivateOp)
REIFY_TOKEN_SHAPES(RealExpertsOp)
REIFY_TOKEN_SHAPES(SpecialExpertsOp)
#undef REIFY_TOKEN_SHAPES

//===----------------------------------------------------------------------===//
// IdCastOp
//===----------------------------------------------------------------------===//

LogicalResult IdCastOp::verify() {
  Type from = elementOf(getInput()), to = elementOf(getResult());
  bool oneInteger = from.isSignlessInteger(32) != to.isSignlessInteger(32);
  bool known = (from.isSignlessInteger(32) || isa<IdType>(from)) &&
               (to.isSignlessInteger(32) || isa<IdType>(to));
  // A view of a buffer differs in nothing but the element type.
  auto buffer = dyn_cast<MemRefType>(getInput().getType());
  bool sameForm = buffer ? Type(MemRefType::Builder(buffer).setElementType(
                               to)) == getType()
                         : isa<RankedTensorType>(getType());
  if (!known || !sameForm || (!oneInteger && from != to) ||
      shapeOf(getInput()) != shapeOf(getResult()))
    return emitOpError("S10: cannot read ")
           << getInput().getType() << " as " << getType();
  return success();
}

OpFoldResult IdCastOp::fold(FoldAdaptor) {
  if (getInput().getType() == getType())
    return getInput();
  auto inner = getInput().getDefiningOp<IdCastOp>();
  if (inner && inner.getInput().getType() == getType())
    return inner.getInput();
  return {};
}

Value IdCastOp::getViewSource() { return getInput(); }

LogicalResult
IdCastOp::reifyResultShapes(OpBuilder &builder,
                            ReifiedRankedShapedTypeDims &extents) {
  // Ranks and extents are the input's; a result's dim asks for tensors only.
  if (!isa<RankedTensorType>(getInput().getType()))
    return failure();
  extents.push_back(tensor::getMixedSizes(builder, getLoc(), getInput()));
  return success();
}

//===----------------------------------------------------------------------===//
// ApplyOp, LookupOp
//===----------------------------------------------------------------------===//

/// Ids that pick the matrix of each slot (S2, S3): no specials, the weight's axis, one result row for each.
static LogicalResult verifySlotIds(Operation *op, WeightType weight, Value ids,
                                   Value result) {
  IdType id = getIdType(ids);
  if (id.getSpecials())
    return op->emitOpError("S2: ids must not count special experts, are ")
           << id;
  if (failed(verifyIndexedBy(op, "S2", "the weight", weight, id)))
    return failure();
  unsigned rank = shapeOf(ids).size();
  if (shapeOf(result).size() != rank + 1)
    return op->emitOpError("S3: result needs one row for each of ")
           << ids.getType() << ", is " << result.getType();
  return verifySameLeading(op, "S3", "ids", ids, "result", result, rank);
}

LogicalResult ApplyOp::verify() {
  WeightType weight = getWeightType(getWeight());
  ArrayRef<int64_t> in = shapeOf(getInput()), out = shapeOf(getResult());
  if (in.size() < 2 || in.size() > 3 || out.size() < 2 || out.size() > 3)
    return emitOpError("S1: expected [token, (slot,) feature] tensors, found ")
           << getInput().getType() << " and " << getType();
  if (failed(verifyTokens(*this, "S1", "input", getInput(), in.size())) ||
      failed(verifyTokens(*this, "S1", "result", getResult(), out.size())))
    return failure();
  if (in.back() != weight.getRows() || out.back() != weight.getCols() ||
      elementOf(getInput()) != weight.getElementType() ||
      elementOf(getResult()) != weight.getElementType())
    return emitOpError("S1: ") << getInput().getType() << " times " << weight
                               << " is not " << getType();
  if (weight.isIndexed() && !getIds())
    return emitOpError("S2: an indexed weight needs ids; the weight is ")
           << weight;
  if (!getIds()) {
    if (in.size() != out.size())
      return emitOpError("S3: result must have the rows of ")
             << getInput().getType() << ", is " << getType();
    return verifySameLeading(*this, "S3", "input", getInput(), "result",
                             getResult(), in.size() - 1);
  }
  if (failed(verifyTokens(*this, "S3", "ids", getIds(), 2)) ||
      failed(verifySlotIds(*this, weight, getIds(), getResult())))
    return failure();
  return verifySameLeading(*this, "S3", "input", getInput(), "ids", getIds(),
                           in.size() - 1);
}

LogicalResult LookupOp::verify() {
  WeightType weight = getWeightType(getWeight());
  if (weight.getRows() != 1)
    return emitOpError("S8: a lookup needs a weight of one row, found ")
           << weight;
  unsigned rank = shapeOf(getIds()).size();
  if (rank < 1 || rank > 2)
    return emitOpError("S3: ids must be [token, slot] or a list, are ")
           << getIds().getType();
  if (failed(verifyTokens(*this, "S3", "ids", getIds(), rank)) ||
      failed(verifySlotIds(*this, weight, getIds(), getResult())) ||
      failed(verifyTokens(*this, "S3", "result", getResult(), rank + 1)))
    return failure();
  if (shapeOf(getResult()).back() != weight.getCols() ||
      elementOf(getResult()) != weight.getElementType())
    return emitOpError("S1: rows of ") << weight << " do not fit "
                                       << getType();
  return success();
}

//===----------------------------------------------------------------------===//
// ClustersOfOp
//===----------------------------------------------------------------------===//

LogicalResult ClustersOfOp::verify() {
  auto table = cast<TableType>(getTable().getType());
  if (failed(verifyTokens(*this, "S4", "ids", getIds(), 2)) ||
      failed(verifyTokens(*this, "S4", "clusters", getClusters(), 2)) ||
      failed(verifyTokens(*this, "S4", "slot", getSlot(), 2)) ||
      failed(verifySameLeading(*this, "S4", "ids", getIds(), "clusters",
                               getClusters(), 1)) ||
      failed(verifySameLeading(*this, "S4", "ids", getIds(), "slot", getSlot(),
                               2)))
    return failure();
  IdType from = getIdType(getIds()), to = getIdType(getClusters());
  if (from.getAxis() != table.getFrom() ||
      from.getCount() != table.getFromCount() ||
      to.getAxis() != table.getTo() || to.getCount() != table.getToCount() ||
      to.getSpecials())
    return emitOpError("S4: ids ") << from << " and " << to << " do not follow "
                                   << table;
  int64_t k = shapeOf(getIds())[1], m = shapeOf(getClusters())[1];
  if (m < 1 || m > std::min(k, table.getToCount()))
    return emitOpError("S5: a token cannot have ")
           << m << " clusters: it has " << k << " choices and there are "
           << table.getToCount();
  return success();
}

//===----------------------------------------------------------------------===//
// SpreadOp, ScaleRowsOp, CombineOp
//===----------------------------------------------------------------------===//

/// Same element type and same number of features.
static LogicalResult verifySameFeatures(Operation *op, Value input,
                                        Value result) {
  if (elementOf(input) == elementOf(result) &&
      shapeOf(input).back() == shapeOf(result).back())
    return success();
  return op->emitOpError("S1: features of ")
         << input.getType() << " and " << result.getType() << " differ";
}

LogicalResult SpreadOp::verify() {
  if (getSlot() && getIds())
    return emitOpError("S7: slots and ids exclude each other");
  int64_t inputRank = getSlot() ? 3 : 2;
  if (failed(verifyTokens(*this, "S7", "input", getInput(), inputRank)) ||
      failed(verifyTokens(*this, "S7", "result", getResult(), 3)) ||
      failed(verifySameFeatures(*this, getInput(), getResult())) ||
      failed(verifySameLeading(*this, "S7", "input", getInput(), "result",
                               getResult(), 1)))
    return failure();
  Value slots = getSlot() ? getSlot() : getIds();
  if (!slots)
    return success();
  if (failed(verifyTokens(*this, "S7", "slot", slots, 2)))
    return failure();
  return verifySameLeading(*this, "S7", "slot", slots, "result", getResult(),
                           2);
}

LogicalResult ScaleRowsOp::verify() {
  int64_t slots = shapeOf(getWeights()).size();
  if (slots < 1 || slots > 2)
    return emitOpError("S7: weights must be [token, slot] or a list, are ")
           << getWeights().getType();
  int64_t inputRank = shapeOf(getInput()).size();
  if (inputRank != slots + 1 && !(slots == 2 && inputRank == 2))
    return emitOpError("S7: ")
           << getWeights().getType() << " cannot scale the rows of "
           << getInput().getType();
  if (failed(verifyTokens(*this, "S7", "input", getInput(), inputRank)) ||
      failed(verifyTokens(*this, "S7", "weights", getWeights(), slots)) ||
      failed(verifyTokens(*this, "S7", "result", getResult(), slots + 1)) ||
      failed(verifySameFeatures(*this, getInput(), getResult())) ||
      failed(verifySameLeading(*this, "S7", "weights", getWeights(), "result",
                               getResult(), slots)) ||
      failed(verifySameLeading(*this, "S7", "input", getInput(), "result",
                               getResult(), inputRank - 1)))
    return failure();
  if (elementOf(getWeights()) != elementOf(getInput()))
    return emitOpError("S1: weights are ")
           << getWeights().getType() << " but rows are "
           << getInput().getType();
  return success();
}

LogicalResult CombineOp::verify() {
  if (failed(verifyTokens(*this, "S6", "input", getInput(), 3)) ||
      failed(
          verifyTokens(*this, "S6", "result", getResult(), getSlot() ? 3 : 2)) ||
      failed(verifySameFeatures(*this, getInput(), getResult())) ||
      failed(verifySameLeading(*this, "S6", "input", getInput(), "result",
                               getResult(), 1)))
    return failure();
  if (getWeights()) {
    if (failed(verifyTokens(*this, "S7", "weights", getWeights(), 2)) ||
        failed(verifySameLeading(*this, "S7", "weights", getWeights(), "input",
                                 getInput(), 2)))
      return failure();
    if (elementOf(getWeights()) != elementOf(getInput()))
      return emitOpError("S1: weights are ")
             << getWeights().getType() << " but rows are "
             << getInput().getType();
  }
  if (!getSlot())
    return success();
  if (failed(verifyTokens(*this, "S7", "slot", getSlot(), 2)))
    return failure();
  return verifySameLeading(*this, "S7", "slot", getSlot(), "input", getInput(),
                           2);
}

//===----------------------------------------------------------------------===//
// ActivateOp
//===----------------------------------------------------------------------===//

LogicalResult ActivateOp::verify() {
  if (getGate() && getGate().getType() != getUp().getType())
    return emitOpError("S1: gate is ") << getGate().getType() << " but up is "
                                       << getUp().getType();
  return verifyActivation(*this, getAct(), bool(getGate()));
}

OpFoldResult ActivateOp::fold(FoldAdaptor) {
  if (!getGate() && getAct().getKind() == ActivationKind::identity &&
      !getAct().getClamp())
    return getUp();
  return {};
}

//===----------------------------------------------------------------------===//
// RealExpertsOp, SpecialExpertsOp
//===----------------------------------------------------------------------===//

/// Ids and gate weights, both T x k.
static LogicalResult verifyIdsAndWeights(Operation *op, Value ids,
                                         Value weights) {
  if (failed(verifyTokens(op, "S7", "ids", ids, 2)) ||
      failed(verifyTokens(op, "S7", "weights", weights, 2)))
    return failure();
  return verifySameLeading(op, "S7", "ids", ids, "weights", weights, 2);
}

LogicalResult RealExpertsOp::verify() {
  if (failed(verifyIdsAndWeights(*this, getIds(), getWeights())))
    return failure();
  if (getIdType(getIds()).withoutSpecials() != getIdType(getRealIds()) ||
      shapeOf(getIds()) != shapeOf(getRealIds()))
    return emitOpError("S9: result must be ")
           << getIdType(getIds()).withoutSpecials() << " of the same shape, is "
           << getRealIds().getType();
  return success();
}

LogicalResult RealExpertsOp::fold(FoldAdaptor,
                                  SmallVectorImpl<OpFoldResult> &results) {
  // A route gives weight 0 to each slot without expert (R16), so there is nothing to mask.
  auto route = getIds().getDefiningOp<RouteOp>();
  if (!route || route.getWeights() != getWeights() || route.getSpecials())
    return failure();
  results.append({getIds(), getWeights()});
  return success();
}

LogicalResult SpecialExpertsOp::verify() {
  if (failed(verifyTokens(*this, "E3", "input", getInput(), 2)) ||
      failed(verifyIdsAndWeights(*this, getIds(), getWeights())) ||
      failed(verifySameLeading(*this, "E5", "ids", getIds(), "input",
                               getInput(), 1)))
    return failure();
  if (getType() != getInput().getType())
    return emitOpError("E3: result must have the input's type ")
           << getInput().getType() << ", is " << getType();
  if (elementOf(getWeights()) != elementOf(getInput()))
    return emitOpError("E7: gate weights are ")
           << getWeights().getType() << " but tokens are "
           << getInput().getType();
  return verifySpecials(*this, getIdType(getIds()), getSpecials(),
                        getInput().getType(), getConstants(), getMixing());
}
