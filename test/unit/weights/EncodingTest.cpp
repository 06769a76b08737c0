// Tests of encodings against values computed by hand (docs/spec.md 2.2).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Encoding.h"

#include "weights/FloatFormats.h"
#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

using namespace moec::weights;

namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<uint8_t>;

Encoding make(Format format, int64_t group = 0) {
  Encoding encoding;
  encoding.format = format;
  encoding.group = group;
  return encoding;
}

Encoding withZeroPoint(Format format, int64_t group = 0) {
  Encoding encoding = make(format, group);
  encoding.zeroPoint = true;
  return encoding;
}

EncodedTensor mustEncode(const Encoding &encoding, const MatrixShape &shape,
                         const Floats &values) {
  Result<EncodedTensor> encoded = encode(encoding, shape, values);
  EXPECT_TRUE(encoded) << encoded.error();
  return encoded ? *encoded : EncodedTensor{encoding, {0, 0, 0}, {}, {}, {}};
}

Floats mustRoundTrip(const Encoding &encoding, const MatrixShape &shape,
                     const Floats &values) {
  Result<Floats> result = roundTrip(encoding, shape, values);
  EXPECT_TRUE(result) << result.error();
  return result ? *result : Floats();
}

float scaleAt(const EncodedTensor &tensor, size_t index) {
  float scale = 0;
  std::memcpy(&scale, tensor.scales.data() + 4 * index, 4);
  return scale;
}

TEST(Encoding, f32KeepsEveryBit) {
  Floats values = {1.0f, -0.0f, 0x1p-149f, INFINITY};
  EncodedTensor encoded = mustEncode(make(Format::F32), {1, 2, 2}, values);
  EXPECT_EQ(encoded.codes.size(), 16u);
  Floats decoded = *decode(encoded);
  EXPECT_EQ(std::memcmp(decoded.data(), values.data(), 16), 0);
}

TEST(Encoding, bf16AndF16AreLittleEndianHalves) {
  EncodedTensor bf16 = mustEncode(make(Format::BF16), {1, 1, 2}, {1, -2});
  EXPECT_EQ(bf16.codes, (Bytes{0x80, 0x3F, 0x00, 0xC0}));
  EncodedTensor f16 = mustEncode(make(Format::F16), {1, 1, 2}, {1, -2});
  EXPECT_EQ(f16.codes, (Bytes{0x00, 0x3C, 0x00, 0xC0}));
  EXPECT_EQ(mustRoundTrip(make(Format::F16), {1, 1, 2}, {70000, 1.0001f}),
            (Floats{INFINITY, 1}));
  EXPECT_EQ(mustRoundTrip(make(Format::BF16), {1, 1, 2}, {3e38f, 1.0001f}),
            (Floats{bf16ToFloat(0x7F62), 1}));
}

TEST(Encoding, f8WithoutGroupSaturates) {
  EncodedTensor encoded =
      mustEncode(make(Format::F8E4M3), {1, 1, 4}, {1, 17, 1000, -0.5f});
  EXPECT_EQ(encoded.codes, (Bytes{0x38, 0x58, 0x7E, 0xB0}));
  EXPECT_TRUE(encoded.scales.empty());
  EXPECT_EQ(*decode(encoded), (Floats{1, 16, 448, -0.5f}));
}

TEST(Encoding, f8WithGroupsScalesTheLargestTo448) {
  // Columns are groups: s = 896/448 = 2 and 224/448 = 0.5.
  EncodedTensor encoded =
      mustEncode(make(Format::F8E4M3, 2), {1, 2, 2}, {896, 224, 35, -8.5f});
  EXPECT_EQ(scaleAt(encoded, 0), 2);
  EXPECT_EQ(scaleAt(encoded, 1), 0.5f);
  // 35/2 = 17.5 rounds to 18; -8.5/0.5 = -17 ties to -16.
  EXPECT_EQ(*decode(encoded), (Floats{896, 224, 36, -8}));
}

TEST(Encoding, int8SymmetricByHand) {
  // s = 254/127 = 2; 3/2 and 5/2 tie to 2, -1/2 to 0, 7/2 to 4.
  EncodedTensor encoded =
      mustEncode(make(Format::Int8), {1, 2, 3}, {-254, 3, 5, -1, 7, 254});
  EXPECT_EQ(encoded.codes, (Bytes{0x81, 2, 2, 0, 4, 127}));
  ASSERT_EQ(encoded.scales.size(), 4u);
  EXPECT_EQ(scaleAt(encoded, 0), 2);
  EXPECT_EQ(*decode(encoded), (Floats{-254, 4, 4, 0, 8, 254}));
}

