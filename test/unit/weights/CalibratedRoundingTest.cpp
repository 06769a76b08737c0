// Tests of rounding with error feedback, beside codes that NumPy computed by the paper's formulas.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/CalibratedRounding.h"

#include "weights/Factorization.h"
#include "weights/Recipes.h"
#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace moec::weights;

namespace {

using Floats = std::vector<float>;

constexpr int64_t inputs = 12, outputs = 5;

/// B·Bᵀ + 6 of small integers: second moments that f32 holds as they are.
Floats integerMoments() {
  Floats values = seededValues(9, inputs * inputs), result;
  for (float &value : values)
    value = std::nearbyint(value * 4);
  for (int64_t i = 0; i < inputs; ++i)
    for (int64_t j = 0; j < inputs; ++j) {
      float sum = 6;
      for (int64_t k = 0; k < inputs; ++k)
        sum += values[size_t(i * inputs + k)] * values[size_t(j * inputs + k)];
      result.push_back(sum);
    }
  return result;
}

Floats weights() { return seededValues(3, inputs * outputs); }

ErrorFeedback feedbackOf(const Floats &moments, int64_t size = inputs) {
  Result<ErrorFeedback> made = ErrorFeedback::create("m", size, moments);
  EXPECT_TRUE(made) << made.error();
  return *std::move(made);
}

/// Codes as numbers: nibbles apart, and signed without a zero point.
std::vector<int> codesOf(const EncodedTensor &tensor) {
  bool isNibble = tensor.encoding.format == Format::Int4;
  std::vector<int> codes;
  for (int64_t i = 0; i < tensor.shape.rows * tensor.shape.cols; ++i) {
    int code = isNibble ? tensor.codes[size_t(i / 2)] >> (i % 2 * 4) & 0xF
                        : tensor.codes[size_t(i)];
    int half = isNibble ? 8 : 128;
    codes.push_back(!tensor.encoding.zeroPoint && code >= half ? code - 2 * half
                                                               : code);
  }
  return codes;
}

/// tr(ΔᵀMΔ) over tr(WᵀMW).
double outputError(const EncodedTensor &encoded, const Floats &values,
                   const Floats &moments) {
  Floats decoded = *decode(encoded);
  InputWhitening whitening =
      *InputWhitening::full("m", encoded.shape.rows, moments, 0);
  return measureError({encoded.shape.rows, encoded.shape.cols, values, decoded},
                      {}, {}, &whitening)
      ->whitened;
}

TEST(CalibratedRounding, codesAreThoseOfThePaper) {
  ErrorFeedback feedback = feedbackOf(integerMoments());
  // Of these, 11 are not the nearest.
  EXPECT_EQ(codesOf(*feedback.encode({Format::Int4, 4}, outputs, weights())),
            (std::vector<int>{
                -7, -6, 5,  -4, -7, 7,  1,  -2, -7, -1, 1,  5,  2,  -5, 3,
                5,  7,  -7, -7, -6, -7, 2,  -1, -6, 7,  6,  6,  7,  -7, 0,
                6,  -5, -2, 4,  -5, -4, 7,  -6, 2,  -3, 7,  1,  7,  -7, -6,
                -2, -6, -2, 4,  7,  -7, 6,  -7, 2,  -4, -1, -2, 1,  3,  3}));
  EXPECT_EQ(codesOf(*feedback.encode({Format::Int4, 4, true, ScaleType::F16},
                                     outputs, weights())),
            (std::vector<int>{
                0,  0,  15, 6,  1,  15, 8,  7, 0,  9,  9, 12, 12, 4,  15,
                13, 15, 1,  0,  0,  1,  10, 4, 1,  15, 14, 14, 15, 1, 7,
                15, 0,  4,  15, 1,  4,  15, 0, 11, 4,  15, 9,  15, 0, 0,
                5,  1,  6,  15, 14, 1,  15, 0, 13, 1,  7, 4,  9,  14, 9}));
  EXPECT_EQ(codesOf(*feedback.encode({Format::Int8, 6}, outputs, weights())),
            (std::vector<int>{
                -117, -100, 95,   -74,  -126, 116,  20,   -36,  -125, -9,
                13,   76,   42,   -93,  64,   80,   106,  -127, -126, -120,
                -127, 55,   -19,  -64,  122,  107,  127,  89,   -61,  6,
                127,  -98,  -21,  34,   -112, -77,  127,  -71,  11,   -56,
                118,  8,    106,  -127, -98,  -41,  -80,  -42,  68,   126,
                -125, 91,   -127, 35,   -69,  -12,  -30,  23,   52,   40}));
}

/// Second moments of inputs that have a part in common, beside what each has of its own.
Floats correlatedMoments(int64_t size) {
  constexpr int64_t samples = 400;
  Floats own = seededValues(11, samples * size), common = seededValues(12, samples);
  Floats moments(size_t(size * size), 0.0f);
  for (int64_t sample = 0; sample < samples; ++sample)
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = 0; j < size; ++j)
        moments[size_t(i * size + j)] +=
            (own[size_t(sample * size + i)] + common[size_t(sample)]) *
            (own[size_t(sample * size + j)] + common[size_t(sample)]);
  return moments;
}

