// Bit-exact conversions between f32 and the narrow float formats.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_FLOATFORMATS_H
#define MOEC_WEIGHTS_FLOATFORMATS_H

#include <bit>
#include <cstdint>

namespace moec::weights {

/// f32 to bf16, round to nearest even; overflows to infinity, NaN stays NaN.
uint16_t floatToBF16(float value);
/// In the header, so that loops over it become vector instructions.
inline float bf16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(uint32_t(bits) << 16);
}

/// f32 to f16, round to nearest even; overflows to infinity, NaN stays NaN.
uint16_t floatToF16(float value);
float f16ToFloat(uint16_t bits);

/// f32 to OCP E4M3, round to nearest even, saturating at 448 (infinity too);
/// NaN becomes 0x7F with the sign.
uint8_t floatToF8E4M3(float value);
float f8E4M3ToFloat(uint8_t bits);

/// f32 to E2M1 in the low nibble, round to nearest even, saturating at 6. The
/// format has no NaN; one becomes 6.
uint8_t floatToE2M1(float value);
float e2M1ToFloat(uint8_t bits);

/// The power of two an E8M0 code stands for; 0xFF is NaN.
float e8M0ToFloat(uint8_t bits);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_FLOATFORMATS_H
