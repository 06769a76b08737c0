// moe-expand-narrow-floats: conversions from and to f16 and bf16 as integer
// operations. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace moec::lowering {
#define GEN_PASS_DEF_EXPANDNARROWFLOATSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;

namespace {
bool isNarrow(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isF16() || element.isBF16();
}

/// Writes formulas on values of one shape: scalars, or vectors.
class Formula {
public:
  Formula(Location loc, OpBuilder &builder, Type shape)
      : b(loc, builder), shape(shape) {}

  Type typed(Type element) {
    auto shaped = dyn_cast<ShapedType>(shape);
    return shaped ? Type(shaped.clone(element)) : element;
  }
  Type i16() { return typed(b.getI16Type()); }
  Type i32() { return typed(b.getI32Type()); }
  Type f32() { return typed(b.getF32Type()); }

  Value number(uint32_t bits) { return constant(b.getI32IntegerAttr(bits)); }
  Value real(float value) { return constant(b.getF32FloatAttr(value)); }
  Value asInt(Value value) { return arith::BitcastOp::create(b, i32(), value); }
  Value asFloat(Value value) {
    return arith::BitcastOp::create(b, f32(), value);
  }
  Value add(Value l, Value r) { return arith::AddIOp::create(b, l, r); }
  Value sub(Value l, Value r) { return arith::SubIOp::create(b, l, r); }
  Value both(Value l, Value r) { return arith::AndIOp::create(b, l, r); }
  Value either(Value l, Value r) { return arith::OrIOp::create(b, l, r); }
  Value shl(Value v, uint32_t by) {
    return arith::ShLIOp::create(b, v, number(by));
  }
  Value shr(Value v, uint32_t by) {
    return arith::ShRUIOp::create(b, v, number(by));
  }
  Value isBelow(Value l, Value r) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, l, r);
  }
  Value isAbove(Value l, Value r) { return isBelow(r, l); }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(b, condition, yes, no);
  }

  //===--------------------------------------------------------------------===//
  // Widening: exact
  //===--------------------------------------------------------------------===//

  Value extendBits(Value narrow) {
    Value bits = arith::BitcastOp::create(b, i16(), narrow);
    return arith::ExtUIOp::create(b, i32(), bits);
  }

  Value extendBf16(Value narrow) {
    return asFloat(shl(extendBits(narrow), 16));
  }

  Value extendF16(Value narrow) {
    Value bits = extendBits(narrow);
    Value sign = shl(both(bits, number(0x8000)), 16);
    Value magnitude = both(bits, number(0x7FFF));
    // The exponent's bias grows by 112; that of infinities and NaN by 224, from
    // 31 to 255.
    Value shifted = shl(magnitude, 13);
    Value isSpecial = isAbove(magnitude, number(0x7BFF));
    Value wide =
        add(shifted, select(isSpecial, number(224u << 23), number(112u << 23)));
    // A subnormal is its digits times 2^-24.
    Value digits = arith::UIToFPOp::create(b, f32(), magnitude);
    Value subnormal = asInt(arith::MulFOp::create(b, digits, real(0x1p-24f)));
    Value isSubnormal = isBelow(magnitude, number(0x0400));
    return asFloat(either(sign, select(isSubnormal, subnormal, wide)));
  }

  //===--------------------------------------------------------------------===//
  // Narrowing: to nearest, ties to even
  //===--------------------------------------------------------------------===//

  /// f64 to f32, rounded so that rounding again gives what rounding once would:
  /// where digits are lost the last one left is odd.
  Value narrowToOdd(Value wide) {
    Value nearest = arith::TruncFOp::create(b, f32(), wide);
    Value back = arith::ExtFOp::create(b, wide.getType(), nearest);
    Type i64 = typed(b.getI64Type());
    auto magnitude = [&](Value value) {
      Value bits = arith::BitcastOp::create(b, i64, value);
      Value mask =
          constant(b.getI64IntegerAttr(std::numeric_limits<int64_t>::max()));
      return arith::AndIOp::create(b, bits, mask);
    };
    Value isTooLarge = arith::CmpIOp::create(b, arith::CmpIPredicate::ugt,
                                             magnitude(back), magnitude(wide));
    Value bits = asInt(nearest);
    Value towardsZero = select(isTooLarge, sub(bits, number(1)), bits);
    Value isInexact =
        arith::CmpFOp::create(b, arith::CmpFPredicate::ONE, back, wide);
    return asFloat(select(isInexact, either(towardsZero, number(1)), bits));
  }

  Value truncateBits(Value bits, Type to) {
    Value low = arith::TruncIOp::create(b, i16(), bits);
    return arith::BitcastOp::create(b, to, low);
  }

  Value truncateToBf16(Value wide, Type to) {
    Value bits = asInt(wide);
    Value isOdd = both(shr(bits, 16), number(1));
    Value rounded = shr(add(bits, add(isOdd, number(0x7FFF))), 16);
    // NaN stays NaN whatever digits are lost.
    Value quiet = either(shr(bits, 16), number(0x0040));
    Value isNan =
        arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, wide, wide);
    return truncateBits(select(isNan, quiet, rounded), to);
  }

  Value truncateToF16(Value wide, Type to) {
    Value bits = asInt(wide);
    Value sign = both(shr(bits, 16), number(0x8000));
    Value magnitude = both(bits, number(0x7FFFFFFF));
    Value isOdd = both(shr(magnitude, 13), number(1));
    Value normal =
        shr(add(magnitude, add(isOdd, number(0x0FFFu - (112u << 23)))), 13);
    // Below the smallest normal number 1/2's last digit counts 2^-24: adding it
    // rounds.
    Value subnormal =
        sub(asInt(arith::AddFOp::create(b, asFloat(magnitude), real(0.5f))),
            number(0x3F000000));
    Value result =
        select(isBelow(magnitude, number(113u << 23)), subnormal, normal);
    result =
        select(isBelow(magnitude, number(143u << 23)), result, number(0x7C00));
    result =
        select(isAbove(magnitude, number(255u << 23)), number(0x7E00), result);
    return truncateBits(either(sign, result), to);
  }

  ImplicitLocOpBuilder b;

