// What moe-simulate's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_SIMULATE_OPTIONS_H
#define MOEC_TOOLS_MOE_SIMULATE_OPTIONS_H

#include "runtime/residency/Simulation.h"

#include <span>
#include <string>
#include <vector>

namespace moec::simulate {

struct Options {
  bool help = false, version = false;
  /// A file; else traffic is made up.
  std::string trace;
  residency::SyntheticTraffic traffic;
  /// Where the trace is written to, or nowhere.
  std::string written;
  residency::SimulatedMachine machine;
  /// Bytes that slots are made of, where they are not counted.
  double memory = 0;
  std::vector<std::string> evictions, predictors;
  bool json = false;
  /// Where it is written which bases are in slots, or nowhere.
  std::string residency;
};

extern const char *const helpText;

weights::Result<Options> parseOptions(std::span<char *const> arguments);

} // namespace moec::simulate

#endif // MOEC_TOOLS_MOE_SIMULATE_OPTIONS_H
