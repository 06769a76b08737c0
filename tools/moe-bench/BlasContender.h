// Kernels and layers composed from calls of a matrix library.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_BLASCONTENDER_H
#define MOEC_TOOLS_MOE_BENCH_BLASCONTENDER_H

#include "tools/moe-bench/Blas.h"
#include "tools/moe-bench/Contender.h"

namespace moec::bench {

/// What someone would write with a good library: tokens sorted by expert or by
/// cluster, a product for each matrix, weights in f32. Compressed layers by the
/// same algebra as moec's: a base once for each token and cluster, down with
/// the residuals' rows below the base.
std::unique_ptr<Contender> makeBlasContender(const Problem &problem,
                                             const ContenderSpec &spec,
                                             const Blas &blas);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_BLASCONTENDER_H
