// What several lowerings emit: rows times picked matrices, activations, special experts.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/MoEToLinalg/Applying.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>
#include <numbers>

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

static RankedTensorType tensorTypeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static Type elementTypeOf(Value value) {
  return tensorTypeOf(value).getElementType();
}

RowIds moec::lowering::rowIds(Value original, Value converted,
                              bool countSpecials) {
  IdType type = getIdType(original);
  return {converted,
          type.getCount() + (countSpecials ? type.getSpecials() : 0)};
}

Value moec::lowering::roundTo(Emitter &e, Value tensor, Type elementType) {
  RankedTensorType type = tensorTypeOf(tensor);
  if (type.getElementType() == elementType)
    return tensor;
  SmallVector<OpFoldResult> sizes;
  SmallVector<int64_t> dims;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    sizes.push_back(e.size(tensor, dim));
    dims.push_back(dim);
  }
  return e.generic(std::string(dims.size(), 'p'), {tensor}, {dims},
                   e.empty(sizes, elementType), dims,
                   [&](Emitter &inner, ValueRange at) {
                     return inner.convert(at[0], elementType);
                   });
}

//===----------------------------------------------------------------------===//
// Rows times matrices
//===----------------------------------------------------------------------===//

Value moec::lowering::contractRows(Emitter &e, Value rows, Value weight) {
  Type accumulator = accumulatorType(elementTypeOf(rows));
  int64_t leading = tensorTypeOf(rows).getRank() - 1;
  // Loops: the leading extents, then OUT, then IN.
  SmallVector<OpFoldResult> sizes;
  SmallVector<int64_t> rowMap, outMap;
  for (int64_t dim = 0; dim < leading; ++dim) {
    sizes.push_back(e.size(rows, dim));
    rowMap.push_back(dim);
    outMap.push_back(dim);
  }
  sizes.push_back(e.size(weight, 1));
  outMap.push_back(leading);
  rowMap.push_back(leading + 1);
  return e.generic(
      std::string(leading + 1, 'p') + "r", {rows, weight},
      {rowMap, {leading + 1, leading}}, e.filled(sizes, e.real(accumulator, 0)),
      outMap, [&](Emitter &inner, ValueRange at) {
        Value product = inner.mul(inner.convert(at[0], accumulator),
                                  inner.convert(at[1], accumulator));
        return inner.add(at[2], product);
      });
}

Value moec::lowering::contractRows(Emitter &e, Value rows, Value weight,
                                   RowIds picks) {
  Type accumulator = accumulatorType(elementTypeOf(rows));
  bool isIndexed = tensorTypeOf(weight).getRank() == 3;
  int64_t leading = tensorTypeOf(picks.ids).getRank();
  int64_t out = leading, in = leading + 1;
  // Loops: the extents of the ids, then OUT, then IN. Rows may lack the slot.
  SmallVector<OpFoldResult> sizes;
  SmallVector<int64_t> idMap, rowMap, outMap;
  for (int64_t dim = 0; dim < leading; ++dim) {
    sizes.push_back(e.size(picks.ids, dim));
    idMap.push_back(dim);
    outMap.push_back(dim);
    if (dim < tensorTypeOf(rows).getRank() - 1)
      rowMap.push_back(dim);
  }
  sizes.push_back(e.size(weight, isIndexed ? 2 : 1));
  outMap.push_back(out);
  rowMap.push_back(in);
  auto body = [&](Emitter &inner, ValueRange at) {
    Value isEntry = inner.inRange(at[1], picks.count);
    SmallVector<Value> place{inner.loopIndex(in), inner.loopIndex(out)};
    if (isIndexed)
      place.insert(place.begin(), inner.safeIndex(at[1], isEntry));
    Value product =
        inner.mul(inner.convert(at[0], accumulator),
                  inner.convert(inner.extract(weight, place), accumulator));
    return inner.select(isEntry, inner.add(at[2], product), at[2]);
  };
  return e.generic(std::string(leading + 1, 'p') + "r", {rows, picks.ids},
                   {rowMap, idMap}, e.filled(sizes, e.real(accumulator, 0)),
                   outMap, body);
}

Value moec::lowering::applyRows(Emitter &e, Value rows, Value weight) {
  return roundTo(e, contractRows(e, rows, weight), elementTypeOf(rows));
}

