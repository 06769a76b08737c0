// Scheduled form: verification (G1–G9), effects, shapes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/VerifyShapes.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;
using namespace moec::moe;
using namespace moec::moe::shapes;

#define GET_OP_CLASSES
#include "dialects/MoE/IR/ScheduledOps.cpp.inc"

//===----------------------------------------------------------------------===//
// What all scheduled ops share
//===----------------------------------------------------------------------===//

/// On buffers: inputs are read, destinations written, and read too when they are added to.
static void getBufferEffects(
    Operation *op, bool accumulate,
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  auto dps = cast<DestinationStyleOpInterface>(op);
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    bool isInit = dps.isDpsInit(&operand);
    if (!isInit || accumulate)
      effects.emplace_back(MemoryEffects::Read::get(), &operand,
                           SideEffects::DefaultResource::get());
    if (isInit)
      effects.emplace_back(MemoryEffects::Write::get(), &operand,
                           SideEffects::DefaultResource::get());
  }
}

/// Results are the destinations, so their extents are too.
static LogicalResult reifyInitShapes(Operation *op, OpBuilder &builder,
                                     ReifiedRankedShapedTypeDims &extents) {
  auto dps = cast<DestinationStyleOpInterface>(op);
  for (int64_t i = 0, e = op->getNumResults(); i < e; ++i)
    extents.push_back(tensor::getMixedSizes(builder, op->getLoc(),
                                           dps.getDpsInitOperand(i)->get()));
  return success();
}

#define SCHEDULED_OP_INTERFACES(Op, accumulate)                                \
  void Op::getEffects(                                                         \
      SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>      \
          &effects) {                                                          \
    getBufferEffects(*this, accumulate, effects);                              \
  }                                                                            \
  LogicalResult Op::reifyResultShapes(OpBuilder &builder,                      \
                                      ReifiedRankedShapedTypeDims &extents) {   \
    return reifyInitShapes(*this, builder, extents);                            \
  }
SCHEDULED_OP_INTERFACES(GroupOp, false)
SCHEDULED_OP_INTERFACES(GatherOp, false)
SCHEDULED_OP_INTERFACES(GroupedMatmulOp, getAccumulate())
SCHEDULED_OP_INTERFACES(GroupedUpOp, false)
SCHEDULED_OP_INTERFACES(ScatterCombineOp, getAccumulate())
#undef SCHEDULED_OP_INTERFACES

static LogicalResult verifyRank(Operation *op, StringRef rule, StringRef what,
                                Value value, unsigned rank) {
  if (shapeOf(value).size() == rank)
    return success();
  return op->emitOpError() << rule << ": " << what << " must have rank " << rank
                           << ", is " << value.getType();
}

/// The types of computation.
static bool isComputed(Type type) {
  return type.isF64() || type.isF32() || type.isF16() || type.isBF16();
}

/// A list of i32.
static LogicalResult verifyIndexList(Operation *op, StringRef rule,
                                     StringRef what, Value value) {
  if (shapeOf(value).size() == 1 && elementOf(value).isSignlessInteger(32))
    return success();
  return op->emitOpError() << rule << ": " << what << " must be a list of i32, "
                           << "is " << value.getType();
}

/// A list of ids of an axis.
static LogicalResult verifyIdList(Operation *op, StringRef rule, StringRef what,
                                  Value value) {
  if (shapeOf(value).size() == 1 && isa<IdType>(elementOf(value)))
    return success();
  return op->emitOpError() << rule << ": " << what
                           << " must be a list of ids, is " << value.getType();
}

//===----------------------------------------------------------------------===//
// GroupOp
//===----------------------------------------------------------------------===//

MutableOperandRange GroupOp::getDpsInitsMutable() {
  // The five destinations are the last operands.
  return MutableOperandRange(*this, getNumOperands() - 5, 5);
}

