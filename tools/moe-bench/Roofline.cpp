// What a problem needs at least: bytes and operations, and their time.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Roofline.h"

#include <algorithm>

namespace moec::bench {

double matrixBytes(const weights::Encoding &encoding, double rows,
                   double columns) {
  weights::Result<uint64_t> bytes =
      weights::encodedBytes(encoding, {1, int64_t(rows), int64_t(columns)});
  return bytes ? double(*bytes) : 0;
}

Needs needsOf(const Problem &problem, const ContenderSpec &contender,
              int64_t tokens, const Hits &hits) {
  double t = double(tokens), d = double(problem.width),
         f = double(problem.inner), r = double(problem.rank),
         e = double(problem.experts), k = double(problem.k);
  weights::Encoding f32;
  bool isLibrary = contender.solver != Solver::Moec;
  const weights::Encoding &base = isLibrary ? f32 : problem.base;
  const weights::Encoding &residual = isLibrary ? f32 : problem.residual;

  Needs needs;
  if (problem.kind == Kind::Router) {
    // Logits once; of each choice an i32 and an f32.
    needs.bytes = t * (4 * e + 8 * k);
    // An exponential counts as one operation, and so do division, comparison.
    needs.flops = t * 4 * e;
    return needs;
  }
  if (problem.kind == Kind::Kernel) {
    needs.bytes = matrixBytes(base, d, f) + 4 * t * (d + f);
    needs.flops = 2 * t * d * f;
    if (contender.compressed) {
      needs.bytes += matrixBytes(residual, d, r) + matrixBytes(residual, r, f);
      needs.flops += 2 * t * r * (d + f);
    }
    return needs;
  }
  double matrices = 2 * matrixBytes(base, d, f) + matrixBytes(base, f, d);
  needs.bytes = 4 * t * 2 * d + (problem.kind == Kind::Layer ? 4 * t * e : 0);
  if (contender.compressed) {
    double factors =
        2 * (matrixBytes(residual, d, r) + matrixBytes(residual, r, f)) +
        matrixBytes(residual, f, r) + matrixBytes(residual, r, d);
    needs.bytes += hits.clusters * matrices + hits.experts * factors;
    // Rows of a token's clusters times the base, and of its experts the
    // residual: x A, T B (gate and up), h A, and v B of down.
    needs.flops = hits.tokenClusters * 6 * d * f +
                  t * k * 2 * r * (2 * d + 2 * f + f + d);
  } else {
    needs.bytes += hits.experts * matrices;
    needs.flops = t * k * 6 * d * f;
  }
  if (problem.kind == Kind::Block) {
    needs.bytes += 4 * d * e;
    needs.flops += 2 * t * d * e;
  }
  return needs;
}

double rooflineSeconds(const Needs &needs, const Rates &rates) {
  if (rates.bytesPerSecond <= 0 || rates.flopsPerSecond <= 0)
    return 0;
  return std::max(needs.bytes / rates.bytesPerSecond,
                  needs.flops / rates.flopsPerSecond);
}

} // namespace moec::bench
