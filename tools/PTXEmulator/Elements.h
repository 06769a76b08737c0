// Float elements of registers: f32, f64, f16 and bf16, alone or in pairs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_ELEMENTS_H
#define MOEC_TOOLS_PTXEMULATOR_ELEMENTS_H

#include "tools/PTXEmulator/Rounding.h"
#include "weights/FloatFormats.h"

#include <bit>
#include <cstdint>

namespace moec::ptx {

// An element says how its bits are read, and how a result, of whose exact value
// a double rounded to odd is given, becomes bits.

struct ElementF32 {
  using Bits = uint32_t;
  static double load(uint32_t bits) { return std::bit_cast<float>(bits); }
  static uint32_t store(double value) {
    return std::bit_cast<uint32_t>(canonical(static_cast<float>(value)));
  }
};

struct ElementF16 {
  using Bits = uint16_t;
  static double load(uint16_t bits) { return weights::f16ToFloat(bits); }
  static uint16_t store(double value) {
    return uint16_t(convert(formatF16, value, Rounding::NearestEven));
  }
};

struct ElementBF16 {
  using Bits = uint16_t;
  static double load(uint16_t bits) { return weights::bf16ToFloat(bits); }
  static uint16_t store(double value) {
    return uint16_t(convert(formatBF16, value, Rounding::NearestEven));
  }
};

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_ELEMENTS_H
