// Stored tensors and weight expressions: verification, type inference, canonical form.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/VerifyShapes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace moec::moe;
using namespace moec::moe::shapes;

/// Visibility as a bare keyword, left out when public, then the name.
static ParseResult parseVisibleName(OpAsmParser &parser, StringAttr &visibility,
                                    StringAttr &name) {
  StringRef keyword;
  if (succeeded(parser.parseOptionalKeyword(&keyword, {"private", "nested"})))
    visibility = parser.getBuilder().getStringAttr(keyword);
  return parser.parseSymbolName(name);
}

static void printVisibleName(OpAsmPrinter &printer, Operation *,
                             StringAttr visibility, StringAttr name) {
  if (visibility && visibility.getValue() != "public")
    printer << visibility.getValue() << " ";
  printer.printSymbolName(name);
}

#define GET_OP_CLASSES
#include "dialects/MoE/IR/WeightOps.cpp.inc"

//===----------------------------------------------------------------------===//
// ParamOp
//===----------------------------------------------------------------------===//

static LogicalResult verifyInlineValues(ParamOp op, DenseElementsAttr values) {
  if (auto table = dyn_cast<TableType>(op.getType())) {
    int64_t entries[] = {table.getFromCount()};
    if (!isa<RankedTensorType>(values.getType()) ||
        values.getType().getShape() != ArrayRef(entries) ||
        !values.getElementType().isSignlessInteger(32))
      return op.emitOpError() << "P2: inline values of " << table
                              << " must be tensor<" << table.getFromCount()
                              << "xi32>, found " << values.getType();
    auto verifyEntry = [&](int32_t entry) -> LogicalResult {
      if (entry >= 0 && entry < table.getToCount())
        return success();
      return op.emitOpError()
             << "P2: table entry " << entry << " is outside "
             << stringifyAxis(table.getTo()) << "[" << table.getToCount()
             << "]";
    };
    if (values.isSplat())
      return verifyEntry(values.getSplatValue<int32_t>());
    for (int32_t entry : values.getValues<int32_t>())
      if (failed(verifyEntry(entry)))
        return failure();
    return success();
  }
  auto weight = cast<WeightType>(op.getType());
  if (!isa<RankedTensorType>(values.getType()) ||
      values.getType().getShape() !=
          ArrayRef<int64_t>(weight.getStoredShape()) ||
      !isa<FloatType>(values.getElementType()))
    return op.emitOpError() << "P2: inline values of " << weight
                            << " must be floats of shape ["
                            << weight.getStoredShape() << "], found "
                            << values.getType();
  return success();
}

LogicalResult ParamOp::verify() {
  auto weight = dyn_cast<WeightType>(getType());
  bool isTable = isa<TableType>(getType());
  if (!weight && !isTable)
    return emitOpError("declares a weight or a table, found ") << getType();
  if (auto values = dyn_cast<DenseElementsAttr>(getSource())) {
    if (failed(verifyInlineValues(*this, values)))
      return failure();
  } else if (!isa<ExternalAttr, SeededAttr, MeanAttr, PermutedAttr, SvdAttr,
                  BasisMixAttr, MixFactorAttr>(getSource())) {
    return emitOpError("P1: expected inline values, #moe.external, "
                       "#moe.seeded, #moe.mean, #moe.permuted, #moe.svd, "
                       "#moe.basis_mix or #moe.mix_factor, found ")
           << getSource();
  } else if (isTable && !isa<ExternalAttr>(getSource())) {
    return emitOpError("P1: a table is given by inline values or "
                       "#moe.external, found ")
           << getSource();
  }
  if (isTable) {
    if (getEncoding())
      return emitOpError("P3: a table has no encoding");
    if (getRoundedBy())
      return emitOpError("P6: a table is not rounded");
    if (getLayout() && *getLayout() != Layout::row_major)
      return emitOpError("P5: a table has no layout");
    return success();
  }
  EncodingAttr encoding = getEncodingAttr();
  if (encoding && encoding.getGroup()) {
    int64_t side = encoding.getAlong() == Side::input ? weight.getRows()
                                                      : weight.getCols();
    if (side % encoding.getGroup())
      return emitOpError("P3: group ")
             << encoding.getGroup() << " does not divide " << side << " of "
             << weight;
  }
  if (getRoundedBy() && !(encoding && encoding.hasScales()))
    return emitOpError("P6: expected an encoding with scales of a param that is "
                       "rounded by moments, found ")
           << (encoding ? stringifyFormat(encoding.getFormat()) : "none");
  return success();
}

