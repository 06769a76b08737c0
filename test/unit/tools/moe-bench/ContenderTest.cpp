// Tests of what contenders are given.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Contender.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace moec::bench;

namespace {

TEST(Contender, normalValues) {
  std::vector<float> values = normalValues(20000, 1);
  double sum = 0, squares = 0;
  for (float value : values) {
    sum += value;
    squares += double(value) * value;
  }
  EXPECT_NEAR(sum / 20000, 0, 0.03);
  EXPECT_NEAR(squares / 20000, 1, 0.03);
}

TEST(Contender, columnsOfWeights) {
  Problem problem;
  problem.width = 8;
  problem.inner = 6;
  problem.rank = 2;
  EXPECT_EQ(columnsOf(problem, "gate_base"), 6);
  EXPECT_EQ(columnsOf(problem, "w"), 6);
  EXPECT_EQ(columnsOf(problem, "down"), 8);
  EXPECT_EQ(columnsOf(problem, "down_b"), 8);
  EXPECT_EQ(columnsOf(problem, "up_a"), 2);
  EXPECT_EQ(columnsOf(problem, "cluster"), 0);
}

TEST(Contender, inputsOfALayer) {
  Problem problem;
  problem.width = 8;
  problem.experts = 4;
  Inputs inputs = makeInputs(problem, 3, 2);
  EXPECT_EQ(inputs.tokens, 3);
  EXPECT_EQ(inputs.x.size(), 24u);
  ASSERT_EQ(inputs.logits.size(), 2u);
  EXPECT_EQ(inputs.logits[0].size(), 12u);
  EXPECT_NE(inputs.logits[0], inputs.logits[1]);
  EXPECT_TRUE(inputs.router.empty());
}

TEST(Contender, aBlocksLogitsAreItsRouters) {
  Problem problem;
  problem.kind = Kind::Block;
  problem.width = 8;
  problem.experts = 4;
  Inputs inputs = makeInputs(problem, 3, 2);
  EXPECT_EQ(inputs.logits[0], inputs.logits[1]);
  double squares = 0, logit = 0;
  for (size_t i = 0; i < 8; ++i) {
    squares += double(inputs.x[i]) * inputs.x[i];
    logit += double(inputs.x[i]) * inputs.router[4 * i + 1];
  }
  EXPECT_NEAR(inputs.logits[0][1], logit / std::sqrt(squares / 8 + 1e-6), 1e-5);
}

} // namespace
