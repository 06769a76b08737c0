// A matrix library in three loops, for tests of what is composed from one.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_TOOLS_MOE_BENCH_PLAINBLAS_H
#define MOEC_TEST_UNIT_TOOLS_MOE_BENCH_PLAINBLAS_H

#include "tools/moe-bench/Blas.h"

namespace moec::test {

inline void plainGemm(int, int, int, int m, int n, int k, float, const float *a,
                      int lda, const float *b, int ldb, float beta, float *c,
                      int ldc) {
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = beta * c[i * ldc + j];
      if (beta == 0)
        sum = 0;
      for (int p = 0; p < k; ++p)
        sum += double(a[i * lda + p]) * b[p * ldb + j];
      c[i * ldc + j] = float(sum);
    }
}

inline bench::Blas plainBlas() {
  bench::Blas blas;
  blas.name = "plain";
  blas.gemm = reinterpret_cast<void *>(plainGemm);
  return blas;
}

} // namespace moec::test

#endif // MOEC_TEST_UNIT_TOOLS_MOE_BENCH_PLAINBLAS_H
