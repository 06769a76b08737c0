// Bit-exact conversions between f32 and the narrow float formats.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/FloatFormats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace moec::weights {

namespace {

/// A format by its mantissa width and the exponent of its smallest normal.
struct NarrowFormat {
  int mantissaBits;
  int smallestExponent;
};

constexpr NarrowFormat f16{10, -14};
constexpr NarrowFormat f8e4m3{3, -6};
constexpr NarrowFormat e2m1{1, 0};

/// 2^exponent for exponents of normal doubles.
double powerOfTwo(int exponent) {
  return std::bit_cast<double>(uint64_t(exponent + 1023) << 52);
}

/// The code of |value| without sign, as if the format had no largest exponent.
/// A rounding that carries moves to the next exponent by itself, because codes
/// of growing values are consecutive.
uint32_t roundMagnitude(float value, NarrowFormat format) {
  uint32_t bits = std::bit_cast<uint32_t>(value) & 0x7FFFFFFF;
  // f32 subnormals lie below half the smallest step of each format here.
  int exponent = std::max(int(bits >> 23) - 127, format.smallestExponent);
  double steps = double(std::bit_cast<float>(bits)) *
                 powerOfTwo(format.mantissaBits - exponent);
  return (uint32_t(exponent - format.smallestExponent) << format.mantissaBits) +
         uint32_t(std::nearbyint(steps));
}

float magnitudeToFloat(uint32_t code, NarrowFormat format) {
  uint32_t mantissa = code & ((1u << format.mantissaBits) - 1);
  int exponentField = int(code >> format.mantissaBits);
  if (exponentField != 0) {
    mantissa |= 1u << format.mantissaBits;
    --exponentField;
  }
  return float(double(mantissa) *
               powerOfTwo(format.smallestExponent + exponentField -
                          format.mantissaBits));
}

bool isNegative(float value) { return std::signbit(value); }

} // namespace

uint16_t floatToBF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value))
    return uint16_t((bits >> 16) | 0x40); // quiet, and never an infinity
  return uint16_t((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

uint16_t floatToF16(float value) {
  uint16_t sign = isNegative(value) ? 0x8000 : 0;
  if (std::isnan(value))
    return sign | 0x7E00;
  if (std::isinf(value))
    return sign | 0x7C00;
  return uint16_t(sign | std::min(roundMagnitude(value, f16), 0x7C00u));
}

float f16ToFloat(uint16_t bits) {
  uint32_t magnitude = bits & 0x7FFF;
  float value = 0;
  if (magnitude > 0x7C00)
    value = std::numeric_limits<float>::quiet_NaN();
  else if (magnitude == 0x7C00)
    value = std::numeric_limits<float>::infinity();
  else
    value = magnitudeToFloat(magnitude, f16);
  return std::copysign(value, bits & 0x8000 ? -1.0f : 1.0f);
}

uint8_t floatToF8E4M3(float value) {
  uint8_t sign = isNegative(value) ? 0x80 : 0;
  if (std::isnan(value))
    return sign | 0x7F;
  if (std::isinf(value))
    return sign | 0x7E;
  return uint8_t(sign | std::min(roundMagnitude(value, f8e4m3), 0x7Eu));
}

float f8E4M3ToFloat(uint8_t bits) {
  uint32_t magnitude = bits & 0x7F;
  float value = magnitude == 0x7F ? std::numeric_limits<float>::quiet_NaN()
                                  : magnitudeToFloat(magnitude, f8e4m3);
  return std::copysign(value, bits & 0x80 ? -1.0f : 1.0f);
}

uint8_t floatToE2M1(float value) {
  uint8_t sign = isNegative(value) ? 0x8 : 0;
  if (std::isnan(value) || std::isinf(value))
    return sign | 0x7;
  return uint8_t(sign | std::min(roundMagnitude(value, e2m1), 0x7u));
}

float e2M1ToFloat(uint8_t bits) {
  float value = magnitudeToFloat(bits & 0x7, e2m1);
  return bits & 0x8 ? -value : value;
}

float e8M0ToFloat(uint8_t bits) {
  if (bits == 0xFF)
    return std::numeric_limits<float>::quiet_NaN();
  return float(powerOfTwo(int(bits) - 127));
}

} // namespace moec::weights
