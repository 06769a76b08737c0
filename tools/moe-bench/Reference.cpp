// A plain solution in f64, of some tokens: no result is believed without it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace moec::weights;

namespace moec::bench {

namespace {

using Vector = std::vector<double>;

/// Solves single tokens with a contender's weights.
class Plain {
public:
  Plain(const Problem &problem, const Contender &contender)
      : problem(problem), contender(contender) {}

  /// x times the weight of an expert: whole, or base and factors.
  Vector apply(const Vector &x, const std::string &name, int64_t expert,
               int64_t columns) {
    int64_t r = problem.rank;
    if (!contender.description().compressed)
      return times(x, name, expert, columns);
    bool isKernel = problem.kind == Kind::Kernel;
    Vector sum = times(x, isKernel ? name : name + "_base",
                       isKernel ? 0 : clusterOf(expert, problem), columns);
    Vector own =
        times(times(x, name + "_a", expert, r), name + "_b", expert, columns);
    for (size_t i = 0; i < sum.size() && i < own.size(); ++i)
      sum[i] += own[i];
    return sum;
  }

  /// The gate-weighted sum of a token's experts.
  Vector experts(const Vector &x, std::span<const int32_t> chosen,
                 std::span<const double> gates) {
    Vector sum(x.size());
    for (size_t i = 0; i < chosen.size(); ++i) {
      Vector h = apply(x, "gate", chosen[i], problem.inner);
      Vector up = apply(x, "up", chosen[i], problem.inner);
      for (size_t j = 0; j < h.size(); ++j)
        h[j] = h[j] / (1 + std::exp(-h[j])) * up[j];
      Vector y = apply(h, "down", chosen[i], problem.width);
      for (size_t j = 0; j < sum.size() && j < y.size(); ++j)
        sum[j] += gates[i] * y[j];
    }
    return sum;
  }

  std::string error;

private:
  Vector times(const Vector &x, const std::string &name, int64_t entry,
               int64_t columns) {
    Vector product(static_cast<size_t>(columns));
    Result<std::vector<float>> matrix =
        contender.matrix(name, entry, int64_t(x.size()), columns);
    if (!matrix) {
      error = matrix.error();
      return product;
    }
    for (size_t row = 0; row < x.size(); ++row)
      for (size_t column = 0; column < product.size(); ++column)
        product[column] += x[row] * (*matrix)[row * product.size() + column];
    return product;
  }

  const Problem &problem;
  const Contender &contender;
};

/// What a block's experts are given.
Vector normalize(const Inputs &inputs, const Vector &x) {
  double squares = 0;
  for (double value : x)
    squares += value * value;
  double scale = 1 / std::sqrt(squares / double(x.size()) + 1e-6);
  Vector normed;
  for (size_t i = 0; i < x.size(); ++i)
    normed.push_back(x[i] * scale * inputs.norm[i]);
  return normed;
}

double errorOf(const Vector &expected, std::span<const float> found) {
  double largest = 0, squares = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    // Not std::max, which would lose a NaN.
    double difference = std::fabs(found[i] - expected[i]);
    if (!(difference <= largest))
      largest = difference;
    squares += expected[i] * expected[i];
  }
  double root = std::sqrt(squares / double(expected.size()));
  return largest == 0 ? 0 : largest / root;
}

} // namespace

Result<double> measureError(const Problem &problem, const Contender &contender,
                            const Inputs &inputs, size_t routing) {
  const std::vector<float> &logits = inputs.logits[routing];
  std::span<const float> output = contender.output();
  size_t width = problem.kind == Kind::Router   ? size_t(problem.k)
                 : problem.kind == Kind::Kernel ? size_t(problem.inner)
                                                : size_t(problem.width);
  if (output.size() != size_t(inputs.tokens) * width)
    return Error{"expected an output of " +
                 std::to_string(size_t(inputs.tokens) * width) +
                 " float32, found " + std::to_string(output.size())};
  Plain plain(problem, contender);
  double largest = 0;
  int64_t looks = std::min<int64_t>(inputs.tokens, 3);
  for (int64_t look = 0; look < looks; ++look) {
    size_t token =
        size_t(look * (inputs.tokens - 1) / std::max<int64_t>(looks - 1, 1));
    size_t d = size_t(problem.width), e = size_t(problem.experts);
    Vector x;
    if (problem.kind != Kind::Router)
      x.assign(inputs.x.begin() + int64_t(token * d),
               inputs.x.begin() + int64_t((token + 1) * d));
    std::span<const float> own(&logits[token * e], e);
    Vector expected;
    if (problem.kind == Kind::Kernel) {
      expected = plain.apply(x, "w", 0, problem.inner);
    } else {
      Choices choices = choose(problem, contender.description(), own);
      if (problem.kind == Kind::Layer)
        expected = plain.experts(x, choices.experts, choices.weights);
      if (problem.kind == Kind::Router)
        expected = choices.weights;
      if (problem.kind == Kind::Block) {
        expected = plain.experts(normalize(inputs, x), choices.experts,
                                 choices.weights);
        for (size_t i = 0; i < x.size(); ++i)
          expected[i] += x[i];
      }
      if (problem.kind == Kind::Router) {
        std::span<const int32_t> chosen = contender.chosen();
        for (size_t j = 0; j < choices.experts.size(); ++j)
          if (chosen.size() <= token * width + j ||
              chosen[token * width + j] != choices.experts[j])
            return Error{"expected the router to choose expert " +
                         std::to_string(choices.experts[j]) + " for token " +
                         std::to_string(token) + ", found another one"};
      }
    }
    if (!plain.error.empty())
      return Error{plain.error};
    double error = errorOf(expected, output.subspan(token * width, width));
    if (!(error <= largest))
      largest = error;
  }
  return largest;
}

} // namespace moec::bench
