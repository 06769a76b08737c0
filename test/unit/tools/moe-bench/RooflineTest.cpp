// Tests of bytes and operations against formulas worked out by hand.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Roofline.h"

#include <gtest/gtest.h>

using namespace moec::bench;
using moec::weights::Format;

namespace {

/// The large layer of the suites.
Problem bigLayer() {
  Problem problem;
  problem.width = 2048;
  problem.inner = 5632;
  problem.experts = 32;
  problem.clusters = 4;
  problem.k = 2;
  problem.rank = 16;
  problem.base.format = problem.residual.format = Format::F16;
  return problem;
}

TEST(Roofline, uncompressedLayer) {
  Problem problem = bigLayer();
  Needs needs = needsOf(problem, {}, 1, {2, 1, 1});
  // Two experts of three matrices, x and y, logits.
  EXPECT_EQ(needs.bytes, 2 * 3 * 2048.0 * 5632 * 2 + 4 * 2 * 2048 + 4 * 32);
  EXPECT_EQ(needs.flops, 2 * 6 * 2048.0 * 5632);
}

TEST(Roofline, compressedLayer) {
  Problem problem = bigLayer();
  ContenderSpec contender;
  contender.compressed = true;
  Needs needs = needsOf(problem, contender, 1, {2, 1, 1});
  double factors = 3 * 16 * (2048.0 + 5632) * 2;
  EXPECT_EQ(needs.bytes,
            3 * 2048.0 * 5632 * 2 + 2 * factors + 4 * 2 * 2048 + 4 * 32);
  EXPECT_EQ(needs.flops, 6 * 2048.0 * 5632 + 2 * 2 * 16 * 3 * (2048.0 + 5632));
  // A second cluster costs a second base.
  Needs two = needsOf(problem, contender, 1, {2, 2, 2});
  EXPECT_EQ(two.bytes - needs.bytes, 3 * 2048.0 * 5632 * 2);
  EXPECT_EQ(two.flops - needs.flops, 6 * 2048.0 * 5632);
}

TEST(Roofline, librariesReadF32) {
  Problem problem = bigLayer();
  ContenderSpec library;
  library.solver = Solver::OpenBlas;
  double activations = 4 * 2 * 2048 + 4 * 32;
  EXPECT_EQ(needsOf(problem, library, 1, {2, 1, 1}).bytes - activations,
            2 * (needsOf(problem, {}, 1, {2, 1, 1}).bytes - activations));
}

TEST(Roofline, kernelAndRouterAndBlock) {
  Problem problem;
  problem.kind = Kind::Kernel;
  problem.width = problem.inner = 64;
  problem.base.format = Format::Int4;
  problem.base.group = 32;
  // A code is half a byte, a scale of four bytes stands for 32 of them.
  Needs needs = needsOf(problem, {}, 3, {});
  EXPECT_EQ(needs.bytes, 64 * 64 * (0.5 + 4.0 / 32) + 4 * 3 * 128);
  EXPECT_EQ(needs.flops, 2 * 3 * 64 * 64);
  problem.rank = 4;
  ContenderSpec fused;
  fused.compressed = true;
  EXPECT_EQ(needsOf(problem, fused, 3, {}).flops - needs.flops,
            2 * 3 * 4 * 128);

  problem = bigLayer();
  problem.kind = Kind::Router;
  EXPECT_EQ(needsOf(problem, {}, 10, {}).bytes, 10 * (4 * 32 + 8 * 2));
  problem.kind = Kind::Block;
  Problem layer = bigLayer();
  EXPECT_EQ(needsOf(problem, {}, 1, {2, 1, 1}).flops -
                needsOf(layer, {}, 1, {2, 1, 1}).flops,
            2 * 2048.0 * 32);
}

TEST(Roofline, theSlowerOfTwoRates) {
  EXPECT_EQ(rooflineSeconds({100, 10}, {10, 10}), 10);
  EXPECT_EQ(rooflineSeconds({10, 100}, {10, 10}), 10);
  EXPECT_EQ(rooflineSeconds({10, 100}, {}), 0);
}

} // namespace