TEST(CalibratedRounding, outputsErrLessThanNearest) {
  // More rows than a block has, and more columns than a panel; neither divides.
  constexpr int64_t size = 96, cols = 72;
  Floats values = seededValues(5, size * cols), moments = correlatedMoments(size);
  ErrorFeedback feedback = feedbackOf(moments, size);
  for (const Encoding &encoding :
       {Encoding{Format::Int4, 32, false, ScaleType::F16},
        Encoding{Format::Int4, 16, true, ScaleType::BF16},
        Encoding{Format::Int4, 8, false, ScaleType::F32, GroupAxis::Output},
        Encoding{Format::Int8, 32}, Encoding{Format::Int8, 0, true},
        Encoding{Format::F8E4M3, 32}, Encoding{Format::MXFP4, 32}}) {
    auto calibrated = feedback.encode(encoding, cols, values);
    auto nearest = encode(encoding, {1, size, cols}, values);
    ASSERT_TRUE(calibrated && nearest) << calibrated.error();
    EXPECT_LT(outputError(*calibrated, values, moments),
              0.85 * outputError(*nearest, values, moments))
        << toString(encoding);
    // What is chosen is the code alone.
    EXPECT_EQ(calibrated->scales, nearest->scales);
    EXPECT_EQ(calibrated->zeroPoints, nearest->zeroPoints);
  }
}

TEST(CalibratedRounding, inputsThatDoNotGoTogetherRoundToNearest) {
  Encoding int4{Format::Int4, 4};
  Floats diagonal(inputs), full(size_t(inputs * inputs), 0.0f);
  for (int64_t i = 0; i < inputs; ++i)
    diagonal[size_t(i)] = full[size_t(i * inputs + i)] = float(i % 5);
  Floats zeros(size_t(inputs * inputs), 0.0f);
  auto nearest = encode(int4, {1, inputs, outputs}, weights());
  for (const Floats &moments : {diagonal, full, zeros})
    EXPECT_EQ(feedbackOf(moments).encode(int4, outputs, weights())->codes,
              nearest->codes);
}

TEST(CalibratedRounding, groupsOfZerosStayZeros) {
  Floats values = weights();
  std::fill_n(values.begin(), 4 * outputs, 0.0f);
  Floats decoded = *decode(*feedbackOf(integerMoments())
                                .encode({Format::Int4, 4}, outputs, values));
  for (size_t i = 0; i < 4 * outputs; ++i)
    EXPECT_EQ(decoded[i], 0.0f);
}