LogicalResult GroupOp::verify() {
  if (failed(verifyOneForm(*this, "G3")))
    return failure();
  for (auto [what, value] :
       {std::pair<StringRef, Value>{"clusters", getClusters()},
        {"ids", getIds()}, {"weights", getWeights()}})
    if (failed(verifyRank(*this, "G7", what, value, 2)))
      return failure();
  if (!isa<IdType>(elementOf(getClusters())) ||
      !isa<IdType>(elementOf(getIds())) ||
      !isComputed(elementOf(getWeights())))
    return emitOpError("G7: expected cluster ids, expert ids and gate weights");
  if (failed(verifySameLeading(*this, "G7", "ids", getIds(), "weights",
                               getWeights(), 2)) ||
      failed(verifySameLeading(*this, "G7", "ids", getIds(), "clusters",
                               getClusters(), 1)))
    return failure();
  if (getSlots()) {
    if (failed(verifyRank(*this, "G7", "slots", getSlots(), 2)) ||
        failed(verifySameLeading(*this, "G7", "slots", getSlots(), "ids",
                                 getIds(), 2)))
      return failure();
    if (!elementOf(getSlots()).isSignlessInteger(32))
      return emitOpError("G7: slots must be i32, are ") << getSlots().getType();
  } else if (!mayEqual(shapeOf(getClusters())[1], shapeOf(getIds())[1])) {
    return emitOpError("G7: without slots there is one row for each choice: ")
           << getClusters().getType() << " and " << getIds().getType();
  }
  if (failed(verifyIndexList(*this, "G7", "row_token", getRowToken())) ||
      failed(verifyIndexList(*this, "G7", "row_offsets", getRowOffsets())) ||
      failed(verifyIndexList(*this, "G7", "pair_row", getPairRow())) ||
      failed(verifyIdList(*this, "G7", "pair_expert", getPairExpert())) ||
      failed(verifyRank(*this, "G7", "pair_weight", getPairWeight(), 1)))
    return failure();
  if (elementOf(getPairExpert()) != elementOf(getIds()) ||
      elementOf(getPairWeight()) != elementOf(getWeights()))
    return emitOpError("G7: pairs must have the types of ids and weights");
  auto product = [](ArrayRef<int64_t> shape) {
    int64_t size;
    if (ShapedType::isDynamicShape(shape))
      return ShapedType::kDynamic;
    return llvm::MulOverflow(shape[0], shape[1], size)
               ? std::numeric_limits<int64_t>::max()
               : size;
  };
  int64_t groups = getIdType(getClusters()).getCount();
  std::tuple<StringRef, Value, int64_t> sizes[] = {
      {"row_token", getRowToken(), product(shapeOf(getClusters()))},
      {"row_offsets", getRowOffsets(), groups + 1},
      {"pair_row", getPairRow(), product(shapeOf(getIds()))},
      {"pair_expert", getPairExpert(), product(shapeOf(getIds()))},
      {"pair_weight", getPairWeight(), product(shapeOf(getIds()))}};
  for (auto [what, value, size] : sizes)
    if (!mayEqual(shapeOf(value)[0], size))
      return emitOpError("G7: ") << what << " must have " << size
                                 << " elements, is " << value.getType();
  return success();
}

//===----------------------------------------------------------------------===//
// GatherOp, ScatterCombineOp
//===----------------------------------------------------------------------===//

LogicalResult GatherOp::verify() {
  if (failed(verifyOneForm(*this, "G3")) ||
      failed(verifyIndexList(*this, "G8", "index", getIndex())))
    return failure();
  Type element = elementOf(getInput());
  if (!isComputed(element) && !element.isSignlessInteger() &&
      !isa<IdType>(element))
    return emitOpError("G8: rows must hold floats, integers or ids, are ")
           << getInput().getType();
  ArrayRef<int64_t> in = shapeOf(getInput()), out = shapeOf(getInit());
  if (in.empty() || in.size() > 2 || in.size() != out.size() ||
      elementOf(getInput()) != elementOf(getInit()) ||
      (in.size() == 2 && !mayEqual(in[1], out[1])))
    return emitOpError("G8: rows of ") << getInput().getType()
                                       << " do not fit " << getInit().getType();
  return verifySameLeading(*this, "G8", "index", getIndex(), "destination",
                           getInit(), 1);
}

