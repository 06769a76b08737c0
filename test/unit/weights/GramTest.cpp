// Tests of the products of rows: against plain sums in f64, for every way that
// tiles, runs and lanes can end.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Gram.h"

#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

using namespace moec::weights;

namespace {

/// Rows of seeded values with junk between them, which nobody may read.
struct TestRows {
  TestRows(uint32_t seed, int64_t count, int64_t length)
      : values(seededValues(seed, count * (length + 3))), count(count),
        length(length) {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t k = length; k < length + 3; ++k)
        values[size_t(i * (length + 3) + k)] = NAN;
  }
  Rows rows() const { return {values.data(), count, length, length + 3}; }
  double product(int64_t i, const TestRows &other, int64_t j) const {
    double sum = 0;
    for (int64_t k = 0; k < length; ++k)
      sum += double(values[size_t(i * (length + 3) + k)]) *
             double(other.values[size_t(j * (length + 3) + k)]);
    return sum;
  }

  std::vector<float> values;
  int64_t count, length;
};

TEST(Gram, productsOfAllShapes) {
  uint32_t seed = 0;
  // Around lanes (4, 8, 16), tiles (2, 4) and runs (1024).
  for (int64_t length : {0, 1, 3, 4, 15, 16, 17, 33, 1023, 1024, 1025, 2100})
    for (int64_t lefts : {1, 2, 3, 4, 5, 9})
      for (int64_t rights : {1, 3, 4, 7, 8}) {
        TestRows left(++seed, lefts, length), right(++seed, rights, length);
        int64_t stride = rights + 2;
        std::vector<double> sums(size_t(lefts * stride), 10.0);
        addProducts(left.rows(), right.rows(), sums.data(), stride);
        for (int64_t i = 0; i < lefts; ++i) {
          for (int64_t j = 0; j < rights; ++j)
            EXPECT_NEAR(sums[size_t(i * stride + j)],
                        10.0 + left.product(i, right, j), 1e-6 * double(length))
                << length << " " << lefts << " " << rights;
          // What lies between the rows of the result stays.
          EXPECT_EQ(sums[size_t(i * stride + rights)], 10.0);
          EXPECT_EQ(sums[size_t(i * stride + rights + 1)], 10.0);
        }
      }
}

TEST(Gram, lowerTriangleOnly) {
  for (int64_t length : {1, 16, 1030})
    for (int64_t count : {1, 2, 3, 4, 5, 6, 7, 8, 12, 13}) {
      TestRows test(uint32_t(count), count, length);
      std::vector<double> sums(size_t(count * count), -1.0);
      addGram(test.rows(), sums.data());
      for (int64_t i = 0; i < count; ++i)
        for (int64_t j = 0; j < count; ++j)
          EXPECT_NEAR(sums[size_t(i * count + j)],
                      j <= i ? -1.0 + test.product(i, test, j) : -1.0,
                      1e-6 * double(length))
              << length << " " << count << ": " << i << ", " << j;
    }
}

TEST(Gram, smallNumbersAreExact) {
  // Integers whose sums fit 24 bits: no order and no fusion changes them.
  std::vector<float> values(5 * 3000);
  for (size_t n = 0; n < values.size(); ++n)
    values[n] = float(int(seededBits(1, n) % 15) - 7);
  std::vector<double> sums(25, 0.0);
  addGram({values.data(), 5, 3000, 3000}, sums.data());
  for (size_t i = 0; i < 5; ++i)
    for (size_t j = 0; j <= i; ++j) {
      int64_t expected = 0;
      for (size_t k = 0; k < 3000; ++k)
        expected +=
            int64_t(values[i * 3000 + k]) * int64_t(values[j * 3000 + k]);
      EXPECT_EQ(sums[i * 5 + j], double(expected));
    }
}

TEST(Gram, longSumsStayExact) {
  // Alone in f32, a million times one third would lose its last four digits.
  std::vector<float> values(1 << 20, 1.0f / 3.0f);
  double square = double(values[0]) * double(values[0]);
  double sum = 0;
  addGram({values.data(), 1, 1 << 20, 1 << 20}, &sum);
  EXPECT_NEAR(sum / (square * double(1 << 20)), 1.0, 1e-6);
}

TEST(Gram, removesTheMean) {
  for (int64_t count : {1, 2, 7})
    for (int64_t length : {0, 1, 17, 1023, 1024, 1025, 2050}) {
      TestRows test(uint32_t(count * length), count, length);
      std::vector<float> before = test.values;
      removeMean(test.values.data(), count, length, length + 3);
      for (int64_t k = 0; k < length; ++k) {
        double sum = 0;
        for (int64_t i = 0; i < count; ++i)
          sum += double(before[size_t(i * (length + 3) + k)]);
        for (int64_t i = 0; i < count; ++i) {
          size_t n = size_t(i * (length + 3) + k);
          EXPECT_NEAR(test.values[n], double(before[n]) - sum / double(count),
                      2e-7);
        }
      }
      // What lies between the rows stays.
      for (int64_t i = 0; i < count; ++i)
        for (int64_t k = length; k < length + 3; ++k)
          EXPECT_TRUE(std::isnan(test.values[size_t(i * (length + 3) + k)]));
    }
  // A sum of seven tenths is rounded in f32, its seventh is no tenth again.
  std::vector<float> equal(7 * 20, 0.1f);
  removeMean(equal.data(), 7, 20, 20);
  EXPECT_EQ(equal, std::vector<float>(7 * 20, 0.0f));
}

TEST(Gram, namesItsInstructions) {
  EXPECT_TRUE(gramInstructions() == "avx512" || gramInstructions() == "avx2" ||
              gramInstructions() == "baseline")
      << gramInstructions();
}

} // namespace
