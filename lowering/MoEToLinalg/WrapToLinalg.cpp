// moe.wrap: stored codes to dense tensors of values, docs/spec.md 2.2.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/Patterns.h"
#include "lowering/MoEToLinalg/Wrap.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinTypes.h"
#include "weights/FloatFormats.h"

using namespace mlir;
using namespace moec;
using namespace moec::lowering;
using namespace moec::moe;

namespace {
/// Reads one value of a wrapped weight. Arithmetic is in f32, as weights/Encoding.cpp has it.
class Decoder {
public:
  Decoder(Emitter &outer, WrapOp op, WrapOp::Adaptor in)
      : op(op), in(in), type(cast<WeightType>(op.getType())),
        encoding(op.getEncodingAttr()),
        inPanels(op.getLayoutOrDefault() == Layout::panel16),
        f32(outer.b.getF32Type()) {
    if (!encoding)
      return;
    // Constants of the formats that have no arithmetic of their own.
    if (encoding.getFormat() == Format::f8e4m3)
      values = makeTable(outer, 256, weights::f8E4M3ToFloat);
    if (encoding.getFormat() == Format::mxfp4) {
      values = makeTable(outer, 16, weights::e2M1ToFloat);
      powers = makeTable(outer, 256, weights::e8M0ToFloat);
    }
  }

  /// The value at a place of the pool, in f32 (f64 for plain f64).
  Value read(Emitter &e, Value entry, Value row, Value col) {
    auto at = [&](ValueRange place) {
      SmallVector<Value> all(place);
      if (entry)
        all.insert(all.begin(), entry);
      return all;
    };
    if (!encoding)
      return e.extract(in.getTensor(), at(placeOf(e, row, col)));
    Value value = readCode(e, at, row, col);
    if (!in.getScales())
      return e.convert(value, f32);
    Value zero = e.index(0);
    int64_t group = encoding.getGroup();
    bool alongInput = encoding.getAlong() == Side::input;
    auto groupOf = [&](Value i) {
      return Value(arith::DivUIOp::create(e.b, e.loc, i, e.index(group)));
    };
    SmallVector<Value> place =
        !group       ? at({zero, zero})
        : alongInput ? at(placeOf(e, groupOf(row), col))
                     : at({row, groupOf(col)});
    if (in.getZeroPoints())
      value = e.sub(value, widen(e, e.extract(in.getZeroPoints(), place)));
    Value scale = e.extract(in.getScales(), place);
    scale = powers ? e.extract(powers, e.toIndex(widen(e, scale)))
                   : e.convert(scale, f32);
    return e.mul(scale, e.convert(value, f32));
  }

private:
  template <typename Function>
  static Value makeTable(Emitter &e, unsigned count, Function valueOf) {
    SmallVector<float> numbers;
    for (unsigned code = 0; code < count; ++code)
      numbers.push_back(valueOf(uint8_t(code)));
    auto tableType =
        RankedTensorType::get({int64_t(count)}, e.b.getF32Type());
    return arith::ConstantOp::create(
        e.b, e.loc, DenseElementsAttr::get(tableType, ArrayRef(numbers)));
  }

  /// Where a layout has what stands in a row and column of a matrix.
  SmallVector<Value> placeOf(Emitter &e, Value row, Value col) {
    if (!inPanels)
      return {row, col};
    Value width = e.index(16);
    return {arith::DivUIOp::create(e.b, e.loc, col, width), row,
            arith::RemUIOp::create(e.b, e.loc, col, width)};
  }

  /// An i8 as the number 0 to 255.
  static Value widen(Emitter &e, Value byte) {
    return arith::ExtUIOp::create(e.b, e.loc, e.b.getI32Type(), byte);
  }

