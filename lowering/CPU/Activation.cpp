// Activations on 16 numbers at a time.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CPU/Activation.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace moec::lowering;
using moec::moe::ActivationKind;

namespace {
/// Float arithmetic on vectors.
struct Floats {
  Code &c;

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
  Value number(double value) { return c.reals(value); }

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
    Type ints = c.vectorOf(c.i32());
    Value bits = arith::BitcastOp::create(c.b, c.loc, ints, shifted);
    Value biased =
        arith::AddIOp::create(c.b, c.loc, bits, c.ints(127, c.i32()));
    Value power =
        arith::ShLIOp::create(c.b, c.loc, biased, c.ints(23, c.i32()));
    return mul(y, arith::BitcastOp::create(c.b, c.loc, x.getType(), power));
  }

  /// x / (1 + e^(-a·x)).
  Value silu(Value x, double alpha) {
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
      Value tanh = math::TanhOp::create(c.b, c.loc, inner);
      return mul(mul(number(0.5), x), add(number(1), tanh));
    }
    case ActivationKind::relu:
      return arith::MaximumFOp::create(c.b, c.loc, x, number(0));
    case ActivationKind::relu2: {
      Value relu = arith::MaximumFOp::create(c.b, c.loc, x, number(0));
      return mul(relu, relu);
    }
    case ActivationKind::tanh:
      return math::TanhOp::create(c.b, c.loc, x);
    }
    llvm_unreachable("all activations are named");
  }
};
} // namespace

Value moec::lowering::activateVector(Code &c, moe::ActivationAttr act, Value up,
                                     Value gate) {
  Floats floats{c};
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