Value moec::lowering::applyRows(Emitter &e, Value rows, Value weight,
                                RowIds picks) {
  return roundTo(e, contractRows(e, rows, weight, picks), elementTypeOf(rows));
}

Value moec::lowering::lookupRows(Emitter &e, Value weight, RowIds picks) {
  bool isIndexed = tensorTypeOf(weight).getRank() == 3;
  int64_t leading = tensorTypeOf(picks.ids).getRank();
  SmallVector<OpFoldResult> sizes;
  SmallVector<int64_t> idMap, outMap;
  for (int64_t dim = 0; dim < leading; ++dim) {
    sizes.push_back(e.size(picks.ids, dim));
    idMap.push_back(dim);
    outMap.push_back(dim);
  }
  sizes.push_back(e.size(weight, isIndexed ? 2 : 1));
  outMap.push_back(leading);
  Type element = elementTypeOf(weight);
  auto body = [&](Emitter &inner, ValueRange at) {
    Value isEntry = inner.inRange(at[0], picks.count);
    SmallVector<Value> place{inner.index(0), inner.loopIndex(leading)};
    if (isIndexed)
      place.insert(place.begin(), inner.safeIndex(at[0], isEntry));
    return inner.select(isEntry, inner.extract(weight, place),
                        inner.real(element, 0));
  };
  return e.generic(std::string(leading + 1, 'p'), {picks.ids}, {idMap},
                   e.empty(sizes, element), outMap, body);
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

/// f(x) in the type of x.
static Value emitFunction(Emitter &e, ActivationAttr act, Value x) {
  Type type = x.getType();
  switch (act.getKind()) {
  case ActivationKind::identity:
    return x;
  case ActivationKind::silu:
    return e.mul(x, e.sigmoid(x));
  case ActivationKind::gelu: {
    Value scaled = e.mul(x, e.real(type, std::sqrt(0.5)));
    Value erf = math::ErfOp::create(e.b, e.loc, scaled);
    return e.mul(e.mul(e.real(type, 0.5), x), e.add(e.real(type, 1), erf));
  }
  case ActivationKind::gelu_tanh: {
    Value cube = e.mul(e.mul(e.mul(e.real(type, 0.044715), x), x), x);
    Value scaled =
        e.mul(e.real(type, std::sqrt(2 / std::numbers::pi)), e.add(x, cube));
    Value tanh = math::TanhOp::create(e.b, e.loc, scaled);
    return e.mul(e.mul(e.real(type, 0.5), x), e.add(e.real(type, 1), tanh));
  }
  case ActivationKind::relu:
    return arith::MaximumFOp::create(e.b, e.loc, x, e.real(type, 0));
  case ActivationKind::relu2: {
    Value relu = arith::MaximumFOp::create(e.b, e.loc, x, e.real(type, 0));
    return e.mul(relu, relu);
  }
  case ActivationKind::sigmoid_alpha: {
    double alpha = act.getAlpha() ? act.getAlpha().getValueAsDouble() : 1;
    return e.mul(x, e.sigmoid(e.mul(e.real(type, alpha), x)));
  }
  case ActivationKind::tanh:
    return math::TanhOp::create(e.b, e.loc, x);
  }
  llvm_unreachable("unknown activation");
}

Value moec::lowering::activate(Emitter &e, ActivationAttr act, Value up,
                               Value gate) {
  Type element = up.getType(), type = accumulatorType(element);
  Value u = e.convert(up, type);
  Value x = gate ? e.convert(gate, type) : u;
  if (act.getClamp()) {
    double bound = act.getClamp().getValueAsDouble();
    Value upper = e.real(type, bound), lower = e.real(type, -bound);
    x = arith::MinimumFOp::create(e.b, e.loc, x, upper);
    u = arith::MinimumFOp::create(e.b, e.loc, u, upper);
    u = arith::MaximumFOp::create(e.b, e.loc, u, lower);
  }
  Value y = emitFunction(e, act, x);
  if (gate && act.getOffset())
    u = e.add(u, e.real(type, act.getOffset().getValueAsDouble()));
  return e.convert(gate ? e.mul(y, u) : y, element);
}

Value moec::lowering::activateTensor(Emitter &e, ActivationAttr act, Value up,
                                     Value gate) {
  RankedTensorType type = tensorTypeOf(up);
  SmallVector<OpFoldResult> sizes;
  SmallVector<int64_t> dims;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    sizes.push_back(e.size(up, dim));
    dims.push_back(dim);
  }
  SmallVector<Value> inputs{up};
  SmallVector<SmallVector<int64_t>> maps{dims};
  if (gate) {
    inputs.push_back(gate);
    maps.push_back(dims);
  }
  return e.generic(std::string(dims.size(), 'p'), inputs, maps,
                   e.empty(sizes, type.getElementType()), dims,
                   [&](Emitter &inner, ValueRange at) {
                     return activate(inner, act, at[0], gate ? at[1] : Value());
                   });
}

