// What moe-run's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_RUN_OPTIONS_H
#define MOEC_TOOLS_MOE_RUN_OPTIONS_H

#include "tools/Execution/Arguments.h"
#include "tools/Execution/Artifact.h"
#include "weights/Result.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace moec::run {

/// How a model is regrouped while it runs: moert_regroup_options. Empty and 0
/// are the library's choice.
struct RegroupRequest {
  /// Where later generations go; empty: it is not regrouped.
  std::string folder;
  std::string original, profile;
  double period = 0, drift = 0, alpha = 0, maxError = 0;
  int64_t leastTokens = 0;
};

struct Options : ValueOptions {
  std::string artifact;
  /// Empty: the only entry.
  std::string entry;
  /// Empty: the only layer, if there are layers and no entry is asked for.
  std::string layer;
  /// Empty: outputs are not written.
  std::string output;
  /// Empty: nothing is compared.
  std::string compareWith;
  /// Empty: no traffic is counted.
  std::string profile;
  /// Empty: the best variant that the CPU has.
  std::string isa;
  /// The device to run on; the first one that the artifact was made for.
  std::optional<DLDevice> device;
  /// The largest relative error that is a success.
  std::optional<double> maxError;
  /// Of the artifact, not of what it is compared with.
  Paging paging;
  RegroupRequest regroup;
  int64_t repeat = 1;
  /// 0: one call of one layer or entry.
  int64_t steps = 0;
  int64_t threads = 1;
  /// Ranks that share the clusters; 0: those of an MPI launcher, or one.
  int64_t ranks = 0;
  /// Empty: the artifact's, or by turns.
  std::string placement;
  /// Milliseconds that a rank waits for the others; 0: the runtime's choice.
  int64_t deadline = 0;
  bool print = false;
  bool list = false;
  bool help = false;
  bool version = false;
};

/// Reads the arguments behind the program's name. An error is a usage error.
weights::Result<Options> parseOptions(std::span<char *const> arguments);

/// The text of --help.
extern const char *const helpText;

} // namespace moec::run

#endif // MOEC_TOOLS_MOE_RUN_OPTIONS_H
