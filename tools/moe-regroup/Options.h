// What moe-regroup's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_REGROUP_OPTIONS_H
#define MOEC_TOOLS_MOE_REGROUP_OPTIONS_H

#include "weights/Regrouping.h"

#include <span>
#include <string>

namespace moec::regroup {

struct Options {
  bool help = false, version = false;
  std::string archive, output, profile;
  /// A checkpoint's directory; empty: clusters stay.
  std::string original;
  /// A profile of before; empty: drift is not measured.
  std::string since;
  /// A directory of statistics, or none.
  std::string cache;
  weights::RegroupOptions regrouping;
};

extern const char *const helpText;

weights::Result<Options> parseOptions(std::span<char *const> arguments);

} // namespace moec::regroup

#endif // MOEC_TOOLS_MOE_REGROUP_OPTIONS_H
