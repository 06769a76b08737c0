// One who solves a problem: what all of them are given.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Contender.h"

#include "weights/Seeded.h"

#include <cmath>
#include <numbers>

namespace moec::bench {

std::vector<float> normalValues(int64_t count, uint32_t seed) {
  std::vector<float> values;
  values.reserve(size_t(count));
  for (int64_t i = 0; i < count; ++i) {
    double first =
        (weights::seededBits(seed, uint64_t(2 * i)) + 0.5) / 4294967296.0;
    double second =
        (weights::seededBits(seed, uint64_t(2 * i + 1)) + 0.5) / 4294967296.0;
    values.push_back(float(std::sqrt(-2 * std::log(first)) *
                           std::cos(2 * std::numbers::pi * second)));
  }
  return values;
}

int64_t columnsOf(const Problem &problem, const std::string &name) {
  if (name.ends_with("_a"))
    return problem.rank;
  for (const char *matrix : {"w", "gate", "up", "down"})
    for (const char *suffix : {"", "_base", "_b"})
      if (name == std::string(matrix) + suffix)
        return name[0] == 'd' ? problem.width : problem.inner;
  return 0;
}

/// Of all tokens of a block: its normed activations times its router.
static std::vector<float> blockLogits(const Problem &problem,
                                      const Inputs &inputs) {
  size_t width = size_t(problem.width), experts = size_t(problem.experts);
  std::vector<float> logits;
  for (size_t token = 0; token < size_t(inputs.tokens); ++token) {
    std::span<const float> x(&inputs.x[token * width], width);
    double squares = 0;
    for (float value : x)
      squares += double(value) * value;
    double scale = 1 / std::sqrt(squares / double(width) + 1e-6);
    std::vector<double> row(experts);
    for (size_t i = 0; i < width; ++i)
      for (size_t e = 0; e < experts; ++e)
        row[e] +=
            x[i] * scale * inputs.norm[i] * inputs.router[i * experts + e];
    logits.insert(logits.end(), row.begin(), row.end());
  }
  return logits;
}

Inputs makeInputs(const Problem &problem, int64_t tokens, int64_t routings) {
  Inputs inputs;
  inputs.tokens = tokens;
  inputs.x = normalValues(tokens * problem.width, 3);
  for (int64_t i = 0; i < routings; ++i)
    inputs.logits.push_back(drawLogits(tokens, problem.experts, problem.zipf,
                                       uint32_t(1000 + 77 * i)));
  if (problem.kind == Kind::Block) {
    inputs.router = normalValues(problem.width * problem.experts, 4);
    for (float &value : inputs.router)
      value /= std::sqrt(float(problem.width));
    inputs.norm.assign(size_t(problem.width), 1.0f);
    // Its router decides; the same in all routings.
    for (std::vector<float> &logits : inputs.logits)
      logits = &logits == &inputs.logits[0] ? blockLogits(problem, inputs)
                                            : inputs.logits[0];
  }
  return inputs;
}

} // namespace moec::bench
