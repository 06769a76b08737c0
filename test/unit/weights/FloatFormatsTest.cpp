// Tests of narrow floats: every code, ties, overflow and NaN.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/FloatFormats.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

using namespace moec::weights;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

TEST(FloatFormats, everyE2M1Code) {
  const float values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (uint8_t code = 0; code < 16; ++code) {
    float expected = code < 8 ? values[code] : -values[code - 8];
    EXPECT_EQ(e2M1ToFloat(code), expected);
    EXPECT_EQ(floatToE2M1(expected), code) << expected;
  }
}

TEST(FloatFormats, e2M1TiesGoToTheEvenCode) {
  EXPECT_EQ(floatToE2M1(0.25f), 0);
  EXPECT_EQ(floatToE2M1(0.75f), 2);
  EXPECT_EQ(floatToE2M1(1.25f), 2);
  EXPECT_EQ(floatToE2M1(1.75f), 4);
  EXPECT_EQ(floatToE2M1(2.5f), 4);
  EXPECT_EQ(floatToE2M1(3.5f), 6);
  EXPECT_EQ(floatToE2M1(5.0f), 6);
  EXPECT_EQ(floatToE2M1(std::nextafter(5.0f, 6.0f)), 7);
  EXPECT_EQ(floatToE2M1(1e30f), 7);
  EXPECT_EQ(floatToE2M1(-infinity), 15);
}

TEST(FloatFormats, everyF8E4M3Code) {
  for (int code = 0; code < 256; ++code) {
    int exponent = (code >> 3) & 15, mantissa = code & 7;
    float value = f8E4M3ToFloat(uint8_t(code));
    if ((code & 0x7F) == 0x7F) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(f8E4M3ToFloat(floatToF8E4M3(value))));
      continue;
    }
    double expected = exponent == 0
                          ? std::ldexp(mantissa / 8.0, -6)
                          : std::ldexp(1 + mantissa / 8.0, exponent - 7);
    EXPECT_EQ(value, code & 0x80 ? -expected : expected);
    EXPECT_EQ(floatToF8E4M3(value), code);
  }
}

TEST(FloatFormats, f8E4M3RoundsAndSaturates) {
  EXPECT_EQ(f8E4M3ToFloat(0x7E), 448);
  EXPECT_EQ(floatToF8E4M3(449), 0x7E);
  EXPECT_EQ(floatToF8E4M3(1e9f), 0x7E);
  EXPECT_EQ(floatToF8E4M3(infinity), 0x7E);
  EXPECT_EQ(floatToF8E4M3(-infinity), 0xFE);
  EXPECT_EQ(floatToF8E4M3(nan), 0x7F);
  // 17 lies between 16 and 18; 16 has the even mantissa. 19 goes up to 20.
  EXPECT_EQ(f8E4M3ToFloat(floatToF8E4M3(17)), 16);
  EXPECT_EQ(f8E4M3ToFloat(floatToF8E4M3(19)), 20);
  // Half of the smallest subnormal is a tie with zero.
  EXPECT_EQ(floatToF8E4M3(0x1p-10f), 0);
  EXPECT_EQ(floatToF8E4M3(std::nextafter(0x1p-10f, 1.0f)), 1);
  EXPECT_EQ(floatToF8E4M3(-0.0f), 0x80);
}

TEST(FloatFormats, everyF16CodeGoesThereAndBack) {
  for (uint32_t code = 0; code < 65536; ++code) {
    float value = f16ToFloat(uint16_t(code));
    if (std::isnan(value)) {
      EXPECT_EQ(code & 0x7C00, 0x7C00u);
      EXPECT_NE(code & 0x03FF, 0u);
      EXPECT_TRUE(std::isnan(f16ToFloat(floatToF16(value))));
    } else {
      ASSERT_EQ(floatToF16(value), code) << value;
    }
  }
}

TEST(FloatFormats, f16RoundsToEvenAndOverflows) {
  EXPECT_EQ(floatToF16(1.0f), 0x3C00);
  EXPECT_EQ(floatToF16(65504.0f), 0x7BFF);
  EXPECT_EQ(floatToF16(std::nextafter(65520.0f, 0.0f)), 0x7BFF);
  EXPECT_EQ(floatToF16(65520.0f), 0x7C00);
  EXPECT_EQ(floatToF16(-infinity), 0xFC00);
  EXPECT_EQ(floatToF16(1.0f + 0x1p-11f), 0x3C00);
  EXPECT_EQ(floatToF16(1.0f + 3 * 0x1p-11f), 0x3C02);
  EXPECT_EQ(floatToF16(0x1p-24f), 1);
  EXPECT_EQ(floatToF16(0x1p-25f), 0);
  EXPECT_EQ(floatToF16(std::nextafter(0x1p-25f, 1.0f)), 1);
  EXPECT_EQ(floatToF16(0x1p-149f), 0);
}

TEST(FloatFormats, everyBF16CodeGoesThereAndBack) {
  for (uint32_t code = 0; code < 65536; ++code) {
    float value = bf16ToFloat(uint16_t(code));
    EXPECT_EQ(std::bit_cast<uint32_t>(value), code << 16);
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(bf16ToFloat(floatToBF16(value))));
    else
      ASSERT_EQ(floatToBF16(value), code);
  }
}

TEST(FloatFormats, bf16RoundsToEvenAndOverflows) {
  EXPECT_EQ(floatToBF16(1.0f + 0x1p-8f), 0x3F80);
  EXPECT_EQ(floatToBF16(1.0f + 3 * 0x1p-8f), 0x3F82);
  EXPECT_EQ(floatToBF16(std::numeric_limits<float>::max()), 0x7F80);
  // A NaN whose payload lies in the low half stays a NaN.
  EXPECT_TRUE(
      std::isnan(bf16ToFloat(floatToBF16(std::bit_cast<float>(0x7F800001u)))));
  EXPECT_EQ(floatToBF16(0x1p-149f), 0);
}

TEST(FloatFormats, everyE8M0Code) {
  for (int code = 0; code < 255; ++code)
    EXPECT_EQ(e8M0ToFloat(uint8_t(code)), std::ldexp(1.0f, code - 127));
  EXPECT_TRUE(std::isnan(e8M0ToFloat(255)));
}

} // namespace