//===----------------------------------------------------------------------===//
// Special experts
//===----------------------------------------------------------------------===//

/// softmax(x[t]·mixing[j]): [T, c, 2], in the type of accumulation.
static Value emitMixingFactors(Emitter &e, Value input, Value mixing,
                               Type accumulator) {
  SmallVector<OpFoldResult> sizes{e.size(input, 0), e.size(mixing, 0),
                                  e.size(2)};
  Value scores = e.generic("pppr", {input, mixing}, {{0, 3}, {1, 3, 2}},
                           e.filled(sizes, e.real(accumulator, 0)), {0, 1, 2},
                           [&](Emitter &inner, ValueRange at) {
                             Value product =
                                 inner.mul(inner.convert(at[0], accumulator),
                                           inner.convert(at[1], accumulator));
                             return inner.add(at[2], product);
                           });
  return e.generic(
      "ppp", {scores}, {{0, 1, 2}}, e.empty(sizes, accumulator), {0, 1, 2},
      [&](Emitter &inner, ValueRange at) {
        Value token = inner.loopIndex(0), constant = inner.loopIndex(1);
        Value own = inner.extract(scores, {token, constant, inner.index(0)});
        Value vector = inner.extract(scores, {token, constant, inner.index(1)});
        Value largest =
            arith::MaximumFOp::create(inner.b, inner.loc, own, vector);
        auto power = [&](Value score) -> Value {
          return math::ExpOp::create(inner.b, inner.loc,
                                     inner.sub(score, largest));
        };
        return inner.div(power(at[0]), inner.add(power(own), power(vector)));
      });
}

Value moec::lowering::emitSpecialExperts(Emitter &e, Value input, Value ids,
                                         Value weights, SpecialsAttr specials,
                                         int64_t experts, Value constants,
                                         Value mixing) {
  Type element = elementTypeOf(input), accumulator = accumulatorType(element);
  int64_t firstIdentity = experts + specials.getZero();
  int64_t firstConstant = firstIdentity + specials.getIdentity();
  Value factors =
      mixing ? emitMixingFactors(e, input, mixing, accumulator) : Value();
  Value zero =
      e.filled({e.size(input, 0), e.size(input, 1)}, e.real(accumulator, 0));
  // Loops: token, feature, slot. Zero experts add nothing, so they are skipped.
  Value sum = e.generic(
      "ppr", {input, ids, weights}, {{0, 1}, {0, 2}, {0, 2}}, zero, {0, 1},
      [&](Emitter &inner, ValueRange at) {
        Value x = inner.convert(at[0], accumulator);
        Value weight = inner.convert(at[2], accumulator);
        // Subtraction wraps, so the unsigned comparison holds for any number.
        Value isIdentity = inner.inRange(
            inner.sub(at[1], inner.i32(firstIdentity)), specials.getIdentity());
        Value sum = inner.select(isIdentity,
                                 inner.add(at[3], inner.mul(weight, x)), at[3]);
        if (!constants)
          return sum;
        Value number = inner.sub(at[1], inner.i32(firstConstant));
        Value isConstant = inner.inRange(number, specials.getConstant());
        Value j = inner.safeIndex(number, isConstant);
        Value y = inner.convert(
            inner.extract(constants, {j, inner.loopIndex(1)}), accumulator);
        if (factors) {
          Value token = inner.loopIndex(0);
          Value own = inner.extract(factors, {token, j, inner.index(0)});
          Value vector = inner.extract(factors, {token, j, inner.index(1)});
          y = inner.add(inner.mul(own, x), inner.mul(vector, y));
        }
        return inner.select(isConstant, inner.add(sum, inner.mul(weight, y)),
                            sum);
      });
  return roundTo(e, sum, element);
}