/// Names of the params a recipe reads; empty for other sources.
static SmallVector<FlatSymbolRefAttr> recipeInputs(Attribute source) {
  if (auto mean = dyn_cast<MeanAttr>(source))
    return {mean.getOf(), mean.getTable()};
  if (auto permuted = dyn_cast<PermutedAttr>(source))
    return {permuted.getOf()};
  if (auto mix = dyn_cast<BasisMixAttr>(source))
    return {mix.getOf()};
  if (auto factor = dyn_cast<MixFactorAttr>(source))
    return {factor.getOf(), factor.getBases(), factor.getCoefficients()};
  if (auto svd = dyn_cast<SvdAttr>(source)) {
    SmallVector<FlatSymbolRefAttr> names{svd.getOf()};
    for (FlatSymbolRefAttr name :
         {svd.getMoments(), svd.getMinus(), svd.getTable()})
      if (name)
        names.push_back(name);
    return names;
  }
  return {};
}

/// Names of the params that this one's value is made of.
static SmallVector<FlatSymbolRefAttr> inputsOf(ParamOp param) {
  SmallVector<FlatSymbolRefAttr> names = recipeInputs(param.getSource());
  if (FlatSymbolRefAttr moments = param.getRoundedByAttr())
    names.push_back(moments);
  return names;
}

/// Fails if a param reads its own value through others. Iterative: chains may be long.
static LogicalResult verifyAcyclic(ParamOp param, SymbolTableCollection &symbols) {
  SmallVector<ParamOp> work{param};
  llvm::SmallPtrSet<Operation *, 8> seen;
  while (!work.empty()) {
    ParamOp current = work.pop_back_val();
    for (FlatSymbolRefAttr name : inputsOf(current)) {
      auto input = symbols.lookupNearestSymbolFrom<ParamOp>(current, name);
      if (input == param)
        return param.emitOpError("P4: recipe depends on itself through ")
               << current.getSymNameAttr();
      if (input && seen.insert(input).second)
        work.push_back(input);
    }
  }
  return success();
}

/// Each row must be a permutation.
static LogicalResult verifyPermuted(ParamOp op, PermutedAttr recipe, Type of) {
  if (of != op.getType())
    return op.emitOpError("P4: permuted values have type ")
           << of << ", declared " << op.getType();
  auto weight = cast<WeightType>(op.getType());
  int64_t count = recipe.getSide() == Side::input ? weight.getRows()
                                                  : weight.getCols();
  SmallVector<int64_t> shape;
  if (weight.isIndexed())
    shape.push_back(weight.getCount());
  shape.push_back(count);
  DenseIntElementsAttr values = recipe.getPermutations();
  auto expected =
      RankedTensorType::get(shape, IntegerType::get(op.getContext(), 32));
  if (values.getType() != expected)
    return op.emitOpError("P4: expected permutations ")
           << expected << ", found " << values.getType();
  // All alike is a permutation of one index only; the value may stand for many.
  int64_t stored = values.isSplat() ? 1 : values.getNumElements();
  auto range = values.getValues<int32_t>();
  llvm::BitVector seen(values.isSplat() ? 1 : count);
  for (int64_t place = 0; place < stored; ++place) {
    if (place % count == 0)
      seen.reset();
    int32_t index = range[place];
    if (index < 0 || index >= count)
      return op.emitOpError("P4: expected indices below ")
             << count << " in permutation " << place / count << ", found "
             << index;
    if ((values.isSplat() && count > 1) || seen.test(index))
      return op.emitOpError("P4: expected each index once in permutation ")
             << place / count << ", found " << index << " again";
    seen.set(index);
  }
  return success();
}

/// Mean and SVD read a table, last: it must start where the weight is indexed.
static LogicalResult verifyTableOfRecipe(ParamOp op, ArrayRef<Type> inputs) {
  auto of = dyn_cast<WeightType>(inputs.front());
  auto table = dyn_cast<TableType>(inputs.back());
  if (!of || !table)
    return op.emitOpError("P4: recipe needs a weight and a table, found ")
           << inputs.front() << " and " << inputs.back();
  if (table.getFrom() != of.getAxis() || table.getFromCount() != of.getCount())
    return op.emitOpError("P4: ")
           << table << " does not start where " << of << " is indexed";
  return success();
}

