// Products of many long rows with one another: f32 products, f64 sums.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// One kernel, compiled once for each width of registers: a tile of R x C dot
// products whose operands are rows as they lie, so that nothing is packed. This
// file alone may fuse a product and a sum into one rounding (CMakeLists.txt):
// half the instructions, and the sums only become more exact.
#include "weights/Gram.h"

#include <algorithm>
#include <cstring>

namespace moec::weights {

namespace {

/// Products summed in f32 before the sum goes on in f64. Short enough for a row
/// of tiles to stay in the first-level cache.
constexpr int64_t runLength = 1024;

template <int W> struct Vector {
  typedef float Type __attribute__((vector_size(W * sizeof(float))));
};

/// Adds the lanes in f64, pairwise from the outside in.
template <int W>
[[gnu::always_inline]] inline double
sumOfLanes(const typename Vector<W>::Type &value) {
  double lanes[W];
  for (int i = 0; i < W; ++i)
    lanes[i] = double(value[i]);
  for (int half = W / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i)
      lanes[i] += lanes[i + half];
  return lanes[0];
}

/// Dot products of R rows with C rows over one run.
template <int W, int R, int C>
[[gnu::always_inline]] inline void
addTile(const float *left, int64_t leftStride, const float *right,
        int64_t rightStride, int64_t length, double *sums, int64_t sumsStride) {
  using V = typename Vector<W>::Type;
  V sum[R][C] = {};
  int64_t whole = length - length % W;
  for (int64_t k = 0; k < whole; k += W) {
    V l[R];
    for (int r = 0; r < R; ++r)
      std::memcpy(&l[r], left + r * leftStride + k, sizeof(V));
    for (int c = 0; c < C; ++c) {
      V value;
      std::memcpy(&value, right + c * rightStride + k, sizeof(V));
      for (int r = 0; r < R; ++r)
        sum[r][c] += l[r] * value;
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) {
      double total = sumOfLanes<W>(sum[r][c]);
      for (int64_t k = whole; k < length; ++k)
        total += double(left[r * leftStride + k]) *
                 double(right[c * rightStride + k]);
      sums[r * sumsStride + c] += total;
    }
}

/// All tiles; of the lower triangle only, if wanted.
template <int W, int R, int C>
[[gnu::always_inline]] inline void addTiles(const Rows &left, const Rows &right,
                                            double *sums, int64_t sumsStride,
                                            bool lower) {
  for (int64_t begin = 0; begin < left.length; begin += runLength) {
    int64_t length = std::min(runLength, left.length - begin);
    for (int64_t i = 0; i < left.count; i += R) {
      const float *l = left.data + i * left.stride + begin;
      int64_t rows = std::min<int64_t>(R, left.count - i);
      int64_t end = lower ? std::min(right.count, i + rows) : right.count;
      for (int64_t j = 0; j < end; j += C) {
        const float *r = right.data + j * right.stride + begin;
        int64_t cols = std::min<int64_t>(C, end - j);
        double *out = sums + i * sumsStride + j;
        if (rows == R && cols == C && (!lower || j + C <= i + 1)) {
          addTile<W, R, C>(l, left.stride, r, right.stride, length, out,
                           sumsStride);
          continue;
        }
        for (int64_t a = 0; a < rows; ++a)
          for (int64_t b = 0; b < cols && !(lower && j + b > i + a); ++b)
            addTile<W, 1, 1>(l + a * left.stride, left.stride,
                             r + b * right.stride, right.stride, length,
                             out + a * sumsStride + b, sumsStride);
      }
    }
  }
}

/// Piece by piece, so that the sums stay in the first-level cache.
[[gnu::always_inline]] inline void
subtractMean(float *data, int64_t count, int64_t length, int64_t stride) {
  constexpr int64_t piece = 1024;
  double sum[piece];
  float mean[piece];
  for (int64_t begin = 0; begin < length; begin += piece) {
    int64_t size = std::min(piece, length - begin);
    std::fill_n(sum, size, 0.0);
    for (int64_t i = 0; i < count; ++i) {
      const float *row = data + i * stride + begin;
      for (int64_t k = 0; k < size; ++k)
        sum[k] += double(row[k]);
    }
    for (int64_t k = 0; k < size; ++k)
      mean[k] = float(sum[k] / double(count));
    for (int64_t i = 0; i < count; ++i) {
      float *row = data + i * stride + begin;
      for (int64_t k = 0; k < size; ++k)
        row[k] -= mean[k];
    }
  }
}

/// The work above, compiled for one kind of processor.
struct Choice {
  void (*addTiles)(const Rows &, const Rows &, double *, int64_t, bool);
  void (*subtractMean)(float *, int64_t, int64_t, int64_t);
  std::string_view name;
};

void addBaseline(const Rows &left, const Rows &right, double *sums,
                 int64_t sumsStride, bool lower) {
  addTiles<4, 2, 4>(left, right, sums, sumsStride, lower);
}

void subtractBaseline(float *data, int64_t count, int64_t length,
                      int64_t stride) {
  subtractMean(data, count, length, stride);
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void addAvx2(const Rows &left, const Rows &right,
                                         double *sums, int64_t sumsStride,
                                         bool lower) {
  addTiles<8, 2, 4>(left, right, sums, sumsStride, lower);
}

[[gnu::target("avx512f,fma")]] void addAvx512(const Rows &left,
                                              const Rows &right, double *sums,
                                              int64_t sumsStride, bool lower) {
  addTiles<16, 4, 4>(left, right, sums, sumsStride, lower);
}

[[gnu::target("avx2,fma")]] void subtractAvx2(float *data, int64_t count,
                                              int64_t length, int64_t stride) {
  subtractMean(data, count, length, stride);
}

Choice choose() {
  if (__builtin_cpu_supports("avx512f"))
    return {addAvx512, subtractAvx2, "avx512"};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {addAvx2, subtractAvx2, "avx2"};
  return {addBaseline, subtractBaseline, "baseline"};
}
#else
Choice choose() { return {addBaseline, subtractBaseline, "baseline"}; }
#endif

const Choice &chosen() {
  static const Choice choice = choose();
  return choice;
}

} // namespace

void addProducts(const Rows &left, const Rows &right, double *sums,
                 int64_t sumsStride) {
  chosen().addTiles(left, right, sums, sumsStride, /*lower=*/false);
}

void addGram(const Rows &rows, double *sums) {
  chosen().addTiles(rows, rows, sums, rows.count, /*lower=*/true);
}

void removeMean(float *data, int64_t count, int64_t length, int64_t stride) {
  chosen().subtractMean(data, count, length, stride);
}

std::string_view gramInstructions() { return chosen().name; }

} // namespace moec::weights
