// The trained example checkpoint: what a family says is what transformers
// computes. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Beside the weights lies what entered and left each MoE block in transformers.
// A layer computed here from nothing but the checkpoint's description and keys
// must give the same.
#include "frontend/Checkpoint.h"

#include "weights/Safetensors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace moec::frontend;
using namespace moec::weights;

namespace {

using Floats = std::vector<float>;

const std::string folder = MOEC_TEST_EXAMPLES "/tiny-mixtral";

Floats read(const TensorSource &source, const std::string &key,
            std::vector<int64_t> shape) {
  auto matrices = source.openMatrices(key, key, shape);
  EXPECT_TRUE(matrices) << matrices.error();
  Result<Floats> values = readAll(**matrices);
  EXPECT_TRUE(values) << values.error();
  return *values;
}

/// Row of x times a matrix in f64.
std::vector<double> apply(const double *x, const float *matrix, int64_t in,
                          int64_t out) {
  std::vector<double> y(size_t(out), 0.0);
  for (int64_t i = 0; i < in; ++i)
    for (int64_t o = 0; o < out; ++o)
      y[size_t(o)] += x[i] * double(matrix[i * out + o]);
  return y;
}

TEST(TinyMixtral, isDescribed) {
  Result<Checkpoint> checkpoint =
      Checkpoint::open(folder, {.families = "", .checkFinite = true});
  ASSERT_TRUE(checkpoint) << checkpoint.error();
  EXPECT_EQ(checkpoint->description(),
            "mixtral, 4 MoE layers of 16 experts (2 chosen), hidden 96, "
            "intermediate 160, BF16");
  EXPECT_EQ(checkpoint->inExperts().parameters, 4u * 16 * 3 * 96 * 160);
  EXPECT_EQ(checkpoint->inExperts().bytes, 2 * 4u * 16 * 3 * 96 * 160);
  EXPECT_GT(checkpoint->total().bytes, checkpoint->inExperts().bytes);
}

TEST(TinyMixtral, computesWhatTransformersComputes) {
  Result<Checkpoint> checkpoint = Checkpoint::open(folder);
  ASSERT_TRUE(checkpoint) << checkpoint.error();
  auto source = checkpoint->source();
  auto samples = openSafetensorsSource(folder + "/samples.safetensors");
  ASSERT_TRUE(samples) << samples.error();
  constexpr int64_t tokens = 256;
  for (const MoELayer &layer : checkpoint->layers()) {
    std::string prefix = "layers." + std::to_string(layer.index) + ".";
    SCOPED_TRACE(prefix);
    ASSERT_EQ(layer.activation, "silu");
    ASSERT_EQ(layer.score, RouterScore::Softmax);
    int64_t d = layer.hidden, f = layer.intermediate, e = layer.experts;
    Floats input = read(**samples, prefix + "input", {tokens, d});
    Floats logits = read(**samples, prefix + "logits", {tokens, e});
    Floats output = read(**samples, prefix + "output", {tokens, d});
    Floats router = read(*source, prefix + "router", {d, e});
    Floats gate = read(*source, prefix + "gate", {e, d, f});
    Floats up = read(*source, prefix + "up", {e, d, f});
    Floats down = read(*source, prefix + "down", {e, f, d});

    double worstLogit = 0, worst = 0, largest = 0;
    for (int64_t token = 0; token < tokens; ++token) {
      std::vector<double> x(input.begin() + token * d,
                            input.begin() + (token + 1) * d);
      std::vector<double> scores = apply(x.data(), router.data(), d, e);
      for (int64_t i = 0; i < e; ++i)
        worstLogit = std::max(worstLogit,
                              std::abs(scores[size_t(i)] -
                                       double(logits[size_t(token * e + i)])));
      double sum = 0;
      for (double &score : scores)
        sum += score = std::exp(score);
      std::vector<int64_t> order(static_cast<size_t>(e));
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(), [&](int64_t l, int64_t r) {
        double left = scores[size_t(l)], right = scores[size_t(r)];
        return left != right ? left > right : l < r;
      });
      order.resize(size_t(layer.choices));
      double chosen = 0;
      for (int64_t expert : order)
        chosen += scores[size_t(expert)];
      std::vector<double> y(size_t(d), 0.0);
      for (int64_t expert : order) {
        std::vector<double> h =
            apply(x.data(), &up[size_t(expert * d * f)], d, f);
        std::vector<double> g =
            apply(x.data(), &gate[size_t(expert * d * f)], d, f);
        for (int64_t i = 0; i < f; ++i)
          h[size_t(i)] *= g[size_t(i)] / (1 + std::exp(-g[size_t(i)]));
        std::vector<double> part =
            apply(h.data(), &down[size_t(expert * f * d)], f, d);
        double weight = scores[size_t(expert)] /
                        (layer.normalise ? chosen : sum) * layer.scale;
        for (int64_t i = 0; i < d; ++i)
          y[size_t(i)] += weight * part[size_t(i)];
      }
      for (int64_t i = 0; i < d; ++i) {
        double expected = double(output[size_t(token * d + i)]);
        worst = std::max(worst, std::abs(y[size_t(i)] - expected));
        largest = std::max(largest, std::abs(expected));
      }
    }
    // transformers computed in f32.
    EXPECT_LT(worstLogit, 1e-5);
    EXPECT_LT(worst, 1e-5 * largest);
  }
}

} // namespace
