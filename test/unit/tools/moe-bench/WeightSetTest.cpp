// Tests of made-up weights.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/WeightSet.h"

#include "weights/FloatFormats.h"
#include "weights/StoredTensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace moec::bench;
using namespace moec::weights;

namespace {

constexpr DLDataType f32 = {kDLFloat, 32, 1}, f16 = {kDLFloat, 16, 1},
                     i8 = {kDLInt, 8, 1}, i32 = {kDLInt, 32, 1};

std::vector<uint8_t> filled(const WeightTensor &tensor, uint32_t seed = 1) {
  std::vector<uint8_t> data(tensor.bytes());
  fillTensor(tensor, data.data(), seed);
  return data;
}

TEST(WeightSet, partsAreReadFromNames) {
  EXPECT_EQ(partFromName("gate.scales", 0), "scales");
  EXPECT_EQ(partFromName("gate.zero_points", 0), "zero_points");
  EXPECT_EQ(partFromName("gate.slots", 4), "slots");
  EXPECT_EQ(partFromName("cluster", 4), "table");
  EXPECT_EQ(partFromName("gate", 0), "codes");
}

TEST(WeightSet, floatsKeepTheScaleOfAProduct) {
  for (DLDataType type :
       {f32, f16, DLDataType{kDLBfloat, 16, 1}, DLDataType{kDLFloat, 64, 1}}) {
    WeightTensor tensor = {"w", "codes", type, {4, 256, 32}, 0};
    std::vector<uint8_t> data = filled(tensor);
    double squares = 0, sum = 0;
    size_t count = 4 * 256 * 32;
    for (size_t i = 0; i < count; ++i) {
      float narrow;
      double wide = 0;
      uint16_t bits;
      std::memcpy(&bits, &data[i * 2 % data.size()], 2);
      if (type.bits == 16)
        wide = type.code == kDLBfloat ? bf16ToFloat(bits) : f16ToFloat(bits);
      else if (type.bits == 32)
        std::memcpy(&narrow, &data[4 * i], 4), wide = narrow;
      else
        std::memcpy(&wide, &data[8 * i], 8);
      sum += wide;
      squares += wide * wide;
    }
    EXPECT_NEAR(squares / double(count) * 256, 1, 0.06);
    EXPECT_NEAR(sum / double(count), 0, 0.003);
  }
}

TEST(WeightSet, bytesAreValidForEachPart) {
  for (uint8_t code : filled({"w", "codes", i8, {4096}, 0}))
    ASSERT_NE(code & 0x7F, 0x7F);
  for (uint8_t scale : filled({"w.scales", "scales", i8, {512}, 0}))
    ASSERT_TRUE(scale >= 117 && scale <= 120);
  for (uint8_t zero : filled({"w.zero_points", "zero_points", i8, {512}, 0}))
    ASSERT_TRUE(zero == 7 || zero == 8);
  std::vector<uint8_t> scales = filled({"w.scales", "scales", f32, {64}, 0});
  for (size_t i = 0; i < 64; ++i) {
    float scale;
    std::memcpy(&scale, &scales[4 * i], 4);
    ASSERT_TRUE(scale > 0 && scale < 0.01f);
  }
}

TEST(WeightSet, tablesAndSlots) {
  std::vector<uint8_t> table = filled({"cluster", "table", i32, {6}, 4});
  int32_t values[6];
  std::memcpy(values, table.data(), sizeof values);
  for (int32_t i = 0; i < 6; ++i)
    EXPECT_EQ(values[i], i % 4);
}

TEST(WeightSet, copiesAreEqualAndApart) {
  WeightSet set;
  set.make({{"a", "codes", f32, {3, 5}, 0}, {"b", "codes", f16, {7}, 0}}, 9);
  set.setCopies(3);
  EXPECT_EQ(set.copies(), 3u);
  set.setCopies(2);
  EXPECT_EQ(set.copies(), 3u);
  EXPECT_NE(set.data(0, 0), set.data(0, 2));
  EXPECT_EQ(std::memcmp(set.data(1, 0), set.data(1, 2), 14), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(set.data(1, 1)) % 64, 0u);
}

TEST(WeightSet, decodesWhatEncodingWrote) {
  std::vector<float> values;
  for (int i = 0; i < 2 * 32 * 8; ++i)
    values.push_back(float(std::sin(i)));
  for (const char *text : {"f32", "bf16", "int8 group 16", "mxfp4 group 32",
                           "int4 group 16 zero_point scale f16"}) {
    Encoding encoding = *encodingFromText(text);
    EncodedTensor both = *encode(encoding, {2, 32, 8}, values);
    std::vector<float> expected = *decode(both);
    auto bytes = [](const std::vector<uint8_t> &data) {
      return std::vector<int64_t>{int64_t(data.size())};
    };
    WeightTensor codes = {"w", "codes", i8, bytes(both.codes), 0},
                 scales = {"w.scales", "scales", i8, bytes(both.scales), 0},
                 zeros = {"w.zero_points", "zero_points", i8,
                          bytes(both.zeroPoints), 0};
    TensorView views[] = {{&codes, both.codes.data()},
                          {&scales, both.scales.data()},
                          {&zeros, both.zeroPoints.data()}};
    Result<std::vector<float>> second =
        decodeMatrix(views, "w", encoding, 1, 32, 8);
    ASSERT_TRUE(bool(second)) << second.error();
    EXPECT_TRUE(
        std::equal(second->begin(), second->end(), expected.begin() + 32 * 8))
        << text;
  }
}

TEST(WeightSet, decodesPanels) {
  // [1][32 / 16][3][16]: columns 16 to 31 lie behind all rows of the first 16.
  WeightTensor codes = {"w", "codes", f32, {1, 2, 3, 16}, 0};
  std::vector<float> panels(96);
  for (size_t i = 0; i < 96; ++i)
    panels[i] = float(i);
  TensorView view = {&codes, reinterpret_cast<const uint8_t *>(panels.data())};
  Result<std::vector<float>> rows =
      decodeMatrix({&view, 1}, "w", Encoding(), 0, 3, 32);
  ASSERT_TRUE(bool(rows)) << rows.error();
  EXPECT_EQ((*rows)[0], 0);
  EXPECT_EQ((*rows)[16], 48);
  EXPECT_EQ((*rows)[32], 16);
}

TEST(WeightSet, decodesPanelsOfCodes) {
  std::vector<float> values;
  for (int i = 0; i < 32 * 20; ++i)
    values.push_back(float(std::sin(i)));
  TensorForm form;
  form.values = *encodingFromText("int4 group 16");
  form.shape = {32, 20};
  std::vector<float> expected = *loadFloats(form, *storeFloats(form, values));
  form.layout = Layout::Panel16;
  StoredTensor stored = *storeFloats(form, values);
  WeightTensor codes = {"w", "codes", i8, {2, 16, 16}, 0},
               scales = {"w.scales", "scales", f32, {2, 2, 16}, 0};
  ASSERT_EQ(codes.bytes(), stored.codes.size());
  ASSERT_EQ(scales.bytes(), stored.scales.size());
  TensorView views[] = {{&codes, stored.codes.data()},
                        {&scales, stored.scales.data()}};
  Result<std::vector<float>> found =
      decodeMatrix(views, "w", *form.encoding(), 0, 32, 20);
  ASSERT_TRUE(bool(found)) << found.error();
  EXPECT_EQ(*found, expected);
}

TEST(WeightSet, paddingIsZero) {
  // Two entries of two panels; 20 columns.
  WeightTensor codes = {"w", "codes", f16, {2, 2, 3, 16}, 0};
  std::vector<uint8_t> data(codes.bytes(), 1);
  zeroPadding(codes, data.data(), 32);
  EXPECT_EQ(std::count(data.begin(), data.end(), 0), 0);
  zeroPadding(codes, data.data(), 20);
  EXPECT_EQ(std::count(data.begin(), data.end(), 0), 2 * 3 * 12 * 2);
  // Column 4 of the last panel of the first entry, row 0.
  EXPECT_EQ(data[(3 * 16 + 4) * 2], 0);
  EXPECT_EQ(data[(3 * 16 + 3) * 2], 1);
}

TEST(WeightSet, saysWhichPartIsMissing) {
  WeightTensor codes = {"w", "codes", i8, {512}, 0};
  std::vector<uint8_t> data(512);
  TensorView view = {&codes, data.data()};
  auto errorOf = [&](const char *name, const char *text, int64_t entry) {
    return decodeMatrix({&view, 1}, name, *encodingFromText(text), entry, 16, 8)
        .error();
  };
  EXPECT_EQ(errorOf("v", "f32", 0),
            "expected a weight 'v' to check results with, found none");
  EXPECT_EQ(errorOf("w", "f32", 1),
            "expected 'w' to be of f32 row_major [16, 8], found too few bytes");
  EXPECT_EQ(errorOf("w", "int8 group 16", 0),
            "expected 'w.scales', found none");
  EXPECT_NE(errorOf("w", "int4 group 32", 0), "");
}

} // namespace
