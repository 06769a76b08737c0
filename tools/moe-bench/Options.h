// What moe-bench's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_OPTIONS_H
#define MOEC_TOOLS_MOE_BENCH_OPTIONS_H

#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moec::bench {

/// ARTIFACT, or CONTENDER=ARTIFACT with a suite.
struct ArtifactOption {
  std::string contender;
  std::string path;
};

struct Options {
  std::vector<ArtifactOption> artifacts;
  std::string suite;
  /// Problems whose name has this in it; empty: all.
  std::string only;
  /// Results to show instead of running anything.
  std::vector<std::string> from;
  /// Empty: those of the suite, or 8.
  std::vector<int64_t> tokens;
  std::vector<int64_t> threads = {1};
  double seconds = 2;
  int64_t rounds = 5;
  /// Copies of weights; 0: enough for the cache.
  int64_t rotate = 0;
  int64_t routings = 8;
  /// GiB of weights in all copies.
  int64_t memory = 10;
  /// MiB that the read rate is measured with; 0: more than the cache.
  int64_t readMebibytes = 0;
  double maxError = 1e-3;
  bool randomWeights = false;
  bool withoutPeers = false;
  std::vector<std::string> flags;
  std::string compiler;
  std::string scratch;
  std::string json, csv, markdown, svg;
  bool help = false;
  bool version = false;
};

/// Reads the arguments behind the program's name. An error is a usage error.
weights::Result<Options> parseOptions(std::span<char *const> arguments);

/// The text of --help.
extern const char *const helpText;

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_OPTIONS_H
