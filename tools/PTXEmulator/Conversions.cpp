// cvt: between integers and floats of all widths, with every rounding.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Elements.h"
#include "tools/PTXEmulator/Elementwise.h"

#include <cmath>
#include <limits>

namespace moec::ptx {

namespace {

/// Of pairs, a half.
Type elementOf(Type type) {
  switch (type) {
  case Type::F16x2:
    return Type::F16;
  case Type::BF16x2:
    return Type::BF16;
  default:
    return type;
  }
}

bool isPairType(Type type) {
  return type == Type::F16x2 || type == Type::BF16x2 || type == Type::E4M3x2 ||
         type == Type::E5M2x2;
}

/// The format of a float type other than .f64, or of the elements of a pair.
const FloatFormat &formatOf(Type type) {
  switch (elementOf(type)) {
  case Type::F16:
    return formatF16;
  case Type::BF16:
    return formatBF16;
  case Type::TF32:
    return formatTF32;
  case Type::E4M3x2:
    return formatE4M3;
  case Type::E5M2x2:
    return formatE5M2;
  default:
    return formatF32;
  }
}

double loadFloat(Type type, uint64_t bits) {
  if (type == Type::F64)
    return std::bit_cast<double>(bits);
  if (type == Type::F32 || type == Type::TF32)
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  return decode(formatOf(type), static_cast<uint32_t>(bits));
}

/// What to do to a value on its way.
struct Conversion {
  Rounding rounding;
  bool toIntegral, ftz, saturate, saturateFinite, relu;
};

// In Operation::number, one bit each.
enum Flags : int64_t { ToIntegral = 1, SaturateFinite = 2, Relu = 4 };

Conversion conversionOf(const Operation &operation) {
  return {static_cast<Rounding>(operation.mode),
          (operation.number & ToIntegral) != 0,
          operation.ftz,
          operation.saturate,
          (operation.number & SaturateFinite) != 0,
          (operation.number & Relu) != 0};
}

/// The bits of a float type that a value becomes.
uint64_t storeFloat(Type type, double value, const Conversion &how) {
  if (how.toIntegral)
    value = roundInteger(value, how.rounding);
  if (how.saturate)
    value = value > 0 ? std::min(value, 1.0) : 0;
  if (how.relu && !(value > 0) && value == value)
    value = 0;
  if (type == Type::F64)
    return std::bit_cast<uint64_t>(value);
  uint32_t code =
      convert(formatOf(type), value, how.rounding, how.saturateFinite);
  if (type == Type::TF32)
    return uint64_t(code) << 13;
  if (type == Type::F32 && how.ftz)
    return std::bit_cast<uint32_t>(flushSubnormal(std::bit_cast<float>(code)));
  return code;
}

int64_t signExtend(uint64_t bits, unsigned width) {
  unsigned unused = 64 - width;
  return static_cast<int64_t>(bits << unused) >> unused;
}

/// An integer, rounded to odd if it has more digits than a double.
double loadInteger(Type type, uint64_t bits) {
  if (!isSigned(type))
    return addToOdd(std::ldexp(static_cast<double>(bits >> 32), 32),
                    static_cast<double>(bits & 0xFFFFFFFF));
  int64_t value = signExtend(bits, bitsOf(type));
  return addToOdd(std::ldexp(static_cast<double>(value >> 32), 32),
                  static_cast<double>(value & 0xFFFFFFFF));
}

/// Clamped to the type; NaN is zero, or the sign bit where 64 bits take part.
uint64_t storeInteger(Type type, Type source, double value, Rounding rounding) {
  unsigned width = bitsOf(type);
  if (std::isnan(value))
    return width == 64 || source == Type::F64 ? uint64_t(1) << (width - 1) : 0;
  double rounded = roundInteger(value, rounding);
  double top = std::ldexp(1.0, static_cast<int>(width) - isSigned(type));
  uint64_t ones = width == 64 ? ~uint64_t(0) : (uint64_t(1) << width) - 1;
  if (rounded >= top)
    return isSigned(type) ? ones >> 1 : ones;
  if (!isSigned(type))
    return rounded <= 0 ? 0 : static_cast<uint64_t>(rounded);
  if (rounded < -top)
    return uint64_t(1) << (width - 1);
  return static_cast<uint64_t>(static_cast<int64_t>(rounded)) & ones;
}

/// Between integers: .sat clamps, otherwise bits are cut off.
uint64_t convertInteger(Type to, Type from, uint64_t bits, bool saturate) {
  __int128 value = isSigned(from) ? __int128(signExtend(bits, bitsOf(from)))
                                  : __int128(bits);
  if (saturate) {
    __int128 top = __int128(1) << (bitsOf(to) - isSigned(to));
    value = std::min(value, top - 1);
    value = std::max(value, isSigned(to) ? -top : __int128(0));
  }
  return static_cast<uint64_t>(value);
}

/// A result of Operation::type for a register of Operation::registerBits: a
/// wider one gets the sign, or zeros; 16 bits are kept zero-extended.
uint64_t extend(uint64_t result, const Operation &operation) {
  unsigned width = bitsOf(operation.type);
  if (isSigned(operation.type) && width < 64)
    result = static_cast<uint64_t>(signExtend(result, width));
  unsigned kept = isSigned(operation.type) ? operation.registerBits : width;
  return kept < 64 ? result & ((uint64_t(1) << kept) - 1) : result;
}

/// slots[0] = slots[1]
Mask runScalar(Warp &warp, const Operation &operation, Mask mask) {
  Type to = operation.type, from = operation.sourceType;
  Conversion how = conversionOf(operation);
  uint64_t sourceBits =
      bitsOf(from) == 64 ? ~uint64_t(0) : (uint64_t(1) << bitsOf(from)) - 1;
  forEachLane(mask, [&](unsigned lane) {
    uint64_t bits = readLane(warp, operation.slots[1], lane) & sourceBits;
    uint64_t result;
    if (!isFloat(from) && !isFloat(to)) {
      result = convertInteger(to, from, bits, how.saturate);
    } else {
      double value =
          isFloat(from) ? loadFloat(from, bits) : loadInteger(from, bits);
      if (how.ftz && from == Type::F32)
        value = flushSubnormal(static_cast<float>(value));
      result = isFloat(to) ? storeFloat(to, value, how)
                           : storeInteger(to, from, value, how.rounding);
    }
    writeLane(warp, operation.slots[0], lane, extend(result, operation));
  });
  return mask;
}

/// Two floats into the halves of a register: the second is the lower.
Mask runPack(Warp &warp, const Operation &operation, Mask mask) {
  Conversion how = conversionOf(operation);
  unsigned width = bitsOf(operation.type) / 2;
  Lanes<float> upper = read<float>(warp, operation.slots[1]);
  Lanes<float> lower = read<float>(warp, operation.slots[2]);
  forEachLane(mask, [&](unsigned lane) {
    uint64_t high = storeFloat(operation.type, upper[lane], how);
    uint64_t low = storeFloat(operation.type, lower[lane], how);
    writeLane(warp, operation.slots[0], lane, high << width | low);
  });
  return mask;
}

/// The commonest of all: to nearest even and without clamping.
Mask runPackBF16(Warp &warp, const Operation &operation, Mask mask) {
  Lanes<uint32_t> upper = read<uint32_t>(warp, operation.slots[1]);
  Lanes<uint32_t> lower = read<uint32_t>(warp, operation.slots[2]);
  auto round = [](uint32_t bits) {
    uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    return (bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FFFu : rounded;
  };
  Lanes<uint32_t> results;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    results[lane] = round(upper[lane]) << 16 | round(lower[lane]);
  write(warp, operation.slots[0], results, mask);
  return mask;
}

/// Both elements of a pair: f16x2 to e4m3x2, and back.
Mask runPair(Warp &warp, const Operation &operation, Mask mask) {
  Conversion how = conversionOf(operation);
  unsigned from = bitsOf(operation.sourceType) / 2;
  unsigned to = bitsOf(operation.type) / 2;
  forEachLane(mask, [&](unsigned lane) {
    uint64_t bits = readLane(warp, operation.slots[1], lane);
    uint64_t result = 0;
    for (unsigned half = 0; half < 2; ++half) {
      uint64_t element = bits >> (half * from) & ((uint64_t(1) << from) - 1);
      double value = decode(formatOf(operation.sourceType),
                            static_cast<uint32_t>(element));
      result |= storeFloat(operation.type, value, how) << (half * to);
    }
    writeLane(warp, operation.slots[0], lane, result);
  });
  return mask;
}

void takeConversion(Decoder &decoder) {
  Operation &operation = decoder.operation;
  struct Mode {
    Rounding rounding;
    bool integral;
  };
  Mode mode = decoder
                  .takeOneOf<Mode>({{"rn", {Rounding::NearestEven, false}},
                                    {"rz", {Rounding::Zero, false}},
                                    {"rm", {Rounding::Down, false}},
                                    {"rp", {Rounding::Up, false}},
                                    {"rna", {Rounding::NearestAway, false}},
                                    {"rni", {Rounding::NearestEven, true}},
                                    {"rzi", {Rounding::Zero, true}},
                                    {"rmi", {Rounding::Down, true}},
                                    {"rpi", {Rounding::Up, true}}})
                  .value_or(Mode{Rounding::NearestEven, false});
  operation.mode = static_cast<uint8_t>(mode.rounding);
  operation.ftz = decoder.take("ftz");
  operation.saturate = decoder.take("sat");
  operation.number = (mode.integral ? int64_t(ToIntegral) : 0) |
                     (decoder.take("satfinite") ? int64_t(SaturateFinite) : 0) |
                     (decoder.take("relu") ? int64_t(Relu) : 0);
}

void buildConversion(Decoder &decoder) {
  Operation &operation = decoder.operation;
  takeConversion(decoder);
  operation.type = decoder.takeType();
  operation.sourceType = decoder.takeType();
  bool pairs = isPairType(operation.type);
  if (pairs && operation.sourceType == Type::F32) {
    decoder.expectOperands(3, 3);
    operation.slots[0] = decoder.destination(0, operation.type);
    operation.slots[1] = decoder.source(1, Type::F32);
    operation.slots[2] = decoder.source(2, Type::F32);
    bool plain = operation.type == Type::BF16x2 && operation.number == 0 &&
                 operation.mode == uint8_t(Rounding::NearestEven);
    operation.handler = plain ? runPackBF16 : runPack;
    return;
  }
  decoder.expectOperands(2, 2);
  if (pairs || isPairType(operation.sourceType)) {
    if (!pairs || !isPairType(operation.sourceType))
      decoder.fail("expected two types of pairs");
    operation.slots[0] = decoder.destination(0, operation.type);
    operation.slots[1] = decoder.source(1, operation.sourceType);
    operation.handler = runPair;
    return;
  }
  const Operand &result = decoder.operand(0);
  operation.slots[0] = decoder.wideDestination(result, operation.type);
  operation.registerBits = decoder.registerBits(result, operation.type);
  operation.slots[1] =
      decoder.wideSource(decoder.operand(1), operation.sourceType);
  operation.handler = runScalar;
}

constexpr BuilderRow rows[] = {{"cvt", buildConversion}};

} // namespace

std::span<const BuilderRow> conversionBuilders() { return rows; }

} // namespace moec::ptx
