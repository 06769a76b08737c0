// Bitwise instructions: and, or, xor, not, shifts, lop3, prmt, bit fields.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Elementwise.h"

#include <bit>

namespace moec::ptx {

namespace {

struct And {
  template <typename T> static T apply(T a, T b) { return T(a & b); }
};
struct Or {
  template <typename T> static T apply(T a, T b) { return T(a | b); }
};
struct Xor {
  template <typename T> static T apply(T a, T b) { return T(a ^ b); }
};
struct Not {
  template <typename T> static T apply(T a) { return T(~a); }
};
/// Shifts by the width or more give zero, or the sign.
struct ShiftLeft {
  template <typename T> static T apply(T a, uint32_t by) {
    return by >= 8 * sizeof(T) ? T(0) : T(std::make_unsigned_t<T>(a) << by);
  }
};
struct ShiftRight {
  template <typename T> static T apply(T a, uint32_t by) {
    constexpr uint32_t width = 8 * sizeof(T);
    if (std::is_signed_v<T>)
      return T(a >> std::min(by, width - 1));
    return by >= width ? T(0) : T(a >> by);
  }
};
struct PopulationCount {
  template <typename T> static uint32_t apply(T a) {
    return static_cast<uint32_t>(std::popcount(a));
  }
};
struct CountLeadingZeros {
  template <typename T> static uint32_t apply(T a) {
    return static_cast<uint32_t>(std::countl_zero(a));
  }
};
struct ReverseBits {
  template <typename T> static T apply(T a) {
    T result = 0;
    for (unsigned i = 0; i < 8 * sizeof(T); ++i)
      result = T(result | T((a >> i & 1) << (8 * sizeof(T) - 1 - i)));
    return result;
  }
};
/// The place of the most significant bit that is not a sign bit; ~0 if none.
struct FindBit {
  template <typename T> static uint32_t apply(T a) {
    using Bits = std::make_unsigned_t<T>;
    Bits bits = a < 0 ? Bits(~a) : Bits(a);
    return bits ? uint32_t(std::bit_width(bits)) - 1 : ~0u;
  }
};
/// As FindBit, counted from the top.
struct FindShift {
  template <typename T> static uint32_t apply(T a) {
    uint32_t bit = FindBit::apply(a);
    return bit == ~0u ? bit : uint32_t(8 * sizeof(T) - 1) - bit;
  }
};
/// `length` bits from `position`; bits beyond the value are zero or the sign.
struct ExtractField {
  template <typename T>
  static T apply(T a, uint32_t position, uint32_t length) {
    constexpr uint32_t width = 8 * sizeof(T);
    position &= 0xFF;
    length &= 0xFF;
    if (length == 0)
      return 0;
    using Bits = std::make_unsigned_t<T>;
    T shifted = ShiftRight::apply(a, position);
    if (length >= width)
      return shifted;
    Bits field = Bits(shifted) & Bits((Bits(1) << length) - 1);
    uint32_t signPlace = std::min(position + length - 1, width - 1);
    bool negative = std::is_signed_v<T> && (Bits(a) >> signPlace & 1);
    return T(negative ? Bits(field | Bits(~Bits(0) << length)) : field);
  }
};
/// lop3: the table has a bit for each combination of a, b and c.
Mask runLop3(Warp &warp, const Operation &operation, Mask mask) {
  Lanes<uint32_t> a = read<uint32_t>(warp, operation.slots[1]);
  Lanes<uint32_t> b = read<uint32_t>(warp, operation.slots[2]);
  Lanes<uint32_t> c = read<uint32_t>(warp, operation.slots[3]);
  Lanes<uint32_t> results = {};
  for (unsigned row = 0; row < 8; ++row) {
    if (!(operation.number >> row & 1))
      continue;
    uint32_t flipA = row & 4 ? 0 : ~0u, flipB = row & 2 ? 0 : ~0u;
    uint32_t flipC = row & 1 ? 0 : ~0u;
    for (unsigned lane = 0; lane < warpSize; ++lane)
      results[lane] |=
          (a[lane] ^ flipA) & (b[lane] ^ flipB) & (c[lane] ^ flipC);
  }
  write(warp, operation.slots[0], results, mask);
  return mask;
}

/// bfi: slots are result, a, b, position, length.
template <typename T>
Mask runInsertField(Warp &warp, const Operation &operation, Mask mask) {
  Lanes<T> a = read<T>(warp, operation.slots[1]);
  Lanes<T> b = read<T>(warp, operation.slots[2]);
  Lanes<uint32_t> positions = read<uint32_t>(warp, operation.slots[3]);
  Lanes<uint32_t> lengths = read<uint32_t>(warp, operation.slots[4]);
  constexpr uint32_t width = 8 * sizeof(T);
  Lanes<T> results;
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    uint32_t position = positions[lane] & 0xFF, length = lengths[lane] & 0xFF;
    T ones = length >= width ? ~T(0) : T((T(1) << length) - 1);
    T field = ShiftLeft::apply(ones, position);
    results[lane] =
        (b[lane] & ~field) | (ShiftLeft::apply(a[lane], position) & field);
  }
  write(warp, operation.slots[0], results, mask);
  return mask;
}

struct FunnelLeft {
  /// The upper half of (high:low) << by.
  static uint32_t apply(uint32_t low, uint32_t high, uint32_t by) {
    return uint32_t((uint64_t(high) << 32 | low) << by >> 32);
  }
};
struct FunnelRight {
  /// The lower half of (high:low) >> by.
  static uint32_t apply(uint32_t low, uint32_t high, uint32_t by) {
    return uint32_t((uint64_t(high) << 32 | low) >> by);
  }
};
template <typename Funnel> struct Wrapped {
  static uint32_t apply(uint32_t low, uint32_t high, uint32_t by) {
    return Funnel::apply(low, high, by & 31);
  }
};
template <typename Funnel> struct Clamped {
  static uint32_t apply(uint32_t low, uint32_t high, uint32_t by) {
    return Funnel::apply(low, high, std::min(by, 32u));
  }
};

enum class PermuteMode : uint8_t {
  Select,
  Forward4,
  Backward4,
  Replicate8,
  EdgeLeft,
  EdgeRight,
  Replicate16
};

/// The byte of (b:a), 0 to 7, that becomes byte `place`; 8 more for its sign.
unsigned permutedByte(PermuteMode mode, uint32_t selector, unsigned place) {
  unsigned chosen = selector & 3;
  switch (mode) {
  case PermuteMode::Select:
    return selector >> (4 * place) & 15;
  case PermuteMode::Forward4:
    return chosen + place;
  case PermuteMode::Backward4:
    return (chosen - place) & 7;
  case PermuteMode::Replicate8:
    return chosen;
  case PermuteMode::EdgeLeft:
    return std::max(place, chosen);
  case PermuteMode::EdgeRight:
    return std::min(place, chosen);
  case PermuteMode::Replicate16:
    return (selector & 1) * 2 + (place & 1);
  }
  return 0;
}

Mask runPermute(Warp &warp, const Operation &operation, Mask mask) {
  Lanes<uint32_t> a = read<uint32_t>(warp, operation.slots[1]);
  Lanes<uint32_t> b = read<uint32_t>(warp, operation.slots[2]);
  Lanes<uint32_t> selectors = read<uint32_t>(warp, operation.slots[3]);
  Lanes<uint32_t> results;
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    uint64_t bytes = uint64_t(b[lane]) << 32 | a[lane];
    uint32_t result = 0;
    for (unsigned place = 0; place < 4; ++place) {
      unsigned chosen = permutedByte(static_cast<PermuteMode>(operation.mode),
                                     selectors[lane], place);
      uint32_t byte = bytes >> (8 * (chosen & 7)) & 0xFF;
      if (chosen & 8)
        byte = byte & 0x80 ? 0xFF : 0;
      result |= byte << (8 * place);
    }
    results[lane] = result;
  }
  write(warp, operation.slots[0], results, mask);
  return mask;
}

