// How kernels read stored weights of panels and of rows.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CPU/StoredWeight.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moec::lowering;
using moec::moe::Format;
using moec::moe::ScaleType;

//===----------------------------------------------------------------------===//
// StoredForm
//===----------------------------------------------------------------------===//

std::optional<Format> moec::lowering::plainFormatOf(Type element) {
  if (element.isF32())
    return Format::f32;
  if (element.isF16())
    return Format::f16;
  if (element.isBF16())
    return Format::bf16;
  return std::nullopt;
}

bool moec::lowering::isPlainFloat(Format format) {
  return llvm::is_contained({Format::f32, Format::f16, Format::bf16}, format);
}

std::optional<StoredForm> StoredForm::of(moe::WrapOp wrap) {
  auto weight = dyn_cast<moe::WeightType>(wrap.getType());
  if (!weight)
    return std::nullopt;
  StoredForm form;
  form.isRowMajor = wrap.getLayoutOrDefault() == moe::Layout::row_major;
  if (form.isRowMajor &&
      (weight.isIndexed() || !isa<MemRefType>(wrap.getTensor().getType())))
    return std::nullopt;
  moe::EncodingAttr encoding = wrap.getEncodingAttr();
  if (!encoding) {
    std::optional<Format> format = plainFormatOf(weight.getElementType());
    if (!format)
      return std::nullopt;
    form.format = *format;
    return form;
  }
  form.format = encoding.getFormat();
  form.group = encoding.getGroup();
  form.hasScales = bool(wrap.getScales());
  form.hasZeroPoints = bool(wrap.getZeroPoints());
  form.scale = encoding.getScale();
  if (form.group && encoding.getAlong() != moe::Side::input)
    return std::nullopt;
  if (form.isRowMajor && !isPlainFloat(form.format))
    return std::nullopt;
  return form;
}

std::string StoredForm::name() const {
  std::string text = moe::stringifyFormat(format).str();
  if (group)
    text += "_g" + std::to_string(group);
  if (hasZeroPoints)
    text += "_zp";
  if (hasScales && format != Format::mxfp4)
    text += "_" + moe::stringifyScaleType(scale).str();
  if (isRowMajor)
    text += "_rows";
  return text;
}

int64_t StoredForm::rowsPerElement() const {
  return format == Format::int4 || format == Format::mxfp4 ? 2 : 1;
}

Type StoredForm::elementType(MLIRContext *context) const {
  switch (format) {
  case Format::f32:
    return Float32Type::get(context);
  case Format::f16:
    return Float16Type::get(context);
  case Format::bf16:
    return BFloat16Type::get(context);
  case Format::f8e4m3:
  case Format::int8:
  case Format::int4:
  case Format::mxfp4:
    return IntegerType::get(context, 8);
  }
  llvm_unreachable("all formats are named");
}

Type StoredForm::scaleType(MLIRContext *context) const {
  if (format == Format::mxfp4)
    return IntegerType::get(context, 8);
  switch (scale) {
  case ScaleType::f32:
    return Float32Type::get(context);
  case ScaleType::f16:
    return Float16Type::get(context);
  case ScaleType::bf16:
    return BFloat16Type::get(context);
  }
  llvm_unreachable("all scale types are named");
}