static LogicalResult verifyMean(ParamOp op, MeanAttr mean,
                                ArrayRef<Type> inputs) {
  if (failed(verifyTableOfRecipe(op, inputs)))
    return failure();
  auto of = cast<WeightType>(inputs.front());
  auto table = cast<TableType>(inputs.back());
  WeightType expected = of.withAxis(table.getTo(), table.getToCount());
  if (expected != op.getType())
    return op.emitOpError("P4: this mean has type ")
           << expected << ", declared " << op.getType();
  DenseF64ArrayAttr weights = mean.getWeights();
  if (weights && weights.size() != of.getCount())
    return op.emitOpError("P4: expected ")
           << of.getCount() << " weights of the mean, found "
           << weights.size();
  return success();
}

/// Second moments of the inputs of a weight: all of them, or the diagonal.
static LogicalResult verifyMoments(ParamOp op, StringRef constraint,
                                   WeightType of, Type type) {
  auto moments = dyn_cast<WeightType>(type);
  if (moments && moments.getCols() == of.getRows() &&
      (moments.getRows() == 1 || moments.getRows() == of.getRows()) &&
      (!moments.isIndexed() || (moments.getAxis() == of.getAxis() &&
                                moments.getCount() == of.getCount())))
    return success();
  return op.emitOpError(constraint)
         << ": expected moments of " << of.getRows()
         << " inputs, 1 or as many rows, for one or each "
         << stringifyAxis(of.getAxis()) << ", found " << type;
}

static LogicalResult verifySvd(ParamOp op, SvdAttr svd,
                               ArrayRef<Type> inputs) {
  auto of = dyn_cast<WeightType>(inputs.front());
  if (!of)
    return op.emitOpError("P4: an SVD is of a weight, found ")
           << inputs.front();
  if (svd.getMinus()) {
    if (failed(verifyTableOfRecipe(op, inputs)))
      return failure();
    auto table = cast<TableType>(inputs.back());
    Type minus = inputs[inputs.size() - 2];
    if (minus != of.withAxis(table.getTo(), table.getToCount()))
      return op.emitOpError("P4: cannot subtract ")
             << minus << " from " << of << " by " << table;
  }
  if (svd.getMoments() && failed(verifyMoments(op, "P4", of, inputs[1])))
    return failure();
  int64_t rank = svd.getRank();
  if (rank < 1 || rank > std::min(of.getRows(), of.getCols()))
    return op.emitOpError("P4: rank ") << rank << " is outside 1 ... "
                                       << std::min(of.getRows(), of.getCols());
  WeightType expected = svd.getFactor() == Side::input
                            ? of.withShape(of.getRows(), rank)
                            : of.withShape(rank, of.getCols());
  if (expected != op.getType())
    return op.emitOpError("P4: this factor has type ")
           << expected << ", declared " << op.getType();
  return success();
}

static LogicalResult verifyNoise(ParamOp op, FloatAttr noise) {
  if (noise && !(noise.getValueAsDouble() >= 0 && noise.getValueAsDouble() <= 1))
    return op.emitOpError("P4: expected noise from 0 to 1, found ") << noise;
  return success();
}

static LogicalResult verifyBasisMix(ParamOp op, BasisMixAttr mix, Type input) {
  auto of = dyn_cast<WeightType>(input);
  if (!of || !of.isIndexed())
    return op.emitOpError("P4: bases are mixed for an indexed weight, found ")
           << input;
  if (mix.getBases() < 1 || mix.getBases() > of.getCount())
    return op.emitOpError("P4: expected 1 to ")
           << of.getCount() << " bases, found " << mix.getBases();
  int64_t rank = mix.getRank(), most = std::min(of.getRows(), of.getCols());
  if (rank < 1 || rank > most)
    return op.emitOpError("P4: rank ") << rank << " is outside 1 ... " << most;
  WeightType basis = mix.getSide() == Side::input
                         ? of.withShape(of.getRows(), rank)
                         : of.withShape(rank, of.getCols());
  WeightType expected = mix.getPart() == MixPart::bases
                            ? basis.withAxis(Axis::basis, mix.getBases())
                            : of.withShape(1, mix.getBases());
  if (expected != op.getType())
    return op.emitOpError("P4: this part of a mix has type ")
           << expected << ", declared " << op.getType();
  return verifyNoise(op, mix.getNoise());
}

