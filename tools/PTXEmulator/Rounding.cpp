// Float formats and roundings of PTX, exact.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Rounding.h"

#include <algorithm>
#include <limits>

namespace moec::ptx {

double FloatFormat::largest() const {
  // Without infinity only the code with all ones is no number.
  double ones = hasInfinity ? 2.0 - std::ldexp(1.0, -fractionBits)
                            : 2.0 - std::ldexp(1.0, 1 - fractionBits);
  return std::ldexp(ones, hasInfinity ? bias() : bias() + 1);
}

uint32_t FloatFormat::canonicalNaN() const {
  return (uint32_t(1) << (bits() - 1)) - 1;
}

double roundInteger(double value, Rounding rounding) {
  switch (rounding) {
  case Rounding::NearestEven:
    return std::nearbyint(value);
  case Rounding::Zero:
    return std::trunc(value);
  case Rounding::Down:
    return std::floor(value);
  case Rounding::Up:
    return std::ceil(value);
  case Rounding::NearestAway:
    return std::round(value);
  }
  return value;
}

double roundTo(const FloatFormat &format, double value, Rounding rounding) {
  if (value == 0 || !std::isfinite(value))
    return value;
  int exponent = std::max(std::ilogb(value), format.minExponent());
  int unit = exponent - format.fractionBits;
  // Scaling by powers of two is exact: doubles have range enough.
  double rounded =
      std::ldexp(roundInteger(std::ldexp(value, -unit), rounding), unit);
  double largest = format.largest();
  if (std::fabs(rounded) <= largest)
    return std::copysign(rounded, value);
  bool staysFinite = rounding == Rounding::Zero ||
                     (rounding == Rounding::Down && value > 0) ||
                     (rounding == Rounding::Up && value < 0);
  double bound =
      staysFinite ? largest : std::numeric_limits<double>::infinity();
  return std::copysign(bound, value);
}

uint32_t encode(const FloatFormat &format, double value) {
  if (std::isnan(value))
    return format.canonicalNaN();
  uint32_t sign = std::signbit(value) ? uint32_t(1) << (format.bits() - 1) : 0;
  double magnitude = std::fabs(value);
  if (std::isinf(value)) {
    uint32_t exponent = (uint32_t(1) << format.exponentBits) - 1;
    return format.hasInfinity ? sign | exponent << format.fractionBits
                              : sign | format.canonicalNaN();
  }
  if (magnitude == 0)
    return sign;
  int exponent = std::max(std::ilogb(magnitude), format.minExponent());
  uint32_t significand = static_cast<uint32_t>(
      std::ldexp(magnitude, format.fractionBits - exponent));
  // Of a subnormal the leading one is missing, and so is the exponent's step.
  uint32_t biased = static_cast<uint32_t>(exponent + format.bias() - 1);
  return sign | ((biased << format.fractionBits) + significand);
}

double decode(const FloatFormat &format, uint32_t code) {
  uint32_t fraction = code & ((uint32_t(1) << format.fractionBits) - 1);
  uint32_t exponentMask = (uint32_t(1) << format.exponentBits) - 1;
  uint32_t exponent = code >> format.fractionBits & exponentMask;
  bool negative = code >> (format.bits() - 1) & 1;
  double magnitude;
  bool isFull = fraction == (uint32_t(1) << format.fractionBits) - 1;
  if (exponent == exponentMask && (format.hasInfinity || isFull))
    magnitude = format.hasInfinity && fraction == 0
                    ? std::numeric_limits<double>::infinity()
                    : std::numeric_limits<double>::quiet_NaN();
  else if (exponent == 0)
    magnitude =
        std::ldexp(fraction, format.minExponent() - format.fractionBits);
  else
    magnitude = std::ldexp(fraction + (uint32_t(1) << format.fractionBits),
                           int(exponent) - format.bias() - format.fractionBits);
  return negative ? -magnitude : magnitude;
}

uint32_t convert(const FloatFormat &format, double value, Rounding rounding,
                 bool saturate) {
  double rounded = roundTo(format, value, rounding);
  if (saturate && std::isinf(rounded))
    rounded = std::copysign(format.largest(), rounded);
  return encode(format, rounded);
}

double addToOdd(double a, double b) {
  double sum = a + b;
  if (!std::isfinite(sum))
    return sum;
  double bRounded = sum - a;
  double error = (a - (sum - bRounded)) + (b - bRounded);
  if (error == 0 || (std::bit_cast<uint64_t>(sum) & 1))
    return sum;
  // The neighbour on the side of the error is odd.
  return std::nextafter(sum, error > 0
                                 ? std::numeric_limits<double>::infinity()
                                 : -std::numeric_limits<double>::infinity());
}

} // namespace moec::ptx
