// Matrix libraries of others, found when the benchmark runs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_BLAS_H
#define MOEC_TOOLS_MOE_BENCH_BLAS_H

#include "tools/moe-bench/Suite.h"
#include "weights/Result.h"

namespace moec::bench {

/// A library that multiplies matrices.
struct Blas {
  std::string name;
  /// The kernels that it chose on this machine, "SkylakeX"; empty if it does not
  /// say.
  std::string kernels;
  /// c = a b + beta c, of rows x inner, inner x columns; all f32 and row-major,
  /// rows of a, b and c being that far apart.
  void multiply(int64_t rows, int64_t columns, int64_t inner, const float *a,
                int64_t aStride, const float *b, int64_t bStride, float beta,
                float *c, int64_t cStride) const;
  void setThreads(int64_t threads) const;

  void *gemm = nullptr;
  /// Null: a row is multiplied by gemm.
  void *gemv = nullptr;
  void *threads = nullptr;
  Solver solver = Solver::OpenBlas;
};

/// The kernels of OpenBLAS for the instructions that this machine has: older
/// versions do not know new processors, and take slow ones. Empty: its choice.
std::string openBlasKernels();

/// Loads the library of a solver; an error if this machine has none.
weights::Result<Blas> loadBlas(Solver solver);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_BLAS_H