double StoredForm::bytesPerRow() const {
  switch (format) {
  case Format::f32:
    return 4.0 * lanes;
  case Format::f16:
  case Format::bf16:
    return 2.0 * lanes;
  case Format::f8e4m3:
  case Format::int8:
    return 1.0 * lanes;
  case Format::int4:
  case Format::mxfp4:
    return 0.5 * lanes;
  }
  llvm_unreachable("all formats are named");
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

Value PanelReader::fromHalfBits(Value bits) const {
  Code &c = *code;
  Value half =
      arith::BitcastOp::create(c.b, c.loc, c.vectorOf(c.b.getF16Type()), bits);
  return arith::ExtFOp::create(c.b, c.loc, c.vectorOf(c.f32()), half);
}

Value PanelReader::toFloat(Value ints) const {
  Code &c = *code;
  return arith::SIToFPOp::create(c.b, c.loc, c.vectorOf(c.f32()), ints);
}

Value PanelReader::zeroPointNumbers(Value group) const {
  Code &c = *code;
  Type wide = c.vectorOf(c.i32());
  Value bytes = stored->group ? c.loadVector(zeroPoints, c.mul(group, lanes))
                              : c.broadcast(c.load(zeroPoints, c.index(0)));
  return arith::ExtUIOp::create(c.b, c.loc, wide, bytes);
}

Value PanelReader::zeroPoint(Value group) const {
  return stored->hasZeroPoints ? toFloat(zeroPointNumbers(group)) : Value();
}

Value PanelReader::scale(Value group) const {
  Code &c = *code;
  const StoredForm &form = *stored;
  if (!form.hasScales)
    return Value();
  if (form.format == Format::mxfp4) {
    // E8M0: a power of two; 0 is 2^-127, 255 is NaN.
    Value bits =
        arith::ExtUIOp::create(c.b, c.loc, c.vectorOf(c.i32()),
                               c.loadVector(scales, c.mul(group, lanes)));
    auto is = [&](int64_t value) -> Value {
      return arith::CmpIOp::create(c.b, c.loc, arith::CmpIPredicate::eq, bits,
                                   c.ints(value, c.i32()));
    };
    Value power = arith::ShLIOp::create(c.b, c.loc, bits, c.ints(23, c.i32()));
    power = c.select(is(0), c.ints(0x00400000, c.i32()), power);
    power = c.select(is(255), c.ints(0x7FC00000, c.i32()), power);
    return arith::BitcastOp::create(c.b, c.loc, c.vectorOf(c.f32()), power);
  }
  if (form.group)
    return c.loadFloats(scales, c.mul(group, lanes));
  // One scale for the matrix.
  return c.broadcast(c.loadFloat(scales, c.index(0)));
}

Value PanelReader::placeOf(Value row) const {
  return rowStride ? code->mul(row, rowStride) : code->mul(row, lanes);
}

Code::Values PanelReader::read(Value row) const {
  Code &c = *code;
  const StoredForm &form = *stored;
  Type i16 = c.b.getI16Type(), i32 = c.i32();
  auto shl = [&](Value v, int64_t by, Type element) -> Value {
    return arith::ShLIOp::create(c.b, c.loc, v, c.ints(by, element));
  };
  auto masked = [&](Value v, int64_t mask, Type element) -> Value {
    return arith::AndIOp::create(c.b, c.loc, v, c.ints(mask, element));
  };
  auto wide = [&](Value v, Type element, bool isSigned) -> Value {
    if (isSigned)
      return arith::ExtSIOp::create(c.b, c.loc, c.vectorOf(element), v);
    return arith::ExtUIOp::create(c.b, c.loc, c.vectorOf(element), v);
  };
  auto times = [&](Value v, double factor) -> Value {
    return arith::MulFOp::create(c.b, c.loc, v, c.reals(factor));
  };
  switch (form.format) {
  case Format::f32:
  case Format::f16:
  case Format::bf16:
    return {c.loadFloats(codes, placeOf(row))};
  case Format::int8: {
    Value loaded = c.loadVector(codes, c.mul(row, lanes));
    return {toFloat(wide(loaded, i32, /*isSigned=*/!form.hasZeroPoints))};
  }
  case Format::f8e4m3: {
    // As f16 with the exponent's bias off by 8: subnormals come out right too.
    // The one NaN of a sign has its own bits.
    Value byte = wide(c.loadVector(codes, c.mul(row, lanes)), i16, false);
    Value magnitude = masked(byte, 0x7F, i16);
    Value isNan = arith::CmpIOp::create(c.b, c.loc, arith::CmpIPredicate::eq,
                                        magnitude, c.ints(0x7F, i16));
    Value bits = c.select(isNan, c.ints(0x7E00, i16), shl(magnitude, 7, i16));
    Value sign = shl(masked(byte, 0x80, i16), 8, i16);
    bits = arith::OrIOp::create(c.b, c.loc, bits, sign);
    return {times(fromHalfBits(bits), 256)};
  }
  case Format::int4: {
    Value bytes = c.loadVector(codes, c.mul(c.div(row, 2), lanes));
    if (form.hasZeroPoints) {
      Value all = wide(bytes, i32, false);
      Value high = arith::ShRUIOp::create(c.b, c.loc, all, c.ints(4, i32));
      return {toFloat(masked(all, 15, i32)), toFloat(high)};
    }
    Value all = wide(bytes, i32, true);
    auto shr = [&](Value v, int64_t by) -> Value {
      return arith::ShRSIOp::create(c.b, c.loc, v, c.ints(by, i32));
    };
    return {toFloat(shr(shl(all, 28, i32), 28)), toFloat(shr(all, 4))};
  }
  case Format::mxfp4: {
    // E2M1 as f16 with the exponent's bias off by 14.
    Value bytes =
        wide(c.loadVector(codes, c.mul(c.div(row, 2), lanes)), i16, false);
    auto value = [&](Value code) -> Value {
      Value bits = shl(masked(code, 7, i16), 9, i16);
      Value sign = shl(masked(code, 8, i16), 12, i16);
      bits = arith::OrIOp::create(c.b, c.loc, bits, sign);
      return times(fromHalfBits(bits), 16384);
    };
    Value high = arith::ShRUIOp::create(c.b, c.loc, bytes, c.ints(4, i16));
    return {value(bytes), value(high)};
  }
  }
  llvm_unreachable("all formats are named");
}

//===----------------------------------------------------------------------===//
// For dot products
//===----------------------------------------------------------------------===//

Value PanelReader::loadCodes(Value at, int64_t count) const {
  auto type = VectorType::get({count}, elementOf(codes));
  return vector::LoadOp::create(code->b, code->loc, type, codes, at);
}

Value PanelReader::shuffled(Value elements, ArrayRef<int64_t> order) const {
  Code &c = *code;
  Value moved =
      vector::ShuffleOp::create(c.b, c.loc, elements, elements, order);
  return vector::BitCastOp::create(c.b, c.loc, c.vectorOf(c.i32()), moved);
}

Value PanelReader::offsetOfFours(Value group) const {
  if (stored->hasZeroPoints)
    return zeroPointNumbers(group);
  return code->ints(stored->format == Format::int4 ? 8 : 128, code->i32());
}

Value PanelReader::readFours(Value row) const {
  Code &c = *code;
  bool isNibbles = stored->format == Format::int4;
  Value at = c.mul(c.div(row, stored->rowsPerElement()), lanes);
  Value bytes = loadCodes(at, isNibbles ? 2 * lanes : 4 * lanes);
  if (!stored->hasZeroPoints) {
    auto type = cast<VectorType>(bytes.getType());
    Value sign = arith::ConstantOp::create(
        c.b, c.loc,
        DenseElementsAttr::get(
            type, c.b.getIntegerAttr(c.b.getI8Type(),
                                     int8_t(isNibbles ? 0x88 : 0x80))));
    bytes = arith::XOrIOp::create(c.b, c.loc, bytes, sign);
  }
  // Of nibbles each byte stands twice, for two rows.
  SmallVector<int64_t> order;
  for (int64_t column = 0; column < lanes; ++column)
    for (int64_t i = 0; i < 4; ++i)
      order.push_back((isNibbles ? i / 2 : i) * lanes + column);
  Value fours = shuffled(bytes, order);
  if (!isNibbles)
    return fours;
  auto masked = [&](Value v, int64_t mask) -> Value {
    return arith::AndIOp::create(c.b, c.loc, v, c.ints(mask, c.i32()));
  };
  Value high = arith::ShRUIOp::create(c.b, c.loc, fours, c.ints(4, c.i32()));
  return arith::OrIOp::create(c.b, c.loc, masked(fours, 0x000F000F),
                              masked(high, 0x0F000F00));
}

Value PanelReader::readPairs(Value row) const {
  Code &c = *code;
  Value numbers = loadCodes(c.mul(row, lanes), 2 * lanes);
  auto bits = VectorType::get({2 * lanes}, c.b.getI16Type());
  numbers = arith::BitcastOp::create(c.b, c.loc, bits, numbers);
  SmallVector<int64_t> order;
  for (int64_t column = 0; column < lanes; ++column)
    order.append({column, lanes + column});
  return shuffled(numbers, order);
}

void PanelReader::prefetch(Value row, int64_t count, bool isNear) const {
  Code &c = *code;
  constexpr double line = 64;
  int64_t rowsOfLine =
      std::max<int64_t>(int64_t(line / stored->bytesPerRow()), 1);
  if (stored->isRowMajor)
    rowsOfLine = 1;
  for (int64_t done = 0; done < count; done += rowsOfLine) {
    Value at = placeOf(c.div(c.add(row, done), stored->rowsPerElement()));
    memref::PrefetchOp::create(c.b, c.loc, codes, ValueRange{at},
                               /*isWrite=*/false,
                               /*localityHint=*/isNear ? 3 : 2,
                               /*isDataCache=*/true);
  }
}