TEST(Encoding, int8WithoutGroupScalesEachEntry) {
  EncodedTensor encoded =
      mustEncode(make(Format::Int8), {2, 1, 2}, {127, 1, 254, 2});
  EXPECT_EQ(encoded.codes, (Bytes{127, 1, 127, 1}));
  EXPECT_EQ(scaleAt(encoded, 0), 1);
  EXPECT_EQ(scaleAt(encoded, 1), 2);
}

TEST(Encoding, everyInt8Code) {
  Floats values;
  for (int code = -127; code <= 127; ++code)
    values.push_back(float(code) * 0.25f);
  EncodedTensor encoded = mustEncode(make(Format::Int8), {1, 1, 255}, values);
  for (int i = 0; i < 255; ++i)
    EXPECT_EQ(encoded.codes[size_t(i)], uint8_t(int8_t(i - 127)));
  EXPECT_EQ(*decode(encoded), values);
}

TEST(Encoding, everyInt8CodeWithZeroPoint) {
  Floats values;
  for (int code = 0; code <= 255; ++code)
    values.push_back(float(code - 100) * 0.5f);
  EncodedTensor encoded =
      mustEncode(withZeroPoint(Format::Int8), {1, 1, 256}, values);
  EXPECT_EQ(encoded.zeroPoints, Bytes{100});
  for (int i = 0; i < 256; ++i)
    EXPECT_EQ(encoded.codes[size_t(i)], i);
  EXPECT_EQ(*decode(encoded), values);
}

TEST(Encoding, everyInt4CodeAndTheLowNibbleFirst) {
  Floats values;
  for (int code = -7; code <= 7; ++code)
    values.push_back(float(code) * 2);
  // 15 codes fill 8 bytes; the last nibble is zero.
  EncodedTensor encoded =
      mustEncode(make(Format::Int4, 15), {1, 15, 1}, values);
  EXPECT_EQ(encoded.codes,
            (Bytes{0xA9, 0xCB, 0xED, 0x0F, 0x21, 0x43, 0x65, 0x07}));
  EXPECT_EQ(scaleAt(encoded, 0), 2);
  EXPECT_EQ(*decode(encoded), values);
  // Code -8 is never made, and is still read.
  encoded.codes[0] = 0x88;
  EXPECT_EQ((*decode(encoded))[0], -16);
}

TEST(Encoding, everyInt4CodeWithZeroPoint) {
  Floats values;
  for (int code = 0; code <= 15; ++code)
    values.push_back(float(code - 3) * 0.5f);
  EncodedTensor encoded =
      mustEncode(withZeroPoint(Format::Int4, 16), {1, 16, 1}, values);
  EXPECT_EQ(encoded.codes,
            (Bytes{0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE}));
  EXPECT_EQ(encoded.zeroPoints, Bytes{3});
  EXPECT_EQ(*decode(encoded), values);
}

TEST(Encoding, eachEntryStartsAByte) {
  EncodedTensor encoded =
      mustEncode(make(Format::Int4, 3), {2, 3, 1}, {7, 1, 2, 7, 3, 4});
  EXPECT_EQ(encoded.codes, (Bytes{0x17, 0x02, 0x37, 0x04}));
  EXPECT_EQ(*decode(encoded), (Floats{7, 1, 2, 7, 3, 4}));
}

TEST(Encoding, zeroPointRangesIncludeZero) {
  // All positive: lo is 0, s = 30/15 = 2, z = 0; 9/2 ties to 4.
  EncodedTensor positive =
      mustEncode(withZeroPoint(Format::Int4, 2), {1, 2, 1}, {9, 30});
  EXPECT_EQ(positive.zeroPoints, Bytes{0});
  EXPECT_EQ(positive.codes, Bytes{0xF4});
  // All negative: hi is 0, z = 15.
  EncodedTensor negative =
      mustEncode(withZeroPoint(Format::Int4, 2), {1, 2, 1}, {-30, -2});
  EXPECT_EQ(negative.zeroPoints, Bytes{15});
  EXPECT_EQ(*decode(negative), (Floats{-30, -2}));
}