static LogicalResult verifyMixFactor(ParamOp op, MixFactorAttr factor,
                                     ArrayRef<Type> inputs) {
  auto of = dyn_cast<WeightType>(inputs[0]);
  auto bases = dyn_cast<WeightType>(inputs[1]);
  auto coefficients = dyn_cast<WeightType>(inputs[2]);
  bool isInput = factor.getSide() == Side::input;
  if (!of || !bases || bases.getAxis() != Axis::basis ||
      (isInput ? bases.getRows() != of.getRows()
               : bases.getCols() != of.getCols()))
    return op.emitOpError("P4: expected bases with the ")
           << (isInput ? "rows" : "columns") << " of " << inputs[0]
           << ", found " << inputs[1];
  if (coefficients != of.withShape(1, bases.getCount()))
    return op.emitOpError("P4: expected coefficients ")
           << of.withShape(1, bases.getCount()) << ", found " << inputs[2];
  WeightType expected = isInput ? of.withShape(bases.getCols(), of.getCols())
                                : of.withShape(of.getRows(), bases.getRows());
  if (expected != op.getType())
    return op.emitOpError("P4: this factor has type ")
           << expected << ", declared " << op.getType();
  return verifyNoise(op, factor.getNoise());
}

static LogicalResult verifyRounding(ParamOp op,
                                    SymbolTableCollection &symbols) {
  FlatSymbolRefAttr name = op.getRoundedByAttr();
  if (!name)
    return success();
  auto moments = symbols.lookupNearestSymbolFrom<ParamOp>(op, name);
  if (!moments)
    return op.emitOpError("P6: is rounded by unknown param ") << name;
  return verifyMoments(op, "P6", cast<WeightType>(op.getType()),
                       moments.getType());
}

LogicalResult ParamOp::verifySymbolUses(SymbolTableCollection &symbols) {
  SmallVector<Type> inputs;
  for (FlatSymbolRefAttr name : recipeInputs(getSource())) {
    auto input = symbols.lookupNearestSymbolFrom<ParamOp>(*this, name);
    if (!input)
      return emitOpError("P4: recipe reads unknown param ") << name;
    inputs.push_back(input.getType());
  }
  LogicalResult status = verifyRounding(*this, symbols);
  if (failed(status) || inputs.empty())
    return failed(status) ? failure() : verifyAcyclic(*this, symbols);
  if (auto permuted = dyn_cast<PermutedAttr>(getSource()))
    status = verifyPermuted(*this, permuted, inputs.front());
  else if (auto mean = dyn_cast<MeanAttr>(getSource()))
    status = verifyMean(*this, mean, inputs);
  else if (auto mix = dyn_cast<BasisMixAttr>(getSource()))
    status = verifyBasisMix(*this, mix, inputs.front());
  else if (auto factor = dyn_cast<MixFactorAttr>(getSource()))
    status = verifyMixFactor(*this, factor, inputs);
  else
    status = verifySvd(*this, cast<SvdAttr>(getSource()), inputs);
  return failed(status) ? failure() : verifyAcyclic(*this, symbols);
}

FailureOr<RankedTensorType> moec::moe::getBoundType(ParamOp param,
                                                    StringRef part) {
  auto i32 = IntegerType::get(param.getContext(), 32);
  if (auto table = dyn_cast<TableType>(param.getType())) {
    if (part != "table")
      return failure();
    return RankedTensorType::get({table.getFromCount()}, i32);
  }
  auto weight = cast<WeightType>(param.getType());
  Layout layout = param.getLayout().value_or(Layout::row_major);
  if (!WrapOp::isKnown(layout))
    return failure();
  // A paged weight's pool has as many places as memory is given.
  bool isPaged = weight.getAxis() == Axis::cluster &&
                 param.getResidency() == Residency::cached;
  WrapOp::Parts parts =
      WrapOp::getParts(weight, param.getEncodingAttr(), layout,
                       isPaged ? ShapedType::kDynamic : weight.getCount());
  RankedTensorType type =
      llvm::StringSwitch<RankedTensorType>(part)
          .Case("codes", parts.codes)
          .Case("scales", parts.scales)
          .Case("zero_points", parts.zeroPoints)
          .Case("slots", weight.isIndexed()
                             ? RankedTensorType::get({weight.getCount()}, i32)
                             : RankedTensorType())
          .Default({});
  if (!type)
    return failure();
  return type;
}

