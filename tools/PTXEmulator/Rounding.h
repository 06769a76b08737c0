// Float formats and roundings of PTX, exact.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_ROUNDING_H
#define MOEC_TOOLS_PTXEMULATOR_ROUNDING_H

#include "tools/PTXEmulator/Types.h"

#include <bit>
#include <cmath>
#include <cstdint>

namespace moec::ptx {

enum class Rounding : uint8_t {
  NearestEven,
  Zero,
  Down,
  Up,
  /// Ties away from zero.
  NearestAway,
};

/// A binary float format with a sign bit on top.
struct FloatFormat {
  uint8_t exponentBits;
  /// Without the leading one.
  uint8_t fractionBits;
  /// False: the code of infinity is a number, or NaN if the fraction is full.
  bool hasInfinity;

  int bias() const { return (1 << (exponentBits - 1)) - 1; }
  int minExponent() const { return 1 - bias(); }
  unsigned bits() const { return 1u + exponentBits + fractionBits; }
  /// The largest finite value.
  double largest() const;
  /// What PTX makes of every NaN.
  uint32_t canonicalNaN() const;
};

inline constexpr FloatFormat formatF32 = {8, 23, true};
inline constexpr FloatFormat formatF16 = {5, 10, true};
inline constexpr FloatFormat formatBF16 = {8, 7, true};
/// In the upper bits of an f32.
inline constexpr FloatFormat formatTF32 = {8, 10, true};
inline constexpr FloatFormat formatE4M3 = {4, 3, false};
inline constexpr FloatFormat formatE5M2 = {5, 2, true};

/// A whole number.
double roundInteger(double value, Rounding rounding);

/// The value of a format that `value` is rounded to; infinity where it is too
/// large, which formats without infinity have too, for the caller to clamp.
double roundTo(const FloatFormat &format, double value, Rounding rounding);

/// The code of a value that the format has, of an infinity, or of NaN.
uint32_t encode(const FloatFormat &format, double value);
double decode(const FloatFormat &format, uint32_t code);

/// Rounds and encodes; saturating, infinities become the largest value.
uint32_t convert(const FloatFormat &format, double value, Rounding rounding,
                 bool saturate = false);

/// a + b rounded to odd: a further rounding to fewer than 51 digits gives what
/// one rounding of the exact sum would.
double addToOdd(double a, double b);

/// A float, or the NaN that PTX makes of every NaN.
inline float canonical(float value) {
  return value == value ? value : std::bit_cast<float>(0x7FFFFFFFu);
}

/// A subnormal becomes a zero of its sign.
inline float flushSubnormal(float value) {
  return std::fabs(value) < 0x1p-126f ? std::copysign(0.0f, value) : value;
}

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_ROUNDING_H