TEST(Encoding, groupsLieAlongInputOrOutput) {
  // Rows 0-1 and 2-3 of each of two columns.
  Floats values = {7, 70, 14, 140, 21, 210, 28, 280};
  EncodedTensor input = mustEncode(make(Format::Int4, 2), {1, 4, 2}, values);
  EXPECT_EQ(input.scales.size(), 16u);
  EXPECT_EQ(scaleAt(input, 0), 2);
  EXPECT_EQ(scaleAt(input, 1), 20);
  EXPECT_EQ(scaleAt(input, 2), 4);
  EXPECT_EQ(scaleAt(input, 3), 40);
  // 7/2 = 3.5 ties to 4; 21/4 = 5.25 goes to 5.
  EXPECT_EQ(*decode(input), (Floats{8, 80, 14, 140, 20, 200, 28, 280}));

  Encoding along = make(Format::Int4, 2);
  along.along = GroupAxis::Output;
  EncodedTensor output = mustEncode(along, {1, 2, 4}, values);
  EXPECT_EQ(scaleAt(output, 0), 10);
  EXPECT_EQ(scaleAt(output, 1), 20);
  EXPECT_EQ(scaleAt(output, 2), 30);
  EXPECT_EQ(scaleAt(output, 3), 40);
  EXPECT_EQ(*decode(output), (Floats{10, 70, 20, 140, 30, 210, 40, 280}));
}

TEST(Encoding, scalesAreRoundedBeforeUse) {
  Encoding encoding = make(Format::Int8);
  encoding.scale = ScaleType::BF16;
  // 100/127 = 0.7874 is 0x3F4A = 0.789062 in bf16.
  EncodedTensor encoded = mustEncode(encoding, {1, 1, 2}, {100, 50});
  EXPECT_EQ(encoded.scales, (Bytes{0x4A, 0x3F}));
  EXPECT_EQ(encoded.codes, (Bytes{127, 63}));
  EXPECT_EQ(*decode(encoded), (Floats{127 * 0.7890625f, 63 * 0.7890625f}));

  encoding.scale = ScaleType::F16;
  encoded = mustEncode(encoding, {1, 1, 2}, {127 * 0.25f, 1});
  EXPECT_EQ(encoded.scales, (Bytes{0x00, 0x34}));
  EXPECT_EQ(*decode(encoded), (Floats{127 * 0.25f, 1}));
}

TEST(Encoding, aScaleThatRoundsToZeroDecodesToZeros) {
  Encoding encoding = make(Format::Int8);
  encoding.scale = ScaleType::F16;
  EncodedTensor encoded = mustEncode(encoding, {1, 1, 2}, {1e-9f, -1e-9f});
  EXPECT_EQ(encoded.codes, (Bytes{0, 0}));
  EXPECT_EQ(*decode(encoded), (Floats{0, 0}));
  encoding.zeroPoint = true;
  EXPECT_EQ(mustRoundTrip(encoding, {1, 1, 2}, {1e-9f, -1e-9f}),
            (Floats{0, 0}));
}

TEST(Encoding, aScaleRoundedDownClampsCodes) {
  // 2^-24 * 1.4 rounds to 2^-24 in f16: v/s is 177.8, the code 127.
  Encoding encoding = make(Format::Int8);
  encoding.scale = ScaleType::F16;
  float value = 127 * 1.4f * 0x1p-24f;
  EXPECT_EQ(mustRoundTrip(encoding, {1, 1, 2}, {value, -value}),
            (Floats{127 * 0x1p-24f, -127 * 0x1p-24f}));
}

TEST(Encoding, zerosDecodeToZeros) {
  for (Encoding encoding :
       {make(Format::Int8), make(Format::Int4, 32), make(Format::MXFP4, 32),
        make(Format::F8E4M3, 32), withZeroPoint(Format::Int8),
        withZeroPoint(Format::Int4, 32)})
    EXPECT_EQ(mustRoundTrip(encoding, {1, 32, 2}, Floats(64, 0.0f)),
              Floats(64, 0.0f))
        << toString(encoding);
}

TEST(Encoding, mxfp4EveryCode) {
  Floats values(32, 0.0f);
  const float magnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (size_t i = 0; i < 8; ++i) {
    values[i] = magnitudes[i] * 4;
    values[i + 8] = -magnitudes[i] * 4;
  }
  // The largest is 24: floor(log2 24) - 2 = 2, so the scale is 4.
  EncodedTensor encoded =
      mustEncode(make(Format::MXFP4, 32), {1, 32, 1}, values);
  EXPECT_EQ(encoded.scales, Bytes{129});
  Bytes expected = {0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE};
  expected.resize(16, 0);
  EXPECT_EQ(encoded.codes, expected);
  EXPECT_EQ(*decode(encoded), values);
}

