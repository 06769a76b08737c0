// Arithmetic of floats: add, sub, mul, fma, div, min, max, and the functions
// that hardware approximates, which are computed exactly here.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Elements.h"
#include "tools/PTXEmulator/Elementwise.h"
#include "tools/PTXEmulator/IntegerArithmetic.h"

#include <cmath>
#include <limits>

namespace moec::ptx {

namespace {

// Functions of doubles. Where the result of doubles is not exact, it is rounded
// to odd, so that the element's rounding is the only one.

struct Add {
  static constexpr unsigned arity = 2;
  static double apply(double a, double b, double) { return addToOdd(a, b); }
  static float direct(float a, float b, float) { return a + b; }
  static double direct(double a, double b, double) { return a + b; }
};
struct Subtract {
  static constexpr unsigned arity = 2;
  static double apply(double a, double b, double) { return addToOdd(a, -b); }
  static float direct(float a, float b, float) { return a - b; }
  static double direct(double a, double b, double) { return a - b; }
};
struct Multiply {
  static constexpr unsigned arity = 2;
  static double apply(double a, double b, double) { return a * b; }
  static float direct(float a, float b, float) { return a * b; }
  static double direct(double a, double b, double) { return a * b; }
};
struct FusedMultiplyAdd {
  static constexpr unsigned arity = 3;
  static double apply(double a, double b, double c) {
    return addToOdd(a * b, c);
  }
  /// The product is exact in a double, so this is one rounding.
  static float direct(float a, float b, float c) {
    return static_cast<float>(addToOdd(double(a) * b, c));
  }
  static double direct(double a, double b, double c) {
    return std::fma(a, b, c);
  }
};

struct Divide {
  static constexpr unsigned arity = 2;
  static double apply(double a, double b, double) { return a / b; }
  static float direct(float a, float b, float) { return a / b; }
  static double direct(double a, double b, double) { return a / b; }
};

template <bool isMaximum> struct Extreme {
  static constexpr unsigned arity = 2;
  template <typename T> static T choose(T a, T b) {
    if (a != a)
      return b;
    if (b != b)
      return a;
    if (a == b)
      return std::signbit(a) == isMaximum ? b : a;
    return (a < b) == isMaximum ? b : a;
  }
  static double apply(double a, double b, double) { return choose(a, b); }
  static float direct(float a, float b, float) { return choose(a, b); }
  static double direct(double a, double b, double) { return choose(a, b); }
};
/// NaN if either is.
template <bool isMaximum> struct NaNExtreme {
  static constexpr unsigned arity = 2;
  template <typename T> static T choose(T a, T b) {
    return a != a || b != b ? std::numeric_limits<T>::quiet_NaN()
                            : Extreme<isMaximum>::choose(a, b);
  }
  static double apply(double a, double b, double) { return choose(a, b); }
  static float direct(float a, float b, float) { return choose(a, b); }
  static double direct(double a, double b, double) { return choose(a, b); }
};
/// Of the magnitudes, with the product of the signs.
template <typename Base> struct XorSign {
  static constexpr unsigned arity = 2;
  template <typename T> static T choose(T a, T b) {
    T chosen = Base::choose(std::fabs(a), std::fabs(b));
    return std::signbit(a) != std::signbit(b) ? -chosen : chosen;
  }
  static double apply(double a, double b, double) { return choose(a, b); }
  static float direct(float a, float b, float) { return choose(a, b); }
  static double direct(double a, double b, double) { return choose(a, b); }
};

/// A function of one value, computed in double.
template <double (*function)(double)> struct OfDouble {
  static constexpr unsigned arity = 1;
  static double apply(double a, double, double) { return function(a); }
  static float direct(float a, float, float) {
    return static_cast<float>(function(a));
  }
  static double direct(double a, double, double) { return function(a); }
};
double reciprocal(double a) { return 1 / a; }
double squareRoot(double a) { return std::sqrt(a); }
double reciprocalRoot(double a) { return 1 / std::sqrt(a); }
double power2(double a) { return std::exp2(a); }
double log2Of(double a) { return std::log2(a); }
double sine(double a) { return std::sin(a); }
double cosine(double a) { return std::cos(a); }
/// Numbers of 12 bits, cut off: as far from the value as the instruction may be, which has a relative error of up to 2^-11.
double approximateTanh(double a) {
  constexpr int bits = 12;
  int exponent = 0;
  double fraction = std::frexp(std::tanh(a), &exponent);
  return std::ldexp(std::trunc(std::ldexp(fraction, bits)), exponent - bits);
}

float saturated(float value) {
  // NaN becomes zero.
  return value > 0 ? std::min(value, 1.0f) : 0.0f;
}

/// Of f32, to nearest even.
template <typename Function>
Mask runF32(Warp &warp, const Operation &operation, Mask mask) {
  Lanes<float> inputs[3] = {};
  for (unsigned i = 0; i < Function::arity; ++i)
    inputs[i] = read<float>(warp, operation.slots[i + 1]);
  if (operation.ftz)
    for (unsigned i = 0; i < Function::arity; ++i)
      for (unsigned lane = 0; lane < warpSize; ++lane)
        inputs[i][lane] = flushSubnormal(inputs[i][lane]);
  Lanes<float> results;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    results[lane] = canonical(
        Function::direct(inputs[0][lane], inputs[1][lane], inputs[2][lane]));
  if (operation.ftz)
    for (unsigned lane = 0; lane < warpSize; ++lane)
      results[lane] = flushSubnormal(results[lane]);
  if (operation.saturate)
    for (unsigned lane = 0; lane < warpSize; ++lane)
      results[lane] = saturated(results[lane]);
  write(warp, operation.slots[0], results, mask);
  return mask;
}

/// Of f32, in the rounding that the operation's mode says.
template <typename Function>
Mask runF32Rounded(Warp &warp, const Operation &operation, Mask mask) {
  forEachLane(mask, [&](unsigned lane) {
    double inputs[3] = {};
    for (unsigned i = 0; i < Function::arity; ++i) {
      float input = std::bit_cast<float>(
          static_cast<uint32_t>(readLane(warp, operation.slots[i + 1], lane)));
      inputs[i] = operation.ftz ? flushSubnormal(input) : input;
    }
    double exact = Function::apply(inputs[0], inputs[1], inputs[2]);
    float result = canonical(static_cast<float>(
        roundTo(formatF32, exact, static_cast<Rounding>(operation.mode))));
    if (operation.ftz)
      result = flushSubnormal(result);
    if (operation.saturate)
      result = saturated(result);
    writeLane(warp, operation.slots[0], lane, std::bit_cast<uint32_t>(result));
  });
  return mask;
}

template <typename Function>
Mask runF64(Warp &warp, const Operation &operation, Mask mask) {
  Lanes<double> inputs[3] = {};
  for (unsigned i = 0; i < Function::arity; ++i)
    inputs[i] = read<double>(warp, operation.slots[i + 1]);
  Lanes<double> results;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    results[lane] =
        Function::direct(inputs[0][lane], inputs[1][lane], inputs[2][lane]);
  write(warp, operation.slots[0], results, mask);
  return mask;
}

/// Of 16-bit floats; `count` is 2 for pairs in 32 bits.
template <typename Function, typename Element, unsigned count>
Mask runNarrow(Warp &warp, const Operation &operation, Mask mask) {
  forEachLane(mask, [&](unsigned lane) {
    uint32_t result = 0;
    for (unsigned half = 0; half < count; ++half) {
      double inputs[3] = {};
      for (unsigned i = 0; i < Function::arity; ++i)
        inputs[i] = Element::load(uint16_t(
            readLane(warp, operation.slots[i + 1], lane) >> (16 * half)));
      double exact = Function::apply(inputs[0], inputs[1], inputs[2]);
      if (operation.saturate)
        exact = exact > 0 ? std::min(exact, 1.0) : 0;
      if (operation.number && !(exact > 0))
        exact = exact != exact ? exact : 0;
      result |= uint32_t(Element::store(exact)) << (16 * half);
    }
    writeLane(warp, operation.slots[0], lane, result);
  });
  return mask;
}

template <typename Function> Handler handlerOf(Type type) {
  switch (type) {
  case Type::F32:
    return runF32<Function>;
  case Type::F64:
    return runF64<Function>;
  case Type::F16:
    return runNarrow<Function, ElementF16, 1>;
  case Type::F16x2:
    return runNarrow<Function, ElementF16, 2>;
  case Type::BF16:
    return runNarrow<Function, ElementBF16, 1>;
  case Type::BF16x2:
    return runNarrow<Function, ElementBF16, 2>;
  default:
    return nullptr;
  }
}

/// Takes the rounding modifier; to nearest even if there is none.
Rounding takeRounding(Decoder &decoder) {
  return decoder
      .takeOneOf<Rounding>({{"rn", Rounding::NearestEven},
                            {"rz", Rounding::Zero},
                            {"rm", Rounding::Down},
                            {"rp", Rounding::Up}})
      .value_or(Rounding::NearestEven);
}

/// The modifiers and slots that all float arithmetic has.
template <typename Function> Type buildArithmetic(Decoder &decoder) {
  Operation &operation = decoder.operation;
  Rounding rounding = takeRounding(decoder);
  operation.mode = static_cast<uint8_t>(rounding);
  operation.ftz = decoder.take("ftz");
  operation.saturate = decoder.take("sat");
  Type type = decoder.takeType();
  setSlots(decoder, type, Function::arity);
  operation.handler = handlerOf<Function>(type);
  if (rounding != Rounding::NearestEven) {
    if (type == Type::F32)
      operation.handler = runF32Rounded<Function>;
    else
      decoder.fail("the emulator knows this rounding for .f32 only");
  }
  if (!operation.handler)
    decoder.fail("expected a float type");
  return type;
}

/// Whether the type of the instruction, the last modifier that is one, is an
/// integer: then its other form is meant.
bool isIntegerForm(const Decoder &decoder) {
  const std::vector<std::string> &opcode = decoder.operation.statement->opcode;
  for (size_t i = opcode.size(); i-- > 1;)
    if (std::optional<Type> type = parseType(opcode[i]))
      return isInteger(*type);
  return false;
}

template <typename Function, Builder integerForm>
void buildEither(Decoder &decoder) {
  if (isIntegerForm(decoder))
    return integerForm(decoder);
  buildArithmetic<Function>(decoder);
}

void buildFma(Decoder &decoder) {
  decoder.operation.number = decoder.take("relu");
  buildArithmetic<FusedMultiplyAdd>(decoder);
}

void buildMad(Decoder &decoder) {
  if (isIntegerForm(decoder))
    return buildIntegerMad(decoder);
  buildArithmetic<FusedMultiplyAdd>(decoder);
}

void buildDiv(Decoder &decoder) {
  if (isIntegerForm(decoder))
    return buildIntegerDiv(decoder);
  // Approximations are within 2 units of the exact quotient.
  decoder.take("approx");
  decoder.take("full");
  buildArithmetic<Divide>(decoder);
}

template <bool isMaximum, Builder integerForm>
void buildExtreme(Decoder &decoder) {
  if (isIntegerForm(decoder))
    return integerForm(decoder);
  bool propagate = decoder.take("NaN");
  bool xorSign = decoder.take("xorsign");
  if (xorSign && !decoder.take("abs"))
    decoder.fail("expected .xorsign.abs");
  if (propagate && xorSign)
    buildArithmetic<XorSign<NaNExtreme<isMaximum>>>(decoder);
  else if (propagate)
    buildArithmetic<NaNExtreme<isMaximum>>(decoder);
  else if (xorSign)
    buildArithmetic<XorSign<Extreme<isMaximum>>>(decoder);
  else
    buildArithmetic<Extreme<isMaximum>>(decoder);
}

template <double (*function)(double)> void buildFunction(Decoder &decoder) {
  decoder.take("approx");
  buildArithmetic<OfDouble<function>>(decoder);
}

// Signs are bits: NaN keeps its own.

/// Clears, flips or copies the sign bits that `number` has.
template <typename T> struct Signs {
  static Mask clear(Warp &warp, const Operation &operation, Mask mask) {
    return run(warp, operation, mask,
               [](T value, T signs) { return T(value & ~signs); });
  }
  static Mask flip(Warp &warp, const Operation &operation, Mask mask) {
    return run(warp, operation, mask,
               [](T value, T signs) { return T(value ^ signs); });
  }
  template <typename F>
  static Mask run(Warp &warp, const Operation &operation, Mask mask, F change) {
    Lanes<T> values = read<T>(warp, operation.slots[1]);
    for (unsigned lane = 0; lane < warpSize; ++lane)
      values[lane] = change(values[lane], static_cast<T>(operation.number));
    if constexpr (std::is_same_v<T, uint32_t>)
      if (operation.ftz)
        for (unsigned lane = 0; lane < warpSize; ++lane)
          values[lane] = std::bit_cast<uint32_t>(
              flushSubnormal(std::bit_cast<float>(values[lane])));
    write(warp, operation.slots[0], values, mask);
    return mask;
  }
};

int64_t signBits(Type type) {
  switch (type) {
  case Type::F16x2:
  case Type::BF16x2:
    return 0x80008000;
  case Type::F16:
  case Type::BF16:
    return 0x8000;
  case Type::F32:
    return 0x80000000;
  default:
    return std::numeric_limits<int64_t>::min();
  }
}

template <bool clears, Builder integerForm> void buildSigns(Decoder &decoder) {
  if (isIntegerForm(decoder))
    return integerForm(decoder);
  Operation &operation = decoder.operation;
  operation.ftz = decoder.take("ftz");
  Type type = decoder.takeType();
  setSlots(decoder, type, 1);
  operation.number = signBits(type);
  operation.ftz &= type == Type::F32;
  switch (bitsOf(type)) {
  case 16:
    operation.handler = clears ? Signs<uint16_t>::clear : Signs<uint16_t>::flip;
    break;
  case 32:
    operation.handler = clears ? Signs<uint32_t>::clear : Signs<uint32_t>::flip;
    break;
  default:
    operation.handler = clears ? Signs<uint64_t>::clear : Signs<uint64_t>::flip;
  }
}

/// The magnitude of b with the sign of a.
struct CopySign {
  template <typename T> static T apply(T a, T b) {
    constexpr T sign = T(1) << (8 * sizeof(T) - 1);
    return T((a & sign) | (b & ~sign));
  }
};

void buildCopySign(Decoder &decoder) {
  Type type = decoder.takeType();
  setSlots(decoder, type, 2);
  if (type == Type::F32)
    decoder.operation.handler = runBinary<CopySign, uint32_t>;
  else if (type == Type::F64)
    decoder.operation.handler = runBinary<CopySign, uint64_t>;
  else
    decoder.fail("expected .f32 or .f64");
}

enum class Property : uint8_t {
  Finite,
  Infinite,
  Number,
  NotANumber,
  Normal,
  Subnormal
};

bool hasProperty(Property property, double value, double smallestNormal) {
  double magnitude = std::fabs(value);
  switch (property) {
  case Property::Finite:
    return std::isfinite(value);
  case Property::Infinite:
    return std::isinf(value);
  case Property::Number:
    return !std::isnan(value);
  case Property::NotANumber:
    return std::isnan(value);
  case Property::Normal:
    return std::isfinite(value) && magnitude >= smallestNormal;
  case Property::Subnormal:
    return magnitude > 0 && magnitude < smallestNormal;
  }
  return false;
}

Mask runTestProperty(Warp &warp, const Operation &operation, Mask mask) {
  Mask results = 0;
  bool isDouble = operation.type == Type::F64;
  forEachLane(mask, [&](unsigned lane) {
    uint64_t bits = readLane(warp, operation.slots[1], lane);
    double value = isDouble ? std::bit_cast<double>(bits)
                            : std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (hasProperty(static_cast<Property>(operation.mode), value,
                    isDouble ? std::numeric_limits<double>::min()
                             : std::numeric_limits<float>::min()))
      results |= Mask(1) << lane;
  });
  writeMask(warp, operation.slots[0], results, mask);
  return mask;
}

void buildTestProperty(Decoder &decoder) {
  Operation &operation = decoder.operation;
  operation.mode = static_cast<uint8_t>(
      decoder.require<Property>({{"finite", Property::Finite},
                                 {"infinite", Property::Infinite},
                                 {"number", Property::Number},
                                 {"notanumber", Property::NotANumber},
                                 {"normal", Property::Normal},
                                 {"subnormal", Property::Subnormal}}));
  operation.type = decoder.takeType();
  decoder.expectOperands(2, 2);
  operation.slots[0] = decoder.destination(0, Type::Pred);
  operation.slots[1] = decoder.source(1, operation.type);
  operation.handler = runTestProperty;
}

constexpr BuilderRow rows[] = {
    {"add", buildEither<Add, buildIntegerAdd>},
    {"sub", buildEither<Subtract, buildIntegerSub>},
    {"mul", buildEither<Multiply, buildIntegerMul>},
    {"fma", buildFma},
    {"mad", buildMad},
    {"div", buildDiv},
    {"min", buildExtreme<false, buildIntegerMin>},
    {"max", buildExtreme<true, buildIntegerMax>},
    {"abs", buildSigns<true, buildIntegerAbs>},
    {"neg", buildSigns<false, buildIntegerNeg>},
    {"copysign", buildCopySign},
    {"testp", buildTestProperty},
    {"rcp", buildFunction<reciprocal>},
    {"sqrt", buildFunction<squareRoot>},
    {"rsqrt", buildFunction<reciprocalRoot>},
    {"ex2", buildFunction<power2>},
    {"lg2", buildFunction<log2Of>},
    {"sin", buildFunction<sine>},
    {"cos", buildFunction<cosine>},
    {"tanh", buildFunction<approximateTanh>},
};

} // namespace

std::span<const BuilderRow> floatBuilders() { return rows; }

} // namespace moec::ptx
