// How kernels read stored weights of layout panel16.
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

std::optional<StoredForm> StoredForm::of(moe::WrapOp wrap) {
  auto weight = dyn_cast<moe::WeightType>(wrap.getType());
  if (!weight || wrap.getLayoutOrDefault() != moe::Layout::panel16)
    return std::nullopt;
  StoredForm form;
  moe::EncodingAttr encoding = wrap.getEncodingAttr();
  if (!encoding) {
    Type element = weight.getElementType();
    if (element.isF32())
      form.format = Format::f32;
    else if (element.isF16())
      form.format = Format::f16;
    else if (element.isBF16())
      form.format = Format::bf16;
    else
      return std::nullopt;
    return form;
  }
  form.format = encoding.getFormat();
  form.group = encoding.getGroup();
  form.hasScales = bool(wrap.getScales());
  form.hasZeroPoints = bool(wrap.getZeroPoints());
  form.scale = encoding.getScale();
  if (form.group && encoding.getAlong() != moe::Side::input)
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

Value PanelReader::zeroPoint(Value group) const {
  Code &c = *code;
  const StoredForm &form = *stored;
  if (!form.hasZeroPoints)
    return Value();
  Type wide = c.vectorOf(c.i32());
  if (form.group)
    return toFloat(arith::ExtUIOp::create(
        c.b, c.loc, wide, c.loadVector(zeroPoints, c.mul(group, lanes))));
  Value byte = c.broadcast(c.load(zeroPoints, c.index(0)));
  return toFloat(arith::ExtUIOp::create(c.b, c.loc, wide, byte));
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
    return {c.loadFloats(codes, c.mul(row, lanes))};
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

void PanelReader::prefetch(Value row, int64_t count, bool isNear) const {
  Code &c = *code;
  constexpr double line = 64;
  int64_t rowsOfLine =
      std::max<int64_t>(int64_t(line / stored->bytesPerRow()), 1);
  for (int64_t done = 0; done < count; done += rowsOfLine) {
    Value at = c.mul(c.div(c.add(row, done), stored->rowsPerElement()), lanes);
    memref::PrefetchOp::create(c.b, c.loc, codes, ValueRange{at},
                               /*isWrite=*/false,
                               /*localityHint=*/isNear ? 3 : 2,
                               /*isDataCache=*/true);
  }
}
