// A suite: problems, and who is to solve them. bench/README.md has the format.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_SUITE_H
#define MOEC_TOOLS_MOE_BENCH_SUITE_H

#include "weights/Encoding.h"
#include "weights/Result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moec::bench {

/// What a problem is about.
enum class Kind { Kernel, Layer, Block, Router, Compile };

/// Programs or libraries that a contender is made of.
enum class Solver { Moec, OpenBlas, Blis, OneDnn };

/// One who solves a problem.
struct ContenderSpec {
  std::string name;
  Solver solver = Solver::Moec;
  /// Base and residual for each matrix, or whole matrices.
  bool compressed = false;
  /// Clusters that a token keeps; 0: its choices are as they come.
  int64_t keep = 0;
  /// How clusters are scored: max, sum or top2_sum.
  std::string by = "max";
  /// Of moe-compile, for this one.
  std::vector<std::string> flags;
  /// An artifact that is there already; else one is compiled.
  std::string artifact;
};

/// One problem, its sizes, and its contenders; the first is the baseline.
struct Problem {
  std::string name;
  Kind kind = Kind::Layer;
  /// Width of the model, and of an expert. A kernel maps width to inner.
  int64_t width = 0;
  int64_t inner = 0;
  int64_t experts = 1;
  int64_t clusters = 1;
  int64_t k = 1;
  int64_t rank = 0;
  /// How many of them are in a module; for the time to compile.
  int64_t layers = 1;
  weights::Encoding base;
  weights::Encoding residual;
  std::vector<int64_t> tokens;
  /// Exponent of the experts' popularity; 0: all are chosen alike.
  double zipf = 0;
  /// A checkpoint to compile, below the suite's folder; empty: a module.
  std::string checkpoint;
  /// Of moe-compile, for this problem.
  std::vector<std::string> flags;
  std::vector<ContenderSpec> contenders;
};

struct Suite {
  std::string name;
  /// The file's folder.
  std::string folder;
  std::vector<Problem> problems;
};

/// "layer".
std::string kindName(Kind kind);

/// Reads a suite; `name` stands in messages.
weights::Result<Suite> parseSuite(const std::string &name,
                                  std::string_view text);
weights::Result<Suite> readSuite(const std::string &path);

/// What bench/make_module.py reads: the module of one contender, as JSON.
std::string moduleRequest(const Problem &problem,
                          const ContenderSpec &contender);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_SUITE_H