//===----------------------------------------------------------------------===//
// LeafOp, WrapOp
//===----------------------------------------------------------------------===//

LogicalResult LeafOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto param = symbols.lookupNearestSymbolFrom<ParamOp>(*this, getParamAttr());
  if (!param)
    return emitOpError("L1: no moe.param named ") << getParamAttr();
  if (param.getType() != getType())
    return emitOpError("L1: has type ") << getType() << " but " << getParamAttr()
                                        << " is " << param.getType();
  return success();
}

void WrapOp::build(OpBuilder &, OperationState &state, Type result,
                   Value tensor) {
  state.addOperands(tensor);
  state.addTypes(result);
  state.getOrAddProperties<Properties>().operandSegmentSizes = {1, 0, 0, 0};
}

WrapOp::Parts WrapOp::getParts(WeightType weight, EncodingAttr encoding,
                               Layout layout, int64_t entries) {
  MLIRContext *context = weight.getContext();
  int64_t rows = weight.getRows(), cols = weight.getCols();
  bool inPanels = layout == Layout::panel16;
  auto type = [&](std::initializer_list<int64_t> shape, Type element) {
    SmallVector<int64_t> extents(shape);
    if (weight.isIndexed())
      extents.insert(extents.begin(), entries);
    return RankedTensorType::get(extents, element);
  };
  /// A matrix of `count` rows in the order of the layout.
  auto matrix = [&](int64_t count, Type element) {
    return inPanels ? type({(cols + 15) / 16, count, 16}, element)
                    : type({count, cols}, element);
  };
  auto i8 = IntegerType::get(context, 8);
  if (!encoding)
    return {matrix(rows, weight.getElementType()), {}, {}};
  Type f32 = Float32Type::get(context), f16 = Float16Type::get(context),
       bf16 = BFloat16Type::get(context);
  Parts parts;
  switch (encoding.getFormat()) {
  case Format::f32:
    parts.codes = matrix(rows, f32);
    break;
  case Format::f16:
    parts.codes = matrix(rows, f16);
    break;
  case Format::bf16:
    parts.codes = matrix(rows, bf16);
    break;
  case Format::int8:
  case Format::f8e4m3:
    parts.codes = matrix(rows, i8);
    break;
  case Format::int4:
  case Format::mxfp4:
    parts.codes = inPanels ? matrix((rows + 1) / 2, i8)
                           : type({(rows * cols + 1) / 2}, i8);
    break;
  }
  if (!encoding.hasScales())
    return parts;
  int64_t group = encoding.getGroup();
  Type scale = encoding.getFormat() == Format::mxfp4       ? Type(i8)
               : encoding.getScale() == ScaleType::f16     ? f16
               : encoding.getScale() == ScaleType::bf16    ? bf16
                                                           : f32;
  bool alongInput = encoding.getAlong() == Side::input;
  parts.scales = !group       ? type({1, 1}, scale)
                 : alongInput ? matrix(rows / group, scale)
                              : type({rows, cols / group}, scale);
  if (encoding.getZeroPoint())
    parts.zeroPoints = parts.scales.clone(i8);
  return parts;
}