TEST(Encoding, mxfp4SaturatesAndReachesTheEndsOfItsScale) {
  Floats values(32, 0.0f);
  // 7.9: the scale is 1, and 6 the largest value.
  values[0] = 7.9f;
  values[1] = -5.0f;
  Floats decoded = mustRoundTrip(make(Format::MXFP4, 32), {1, 32, 1}, values);
  EXPECT_EQ(decoded[0], 6);
  EXPECT_EQ(decoded[1], -4);
  // An exponent below E8M0's smallest is clamped to it.
  values.assign(32, 0x1p-149f);
  EncodedTensor tiny = mustEncode(make(Format::MXFP4, 32), {1, 32, 1}, values);
  EXPECT_EQ(tiny.scales, Bytes{0});
  EXPECT_EQ((*decode(tiny))[0], 0);
  values.assign(32, 0x1p-127f);
  EXPECT_EQ(mustRoundTrip(make(Format::MXFP4, 32), {1, 32, 1}, values), values);
  values.assign(32, 0x1.8p127f);
  EXPECT_EQ(mustRoundTrip(make(Format::MXFP4, 32), {1, 32, 1}, values), values);
}

TEST(Encoding, roundTripIsIdempotent) {
  Floats values = seededValues(5, 2 * 64 * 32, 3.0);
  for (Encoding encoding : {make(Format::BF16), make(Format::F16),
                            make(Format::F8E4M3), make(Format::MXFP4, 32)}) {
    Floats once = mustRoundTrip(encoding, {2, 64, 32}, values);
    EXPECT_EQ(mustRoundTrip(encoding, {2, 64, 32}, once), once)
        << toString(encoding);
    EXPECT_NE(once, values);
  }
}

TEST(Encoding, roundTripStaysWithinHalfAStep) {
  Floats values = seededValues(5, 2 * 64 * 32, 3.0);
  for (Encoding encoding : {make(Format::Int8, 32), make(Format::Int4, 32)}) {
    for (bool zeroPoint : {false, true})
      for (GroupAxis along : {GroupAxis::Input, GroupAxis::Output}) {
        encoding.zeroPoint = zeroPoint;
        encoding.along = along;
        Floats decoded = mustRoundTrip(encoding, {2, 64, 32}, values);
        float step = 6.0f / (encoding.format == Format::Int8 ? 254 : 14);
        for (size_t i = 0; i < values.size(); ++i)
          ASSERT_NEAR(decoded[i], values[i], step * 0.51f)
              << toString(encoding) << " at " << i;
      }
  }
}

TEST(Encoding, emptyTensors) {
  for (Encoding encoding : {make(Format::F32), make(Format::Int8),
                            make(Format::Int4, 32), make(Format::MXFP4, 32)}) {
    EXPECT_EQ(mustRoundTrip(encoding, {1, 0, 4}, {}), Floats());
    EXPECT_EQ(mustRoundTrip(encoding, {0, 32, 4}, {}), Floats());
  }
}

TEST(Encoding, bytesAreKnownBeforehand) {
  Floats values = seededValues(1, 3 * 32 * 5);
  for (Encoding encoding :
       {make(Format::F32), make(Format::BF16), make(Format::F8E4M3),
        make(Format::Int8), make(Format::Int4, 32), make(Format::MXFP4, 32),
        withZeroPoint(Format::Int4, 16)}) {
    EncodedTensor encoded = mustEncode(encoding, {3, 32, 5}, values);
    EXPECT_EQ(*encodedBytes(encoding, {3, 32, 5}),
              encoded.codes.size() + encoded.scales.size() +
                  encoded.zeroPoints.size());
  }
}

TEST(Encoding, namesGoThereAndBack) {
  for (int i = 0; i <= int(Format::MXFP4); ++i)
    EXPECT_EQ(formatFromName(formatName(Format(i))), Format(i));
  EXPECT_EQ(formatFromName("int3"), std::nullopt);
  for (int i = 0; i <= int(ScaleType::BF16); ++i)
    EXPECT_EQ(scaleTypeFromName(scaleTypeName(ScaleType(i))), ScaleType(i));
  EXPECT_EQ(scaleTypeFromName("f64"), std::nullopt);
  Encoding encoding = withZeroPoint(Format::Int4, 32);
  encoding.scale = ScaleType::F16;
  encoding.along = GroupAxis::Output;
  EXPECT_EQ(toString(encoding),
            "int4 group 32 zero_point scale f16 along output");
}

// ---- what is refused ----

std::string verifyMessage(const Encoding &encoding) {
  return verifyEncoding(encoding).error();
}

