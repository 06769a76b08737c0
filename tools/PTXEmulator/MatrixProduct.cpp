// Products of small matrices of floats.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/MatrixProduct.h"

namespace moec::ptx {

/// The loop over columns is innermost, for compilers to make vector code of.
__attribute__((always_inline)) static inline void
addProductBody(float *__restrict d, const float *__restrict a,
               const float *__restrict b, unsigned m, unsigned n, unsigned k) {
  for (unsigned row = 0; row < m; ++row)
    for (unsigned step = 0; step < k; ++step) {
      float factor = a[row * k + step];
      for (unsigned column = 0; column < n; ++column)
        d[row * n + column] += factor * b[step * n + column];
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void
addProductWide(float *d, const float *a, const float *b, unsigned m, unsigned n,
               unsigned k) {
  addProductBody(d, a, b, m, n, k);
}
#endif

void addProduct(float *d, const float *a, const float *b, unsigned m,
                unsigned n, unsigned k) {
#if defined(__x86_64__)
  static const bool hasWide = __builtin_cpu_supports("avx2");
  if (hasWide)
    return addProductWide(d, a, b, m, n, k);
#endif
  addProductBody(d, a, b, m, n, k);
}

} // namespace moec::ptx
