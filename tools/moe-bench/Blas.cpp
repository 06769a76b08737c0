// Matrix libraries of others, found when the benchmark runs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Blas.h"

#include "tools/moe-bench/Machine.h"

#include <dlfcn.h>

using namespace moec::weights;

namespace moec::bench {

namespace {

// What <cblas.h> and <oneapi/dnnl/dnnl.h> declare; integers are 32 bits in the
// libraries of Debian.
constexpr int rowMajor = 101, asItIs = 111, transposed = 112;
using Gemm = void (*)(int order, int transA, int transB, int m, int n, int k,
                      float alpha, const float *a, int lda, const float *b,
                      int ldb, float beta, float *c, int ldc);
using Gemv = void (*)(int order, int trans, int m, int n, float alpha,
                      const float *a, int lda, const float *x, int incx,
                      float beta, float *y, int incy);
using DnnlGemm = int (*)(char transA, char transB, int64_t m, int64_t n,
                         int64_t k, float alpha, const float *a, int64_t lda,
                         const float *b, int64_t ldb, float beta, float *c,
                         int64_t ldc);

struct Row {
  Solver solver;
  const char *name;
  const char *files[2];
  const char *gemm;
  const char *gemv;
  const char *threads;
  const char *kernels;
};

constexpr Row rows[] = {{Solver::OpenBlas,
                         "OpenBLAS",
                         {"libopenblas.so.0", "libopenblas.so"},
                         "cblas_sgemm",
                         "cblas_sgemv",
                         "openblas_set_num_threads",
                         "openblas_get_corename"},
                        {Solver::Blis,
                         "BLIS",
                         {"libblis.so.4", "libblis.so"},
                         "cblas_sgemm",
                         "cblas_sgemv",
                         "bli_thread_set_num_threads",
                         nullptr},
                        {Solver::OneDnn,
                         "oneDNN",
                         {"libdnnl.so.2", "libdnnl.so.3"},
                         "dnnl_sgemm",
                         nullptr,
                         "omp_set_num_threads",
                         nullptr}};

} // namespace

std::string openBlasKernels() {
  std::string has = vectorInstructions();
  return has == "AVX-512" ? "SkylakeX" : has == "AVX2" ? "Haswell" : "";
}

Result<Blas> loadBlas(Solver solver) {
  for (const Row &row : rows) {
    if (row.solver != solver)
      continue;
    void *library = nullptr;
    for (const char *file : row.files)
      if (!library)
        library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library)
      return Error{std::string(row.name) + ": expected " + row.files[0] +
                   ", found none"};
    Blas blas;
    blas.name = row.name;
    blas.solver = solver;
    blas.gemm = ::dlsym(library, row.gemm);
    blas.gemv = row.gemv ? ::dlsym(library, row.gemv) : nullptr;
    blas.threads = ::dlsym(library, row.threads);
    if (void *say = row.kernels ? ::dlsym(library, row.kernels) : nullptr)
      blas.kernels = reinterpret_cast<const char *(*)()>(say)();
    if (!blas.gemm)
      return Error{std::string(row.name) + ": expected " + row.gemm + " in " +
                   row.files[0] + ", found none"};
    return blas;
  }
  return Error{"expected a library, found moec"};
}

void Blas::multiply(int64_t rows, int64_t columns, int64_t inner,
                    const float *a, int64_t aStride, const float *b,
                    int64_t bStride, float beta, float *c,
                    int64_t cStride) const {
  if (solver == Solver::OneDnn) {
    reinterpret_cast<DnnlGemm>(gemm)('N', 'N', rows, columns, inner, 1.0f, a,
                                     aStride, b, bStride, beta, c, cStride);
    return;
  }
  if (rows == 1 && gemv) {
    reinterpret_cast<Gemv>(gemv)(rowMajor, transposed, int(inner), int(columns),
                                 1.0f, b, int(bStride), a, 1, beta, c, 1);
    return;
  }
  reinterpret_cast<Gemm>(gemm)(rowMajor, asItIs, asItIs, int(rows),
                               int(columns), int(inner), 1.0f, a, int(aStride),
                               b, int(bStride), beta, c, int(cStride));
}

void Blas::setThreads(int64_t count) const {
  if (!threads)
    return;
  if (solver == Solver::Blis)
    reinterpret_cast<void (*)(int64_t)>(threads)(count);
  else
    reinterpret_cast<void (*)(int)>(threads)(int(count));
}

} // namespace moec::bench