/// The place of the nth bit of a mask, up or down from a base; ~0 if none.
struct FindNth {
  static uint32_t apply(uint32_t bits, uint32_t base, int32_t offset) {
    int step = offset < 0 ? -1 : 1;
    int32_t wanted = offset < 0 ? -offset : offset == 0 ? 1 : offset;
    if (offset == 0)
      return base < 32 && (bits >> base & 1) ? base : ~0u;
    for (int64_t at = base; at >= 0 && at < 32; at += step)
      if ((bits >> at & 1) && --wanted == 0)
        return static_cast<uint32_t>(at);
    return ~0u;
  }
};

template <typename Function>
Mask runPredicates(Warp &warp, const Operation &operation, Mask mask) {
  Mask a = readMask(warp, operation.slots[1]);
  Mask b = readMask(warp, operation.slots[2]);
  writeMask(warp, operation.slots[0], Function::apply(a, b), mask);
  return mask;
}

Mask runNotPredicate(Warp &warp, const Operation &operation, Mask mask) {
  writeMask(warp, operation.slots[0], ~readMask(warp, operation.slots[1]),
            mask);
  return mask;
}

/// Takes the type, and of the handlers the one for it.
void buildOfBits(Decoder &decoder, unsigned sources, Handler ofPredicates,
                 Handler of16, Handler of32, Handler of64) {
  Type type = decoder.takeType();
  setSlots(decoder, type, sources);
  Operation &operation = decoder.operation;
  if (type == Type::Pred)
    operation.handler = ofPredicates;
  else if (type == Type::B16)
    operation.handler = of16;
  else if (type == Type::B32)
    operation.handler = of32;
  else if (type == Type::B64)
    operation.handler = of64;
  else
    decoder.fail("expected .pred, .b16, .b32 or .b64");
}