LogicalResult WrapOp::verify() {
  if (failed(verifyOneForm(*this, "L2")))
    return failure();
  auto expect = [&](Value value, RankedTensorType expected,
                    StringRef what) -> LogicalResult {
    auto found = value ? cast<ShapedType>(value.getType()) : nullptr;
    if (found && expected && found.getShape() == expected.getShape() &&
        found.getElementType() == expected.getElementType())
      return success();
    if (!found && !expected)
      return success();
    auto diagnostic = emitOpError("L2: expected ");
    if (expected)
      diagnostic << expected;
    else
      diagnostic << "no " << what;
    if (found)
      return diagnostic << ", found " << found;
    return diagnostic << " of " << what << ", found none";
  };
  auto weight = dyn_cast<WeightType>(getType());
  if (!weight) {
    auto expected =
        RankedTensorType::get({cast<TableType>(getType()).getFromCount()},
                              IntegerType::get(getContext(), 32));
    if (getEncodingAttr())
      return emitOpError("L2: a table has no encoding");
    if (getLayoutOrDefault() != Layout::row_major)
      return emitOpError("L2: a table has no layout");
    if (failed(expect(getTensor(), expected, "table")) ||
        failed(expect(getScales(), {}, "scales")) ||
        failed(expect(getZeroPoints(), {}, "zero points")))
      return failure();
    return expect(getSlots(), {}, "slots");
  }
  if (!isKnown(getLayoutOrDefault()))
    return emitOpError("L2: expected layout row_major or panel16, found ")
           << stringifyLayout(getLayoutOrDefault());
  int64_t entries = weight.getCount();
  if (getSlots()) {
    if (!weight.isIndexed())
      return emitOpError("L2: ") << weight << " has no axis to look up slots by";
    if (failed(expect(getSlots(),
                      RankedTensorType::get(
                          {entries}, IntegerType::get(getContext(), 32)),
                      "slots")))
      return failure();
    auto pool = cast<ShapedType>(getTensor().getType());
    entries = pool.getRank() == 0 ? 0 : pool.getDimSize(0);
    // How many places a paged pool has is known when it is made.
    if (entries < 1 && !ShapedType::isDynamic(entries))
      return emitOpError("L2: expected a pool of at least one place, found ")
             << pool;
  }
  EncodingAttr encoding = getEncodingAttr();
  if (encoding && encoding.getGroup()) {
    int64_t side = encoding.getAlong() == Side::input ? weight.getRows()
                                                      : weight.getCols();
    if (side % encoding.getGroup())
      return emitOpError("L2: group ")
             << encoding.getGroup() << " does not divide " << side << " of "
             << weight;
  }
  Parts parts = getParts(weight, encoding, getLayoutOrDefault(), entries);
  if (failed(expect(getTensor(), parts.codes, "codes")) ||
      failed(expect(getScales(), parts.scales, "scales")))
    return failure();
  return expect(getZeroPoints(), parts.zeroPoints, "zero points");
}

//===----------------------------------------------------------------------===//
// LayerOp
//===----------------------------------------------------------------------===//

LogicalResult LayerOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(
      *this, getFunctionAttr());
  if (!function)
    return emitOpError("B1: no function named ") << getFunctionAttr();
  llvm::SmallPtrSet<Attribute, 16> used;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto name = function.getArgAttrOfType<StringAttr>(i, "moec.binding");
    if (!name)
      continue;
    auto symbol = getBinding().getAs<FlatSymbolRefAttr>(name.getValue());
    if (!symbol)
      return emitOpError("B1: ") << getFunctionAttr() << " reads '"
                                 << name.getValue() << "', which is not bound";
    used.insert(name);
    auto param = symbols.lookupNearestSymbolFrom<ParamOp>(*this, symbol);
    if (!param)
      return emitOpError("B1: no moe.param named ") << symbol;
    auto part = function.getArgAttrOfType<StringAttr>(i, "moec.part");
    FailureOr<RankedTensorType> expected = getBoundType(
        param, part ? part.getValue() : StringRef());
    if (failed(expected))
      return emitOpError("B1: ") << symbol << " has no part '"
                                 << (part ? part.getValue() : StringRef())
                                 << "'";
    auto found = dyn_cast<RankedTensorType>(function.getArgumentTypes()[i]);
    // How many matrices a pool has is known when it is made.
    if (!found || found.getElementType() != expected->getElementType() ||
        failed(verifyCompatibleShape(found, *expected)))
      return emitOpError("B1: '")
             << name.getValue() << "' of " << getFunctionAttr() << " is "
             << function.getArgumentTypes()[i] << ", but " << symbol << " is "
             << *expected;
  }
  for (NamedAttribute bound : getBinding())
    if (!used.contains(bound.getName()))
      return emitOpError("B1: ") << getFunctionAttr() << " does not read '"
                                 << bound.getName().getValue() << "'";
  return success();
}

//===----------------------------------------------------------------------===//
// Type inference of weight expressions
//===----------------------------------------------------------------------===//

/// Types are inferred while parsing, before operands are verified.
static LogicalResult requireWeights(std::optional<Location> loc,
                                    ValueRange operands) {
  for (Value operand : operands)
    if (!isa<WeightType>(operand.getType()))
      return emitOptionalError(loc, "expected a weight, found ",
                               operand.getType());
  return success();
}

