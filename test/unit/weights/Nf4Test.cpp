// Tests of tensors in NF4: the published values, and decoding by hand.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Nf4.h"

#include "weights/FloatFormats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace moec::weights;

namespace {

std::vector<uint8_t> bytesOf(const std::vector<float> &values) {
  std::vector<uint8_t> bytes(4 * values.size());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<float> decode(const Nf4Tensor &tensor) {
  EXPECT_TRUE(verifyNf4("t", tensor)) << verifyNf4("t", tensor).error();
  std::vector<float> values(size_t(tensor.elements()));
  decodeNf4(tensor, 0, values);
  return values;
}

/// The inverse of the normal distribution, by bisection of erfc.
double normalQuantile(double p) {
  double low = -10, high = 10;
  for (int i = 0; i < 200; ++i) {
    double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0)) / 2 < p ? low : high) = middle;
  }
  return low;
}

TEST(Nf4, valuesAreQuantilesOfTheNormalDistribution) {
  // How the values were made (bitsandbytes' create_normal_map): nine and eight quantiles from 0.9677083 to a half, without the
  // half, and zero, over the largest.
  std::vector<double> values = {0};
  constexpr double offset = 0.9677083;
  for (int i = 0; i < 8; ++i)
    values.push_back(normalQuantile(offset + (0.5 - offset) * i / 8));
  for (int i = 0; i < 7; ++i)
    values.push_back(-normalQuantile(offset + (0.5 - offset) * i / 7));
  std::sort(values.begin(), values.end());
  for (size_t i = 0; i < 16; ++i)
    EXPECT_NEAR(nf4Values[i], values[i] / values[15], 1e-6) << i;
}

TEST(Nf4, allCodesTheHighNibbleFirst) {
  Nf4Tensor tensor;
  tensor.shape = {4, 4};
  std::vector<uint8_t> codes = {0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF};
  std::vector<uint8_t> scales = bytesOf({2, 0.5f});
  tensor.codes = codes;
  tensor.scales = scales;
  tensor.blockSize = 8;
  std::vector<float> values = decode(tensor);
  for (size_t i = 0; i < 16; ++i)
    EXPECT_EQ(values[i], nf4Values[i] * (i < 8 ? 2 : 0.5f)) << i;
  // Part of it, from inside a block to inside the next one.
  std::vector<float> some(5);
  decodeNf4(tensor, 5, some);
  EXPECT_EQ(some, std::vector<float>(values.begin() + 5, values.begin() + 10));
}

TEST(Nf4, roundedToTheTypeThatItCameFrom) {
  Nf4Tensor tensor;
  tensor.shape = {1, 3};
  std::vector<uint8_t> codes = {0x8F, 0x30};
  std::vector<uint8_t> scales = bytesOf({0.3f, 3});
  tensor.codes = codes;
  tensor.scales = scales;
  // An odd count, and a last block of one.
  tensor.blockSize = 2;
  EXPECT_EQ(decode(tensor), (std::vector<float>{nf4Values[8] * 0.3f, 0.3f, nf4Values[3] * 3}));
  tensor.type = ElementType::BF16;
  EXPECT_EQ(decode(tensor)[0], bf16ToFloat(floatToBF16(nf4Values[8] * 0.3f)));
  tensor.type = ElementType::F16;
  EXPECT_EQ(decode(tensor)[2], f16ToFloat(floatToF16(nf4Values[3] * 3)));
}

TEST(Nf4, scalesInOneByteEach) {
  Nf4Tensor tensor;
  tensor.shape = {6};
  std::vector<uint8_t> codes = {0xFF, 0xFF, 0xFF}, ofScales = {0, 255, 7};
  std::vector<float> map(256);
  for (size_t i = 0; i < 256; ++i)
    map[i] = float(i) / 16;
  std::vector<uint8_t> mapBytes = bytesOf(map), scales = bytesOf({0.5f, 4});
  tensor.codes = codes;
  tensor.blockSize = 2;
  tensor.nested = Nf4NestedScales{ofScales, mapBytes, scales, 2, 0.25f};
  float second = map[255] * 0.5f + 0.25f, third = map[7] * 4 + 0.25f;
  EXPECT_EQ(decode(tensor), (std::vector<float>{0.25f, 0.25f, second, second, third, third}));
  EXPECT_EQ(tensor.bytesOfScales(), 3 + 1024 + 8u);
}

