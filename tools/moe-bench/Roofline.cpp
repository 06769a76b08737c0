// What a problem needs at least: bytes and operations, and their time.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Roofline.h"

#include "weights/CostModel.h"

#include <algorithm>

namespace moec::bench {

/// The layer as the cost model sees it; what tokens meet is counted.
static weights::ExpertLayerShape shapeOf(const Problem &problem,
                                         const ContenderSpec &contender) {
  weights::ExpertLayerShape shape;
  shape.width = problem.width;
  shape.inner = problem.inner;
  shape.experts = problem.experts;
  shape.choices = problem.k;
  if (contender.compressed) {
    shape.clusters = problem.clusters;
    shape.rank = problem.rank;
  }
  return shape;
}

Needs needsOf(const Problem &problem, const ContenderSpec &contender,
              int64_t tokens, const Hits &hits) {
  double t = double(tokens), d = double(problem.width),
         f = double(problem.inner), e = double(problem.experts),
         k = double(problem.k);
  Needs needs;
  if (problem.kind == Kind::Router) {
    // Logits once; of each choice an i32 and an f32.
    needs.bytes = t * (4 * e + 8 * k);
    // An exponential counts as one operation, and so do division, comparison.
    needs.flops = t * 4 * e;
    return needs;
  }
  weights::ExpertLayerShape shape = shapeOf(problem, contender);
  bool isLibrary = contender.solver != Solver::Moec;
  weights::LayerEncodings encodings;
  if (!isLibrary)
    encodings = {problem.base, problem.residual};
  if (problem.kind == Kind::Kernel) {
    // All rows meet one matrix.
    shape.choices = 1;
    weights::Needs matrix = weights::matrixNeeds(
        shape, problem.width, problem.inner, encodings, tokens, {1, 1, t});
    return {matrix.weightBytes + 4 * t * (d + f), matrix.flops};
  }
  weights::Needs layer =
      weights::layerNeeds(shape, encodings, tokens,
                          {hits.experts, hits.clusters, hits.tokenClusters}, 4);
  needs = {layer.bytes(), layer.flops};
  if (problem.kind == Kind::Layer)
    needs.bytes += 4 * t * e;
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