/// `shape` indexed as the operands are together: their common axis, or the only one.
static FailureOr<WeightType> indexLikeBoth(std::optional<Location> loc,
                                           WeightType shape, WeightType lhs,
                                           WeightType rhs) {
  if (lhs.getElementType() != rhs.getElementType())
    return emitOptionalError(loc, "W3: element types differ: ", lhs, " and ",
                             rhs);
  if (!lhs.isIndexed())
    return shape.withAxis(rhs.getAxis(), rhs.getCount());
  if (!rhs.isIndexed() || (lhs.getAxis() == rhs.getAxis() &&
                           lhs.getCount() == rhs.getCount()))
    return shape.withAxis(lhs.getAxis(), lhs.getCount());
  return emitOptionalError(loc, "W4: operands are indexed differently: ", lhs,
                           " and ", rhs,
                           "; re-index one with moe.weight.select");
}

LogicalResult WeightSelectOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> loc, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  auto table = dyn_cast<TableType>(adaptor.getTable().getType());
  if (!table)
    return emitOptionalError(loc, "expected a table, found ",
                             adaptor.getTable().getType());
  if (failed(requireWeights(loc, adaptor.getWeight())))
    return failure();
  WeightType weight = getWeightType(adaptor.getWeight());
  if (weight.getAxis() != table.getTo() ||
      weight.getCount() != table.getToCount())
    return emitOptionalError(loc, "W1: ", table, " does not end where ", weight,
                             " is indexed");
  types.push_back(weight.withAxis(table.getFrom(), table.getFromCount()));
  return success();
}

LogicalResult WeightMulOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  if (failed(requireWeights(loc, adaptor.getOperands())))
    return failure();
  WeightType lhs = getWeightType(adaptor.getLhs());
  WeightType rhs = getWeightType(adaptor.getRhs());
  if (lhs.getCols() != rhs.getRows())
    return emitOptionalError(loc, "W2: inner sizes differ: ", lhs, " times ",
                             rhs);
  FailureOr<WeightType> type = indexLikeBoth(
      loc, lhs.withShape(lhs.getRows(), rhs.getCols()), lhs, rhs);
  if (failed(type))
    return failure();
  types.push_back(*type);
  return success();
}

LogicalResult WeightAddOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  if (failed(requireWeights(loc, adaptor.getOperands())))
    return failure();
  WeightType lhs = getWeightType(adaptor.getLhs());
  WeightType rhs = getWeightType(adaptor.getRhs());
  if (lhs.getRows() != rhs.getRows() || lhs.getCols() != rhs.getCols())
    return emitOptionalError(loc, "W3: sizes differ: ", lhs, " plus ", rhs);
  FailureOr<WeightType> type = indexLikeBoth(loc, lhs, lhs, rhs);
  if (failed(type))
    return failure();
  types.push_back(*type);
  return success();
}

LogicalResult WeightMixOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  if (failed(requireWeights(loc, adaptor.getOperands())))
    return failure();
  WeightType basis = getWeightType(adaptor.getBasis());
  WeightType alpha = getWeightType(adaptor.getAlpha());
  if (basis.getAxis() != Axis::basis)
    return emitOptionalError(
        loc, "W5: first operand must be indexed by basis, is ", basis);
  if (alpha.getRows() != 1 || alpha.getCols() != basis.getCount() ||
      alpha.getAxis() == Axis::basis)
    return emitOptionalError(loc, "W5: coefficients must be 1x",
                             basis.getCount(), " and not indexed by basis, are ",
                             alpha);
  if (alpha.getElementType() != basis.getElementType())
    return emitOptionalError(loc, "W3: element types differ: ", basis, " and ",
                             alpha);
  types.push_back(basis.withAxis(alpha.getAxis(), alpha.getCount()));
  return success();
}

LogicalResult WeightScaleOp::inferReturnTypes(MLIRContext *,
                                              std::optional<Location> loc,
                                              Adaptor adaptor,
                                              SmallVectorImpl<Type> &types) {
  if (failed(requireWeights(loc, adaptor.getOperands())))
    return failure();
  WeightType weight = getWeightType(adaptor.getWeight());
  WeightType diagonal = getWeightType(adaptor.getDiagonal());
  int64_t size =
      adaptor.getSide() == Side::input ? weight.getRows() : weight.getCols();
  if (diagonal.getRows() != 1 || diagonal.getCols() != size)
    return emitOptionalError(loc, "W6: diagonal must be 1x", size, ", is ",
                             diagonal);
  FailureOr<WeightType> type = indexLikeBoth(loc, weight, weight, diagonal);
  if (failed(type))
    return failure();
  types.push_back(*type);
  return success();
}