TEST(Nf4, matricesAndTransposedRuns) {
  // 70 x 3, so that a transposed read has two tiles; two entries of one tensor.
  auto tensor = std::make_shared<Nf4Tensor>();
  tensor->shape = {140, 3};
  std::vector<uint8_t> codes(210);
  for (size_t i = 0; i < codes.size(); ++i)
    codes[i] = uint8_t(i * 37);
  std::vector<float> scaleValues(7);
  for (size_t i = 0; i < 7; ++i)
    scaleValues[i] = float(i + 1);
  std::vector<uint8_t> scales = bytesOf(scaleValues);
  tensor->codes = codes;
  tensor->scales = scales;
  std::vector<float> values = decode(*tensor);
  std::vector<Nf4Matrix> entries = {{tensor, 0}, {tensor, 210}};
  auto plain = nf4Matrices("m", {2, 70, 3}, entries, false, nullptr);
  auto turned = nf4Matrices("m", {2, 3, 70}, entries, true, nullptr);
  ASSERT_TRUE(plain && turned);
  EXPECT_EQ(*readAll(**plain), values);
  std::vector<float> found = *readAll(**turned);
  for (size_t entry = 0; entry < 2; ++entry)
    for (size_t row = 0; row < 70; ++row)
      for (size_t col = 0; col < 3; ++col)
        EXPECT_EQ(found[entry * 210 + col * 70 + row], values[entry * 210 + row * 3 + col]);
  EXPECT_EQ(nf4Matrices("m", {3, 70, 3}, entries, false, nullptr).error(), "m: expected 3 matrices, found 2");
  entries[1].first = 211;
  EXPECT_EQ(nf4Matrices("m", {2, 70, 3}, entries, false, nullptr).error(),
            "m: expected 210 elements for entry 1, found 209");
}

TEST(Nf4, badInput) {
  std::vector<uint8_t> codes(32), scales = bytesOf({1}), wide(8);
  Nf4Tensor good;
  good.shape = {8, 8};
  good.codes = codes;
  good.scales = scales;
  ASSERT_TRUE(verifyNf4("t", good));
  auto errorOf = [&](auto change) {
    Nf4Tensor tensor = good;
    change(tensor);
    return verifyNf4("t", tensor).error();
  };
  EXPECT_EQ(errorOf([](Nf4Tensor &t) { t.shape = {8, 9}; }), "t: expected 36 bytes of codes, found 32");
  EXPECT_EQ(errorOf([](Nf4Tensor &t) { t.shape = {int64_t(1) << 62, 2}; }),
            "t: expected a shape of at most 2^63 bytes, found [4611686018427387904, 2]");
  EXPECT_EQ(errorOf([](Nf4Tensor &t) { t.shape = {-8, 8}; }),
            "t: expected a shape of at most 2^63 bytes, found [-8, 8]");
  EXPECT_EQ(errorOf([](Nf4Tensor &t) { t.blockSize = 0; }), "t: expected blocks of 1 to 65536, found 0");
  EXPECT_EQ(errorOf([](Nf4Tensor &t) { t.blockSize = 32; }), "t: expected 8 bytes of scales, found 4");
  EXPECT_EQ(errorOf([](Nf4Tensor &t) { t.type = ElementType::I8; }),
            "t: expected values in F32, BF16 or F16, found I8");
  std::vector<uint8_t> one(1), map(1024);
  Nf4NestedScales nested{one, map, scales, 256, 0};
  auto nestedErrorOf = [&](auto change) {
    return errorOf([&](Nf4Tensor &t) {
      t.nested = nested;
      change(*t.nested);
    });
  };
  EXPECT_EQ(nestedErrorOf([](Nf4NestedScales &) {}), "");
  EXPECT_EQ(nestedErrorOf([](Nf4NestedScales &n) { n.blockSize = 65537; }),
            "t: expected blocks of 1 to 65536, found 65537");
  EXPECT_EQ(nestedErrorOf([&](Nf4NestedScales &n) { n.codes = wide; }), "t: expected 1 codes of scales, found 8");
  EXPECT_EQ(nestedErrorOf([&](Nf4NestedScales &n) { n.map = wide; }),
            "t: expected 1024 bytes of the scales' map, found 8");
  EXPECT_EQ(nestedErrorOf([&](Nf4NestedScales &n) { n.scales = wide; }),
            "t: expected 4 bytes of the scales' scales, found 8");
}

} // namespace
