// Tests that a wrong result is found, whatever is wrong with it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Reference.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace moec::bench;
using namespace moec::weights;

namespace {

/// Has what it is told to have computed.
class FakeContender : public Contender {
public:
  using Contender::Contender;
  Status prepare(const Inputs &) override { return success(); }
  Status run(size_t, size_t) override { return success(); }
  std::span<const float> output() const override { return values; }
  std::span<const int32_t> chosen() const override { return experts; }
  Result<std::vector<float>> matrix(const std::string &name, int64_t,
                                    int64_t rows,
                                    int64_t columns) const override {
    if (name == missing)
      return Error{"no " + name};
    std::vector<float> ones(size_t(rows * columns));
    for (size_t i = 0; i < ones.size(); ++i)
      ones[i] = i / size_t(columns) == i % size_t(columns);
    return ones;
  }
  void setCopies(size_t) override {}
  size_t copies() const override { return 1; }
  uint64_t bytes() const override { return 0; }

  std::vector<float> values;
  std::vector<int32_t> experts;
  std::string missing;
};

Problem problemOf(Kind kind) {
  Problem problem;
  problem.kind = kind;
  problem.width = problem.inner = 2;
  problem.experts = 4;
  problem.clusters = 2;
  problem.k = 2;
  return problem;
}

Inputs inputsOf(const Problem &problem) {
  Inputs inputs;
  inputs.tokens = 1;
  inputs.x = {1, 2};
  inputs.logits = {{0, 1, 2, 3}};
  inputs.norm = {1, 1};
  return inputs;
}

float silu(float x) { return x / (1 + std::exp(-x)); }

TEST(Reference, kernelOfUnitWeights) {
  Problem problem = problemOf(Kind::Kernel);
  Inputs inputs = inputsOf(problem);
  FakeContender contender(problem, {});
  contender.values = {1, 2};
  EXPECT_EQ(*measureError(problem, contender, inputs, 0), 0);
  contender.values = {1, 4};
  EXPECT_NEAR(*measureError(problem, contender, inputs, 0), 2 / std::sqrt(2.5),
              1e-6);
  contender.values = {1, NAN};
  EXPECT_TRUE(std::isnan(*measureError(problem, contender, inputs, 0)));
}

TEST(Reference, baseAndFactorsAreAdded) {
  Problem problem = problemOf(Kind::Kernel);
  problem.rank = 2;
  ContenderSpec spec;
  spec.compressed = true;
  FakeContender contender(problem, spec);
  contender.values = {2, 4};
  Inputs inputs = inputsOf(problem);
  EXPECT_EQ(*measureError(problem, contender, inputs, 0), 0);
}

TEST(Reference, layerAndBlockOfUnitWeights) {
  // All experts are alike and gates add up to 1: silu(x) x.
  Problem problem = problemOf(Kind::Layer);
  Inputs inputs = inputsOf(problem);
  FakeContender layer(problem, {});
  layer.values = {silu(1), 2 * silu(2)};
  EXPECT_LT(*measureError(problem, layer, inputs, 0), 1e-6);
  problem.kind = Kind::Block;
  float scale = 1 / std::sqrt(2.5f);
  FakeContender block(problem, {});
  block.values = {1 + scale * silu(scale), 2 + 2 * scale * silu(2 * scale)};
  EXPECT_LT(*measureError(problem, block, inputs, 0), 1e-5);
}

TEST(Reference, routersChooseWhatTheyShould) {
  Problem problem = problemOf(Kind::Router);
  Inputs inputs = inputsOf(problem);
  FakeContender contender(problem, {});
  float better = 1 / (1 + std::exp(-1.0f));
  contender.values = {better, 1 - better};
  contender.experts = {3, 2};
  EXPECT_LT(*measureError(problem, contender, inputs, 0), 1e-6);
  contender.experts = {2, 3};
  EXPECT_EQ(measureError(problem, contender, inputs, 0).error(),
            "expected the router to choose expert 3 for token 0, found another "
            "one");
}

TEST(Reference, saysWhatItCannotCheck) {
  Problem problem = problemOf(Kind::Layer);
  Inputs inputs = inputsOf(problem);
  FakeContender contender(problem, {});
  EXPECT_EQ(measureError(problem, contender, inputs, 0).error(),
            "expected an output of 2 float32, found 0");
  contender.values = {1, 1};
  contender.missing = "down";
  EXPECT_EQ(measureError(problem, contender, inputs, 0).error(), "no down");
}

} // namespace
