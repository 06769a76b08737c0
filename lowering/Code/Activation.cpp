// Activations as arithmetic.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Code/Activation.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace moec::lowering;
using moec::moe::ActivationKind;

namespace {
/// Float arithmetic on numbers of a type.
struct Floats {
  Code &c;
  Type type;
  /// The target's tanh; null: the exact one, and exp where there is no need of
  /// it.
  llvm::function_ref<Value(Value)> targetTanh;

  Value add(Value l, Value r) {
    return arith::AddFOp::create(c.b, c.loc, l, r);
  }
  Value sub(Value l, Value r) {
    return arith::SubFOp::create(c.b, c.loc, l, r);
  }
  Value mul(Value l, Value r) {
    return arith::MulFOp::create(c.b, c.loc, l, r);
  }
  Value div(Value l, Value r) {
    return arith::DivFOp::create(c.b, c.loc, l, r);
  }
  Value constant(Type type, Attribute value) {
    if (auto vector = dyn_cast<VectorType>(type))
      value = DenseElementsAttr::get(vector, value);
    return arith::ConstantOp::create(c.b, c.loc, type, cast<TypedAttr>(value));
  }
  Value number(double value) {
    return constant(type, c.b.getF32FloatAttr(float(value)));
  }
  /// As bits of the numbers' type.
  Value bits(int64_t value) {
    return constant(bitsType(), c.b.getI32IntegerAttr(int32_t(value)));
  }
  Type bitsType() {
    auto vector = dyn_cast<VectorType>(type);
    return vector ? Type(vector.clone(c.i32())) : c.i32();
  }

  /// e^x: x = n·ln 2 + r, |r| <= ln 2 / 2, e^r by its Taylor polynomial of
  /// degree 6, 2^n by its bits. 0 below -87.3, infinity above 88.7, NaN of NaN.
  Value exp(Value x) {
    Value low = arith::MaximumFOp::create(c.b, c.loc, x, number(-87.33));
    Value bounded = arith::MinimumFOp::create(c.b, c.loc, low, number(88.8));
    // Adding 1.5·2^23 rounds to an integer, whose bits then stand at the end of
    // the number.
    Value magic = number(12582912.0);
    Value shifted = add(mul(bounded, number(1.44269504088896341)), magic);
    Value n = sub(shifted, magic);
    Value r = sub(bounded, mul(n, number(0.693145751953125)));
    r = sub(r, mul(n, number(1.42860682030941723e-6)));
    Value y = number(1.0 / 720);
    for (double factor : {1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0})
      y = add(mul(y, r), number(factor));
    Value integer = arith::BitcastOp::create(c.b, c.loc, bitsType(), shifted);
    Value biased = arith::AddIOp::create(c.b, c.loc, integer, bits(127));
    Value power = arith::ShLIOp::create(c.b, c.loc, biased, bits(23));
    return mul(y, arith::BitcastOp::create(c.b, c.loc, x.getType(), power));
  }

  Value tanh(Value x) {
    return targetTanh ? targetTanh(x)
                      : Value(math::TanhOp::create(c.b, c.loc, x));
  }

  /// x / (1 + e^(-a·x)) = x/2·(1 + tanh(a·x/2)).
  Value silu(Value x, double alpha) {
    if (targetTanh) {
      Value half = mul(x, number(0.5));
      Value scaled = alpha == 1 ? half : mul(half, number(alpha));
      return math::FmaOp::create(c.b, c.loc, half, tanh(scaled), half);
    }
    Value scaled = alpha == 1 ? x : mul(x, number(alpha));
    Value decay = exp(arith::NegFOp::create(c.b, c.loc, scaled));
    return div(x, add(number(1), decay));
  }

  Value function(moec::moe::ActivationAttr act, Value x) {
    switch (act.getKind()) {
    case ActivationKind::identity:
      return x;
    case ActivationKind::silu:
      return silu(x, 1);
    case ActivationKind::sigmoid_alpha:
      return silu(x, act.getAlpha() ? act.getAlpha().getValueAsDouble() : 1);
    case ActivationKind::gelu: {
      Value erf =
          math::ErfOp::create(c.b, c.loc, mul(x, number(0.70710678118654752)));
      return mul(mul(number(0.5), x), add(number(1), erf));
    }
    case ActivationKind::gelu_tanh: {
      Value cube = mul(mul(x, x), x);
      Value inner =
          mul(number(0.79788456080286536), add(x, mul(number(0.044715), cube)));
      return mul(mul(number(0.5), x), add(number(1), tanh(inner)));
    }
    case ActivationKind::relu:
      return arith::MaximumFOp::create(c.b, c.loc, x, number(0));
    case ActivationKind::relu2: {
      Value relu = arith::MaximumFOp::create(c.b, c.loc, x, number(0));
      return mul(relu, relu);
    }
    case ActivationKind::tanh:
      return tanh(x);
    }
    llvm_unreachable("all activations are named");
  }
};
} // namespace

Value moec::lowering::activate(Code &c, moe::ActivationAttr act, Value up,
                               Value gate,
                               llvm::function_ref<Value(Value)> tanh) {
  Floats floats{c, up.getType(), tanh};
  Value x = gate ? gate : up;
  if (act.getClamp()) {
    double bound = act.getClamp().getValueAsDouble();
    Value upper = floats.number(bound);
    x = arith::MinimumFOp::create(c.b, c.loc, x, upper);
    up = arith::MinimumFOp::create(c.b, c.loc, up, upper);
    up = arith::MaximumFOp::create(c.b, c.loc, up, floats.number(-bound));
  }
  Value y = floats.function(act, x);
  if (!gate)
    return y;
  if (act.getOffset())
    up = floats.add(up, floats.number(act.getOffset().getValueAsDouble()));
  return floats.mul(y, up);
}