template <typename Function> void buildBitwise(Decoder &decoder) {
  buildOfBits(decoder, 2, runPredicates<Function>,
              runBinary<Function, uint16_t>, runBinary<Function, uint32_t>,
              runBinary<Function, uint64_t>);
}

void buildNot(Decoder &decoder) {
  buildOfBits(decoder, 1, runNotPredicate, runUnary<Not, uint16_t>,
              runUnary<Not, uint32_t>, runUnary<Not, uint64_t>);
}

template <typename Function> Handler shiftOf(Type type) {
  switch (type) {
  case Type::B16:
  case Type::U16:
    return runBinary<Function, uint16_t, uint16_t, uint32_t>;
  case Type::S16:
    return runBinary<Function, int16_t, int16_t, uint32_t>;
  case Type::B32:
  case Type::U32:
    return runBinary<Function, uint32_t, uint32_t, uint32_t>;
  case Type::S32:
    return runBinary<Function, int32_t, int32_t, uint32_t>;
  case Type::B64:
  case Type::U64:
    return runBinary<Function, uint64_t, uint64_t, uint32_t>;
  case Type::S64:
    return runBinary<Function, int64_t, int64_t, uint32_t>;
  default:
    return nullptr;
  }
}

template <typename Function> void buildShift(Decoder &decoder) {
  Type type = decoder.takeType();
  decoder.expectOperands(3, 3);
  Operation &operation = decoder.operation;
  operation.slots[0] = decoder.destination(0, type);
  operation.slots[1] = decoder.source(1, type);
  operation.slots[2] = decoder.source(2, Type::U32);
  operation.handler = shiftOf<Function>(type);
  if (!operation.handler)
    decoder.fail("expected an integer type");
}

void buildFunnelShift(Decoder &decoder) {
  bool left = decoder.require<bool>({{"l", true}, {"r", false}});
  bool wrap = decoder.require<bool>({{"wrap", true}, {"clamp", false}});
  if (decoder.takeType() != Type::B32)
    decoder.fail("expected .b32");
  setSlots(decoder, Type::B32, 3);
  decoder.operation.handler =
      left ? (wrap ? runTernary<Wrapped<FunnelLeft>, uint32_t>
                   : runTernary<Clamped<FunnelLeft>, uint32_t>)
           : (wrap ? runTernary<Wrapped<FunnelRight>, uint32_t>
                   : runTernary<Clamped<FunnelRight>, uint32_t>);
}

void buildLop3(Decoder &decoder) {
  if (decoder.takeType() != Type::B32)
    decoder.fail("expected .b32");
  decoder.expectOperands(5, 5);
  Operation &operation = decoder.operation;
  operation.slots[0] = decoder.destination(0, Type::B32);
  for (size_t i = 1; i <= 3; ++i)
    operation.slots[i] = decoder.source(i, Type::B32);
  operation.number = decoder.constant(4);
  operation.handler = runLop3;
}

void buildPermute(Decoder &decoder) {
  if (decoder.takeType() != Type::B32)
    decoder.fail("expected .b32");
  decoder.operation.mode = static_cast<uint8_t>(
      decoder
          .takeOneOf<PermuteMode>({{"f4e", PermuteMode::Forward4},
                                   {"b4e", PermuteMode::Backward4},
                                   {"rc8", PermuteMode::Replicate8},
                                   {"ecl", PermuteMode::EdgeLeft},
                                   {"ecr", PermuteMode::EdgeRight},
                                   {"rc16", PermuteMode::Replicate16}})
          .value_or(PermuteMode::Select));
  setSlots(decoder, Type::B32, 3);
  decoder.operation.handler = runPermute;
}