LogicalResult WeightRaggedOp::inferReturnTypes(MLIRContext *,
                                               std::optional<Location> loc,
                                               Adaptor adaptor,
                                               SmallVectorImpl<Type> &types) {
  if (failed(requireWeights(loc, adaptor.getWeight())))
    return failure();
  WeightType weight = getWeightType(adaptor.getWeight());
  int64_t entries[] = {weight.getCount()};
  auto sizes = dyn_cast<RankedTensorType>(adaptor.getSizes().getType());
  if (!sizes || sizes.getShape() != ArrayRef(entries))
    return emitOptionalError(loc, "W7: expected ", weight.getCount(),
                             " sizes, found ", adaptor.getSizes().getType());
  types.push_back(weight);
  return success();
}

LogicalResult WeightSparseOp::verify() {
  WeightType values = getWeightType(getValues());
  if (values.getRows() != 1)
    return emitOpError("W8: values must have one row, are ") << values;
  SmallVector<int64_t> expected;
  if (values.isIndexed())
    expected.push_back(values.getCount());
  expected.append({values.getCols(), 2});
  if (shapeOf(getPositions()) != ArrayRef<int64_t>(expected))
    return emitOpError("W8: positions must have shape [")
           << expected << "], are " << getPositions().getType();
  if (getType().withShape(1, values.getCols()) != values)
    return emitOpError("W8: result ")
           << getType() << " is not indexed and typed as " << values;
  return success();
}

LogicalResult WeightSliceOp::verify() {
  WeightType source = getWeightType(getWeight());
  bool rows = getSide() == Side::input;
  int64_t size = rows ? getType().getRows() : getType().getCols();
  WeightType expected = rows ? source.withShape(size, source.getCols())
                             : source.withShape(source.getRows(), size);
  if (getType() != expected ||
      size > (rows ? source.getRows() : source.getCols()))
    return emitOpError("W9: cannot take ") << getType() << " from the "
                                           << stringifySide(getSide())
                                           << " side of " << source;
  return success();
}

OpFoldResult WeightSliceOp::fold(FoldAdaptor adaptor) {
  auto offset = dyn_cast_or_null<IntegerAttr>(adaptor.getOffset());
  if (offset && offset.getValue().isZero() && getWeight().getType() == getType())
    return getWeight();
  return {};
}

//===----------------------------------------------------------------------===//
// Canonical form: select outermost
//===----------------------------------------------------------------------===//

namespace {
/// op(select(a, t), select(b, t)) -> select(op(a, b), t), and the same when one side is not indexed. The operation is
/// then done for fewer entries, and what a cluster shares stands in one value.
///
/// A select is zero where the table points outside. Two selects are so in the same places, and so is a product with
/// one; but a sum with a matrix for all is that matrix there, so it needs a table that is known to stay inside: a param's.
template <typename OpTy> struct SelectOutward : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    auto lhs = op.getLhs().template getDefiningOp<WeightSelectOp>();
    auto rhs = op.getRhs().template getDefiningOp<WeightSelectOp>();
    if (!lhs && !rhs)
      return rewriter.notifyMatchFailure(op, "neither operand is a select");
    if (lhs && rhs && lhs.getTable() != rhs.getTable())
      return rewriter.notifyMatchFailure(op, "operands select by two tables");
    if ((!lhs && getWeightType(op.getLhs()).isIndexed()) ||
        (!rhs && getWeightType(op.getRhs()).isIndexed()))
      return rewriter.notifyMatchFailure(op, "one operand is indexed itself");
    Value table = lhs ? lhs.getTable() : rhs.getTable();
    if (std::is_same_v<OpTy, WeightAddOp> && !(lhs && rhs) &&
        !table.getDefiningOp<LeafOp>())
      return rewriter.notifyMatchFailure(op, "the table may point outside");
    Value inner =
        OpTy::create(rewriter, op.getLoc(), lhs ? lhs.getWeight() : op.getLhs(),
                     rhs ? rhs.getWeight() : op.getRhs());
    rewriter.replaceOpWithNewOp<WeightSelectOp>(op, inner, table);
    return success();
  }
};
} // namespace

void WeightAddOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<SelectOutward<WeightAddOp>>(context);
}

void WeightMulOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<SelectOutward<WeightMulOp>>(context);
}
