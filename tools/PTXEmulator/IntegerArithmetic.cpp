// add, sub, mul, mad, div, rem, abs, neg, min, max and sad of integers. Those
// that floats have too are handed on by type.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/IntegerArithmetic.h"

#include "tools/PTXEmulator/Elementwise.h"

#include <limits>

namespace moec::ptx {

namespace {

/// Arithmetic that wraps, without the promotion to int.
template <typename T>
using Wrapping = std::conditional_t<sizeof(T) <= 4, uint32_t, uint64_t>;

struct Add {
  template <typename T> static T apply(T a, T b) {
    return T(Wrapping<T>(a) + Wrapping<T>(b));
  }
};
struct Subtract {
  template <typename T> static T apply(T a, T b) {
    return T(Wrapping<T>(a) - Wrapping<T>(b));
  }
};
struct Multiply {
  template <typename T> static T apply(T a, T b) {
    return T(Wrapping<T>(a) * Wrapping<T>(b));
  }
};
struct Minimum {
  template <typename T> static T apply(T a, T b) { return a < b ? a : b; }
};
struct Maximum {
  template <typename T> static T apply(T a, T b) { return a < b ? b : a; }
};
/// What hardware gives for divisions by zero: all ones, and the dividend.
struct Divide {
  template <typename T> static T apply(T a, T b) {
    if (b == 0)
      return T(~T(0));
    if (std::is_signed_v<T> && b == T(-1))
      return T(-Wrapping<T>(a));
    return T(a / b);
  }
};
struct Remainder {
  template <typename T> static T apply(T a, T b) {
    if (b == 0)
      return a;
    if (std::is_signed_v<T> && b == T(-1))
      return 0;
    return T(a % b);
  }
};
struct Absolute {
  template <typename T> static T apply(T a) {
    return a < 0 ? T(-Wrapping<T>(a)) : a;
  }
};
struct Negate {
  template <typename T> static T apply(T a) { return T(-Wrapping<T>(a)); }
};

template <typename T> struct Twice;
template <> struct Twice<uint16_t> {
  using Type = uint32_t;
};
template <> struct Twice<int16_t> {
  using Type = int32_t;
};
template <> struct Twice<uint32_t> {
  using Type = uint64_t;
};
template <> struct Twice<int32_t> {
  using Type = int64_t;
};
template <> struct Twice<uint64_t> {
  using Type = unsigned __int128;
};
template <> struct Twice<int64_t> {
  using Type = __int128;
};

struct MultiplyHigh {
  template <typename T> static T apply(T a, T b) {
    using Wide = typename Twice<T>::Type;
    return T((Wide(a) * Wide(b)) >> (8 * sizeof(T)));
  }
};
struct MultiplyWide {
  template <typename T> static auto apply(T a, T b) {
    using Wide = typename Twice<T>::Type;
    return Wide(Wide(a) * Wide(b));
  }
};

/// A product and what is added to it.
template <typename Product> struct ThenAdd {
  template <typename T, typename C> static C apply(T a, T b, C c) {
    return Add::apply(C(Product::apply(a, b)), c);
  }
};
/// c + |a - b|
struct AbsoluteDifference {
  template <typename T, typename C> static C apply(T a, T b, C c) {
    return C(c + (a < b ? Subtract::apply(b, a) : Subtract::apply(a, b)));
  }
};
struct MultiplyLow24 {
  template <typename T> static T apply(T a, T b) {
    constexpr unsigned unused = 8;
    T x = T(Wrapping<T>(a) << unused) >> unused;
    T y = T(Wrapping<T>(b) << unused) >> unused;
    return Multiply::apply(x, y);
  }
};

template <typename Function> Handler binaryOf(Type type) {
  switch (type) {
  case Type::U16:
    return runBinary<Function, uint16_t>;
  case Type::S16:
    return runBinary<Function, int16_t>;
  case Type::U32:
    return runBinary<Function, uint32_t>;
  case Type::S32:
    return runBinary<Function, int32_t>;
  case Type::U64:
    return runBinary<Function, uint64_t>;
  case Type::S64:
    return runBinary<Function, int64_t>;
  default:
    return nullptr;
  }
}

template <typename Function> Handler signedUnaryOf(Type type) {
  switch (type) {
  case Type::S16:
    return runUnary<Function, int16_t>;
  case Type::S32:
    return runUnary<Function, int32_t>;
  case Type::S64:
    return runUnary<Function, int64_t>;
  default:
    return nullptr;
  }
}

template <typename Function> Handler ternaryOf(Type type) {
  switch (type) {
  case Type::U16:
    return runTernary<Function, uint16_t>;
  case Type::S16:
    return runTernary<Function, int16_t>;
  case Type::U32:
    return runTernary<Function, uint32_t>;
  case Type::S32:
    return runTernary<Function, int32_t>;
  case Type::U64:
    return runTernary<Function, uint64_t>;
  case Type::S64:
    return runTernary<Function, int64_t>;
  default:
    return nullptr;
  }
}

Handler wideProductOf(Type type, bool thenAdd) {
  switch (type) {
  case Type::U16:
    return thenAdd ? runTernary<ThenAdd<MultiplyWide>, uint16_t, uint32_t>
                   : runBinary<MultiplyWide, uint16_t, uint32_t>;
  case Type::S16:
    return thenAdd ? runTernary<ThenAdd<MultiplyWide>, int16_t, int32_t>
                   : runBinary<MultiplyWide, int16_t, int32_t>;
  case Type::U32:
    return thenAdd ? runTernary<ThenAdd<MultiplyWide>, uint32_t, uint64_t>
                   : runBinary<MultiplyWide, uint32_t, uint64_t>;
  case Type::S32:
    return thenAdd ? runTernary<ThenAdd<MultiplyWide>, int32_t, int64_t>
                   : runBinary<MultiplyWide, int32_t, int64_t>;
  default:
    return nullptr;
  }
}

void setHandler(Decoder &decoder, Handler handler) {
  decoder.operation.handler = handler;
  if (!handler)
    decoder.fail("expected an integer type that this instruction has");
}

Type doubled(Type type) {
  switch (type) {
  case Type::U16:
    return Type::U32;
  case Type::S16:
    return Type::S32;
  case Type::U32:
    return Type::U64;
  default:
    return Type::S64;
  }
}

enum class Half : uint8_t { Low, High, Wide };

/// mul and mad: the halves of a product.
void buildProduct(Decoder &decoder, bool thenAdd) {
  Half half = decoder.require<Half>(
      {{"lo", Half::Low}, {"hi", Half::High}, {"wide", Half::Wide}});
  Type type = decoder.takeType();
  if (half == Half::Wide) {
    Type wide = doubled(type);
    decoder.expectOperands(thenAdd ? 4 : 3, thenAdd ? 4 : 3);
    decoder.operation.slots[0] = decoder.destination(0, wide);
    decoder.operation.slots[1] = decoder.source(1, type);
    decoder.operation.slots[2] = decoder.source(2, type);
    if (thenAdd)
      decoder.operation.slots[3] = decoder.source(3, wide);
    return setHandler(decoder, wideProductOf(type, thenAdd));
  }
  setSlots(decoder, type, thenAdd ? 3 : 2);
  if (half == Half::Low)
    setHandler(decoder, thenAdd ? ternaryOf<ThenAdd<Multiply>>(type)
                                : binaryOf<Multiply>(type));
  else
    setHandler(decoder, thenAdd ? ternaryOf<ThenAdd<MultiplyHigh>>(type)
                                : binaryOf<MultiplyHigh>(type));
}

template <typename Function> void buildBinary(Decoder &decoder) {
  Type type = decoder.takeType();
  setSlots(decoder, type, 2);
  setHandler(decoder, binaryOf<Function>(type));
}

template <typename Function> void buildSignedUnary(Decoder &decoder) {
  Type type = decoder.takeType();
  setSlots(decoder, type, 1);
  setHandler(decoder, signedUnaryOf<Function>(type));
}

void buildSad(Decoder &decoder) {
  Type type = decoder.takeType();
  setSlots(decoder, type, 3);
  setHandler(decoder, ternaryOf<AbsoluteDifference>(type));
}

void buildMul24(Decoder &decoder) {
  decoder.require<bool>({{"lo", true}});
  Type type = decoder.takeType();
  setSlots(decoder, type, 2);
  setHandler(decoder, type == Type::U32   ? runBinary<MultiplyLow24, uint32_t>
                      : type == Type::S32 ? runBinary<MultiplyLow24, int32_t>
                                          : nullptr);
}

constexpr BuilderRow rows[] = {
    {"rem", buildBinary<Remainder>},
    {"sad", buildSad},
    {"mul24", buildMul24},
};

} // namespace

void buildIntegerAdd(Decoder &decoder) { buildBinary<Add>(decoder); }
void buildIntegerSub(Decoder &decoder) { buildBinary<Subtract>(decoder); }
void buildIntegerMul(Decoder &decoder) { buildProduct(decoder, false); }
void buildIntegerMad(Decoder &decoder) { buildProduct(decoder, true); }
void buildIntegerDiv(Decoder &decoder) { buildBinary<Divide>(decoder); }
void buildIntegerMin(Decoder &decoder) { buildBinary<Minimum>(decoder); }
void buildIntegerMax(Decoder &decoder) { buildBinary<Maximum>(decoder); }
void buildIntegerAbs(Decoder &decoder) { buildSignedUnary<Absolute>(decoder); }
void buildIntegerNeg(Decoder &decoder) { buildSignedUnary<Negate>(decoder); }

std::span<const BuilderRow> integerBuilders() { return rows; }

} // namespace moec::ptx
