// One who solves a problem: an artifact, or calls of a library.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_CONTENDER_H
#define MOEC_TOOLS_MOE_BENCH_CONTENDER_H

#include "tools/moe-bench/Routing.h"
#include "tools/moe-bench/Suite.h"
#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moec::bench {

/// What all contenders are given: activations of N(0, 1), and some routings.
struct Inputs {
  int64_t tokens = 0;
  std::vector<float> x;
  /// Of each routing, tokens x experts.
  std::vector<std::vector<float>> logits;
  /// Of a block: width x experts, and the weights of its norm.
  std::vector<float> router;
  std::vector<float> norm;
};

Inputs makeInputs(const Problem &problem, int64_t tokens, int64_t routings);

/// Columns of the weight that bench/make_module.py calls so; 0 for another one.
int64_t columnsOf(const Problem &problem, const std::string &name);

/// N(0, 1).
std::vector<float> normalValues(int64_t count, uint32_t seed);

class Contender {
public:
  Contender(const Problem &problem, ContenderSpec spec)
      : problem(problem), spec(std::move(spec)) {}
  virtual ~Contender() = default;

  /// Makes ready for some inputs, which stay where they are.
  virtual weights::Status prepare(const Inputs &inputs) = 0;
  /// Solves the problem once, with one of the routings and of the copies.
  virtual weights::Status run(size_t routing, size_t copy) = 0;
  /// What the last run computed.
  virtual std::span<const float> output() const = 0;
  /// Of a router: the experts that the last run chose.
  virtual std::span<const int32_t> chosen() const { return {}; }

  /// The values of a weight's matrix: gate_base, gate_a, gate_b, gate, ...
  virtual weights::Result<std::vector<float>> matrix(const std::string &name,
                                                     int64_t entry,
                                                     int64_t rows,
                                                     int64_t columns) const = 0;

  virtual void setCopies(size_t count) = 0;
  virtual size_t copies() const = 0;
  /// Bytes of the weights in one copy.
  virtual uint64_t bytes() const = 0;

  const ContenderSpec &description() const { return spec; }

protected:
  const Problem &problem;
  ContenderSpec spec;
};

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_CONTENDER_H