TEST(Encoding, textGoesThereAndBack) {
  for (const char *text :
       {"f32", "bf16", "f16", "f8e4m3", "f8e4m3 group 64", "int8",
        "int8 zero_point", "int8 group 32 scale bf16",
        "int4 group 128 zero_point scale f16 along output",
        "mxfp4 group 32 along output"}) {
    Result<Encoding> encoding = encodingFromText(text);
    ASSERT_TRUE(encoding) << encoding.error();
    EXPECT_EQ(toString(*encoding), text);
  }
  // One spelling only.
  for (std::string text :
       {"", "f31", "int8 ", " int8", "int8  group 2", "int8 group", "int8 bits",
        "int8 group 0", "int8 group 032", "int8 group 2 group 2",
        "int8 zero_point group 2", "int8 scale f32", "int8 scale",
        "int8 along input", "int8 along", "int8 group 2x",
        "int8 group 99999999999999999999"})
    EXPECT_EQ(encodingFromText(text).error(),
              "expected an encoding such as 'bf16' or 'int4 group 32 "
              "zero_point scale f16 along output', found '" +
                  text + "'");
  EXPECT_EQ(encodingFromText("int4").error(),
            "expected a group on int4, found none");
}

TEST(Encoding, refusesWhatDoesNotGoTogether) {
  EXPECT_EQ(verifyMessage(make(Format::Int8, -1)),
            "expected a positive group, found -1");
  EXPECT_EQ(verifyMessage(make(Format::F32, 32)),
            "expected no group on f32, found group 32");
  EXPECT_EQ(verifyMessage(make(Format::Int4)),
            "expected a group on int4, found none");
  EXPECT_EQ(verifyMessage(make(Format::MXFP4)),
            "expected group 32 on mxfp4, found none");
  EXPECT_EQ(verifyMessage(make(Format::MXFP4, 16)),
            "expected group 32 on mxfp4, found 16");
  EXPECT_EQ(verifyMessage(withZeroPoint(Format::BF16)),
            "expected a zero point on int8 or int4 only, found one on bf16");
  Encoding scaled = make(Format::F8E4M3);
  scaled.scale = ScaleType::F16;
  EXPECT_EQ(verifyMessage(scaled),
            "expected no scale type on f8e4m3, found f16");
  scaled = make(Format::MXFP4, 32);
  scaled.scale = ScaleType::BF16;
  EXPECT_EQ(verifyMessage(scaled),
            "expected no scale type on mxfp4 group 32, found bf16");
}

TEST(Encoding, refusesShapesAndSizes) {
  EXPECT_EQ(verifyEncoding(make(Format::Int4, 32), {1, 48, 32}).error(),
            "expected a group that divides the 48 rows, found group 32");
  Encoding along = make(Format::Int4, 32);
  along.along = GroupAxis::Output;
  EXPECT_EQ(verifyEncoding(along, {1, 32, 48}).error(),
            "expected a group that divides the 48 columns, found group 32");
  EXPECT_EQ(encode(make(Format::F32), {1, 2, 2}, Floats(3)).error(),
            "expected 4 values, found 3");
  EXPECT_EQ(encode(make(Format::F32), {1, -2, 2}, Floats(4)).error(),
            "expected a shape [entries, rows, columns] of at most 2^63 bytes, "
            "found [1, -2, 2]");
  EXPECT_FALSE(
      encodedBytes(make(Format::F32), {int64_t(1) << 40, int64_t(1) << 40, 1}));
}

TEST(Encoding, refusesValuesThatHaveNoScale) {
  Floats values = {1, 2, 3, NAN};
  EXPECT_EQ(encode(make(Format::Int8), {1, 2, 2}, values).error(),
            "expected finite values for int8, found nan at [0, 1, 1]");
  values[3] = -INFINITY;
  EXPECT_EQ(encode(make(Format::Int4, 2), {1, 2, 2}, values).error(),
            "expected finite values for int4 group 2, found -inf at "
            "[0, 1, 1]");
  Encoding encoding = make(Format::Int8);
  encoding.scale = ScaleType::F16;
  EXPECT_EQ(encode(encoding, {1, 1, 2}, Floats{1e8f, 0}).error(),
            "expected a scale within f16, found values from 0.000000 to "
            "100000000.000000 in the group at [0, 0, 0]");
}

TEST(Encoding, refusesDamagedTensors) {
  EncodedTensor good =
      mustEncode(withZeroPoint(Format::Int4, 2), {1, 2, 2}, {1, 2, 3, 4});
  EncodedTensor bad = good;
  bad.codes.pop_back();
  EXPECT_EQ(decode(bad).error(), "expected 2 bytes of codes, found 1");
  bad = good;
  bad.scales.push_back(0);
  EXPECT_EQ(decode(bad).error(), "expected 8 bytes of scales, found 9");
  bad = good;
  bad.zeroPoints.clear();
  EXPECT_EQ(decode(bad).error(), "expected 2 zero points, found 0");
  bad = good;
  bad.encoding.group = 3;
  EXPECT_FALSE(decode(bad));
}

} // namespace
