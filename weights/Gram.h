// Products of many long rows with one another: f32 products, f64 sums.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_GRAM_H
#define MOEC_WEIGHTS_GRAM_H

#include <cstdint>
#include <string_view>

namespace moec::weights {

/// Rows of f32, `stride` apart; the first `length` values of each count.
struct Rows {
  const float *data = nullptr;
  int64_t count = 0;
  int64_t length = 0;
  int64_t stride = 0;
};

/// sums[i * sumsStride + j] += <left[i], right[j]>. Rows of both have the same
/// length. Products are summed in f32 over runs of at most 1024 and in f64
/// beyond, in an order that depends only on the length (and the processor).
void addProducts(const Rows &left, const Rows &right, double *sums,
                 int64_t sumsStride);

/// addProducts(rows, rows, sums, rows.count), but only where i >= j: the lower
/// triangle of the Gram matrix.
void addGram(const Rows &rows, double *sums);

/// Takes the mean of `count` rows from each of them, column by column. The mean
/// is taken in f64, so that equal rows become exactly zero.
void removeMean(float *data, int64_t count, int64_t length, int64_t stride);

/// The instructions that all this uses here: "avx512", "avx2" or "baseline".
std::string_view gramInstructions();

} // namespace moec::weights

#endif // MOEC_WEIGHTS_GRAM_H