void buildExtractField(Decoder &decoder) {
  Type type = decoder.takeType();
  decoder.expectOperands(4, 4);
  Operation &operation = decoder.operation;
  operation.slots[0] = decoder.destination(0, type);
  operation.slots[1] = decoder.source(1, type);
  operation.slots[2] = decoder.source(2, Type::U32);
  operation.slots[3] = decoder.source(3, Type::U32);
  switch (type) {
  case Type::U32:
    operation.handler =
        runTernary<ExtractField, uint32_t, uint32_t, uint32_t, uint32_t>;
    break;
  case Type::S32:
    operation.handler =
        runTernary<ExtractField, int32_t, int32_t, uint32_t, uint32_t>;
    break;
  case Type::U64:
    operation.handler =
        runTernary<ExtractField, uint64_t, uint64_t, uint32_t, uint32_t>;
    break;
  case Type::S64:
    operation.handler =
        runTernary<ExtractField, int64_t, int64_t, uint32_t, uint32_t>;
    break;
  default:
    decoder.fail("expected an integer of 32 or 64 bits");
  }
}

void buildInsertField(Decoder &decoder) {
  Type type = decoder.takeType();
  decoder.expectOperands(5, 5);
  Operation &operation = decoder.operation;
  operation.slots[0] = decoder.destination(0, type);
  operation.slots[1] = decoder.source(1, type);
  operation.slots[2] = decoder.source(2, type);
  operation.slots[3] = decoder.source(3, Type::U32);
  operation.slots[4] = decoder.source(4, Type::U32);
  if (type == Type::B32)
    operation.handler = runInsertField<uint32_t>;
  else if (type == Type::B64)
    operation.handler = runInsertField<uint64_t>;
  else
    decoder.fail("expected .b32 or .b64");
}

/// Instructions whose result is a .u32 whatever the width of the source.
template <typename Function> void buildCount(Decoder &decoder) {
  Type type = decoder.takeType();
  decoder.expectOperands(2, 2);
  Operation &operation = decoder.operation;
  operation.slots[0] = decoder.destination(0, Type::U32);
  operation.slots[1] = decoder.source(1, type);
  if (type == Type::B32 || type == Type::U32)
    operation.handler = runUnary<Function, uint32_t, uint32_t>;
  else if (type == Type::B64 || type == Type::U64)
    operation.handler = runUnary<Function, uint64_t, uint32_t>;
  else
    decoder.fail("expected 32 or 64 bits");
}

template <typename Function> void buildSignedCount(Decoder &decoder) {
  Type type = decoder.takeType();
  if (!isSigned(type))
    return decoder.fail("expected a signed type");
  decoder.expectOperands(2, 2);
  Operation &operation = decoder.operation;
  operation.slots[0] = decoder.destination(0, Type::U32);
  operation.slots[1] = decoder.source(1, type);
  operation.handler = type == Type::S32 ? runUnary<Function, int32_t, uint32_t>
                                        : runUnary<Function, int64_t, uint32_t>;
}

void buildFindBit(Decoder &decoder) {
  bool shift = decoder.take("shiftamt");
  bool isSigned = decoder.nextModifier().starts_with('s');
  if (isSigned)
    shift ? buildSignedCount<FindShift>(decoder)
          : buildSignedCount<FindBit>(decoder);
  else
    shift ? buildCount<FindShift>(decoder) : buildCount<FindBit>(decoder);
}

void buildReverse(Decoder &decoder) {
  Type type = decoder.takeType();
  setSlots(decoder, type, 1);
  decoder.operation.handler = type == Type::B32
                                  ? runUnary<ReverseBits, uint32_t>
                                  : runUnary<ReverseBits, uint64_t>;
}

void buildFindNth(Decoder &decoder) {
  if (decoder.takeType() != Type::B32)
    decoder.fail("expected .b32");
  setSlots(decoder, Type::B32, 3);
  decoder.operation.handler =
      runTernary<FindNth, uint32_t, uint32_t, uint32_t, int32_t>;
}

constexpr BuilderRow rows[] = {
    {"and", buildBitwise<And>},
    {"or", buildBitwise<Or>},
    {"xor", buildBitwise<Xor>},
    {"not", buildNot},
    {"shl", buildShift<ShiftLeft>},
    {"shr", buildShift<ShiftRight>},
    {"shf", buildFunnelShift},
    {"lop3", buildLop3},
    {"prmt", buildPermute},
    {"bfe", buildExtractField},
    {"bfi", buildInsertField},
    {"popc", buildCount<PopulationCount>},
    {"clz", buildCount<CountLeadingZeros>},
    {"bfind", buildFindBit},
    {"brev", buildReverse},
    {"fns", buildFindNth},
};

} // namespace

std::span<const BuilderRow> logicBuilders() { return rows; }

} // namespace moec::ptx
