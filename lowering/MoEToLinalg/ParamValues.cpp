// What params are worth: their values at compile time.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/ParamValues.h"

#include "weights/Encoding.h"
#include "weights/FloatFormats.h"
#include "weights/Seeded.h"
#include "weights/WeightProvider.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moec;
using namespace moec::lowering;
using namespace moec::moe;

//===----------------------------------------------------------------------===//
// Between attributes and plain numbers
//===----------------------------------------------------------------------===//

static weights::MatrixShape matrixShape(WeightType type) {
  return {type.getCount(), type.getRows(), type.getCols()};
}

static weights::Encoding plainEncoding(EncodingAttr encoding) {
  weights::Encoding plain;
  // Both sides spell formats alike, and the dialect's are verified.
  plain.format =
      *weights::formatFromName(stringifyFormat(encoding.getFormat()));
  plain.scale =
      *weights::scaleTypeFromName(stringifyScaleType(encoding.getScale()));
  plain.group = encoding.getGroup();
  plain.zeroPoint = encoding.getZeroPoint();
  plain.along = encoding.getAlong() == Side::input ? weights::GroupAxis::Input
                                                   : weights::GroupAxis::Output;
  return plain;
}

template <typename T>
static DenseElementsAttr rawAttr(RankedTensorType type, ArrayRef<T> numbers) {
  ArrayRef<char> bytes(reinterpret_cast<const char *>(numbers.data()),
                       numbers.size() * sizeof(T));
  return DenseElementsAttr::getFromRawBuffer(type, bytes);
}

/// Values rounded to the weight's element type, in the shape it is stored in.
static DenseElementsAttr toAttr(WeightType weight, ArrayRef<float> numbers) {
  Type element = weight.getElementType();
  auto type = RankedTensorType::get(weight.getStoredShape(), element);
  if (element.isF32())
    return rawAttr(type, numbers);
  if (element.isF64())
    return rawAttr(
        type, ArrayRef(std::vector<double>(numbers.begin(), numbers.end())));
  std::vector<uint16_t> bits;
  bits.reserve(numbers.size());
  for (float number : numbers)
    bits.push_back(element.isBF16() ? weights::floatToBF16(number)
                                    : weights::floatToF16(number));
  return rawAttr(type, ArrayRef(bits));
}

static APFloat convertTo(APFloat value, const llvm::fltSemantics &semantics) {
  bool losesInfo;
  value.convert(semantics, APFloat::rmNearestTiesToEven, &losesInfo);
  return value;
}

static std::vector<float> toFloats(DenseElementsAttr attr) {
  std::vector<float> numbers;
  numbers.reserve(attr.getNumElements());
  if (attr.getElementType().isF32()) {
    auto range = attr.getValues<float>();
    numbers.assign(range.begin(), range.end());
    return numbers;
  }
  for (const APFloat &value : attr.getValues<APFloat>())
    numbers.push_back(convertTo(value, APFloat::IEEEsingle()).convertToFloat());
  return numbers;
}

static std::vector<int32_t> toIntegers(DenseElementsAttr attr) {
  auto range = attr.getValues<int32_t>();
  return {range.begin(), range.end()};
}

//===----------------------------------------------------------------------===//
// Sources
//===----------------------------------------------------------------------===//

DenseElementsAttr ParamValues::valuesOf(ParamOp user,
                                        FlatSymbolRefAttr name) const {
  return lookup(SymbolTable::lookupNearestSymbolFrom<ParamOp>(user, name));
}

/// The value of a result, or a diagnostic at the param.
template <typename T>
static FailureOr<T> take(ParamOp param, weights::Result<T> result) {
  if (!result)
    return param.emitOpError(result.error());
  return *std::move(result);
}

FailureOr<DenseElementsAttr> ParamValues::computeTable(ParamOp param) {
  auto table = cast<TableType>(param.getType());
  if (auto values = dyn_cast<DenseElementsAttr>(param.getSource()))
    return values;
  auto external = cast<ExternalAttr>(param.getSource());
  int64_t shape[] = {table.getFromCount()};
  FailureOr<std::vector<int32_t>> numbers =
      take(param, provider.loadIntegers(external.getScope().getValue(),
                                        external.getKey().getValue(), shape));
  if (failed(numbers))
    return failure();
  for (int32_t number : *numbers)
    if (number < 0 || number >= table.getToCount())
      return param.emitOpError("table entry ")
             << number << " of " << external << " is outside "
             << stringifyAxis(table.getTo()) << "[" << table.getToCount()
             << "]";
  auto type =
      RankedTensorType::get(shape, IntegerType::get(param.getContext(), 32));
  return rawAttr(type, ArrayRef(*numbers));
}

/// The values of an evaluated param, as a source.
static weights::MatrixSourcePtr matricesOf(ParamOp param,
                                           DenseElementsAttr values) {
  return weights::matricesOf(param.getSymName().str(),
                             matrixShape(cast<WeightType>(param.getType())),
                             toFloats(values));
}

FailureOr<std::vector<float>> ParamValues::computeMean(ParamOp param) {
  auto mean = cast<MeanAttr>(param.getSource());
  auto of = SymbolTable::lookupNearestSymbolFrom<ParamOp>(param, mean.getOf());
  auto matrices =
      take(param, weights::meanMatrices(
                      param.getSymName().str(), matricesOf(of, lookup(of)),
                      toIntegers(valuesOf(param, mean.getTable())),
                      cast<WeightType>(param.getType()).getCount()));
  if (failed(matrices))
    return failure();
  return take(param, weights::readAll(**matrices));
}

