// Matrices of known structure, for tests of bases and residuals.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_WEIGHTS_SYNTHETICEXPERTS_H
#define MOEC_TEST_UNIT_WEIGHTS_SYNTHETICEXPERTS_H

#include "weights/Seeded.h"

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace moec::weights::testing {

/// left (rows x inner) * right (inner x cols), in f64.
inline std::vector<double> product(std::span<const float> left,
                                   std::span<const float> right, int64_t rows,
                                   int64_t inner, int64_t cols) {
  std::vector<double> result(size_t(rows * cols), 0.0);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t k = 0; k < inner; ++k)
      for (int64_t j = 0; j < cols; ++j)
        result[size_t(i * cols + j)] += double(left[size_t(i * inner + k)]) *
                                        double(right[size_t(k * cols + j)]);
  return result;
}

/// A matrix of exactly this rank up to rounding, of values around `scale`.
inline std::vector<float> lowRank(int64_t rows, int64_t cols, int64_t rank,
                                  uint32_t seed, double scale = 1) {
  std::vector<float> left = seededValues(seed, rows * rank);
  std::vector<float> right = seededValues(seed + 1, rank * cols);
  std::vector<float> result;
  // The product of two seeded values has a standard deviation of 1/3.
  for (double value : product(left, right, rows, rank, cols))
    result.push_back(float(value * 3 * scale / std::sqrt(double(rank))));
  return result;
}

/// Singular values that fall by `decay` each, from 1, up to what seeded vectors
/// lack of being orthogonal.
inline std::vector<float> decaying(int64_t rows, int64_t cols, double decay,
                                   uint32_t seed) {
  int64_t rank = rows < cols ? rows : cols;
  std::vector<float> left = seededValues(seed, rows * rank);
  std::vector<float> right = seededValues(seed + 1, rank * cols);
  double share = 3 / std::sqrt(double(rows) * double(cols));
  for (int64_t k = 0; k < rank; ++k, share *= decay)
    for (int64_t j = 0; j < cols; ++j)
      right[size_t(k * cols + j)] *= float(share);
  std::vector<double> sum = product(left, right, rows, rank, cols);
  return {sum.begin(), sum.end()};
}

inline double squaredNorm(std::span<const float> values) {
  double sum = 0;
  for (float value : values)
    sum += double(value) * double(value);
  return sum;
}

/// The squared norm of `values` - left * right.
inline double squaredError(std::span<const float> values,
                           std::span<const float> left,
                           std::span<const float> right, int64_t rows,
                           int64_t cols) {
  int64_t inner = int64_t(left.size()) / rows;
  std::vector<double> approximation = product(left, right, rows, inner, cols);
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i)
    sum += std::pow(double(values[i]) - approximation[i], 2);
  return sum;
}

/// `clusters` bases of values in [-1, 1), and for each expert the base of
/// cluster expert % clusters plus a matrix of this rank and noise.
struct SyntheticExperts {
  int64_t rows, cols, clusters;
  std::vector<float> bases;
  std::vector<float> weights;
  std::vector<int32_t> table;

  SyntheticExperts(int64_t experts, int64_t clusters, int64_t rows,
                   int64_t cols, int64_t rank, double residual, double noise,
                   uint32_t seed = 1)
      : rows(rows), cols(cols), clusters(clusters),
        bases(seededValues(seed, clusters * rows * cols)) {
    for (int64_t expert = 0; expert < experts; ++expert) {
      uint32_t own = seed + 10 * uint32_t(expert) + 10;
      std::vector<float> difference = lowRank(rows, cols, rank, own, residual);
      std::vector<float> rest = seededValues(own + 2, rows * cols, noise);
      const float *base = bases.data() + expert % clusters * rows * cols;
      for (int64_t i = 0; i < rows * cols; ++i)
        weights.push_back(base[i] + difference[size_t(i)] + rest[size_t(i)]);
      table.push_back(int32_t(expert % clusters));
    }
  }
};

} // namespace moec::weights::testing

#endif // MOEC_TEST_UNIT_WEIGHTS_SYNTHETICEXPERTS_H
