// Tests of matrix sources: in memory, made up, and as they lie in files.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/MatrixSource.h"

#include "weights/FloatFormats.h"
#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace moec::weights;

namespace {

using Floats = std::vector<float>;

Floats readEntry(const MatrixSource &source, int64_t entry) {
  Floats values(size_t(source.shape().rows * source.shape().cols));
  Status status = source.read(entry, values);
  EXPECT_TRUE(status) << status.error();
  return values;
}

template <typename T> std::vector<uint8_t> bytesOf(std::vector<T> values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST(MatrixSource, readsMemorySplatsAndSeeds) {
  MatrixShape shape{2, 2, 3};
  auto array =
      matricesOf("a", shape, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  EXPECT_EQ(readEntry(*array, 1), (Floats{6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(array->name(), "a");
  EXPECT_EQ(array->shape(), shape);
  auto splat = splatMatrices("s", shape, 2.5f);
  EXPECT_EQ(readEntry(*splat, 0), Floats(6, 2.5f));
  auto seeded = seededMatrices("r", shape, 7, 0.5);
  EXPECT_EQ(*readAll(*seeded), seededValues(7, 12, 0.5));
  Floats part(2);
  ASSERT_TRUE(seeded->readAnyOrder(1, 3, part));
  EXPECT_EQ(part, (Floats{seededValue(7, 9, 0.5), seededValue(7, 10, 0.5)}));
}

TEST(MatrixSource, readsStoredMatricesAndTransposedOnes) {
  // Two matrices of 2 x 3; the second is in f16.
  std::vector<uint8_t> first = bytesOf<float>({1, 2, 3, 4, 5, 6});
  std::vector<uint8_t> second = bytesOf<uint16_t>(
      {floatToF16(7), floatToF16(8), floatToF16(9), floatToF16(10),
       floatToF16(11), floatToF16(12)});
  std::vector<StoredMatrix> entries = {{first, ElementType::F32},
                                       {second, ElementType::F16}};
  auto plain = storedMatrices("p", {2, 2, 3}, entries, false, nullptr);
  ASSERT_TRUE(plain) << plain.error();
  EXPECT_EQ(readEntry(**plain, 0), (Floats{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(readEntry(**plain, 1), (Floats{7, 8, 9, 10, 11, 12}));
  // The same bytes as OUT x IN: the matrix is 3 x 2.
  auto turned = storedMatrices("t", {2, 3, 2}, entries, true, nullptr);
  ASSERT_TRUE(turned) << turned.error();
  EXPECT_EQ(readEntry(**turned, 0), (Floats{1, 4, 2, 5, 3, 6}));
  // Any order is that of the file.
  Floats part(3);
  ASSERT_TRUE((*turned)->readAnyOrder(1, 1, part));
  EXPECT_EQ(part, (Floats{8, 9, 10}));
}

TEST(MatrixSource, transposesMatricesLargerThanATile) {
  constexpr int64_t rows = 5, cols = 150;
  Floats values(rows * cols);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = float(i);
  std::vector<uint8_t> bytes = bytesOf(values);
  auto source = storedMatrices("m", {1, rows, cols},
                               {{bytes, ElementType::F32}}, true, nullptr);
  ASSERT_TRUE(source) << source.error();
  Floats turned = readEntry(**source, 0);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t col = 0; col < cols; ++col)
      ASSERT_EQ(turned[size_t(row * cols + col)], float(col * rows + row));
}

TEST(MatrixSource, keepsItsOwnerAlive) {
  auto owner = std::make_shared<std::vector<uint8_t>>(bytesOf<float>({4}));
  std::weak_ptr<const void> watched = owner;
  auto source = storedMatrices("m", {1, 1, 1}, {{*owner, ElementType::F32}},
                               false, owner);
  owner.reset();
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(readEntry(**source, 0), Floats{4});
  source = Error{"gone"};
  EXPECT_TRUE(watched.expired());
}

TEST(MatrixSource, readsCodesOfAnEntry) {
  auto source = seededMatrices("s", {2, 4, 3}, 1, 1);
  Encoding int8{Format::Int8, 2};
  Result<EncodedTensor> found = source->readEncoded(1, int8);
  ASSERT_TRUE(found) << found.error();
  EncodedTensor expected = *encode(int8, {1, 4, 3}, readEntry(*source, 1));
  EXPECT_EQ(found->codes, expected.codes);
  EXPECT_EQ(found->scales, expected.scales);
  EXPECT_EQ(source->readEncoded(2, int8).error(),
            "s: expected an entry below 2, found 2");
  EXPECT_EQ(source->readEncoded(1, {Format::Int8, 3}).error(),
            "s: expected a group that divides the 4 rows, found group 3");
  EXPECT_EQ(splatMatrices("i", {2, 2, 2}, INFINITY)->readEncoded(1, int8).error(),
            "i: expected finite values for int8 group 2, found inf at [1, 0, 0]");
}

TEST(MatrixSource, refusesPlacesOutside) {
  auto source = splatMatrices("s", {2, 2, 2}, 1);
  Floats four(4), three(3);
  EXPECT_EQ(source->read(2, four).error(), "s: expected an entry below 2, found 2");
  EXPECT_EQ(source->read(-1, four).error(),
            "s: expected an entry below 2, found -1");
  EXPECT_EQ(source->read(0, three).error(),
            "s: expected room for 4 values, found 3");
  EXPECT_EQ(source->readAnyOrder(2, 0, four).error(),
            "s: expected an entry below 2, found 2");
  EXPECT_EQ(source->readAnyOrder(0, 2, three).error(),
            "s: expected a range within 4 values, found 2 to 5");
  EXPECT_EQ(source->readAnyOrder(0, -1, three).error(),
            "s: expected a range within 4 values, found -1 to 2");
}

TEST(MatrixSource, refusesStoredMatricesThatDoNotFit) {
  std::vector<uint8_t> bytes(16);
  EXPECT_EQ(storedMatrices("m", {2, 2, 2}, {{bytes, ElementType::F32}}, false,
                           nullptr)
                .error(),
            "m: expected 2 matrices, found 1");
  EXPECT_EQ(storedMatrices("m", {1, 2, 2}, {{bytes, ElementType::I32}}, false,
                           nullptr)
                .error(),
            "m: expected F32, F16, BF16 or F64, found I32");
  EXPECT_EQ(storedMatrices("m", {1, 2, 3}, {{bytes, ElementType::F32}}, false,
                           nullptr)
                .error(),
            "m: expected [2, 3] of F32 for entry 0, found 16 bytes");
}

} // namespace