FailureOr<std::vector<float>> ParamValues::computeFactor(ParamOp param) {
  auto svd = cast<SvdAttr>(param.getSource());
  auto inputSide = SvdAttr::get(param.getContext(), Side::input, svd.getRank(),
                                svd.getOf(), svd.getMinus(), svd.getTable());
  std::pair<Operation *, Attribute> key(param->getParentOp(), inputSide);
  auto known = factors.find(key);
  if (known == factors.end()) {
    auto of = SymbolTable::lookupNearestSymbolFrom<ParamOp>(param, svd.getOf());
    auto minus =
        SymbolTable::lookupNearestSymbolFrom<ParamOp>(param, svd.getMinus());
    weights::ResidualOptions options;
    options.factorization.rank = svd.getRank();
    // The best approximation, as the specification says.
    options.factorization.method = weights::SvdMethod::Exact;
    FailureOr<weights::LowRankSources> sources =
        take(param, weights::residualFactors(
                        param.getSymName().str(), matricesOf(of, lookup(of)),
                        matricesOf(minus, lookup(minus)),
                        toIntegers(valuesOf(param, svd.getTable())), options,
                        cast<WeightType>(of.getType()).getCount()));
    if (failed(sources))
      return failure();
    known = factors.try_emplace(key, *std::move(sources)).first;
  }
  bool isInput = svd.getFactor() == Side::input;
  return take(param, weights::readAll(isInput ? *known->second.input
                                              : *known->second.output));
}

FailureOr<std::vector<float>> ParamValues::computeSource(ParamOp param) {
  auto weight = cast<WeightType>(param.getType());
  Attribute source = param.getSource();
  if (auto external = dyn_cast<ExternalAttr>(source)) {
    auto matrices =
        take(param, provider.openMatrices(external.getScope().getValue(),
                                          external.getKey().getValue(),
                                          weight.getStoredShape()));
    if (failed(matrices))
      return failure();
    return take(param, weights::readAll(**matrices));
  }
  if (auto seeded = dyn_cast<SeededAttr>(source)) {
    double scale = seeded.getScale() ? seeded.getScale().getValueAsDouble() : 1;
    return weights::seededValues(
        uint32_t(seeded.getSeed()),
        weight.getCount() * weight.getRows() * weight.getCols(), scale);
  }
  if (isa<MeanAttr>(source))
    return computeMean(param);
  if (isa<SvdAttr>(source))
    return computeFactor(param);
  return toFloats(cast<DenseElementsAttr>(source));
}

//===----------------------------------------------------------------------===//
// Params
//===----------------------------------------------------------------------===//

FailureOr<DenseElementsAttr> ParamValues::compute(ParamOp param) {
  auto weight = dyn_cast<WeightType>(param.getType());
  if (!weight)
    return computeTable(param);
  EncodingAttr encoding = param.getEncodingAttr();
  auto inlineValues = dyn_cast<DenseElementsAttr>(param.getSource());
  if (inlineValues && !encoding) {
    // Straight to the element type: an f64 weight keeps what f32 would lose.
    const llvm::fltSemantics &semantics =
        cast<FloatType>(weight.getElementType()).getFloatSemantics();
    return inlineValues.mapValues(
        weight.getElementType(), [&](const APFloat &value) {
          return convertTo(value, semantics).bitcastToAPInt();
        });
  }
  FailureOr<std::vector<float>> numbers = computeSource(param);
  if (failed(numbers))
    return failure();
  if (encoding)
    numbers = take(param, weights::roundTrip(plainEncoding(encoding),
                                             matrixShape(weight), *numbers));
  if (failed(numbers))
    return failure();
  return toAttr(weight, *numbers);
}

LogicalResult ParamValues::reserve(ParamOp param) {
  uint64_t bytes;
  if (auto weight = dyn_cast<WeightType>(param.getType())) {
    bytes = weight.getElementType().getIntOrFloatBitWidth() / 8;
    for (int64_t extent : weight.getStoredShape())
      bytes = llvm::SaturatingMultiply(bytes, uint64_t(extent));
  } else {
    bytes = llvm::SaturatingMultiply(
        uint64_t(4), uint64_t(cast<TableType>(param.getType()).getFromCount()));
  }
  uint64_t total = llvm::SaturatingAdd(usedBytes, bytes);
  if (total > maxBytes)
    return param.emitOpError("takes ")
           << bytes << " bytes, " << total
           << " with the params evaluated before; max-bytes is " << maxBytes;
  usedBytes = total;
  return success();
}

LogicalResult ParamValues::evaluate(ParamOp param) {
  // What a recipe reads is evaluated first. P4 excludes cycles.
  SmallVector<ParamOp> work{param};
  while (!work.empty()) {
    ParamOp current = work.back();
    if (values.contains(current)) {
      work.pop_back();
      continue;
    }
    bool isReady = true;
    current.getSource().walk([&](FlatSymbolRefAttr name) {
      auto input = SymbolTable::lookupNearestSymbolFrom<ParamOp>(current, name);
      if (values.contains(input))
        return;
      work.push_back(input);
      isReady = false;
    });
    if (!isReady)
      continue;
    if (failed(reserve(current)))
      return failure();
    FailureOr<DenseElementsAttr> computed = compute(current);
    if (failed(computed))
      return failure();
    values.try_emplace(current, *computed);
    work.pop_back();
  }
  return success();
}