TEST(CalibratedRounding, matricesAreReadAsTheirCodesDecode) {
  Encoding int4{Format::Int4, 4, true, ScaleType::F16};
  MatrixSourcePtr of = seededMatrices("w", {3, inputs, outputs}, 3, 1);
  Floats moments = integerMoments();
  // One matrix of moments for all; and one for each, of which the second is a diagonal.
  Floats identity(size_t(inputs * inputs), 0.0f), each = moments;
  for (int64_t i = 0; i < inputs; ++i)
    identity[size_t(i * inputs + i)] = 1;
  each.insert(each.end(), identity.begin(), identity.end());
  each.insert(each.end(), moments.begin(), moments.end());
  MatrixSourcePtr common = matricesOf("m", {1, inputs, inputs}, moments);
  auto all = calibratedMatrices("c", of, int4, common);
  auto own = calibratedMatrices(
      "c", of, int4, matricesOf("m", {3, inputs, inputs}, each), /*kept=*/1);
  ASSERT_TRUE(all && own);
  ErrorFeedback feedback = feedbackOf(moments);
  for (int64_t entry = 0; entry < 3; ++entry) {
    Floats values(size_t(inputs * outputs)), found(values.size());
    ASSERT_TRUE(of->read(entry, values));
    EncodedTensor expected = *feedback.encode(int4, outputs, values);
    auto encoded = (*all)->readEncoded(entry, int4);
    ASSERT_TRUE(encoded) << encoded.error();
    EXPECT_EQ(encoded->codes, expected.codes);
    ASSERT_TRUE((*all)->read(entry, found));
    EXPECT_EQ(found, *decode(expected));
    // In another encoding it is what these values are.
    EXPECT_EQ((*all)->readEncoded(entry, {Format::F32})->codes,
              encode({Format::F32}, {1, inputs, outputs}, found)->codes);
    if (entry == 1)
      expected = *encode(int4, {1, inputs, outputs}, values);
    EXPECT_EQ((*own)->readEncoded(entry, int4)->codes, expected.codes);
  }
  // Encodings that leave nothing to choose are rounded to nearest.
  Floats values(size_t(inputs * outputs)), found(values.size());
  ASSERT_TRUE((*encodedMatrices("f16", of, {Format::F16}, common))->read(1, found));
  ASSERT_TRUE(of->read(1, values));
  EXPECT_EQ(found, *roundTrip({Format::F16}, {1, inputs, outputs}, values));
}

TEST(CalibratedRounding, badInput) {
  auto createError = [](int64_t size, const Floats &moments) {
    Result<ErrorFeedback> made = ErrorFeedback::create("m", size, moments);
    EXPECT_FALSE(made);
    return made.error();
  };
  EXPECT_EQ(createError(2, {1, 2, 3}), "m: expected 4 second moments, found 3");
  EXPECT_EQ(createError(2, {1, -2}),
            "m: expected second moments of at least 0, found -2.000000 of feature 1");
  EXPECT_EQ(createError(2, {1, 0, 1, 1}),
            "m: expected symmetric second moments, found 1.000000 at [1, 0] and "
            "0.000000 across");
  EXPECT_EQ(createError(2, {1, 2, 2, 1}),
            "m: expected positive semidefinite second moments, found no Cholesky "
            "factor with 0.010000 of the mean added to the diagonal");
  float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(createError(2, {1, 0, 0, nan}),
            "m: expected finite second moments, found nan at 3");

  ErrorFeedback feedback = feedbackOf(integerMoments());
  EXPECT_EQ(feedback.encode({Format::F16}, outputs, weights()).error(),
            "expected an encoding with scales, found f16");
  EXPECT_EQ(feedback.encode({Format::Int8, 4}, 2, weights()).error(),
            "expected 24 values, found 60");
  EXPECT_EQ(feedback.encode({Format::Int8, 5}, outputs, weights()).error(),
            "expected a group that divides the 12 rows, found group 5");

  MatrixSourcePtr moments = matricesOf("m", {1, inputs, inputs}, integerMoments());
  Floats values = weights();
  values[7] = nan;
  MatrixSourcePtr of = matricesOf("w", {1, inputs, outputs}, values);
  auto spoilt = calibratedMatrices("c", of, {Format::Int8, 4}, moments);
  Floats found(values.size());
  EXPECT_EQ((*spoilt)->read(0, found).error(),
            "c: expected finite values for int8 group 4, found nan at [0, 1, 2]");
  EXPECT_EQ((*spoilt)->readEncoded(1, {Format::Int8, 4}).error(),
            "c: expected an entry below 1, found 1");
  EXPECT_EQ(calibratedMatrices("c", of, {Format::F16}, moments).error(),
            "c: expected an encoding with scales, found f16");
  EXPECT_EQ(calibratedMatrices("c", of, {Format::Int8, 5}, moments).error(),
            "c: expected a group that divides the 12 rows, found group 5");
  EXPECT_EQ(calibratedMatrices("c", of, {Format::Int8}, of).error(),
            "w: expected second moments [1 or 1, 1 or 12, 12] for w, found "
            "[1, 12, 5]");
}

} // namespace
