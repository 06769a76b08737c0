// What params are worth: their values at compile time.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/ParamValues.h"

#include "weights/FloatFormats.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moec;
using namespace moec::lowering;
using namespace moec::moe;

//===----------------------------------------------------------------------===//
// Between attributes and plain numbers
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// Params
//===----------------------------------------------------------------------===//

FailureOr<DenseElementsAttr> ParamValues::compute(ParamOp param) {
  auto weight = dyn_cast<WeightType>(param.getType());
  if (!weight) {
    FailureOr<std::vector<int32_t>> entries = sources.loadTable(param);
    if (failed(entries))
      return failure();
    auto type = RankedTensorType::get({int64_t(entries->size())},
                                      IntegerType::get(param.getContext(), 32));
    return rawAttr(type, ArrayRef(*entries));
  }
  auto inlineValues = dyn_cast<DenseElementsAttr>(param.getSource());
  if (inlineValues && !param.getEncodingAttr()) {
    // Straight to the element type: an f64 weight keeps what f32 would lose.
    const llvm::fltSemantics &semantics =
        cast<FloatType>(weight.getElementType()).getFloatSemantics();
    return inlineValues.mapValues(
        weight.getElementType(), [&](const APFloat &value) {
          return convertTo(value, semantics).bitcastToAPInt();
        });
  }
  FailureOr<weights::MatrixSourcePtr> leaf = sources.openLeaf(param);
  if (failed(leaf))
    return failure();
  weights::Result<std::vector<float>> numbers = weights::readAll(**leaf);
  if (!numbers)
    return param.emitOpError(numbers.error());
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
  if (values.contains(param))
    return success();
  if (failed(reserve(param)))
    return failure();
  FailureOr<DenseElementsAttr> computed = compute(param);
  if (failed(computed))
    return failure();
  values.try_emplace(param, *computed);
  return success();
}
