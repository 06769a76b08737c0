// Tests of float formats and roundings.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Rounding.h"

#include "weights/FloatFormats.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace moec;
using namespace moec::ptx;

TEST(Rounding, CodesAndValuesAreInverse) {
  for (const FloatFormat &format :
       {formatF16, formatBF16, formatE4M3, formatE5M2})
    for (uint32_t code = 0; code < uint32_t(1) << format.bits(); ++code) {
      double value = decode(format, code);
      if (value == value)
        EXPECT_EQ(encode(format, value), code);
      else
        EXPECT_EQ(encode(format, value), format.canonicalNaN());
    }
}

TEST(Rounding, AgreesWithTheFormatsOfWeights) {
  for (uint32_t i = 0; i < 1u << 20; ++i) {
    float value = std::bit_cast<float>(i * 4093u);
    if (value != value)
      continue;
    ASSERT_EQ(convert(formatF16, value, Rounding::NearestEven),
              weights::floatToF16(value));
    ASSERT_EQ(convert(formatBF16, value, Rounding::NearestEven),
              weights::floatToBF16(value));
    ASSERT_EQ(convert(formatE4M3, value, Rounding::NearestEven, true),
              weights::floatToF8E4M3(value));
  }
}

TEST(Rounding, Directions) {
  double above = 1 + 0x1p-20;
  EXPECT_EQ(roundTo(formatF16, above, Rounding::Up), 1 + 0x1p-10);
  EXPECT_EQ(roundTo(formatF16, above, Rounding::Down), 1);
  EXPECT_EQ(roundTo(formatF16, -above, Rounding::Zero), -1);
  EXPECT_EQ(roundTo(formatF16, 1 + 0x1p-11, Rounding::NearestEven), 1);
  EXPECT_EQ(roundTo(formatF16, 1 + 0x1p-11, Rounding::NearestAway),
            1 + 0x1p-10);
  EXPECT_EQ(roundTo(formatF16, 1e6, Rounding::Down), 65504);
  EXPECT_TRUE(std::isinf(roundTo(formatF16, 1e6, Rounding::Up)));
}

TEST(Rounding, ToOddKeepsWhatALaterRoundingNeeds) {
  double tie = 1 + 0x1p-24;
  EXPECT_EQ(float(addToOdd(tie, 0x1p-80)), 1 + 0x1p-23f);
  EXPECT_EQ(float(addToOdd(tie, -0x1p-80)), 1);
  EXPECT_EQ(addToOdd(1, 2), 3);
}