LogicalResult ScatterCombineOp::verify() {
  if (failed(verifyOneForm(*this, "G3")) ||
      failed(verifyIndexList(*this, "G8", "index", getIndex())) ||
      failed(verifyRank(*this, "G8", "input", getInput(), 2)) ||
      failed(verifyRank(*this, "G8", "destination", getInit(), 2)))
    return failure();
  if (!isComputed(elementOf(getInput())) ||
      elementOf(getInput()) != elementOf(getInit()) ||
      !mayEqual(shapeOf(getInput())[1], shapeOf(getInit())[1]))
    return emitOpError("G8: rows of ") << getInput().getType()
                                       << " do not fit " << getInit().getType();
  if (failed(verifySameLeading(*this, "G8", "index", getIndex(), "input",
                               getInput(), 1)))
    return failure();
  if (!getWeights())
    return success();
  if (failed(verifyRank(*this, "G8", "weights", getWeights(), 1)) ||
      failed(verifySameLeading(*this, "G8", "weights", getWeights(), "index",
                               getIndex(), 1)))
    return failure();
  if (elementOf(getWeights()) != elementOf(getInput()))
    return emitOpError("G8: weights are ") << getWeights().getType()
                                           << " but rows are "
                                           << getInput().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// GroupedMatmulOp, and what moe.grouped_up shares with it
//===----------------------------------------------------------------------===//

/// G1: what picks the matrix of a row.
template <typename OpTy> static LogicalResult verifyRowMatrices(OpTy op) {
  Value offsets = op.getOffsets(), entries = op.getEntries();
  if (offsets && entries)
    return op.emitOpError("G1: groups and entries exclude each other");
  if (offsets && failed(verifyIndexList(op, "G1", "groups", offsets)))
    return failure();
  if (entries) {
    if (failed(verifyIdList(op, "G1", "entries", entries)) ||
        failed(verifySameLeading(op, "G1", "entries", entries, "rows",
                                 op.getInput(), 1)))
      return failure();
    if (getIdType(entries).getSpecials())
      return op.emitOpError("G1: entries must not count special experts, are ")
             << entries.getType();
  }
  for (Value value : op.getWeights()) {
    WeightType weight = getWeightType(value);
    if (weight.isIndexed() != bool(offsets || entries))
      return op.emitOpError("G1: groups or entries are needed exactly when the "
                            "weight is indexed; the weight is ")
             << weight;
    if (entries && failed(verifyIndexedBy(op, "G1", "the weight", weight,
                                          getIdType(entries))))
      return failure();
    if (offsets && !mayEqual(shapeOf(offsets)[0], weight.getCount() + 1))
      return op.emitOpError("G1: ") << weight << " needs "
                                    << weight.getCount() + 1
                                    << " offsets, found " << offsets.getType();
  }
  return success();
}

/// Factors of a low-rank residual: IN x r and r x OUT, each without axis or indexed as the pairs' experts.
template <typename OpTy>
static LogicalResult verifyFactors(OpTy op, StringRef rule,
                                   WeightType weight, Value shrink,
                                   Value expand) {
  WeightType a = getWeightType(shrink), b = getWeightType(expand);
  if (a.getRows() != weight.getRows() || a.getCols() != b.getRows() ||
      b.getCols() != weight.getCols() ||
      a.getElementType() != weight.getElementType() ||
      b.getElementType() != weight.getElementType())
    return op.emitOpError() << rule << ": " << a << " times " << b
                            << " is no residual of " << weight;
  IdType id = getIdType(op.getPairExpert());
  if (failed(verifyIndexedBy(op, rule, "a residual factor", a, id)))
    return failure();
  return verifyIndexedBy(op, rule, "a residual factor", b, id);
}

template <typename OpTy> static LogicalResult verifyPairs(OpTy op) {
  Value row = op.getPairRow(), expert = op.getPairExpert();
  if (bool(row) != bool(expert))
    return op.emitOpError("G2: pair_rows and pair_experts go together");
  OperandRange residuals = op.getResiduals();
  if (!row) {
    if (!residuals.empty())
      return op.emitOpError("G2: a residual needs pairs");
    return success();
  }
  if (failed(verifyIndexList(op, "G3", "pair_rows", row)) ||
      failed(verifyIdList(op, "G3", "pair_experts", expert)) ||
      failed(verifySameLeading(op, "G3", "pair_rows", row, "pair_experts",
                               expert, 1)))
    return failure();
  if (getIdType(expert).getSpecials())
    return op.emitOpError("G3: pair_experts must not count special experts, "
                          "are ")
           << expert.getType();
  if (residuals.empty())
    return success();
  if (residuals.size() != 2 * op.getWeights().size())
    return op.emitOpError("G2: ") << op.getWeights().size()
                                  << " weights need " << 2 * op.getWeights().size()
                                  << " residual factors, found "
                                  << residuals.size();
  for (auto [i, weight] : llvm::enumerate(op.getWeights()))
    if (failed(verifyFactors(op, "G2", getWeightType(weight), residuals[2 * i],
                             residuals[2 * i + 1])))
      return failure();
  return success();
}

static LogicalResult verifySegment(GroupedMatmulOp op) {
  Value segment = op.getSegment(), expand = op.getExpand();
  if (bool(segment) != bool(expand))
    return op.emitOpError("G4: segment and expand go together");
  if (!segment) {
    if (op.getSegmentWeights())
      return op.emitOpError("G4: weighted without a segment");
    return success();
  }
  if (!op.getPairRow() || op.getWeights().size() != 1 ||
      !op.getResiduals().empty() || op.getAct())
    return op.emitOpError("G4: a segment needs pairs and one weight, and "
                          "excludes residual and act");
  WeightType b = getWeightType(expand);
  WeightType weight = getWeightType(op.getWeights().front());
  if (failed(verifyRank(op, "G4", "segment", segment, 2)) ||
      failed(verifySameLeading(op, "G4", "segment", segment, "pair_rows",
                               op.getPairRow(), 1)))
    return failure();
  if (b.getCols() != weight.getCols() || b.getRows() != shapeOf(segment)[1] ||
      b.getElementType() != weight.getElementType() ||
      elementOf(segment) != weight.getElementType())
    return op.emitOpError("G4: ") << segment.getType() << " times " << b
                                  << " cannot be added to a product with "
                                  << weight;
  if (failed(verifyIndexedBy(op, "G4", "expand", b,
                             getIdType(op.getPairExpert()))))
    return failure();
  Value scale = op.getSegmentWeights();
  if (!scale)
    return success();
  if (failed(verifyRank(op, "G4", "weighted", scale, 1)) ||
      failed(verifySameLeading(op, "G4", "weighted", scale, "pair_rows",
                               op.getPairRow(), 1)))
    return failure();
  if (elementOf(scale) != weight.getElementType())
    return op.emitOpError("G4: weighted is ") << scale.getType()
                                              << " but the weight is " << weight;
  return success();
}

template <typename OpTy> static LogicalResult verifyBiases(OpTy op) {
  if (op.getBiases().empty())
    return success();
  if (op.getBiases().size() != op.getWeights().size())
    return op.emitOpError("G6: one bias for each weight, found ")
           << op.getBiases().size();
  for (auto [value, of] : llvm::zip(op.getBiases(), op.getWeights())) {
    WeightType bias = getWeightType(value), weight = getWeightType(of);
    if (bias.getRows() != 1 || bias.getCols() != weight.getCols() ||
        bias.getElementType() != weight.getElementType())
      return op.emitOpError("G6: bias must be 1x") << weight.getCols()
                                                   << ", is " << bias;
    if (!bias.isIndexed())
      continue;
    bool fits = op.yieldsPairs()
                    ? succeeded(verifyIndexedBy(op, "G6", "bias", bias,
                                                getIdType(op.getPairExpert())))
                    : bias.getAxis() == weight.getAxis() &&
                          bias.getCount() == weight.getCount();
    if (!fits)
      return op.yieldsPairs()
                 ? failure()
                 : LogicalResult(op.emitOpError("G6: bias ")
                                 << bias << " is not indexed like " << weight);
  }
  return success();
}

/// Rows times weights, into columns of the destination.
/// What rows are rounded to: plain bf16, or symmetric int8 with f32 scales.
static LogicalResult verifyRounding(Operation *op, int64_t columns,
                                    EncodingAttr rounding) {
  if (!rounding)
    return success();
  bool isPlain = !rounding.getZeroPoint() &&
                 rounding.getScale() == ScaleType::f32 &&
                 rounding.getAlong() == Side::input;
  bool isKnown = rounding.getFormat() == Format::bf16 ||
                 rounding.getFormat() == Format::int8;
  if (!isPlain || !isKnown)
    return op->emitOpError("G10: expected rows to be rounded to <bf16>, <int8> "
                           "or <int8 group g>, found ")
           << rounding;
  if (rounding.getGroup() && columns % rounding.getGroup())
    return op->emitOpError("G10: expected rows of whole groups of ")
           << rounding.getGroup() << ", found " << columns << " columns";
  return success();
}

template <typename OpTy>
static LogicalResult verifyProduct(OpTy op, Value init) {
  if (failed(verifyOneForm(op, "G3")) ||
      failed(verifyRank(op, "G3", "rows", op.getInput(), 2)) ||
      failed(verifyRank(op, "G3", "destination", init, 2)))
    return failure();
  OperandRange weights = op.getWeights();
  if (weights.empty() || weights.size() > 2)
    return op.emitOpError("G5: expected one weight, or up and gate, found ")
           << weights.size();
  WeightType first = getWeightType(weights.front());
  if (weights.size() == 2 && !op.getAct())
    return op.emitOpError("G5: two weights need an activation");
  if (weights.size() == 2 && weights[1].getType() != first)
    return op.emitOpError("G5: up is ") << first << " but gate is "
                                        << weights[1].getType();
  if (!mayEqual(shapeOf(op.getInput())[1], first.getRows()) ||
      !mayEqual(shapeOf(init)[1], first.getCols()) ||
      elementOf(op.getInput()) != first.getElementType() ||
      elementOf(init) != first.getElementType())
    return op.emitOpError("G3: ") << op.getInput().getType() << " times "
                                  << first << " does not fit "
                                  << init.getType();
  return verifyRounding(op, first.getRows(), op.getRoundingAttr());
}

LogicalResult GroupedMatmulOp::verify() {
  if (failed(verifyProduct(*this, getInit())))
    return failure();
  if (failed(verifyRowMatrices(*this)) || failed(verifyPairs(*this)) ||
      failed(verifySegment(*this)) || failed(verifyBiases(*this)))
    return failure();
  Value rows = yieldsPairs() ? getPairRow() : getInput();
  if (failed(verifySameLeading(*this, "G3", yieldsPairs() ? "pairs" : "rows",
                               rows, "destination", getInit(), 1)))
    return failure();
  if (getAct())
    return verifyActivation(*this, *getAct(), getWeights().size() == 2);
  return success();
}

//===----------------------------------------------------------------------===//
// GroupedUpOp
//===----------------------------------------------------------------------===//

MutableOperandRange GroupedUpOp::getDpsInitsMutable() {
  // The destinations are the last operands.
  unsigned count = getShrunk() ? 2 : 1;
  return MutableOperandRange(*this, getNumOperands() - count, count);
}

/// G9: what becomes of the hidden activations.
static LogicalResult verifyHidden(GroupedUpOp op) {
  WeightType up = getWeightType(op.getWeights().front());
  if (failed(verifyRank(op, "G9", "weighted", op.getPairWeights(), 1)) ||
      failed(verifySameLeading(op, "G9", "weighted", op.getPairWeights(),
                               "pair_rows", op.getPairRow(), 1)))
    return failure();
  if (elementOf(op.getPairWeights()) != up.getElementType())
    return op.emitOpError("G9: weighted is ")
           << op.getPairWeights().getType() << " but the weight is " << up;
  if (bool(op.getShrink()) != bool(op.getShrunk()))
    return op.emitOpError("G9: shrink and its destination go together");
  if (!op.getShrink())
    return success();
  WeightType shrink = getWeightType(op.getShrink());
  if (failed(verifyRank(op, "G9", "shrunk", op.getShrunk(), 2)) ||
      failed(verifySameLeading(op, "G9", "shrunk", op.getShrunk(), "pair_rows",
                               op.getPairRow(), 1)))
    return failure();
  if (shrink.getRows() != up.getCols() ||
      shrink.getElementType() != up.getElementType() ||
      elementOf(op.getShrunk()) != up.getElementType() ||
      !mayEqual(shapeOf(op.getShrunk())[1], shrink.getCols()))
    return op.emitOpError("G9: hidden activations of ")
           << up << " times " << shrink << " do not fit "
           << op.getShrunk().getType();
  return verifyIndexedBy(op, "G9", "shrink", shrink,
                         getIdType(op.getPairExpert()));
}

LogicalResult GroupedUpOp::verify() {
  if (failed(verifyProduct(*this, getHidden())) ||
      failed(verifyRowMatrices(*this)) || failed(verifyPairs(*this)) ||
      failed(verifyBiases(*this)) || failed(verifyHidden(*this)))
    return failure();
  return verifyActivation(*this, getAct(), getWeights().size() == 2);
}

SmallVector<Value> GroupedUpOp::decompose(OpBuilder &builder) {
  Location loc = getLoc();
  auto hidden = cast<RankedTensorType>(getHidden().getType());
  OpFoldResult sizes[] = {
      tensor::getMixedSize(builder, loc, getPairRow(), 0),
      builder.getIndexAttr(getWeightType(getWeights().front()).getCols())};
  Value init = tensor::EmptyOp::create(builder, loc, sizes,
                                       hidden.getElementType());
  Value none;
  auto product = [&](Value input, ValueRange weights, ValueRange biases,
                     Value offsets, Value entries, Value pairRow,
                     Value pairExpert, ValueRange residuals, Value into,
                     ActivationAttr act, EncodingAttr rounding) {
    return GroupedMatmulOp::create(
               builder, loc, TypeRange{into.getType()}, input, weights, biases,
               offsets, entries, pairRow, pairExpert, residuals,
               /*segment=*/none, /*expand=*/none, /*segmentWeights=*/none, into,
               act, /*accumulate=*/false, rounding)
        .getResult(0);
  };
  Value activated =
      product(getInput(), getWeights(), getBiases(), getOffsets(), none,
              getPairRow(), getPairExpert(), getResiduals(), init, getActAttr(),
              getRoundingAttr());
  SmallVector<Value> results{
      ScatterCombineOp::create(builder, loc, TypeRange{hidden}, activated,
                               getPairRow(), getPairWeights(), getHidden(),
                               /*accumulate=*/false)
          .getResult(0)};
  if (getShrink())
    results.push_back(product(
        activated, getShrink(), {}, none,
        getWeightType(getShrink()).isIndexed() ? getPairExpert() : none, none,
        none, {}, getShrunk(), ActivationAttr(), EncodingAttr()));
  return results;
}