private:
  Value constant(TypedAttr element) {
    if (auto shaped = dyn_cast<ShapedType>(shape))
      return arith::ConstantOp::create(
          b, DenseElementsAttr::get(shaped.clone(element.getType()), element));
    return arith::ConstantOp::create(b, element);
  }

  Type shape;
};

/// A conversion that is one instruction. With the flags that emulation gives it, LLVM would drop a rounding between two of them.
template <typename Conversion>
LogicalResult keep(Conversion op, PatternRewriter &rewriter) {
  if (!op.getFastmathAttr())
    return rewriter.notifyMatchFailure(op, "one instruction");
  rewriter.modifyOpInPlace(op, [&] { op.removeFastmathAttr(); });
  return success();
}

struct ExpandExtF : OpRewritePattern<arith::ExtFOp> {
  ExpandExtF(MLIRContext *context, bool keepHalfVectors)
      : OpRewritePattern(context), keepHalfVectors(keepHalfVectors) {}

  LogicalResult matchAndRewrite(arith::ExtFOp op,
                                PatternRewriter &rewriter) const override {
    if (!isNarrow(op.getIn().getType()))
      return rewriter.notifyMatchFailure(op, "not from f16 or bf16");
    if (keepHalfVectors && isa<VectorType>(op.getType()) &&
        getElementTypeOrSelf(op.getIn().getType()).isF16() &&
        getElementTypeOrSelf(op.getType()).isF32())
      return keep(op, rewriter);
    Formula formula(op.getLoc(), rewriter, op.getType());
    Value wide = getElementTypeOrSelf(op.getIn().getType()).isF16()
                     ? formula.extendF16(op.getIn())
                     : formula.extendBf16(op.getIn());
    if (wide.getType() != op.getType())
      wide = arith::ExtFOp::create(rewriter, op.getLoc(), op.getType(), wide);
    rewriter.replaceOp(op, wide);
    return success();
  }

  bool keepHalfVectors;
};

struct ExpandTruncF : OpRewritePattern<arith::TruncFOp> {
  ExpandTruncF(MLIRContext *context, bool keepHalfVectors)
      : OpRewritePattern(context), keepHalfVectors(keepHalfVectors) {}

  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    Type from = getElementTypeOrSelf(op.getIn().getType());
    if (!isNarrow(op.getType()) || !(from.isF32() || from.isF64()))
      return rewriter.notifyMatchFailure(op, "not from f32 or f64 to f16 or "
                                             "bf16");
    arith::RoundingMode mode =
        op.getRoundingmode().value_or(arith::RoundingMode::to_nearest_even);
    if (mode != arith::RoundingMode::to_nearest_even)
      return rewriter.notifyMatchFailure(op, "does not round to nearest even");
    if (keepHalfVectors && isa<VectorType>(op.getType()) &&
        getElementTypeOrSelf(op.getType()).isF16() && from.isF32())
      return keep(op, rewriter);
    Formula formula(op.getLoc(), rewriter, op.getType());
    Value wide = from.isF64() ? formula.narrowToOdd(op.getIn()) : op.getIn();
    rewriter.replaceOp(op, getElementTypeOrSelf(op.getType()).isF16()
                               ? formula.truncateToF16(wide, op.getType())
                               : formula.truncateToBf16(wide, op.getType()));
    return success();
  }

  bool keepHalfVectors;
};

struct ExpandNarrowFloatsPass
    : moec::lowering::impl::ExpandNarrowFloatsPassBase<ExpandNarrowFloatsPass> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    set.add<ExpandExtF, ExpandTruncF>(context, keepHalfVectors);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    walkAndApplyPatterns(getOperation(), patterns);
  }

  FrozenRewritePatternSet patterns;
};
} // namespace