  /// The code as a number: i32, or a float where the format is one.
  template <typename At>
  Value readCode(Emitter &e, At at, Value row, Value col) {
    switch (encoding.getFormat()) {
    case Format::f32:
    case Format::f16:
    case Format::bf16:
      return e.extract(in.getTensor(), at(placeOf(e, row, col)));
    case Format::f8e4m3:
      return e.extract(
          values, e.toIndex(widen(e, e.extract(in.getTensor(),
                                               at(placeOf(e, row, col))))));
    case Format::int8: {
      Value code = e.extract(in.getTensor(), at(placeOf(e, row, col)));
      if (encoding.getZeroPoint())
        return widen(e, code);
      return arith::ExtSIOp::create(e.b, e.loc, e.b.getI32Type(), code);
    }
    case Format::int4:
    case Format::mxfp4:
      break;
    }
    // Two codes in a byte, the low one first: the next in order, or in panels the next of the column.
    Value number =
        inPanels ? row : e.add(e.mul(row, e.index(type.getCols())), col);
    Value two = e.index(2);
    Value half = arith::DivUIOp::create(e.b, e.loc, number, two);
    SmallVector<Value> place =
        inPanels ? at(placeOf(e, half, col)) : at({half});
    Value byte = widen(e, e.extract(in.getTensor(), place));
    Value shift = e.mul(
        e.toI32(arith::RemUIOp::create(e.b, e.loc, number, two)), e.i32(4));
    Value code = e.both(arith::ShRUIOp::create(e.b, e.loc, byte, shift), e.i32(15));
    if (encoding.getFormat() == Format::mxfp4)
      return e.extract(values, e.toIndex(code));
    if (encoding.getZeroPoint())
      return code;
    // Two's complement of four bits.
    Value eight = e.i32(8);
    return e.sub(arith::XOrIOp::create(e.b, e.loc, code, eight), eight);
  }

  WrapOp op;
  WrapOp::Adaptor in;
  WeightType type;
  EncodingAttr encoding;
  bool inPanels;
  Type f32;
  Value values, powers;
};
} // namespace

SmallVector<Value> moec::lowering::emitWrap(Emitter &e, WrapOp op,
                                            WrapOp::Adaptor in) {
  auto weight = dyn_cast<WeightType>(op.getType());
  if (!weight || (!op.getEncodingAttr() && !in.getSlots() &&
                  op.getLayoutOrDefault() == Layout::row_major))
    return {in.getTensor()};
  Decoder decoder(e, op, in);
  Type element = weight.getElementType();
  bool isIndexed = weight.isIndexed();
  SmallVector<OpFoldResult> sizes;
  SmallVector<int64_t> loops;
  for (auto [i, extent] : llvm::enumerate(weight.getStoredShape())) {
    sizes.push_back(e.size(extent));
    loops.push_back(i);
  }
  int64_t row = isIndexed ? 1 : 0;
  SmallVector<Value> inputs;
  SmallVector<SmallVector<int64_t>> maps;
  if (in.getSlots()) {
    inputs.push_back(in.getSlots());
    maps.push_back({0});
  }
  // A paged pool has as many places as memory was given.
  int64_t places = cast<ShapedType>(op.getTensor().getType()).getDimSize(0);
  Value given;
  if (in.getSlots() && ShapedType::isDynamic(places))
    given = tensor::DimOp::create(e.b, e.loc, in.getTensor(), 0);
  return {e.generic(
      std::string(loops.size(), 'p'), inputs, maps, e.empty(sizes, element),
      loops, [&](Emitter &inner, ValueRange at) {
        Value entry, isThere;
        if (in.getSlots()) {
          isThere = given ? inner.inExtent(at[0], given)
                          : inner.inRange(at[0], places);
          entry = inner.safeIndex(at[0], isThere);
        } else if (isIndexed) {
          entry = inner.loopIndex(0);
        }
        Value value = decoder.read(inner, entry, inner.loopIndex(row),
                                   inner.loopIndex(row + 1));
        value = inner.convert(value, element);
        return isThere ? inner.select(isThere, value, inner.real(element, 0))
                       : value;
      })};
}
