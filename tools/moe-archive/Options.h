// What moe-archive's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_ARCHIVE_OPTIONS_H
#define MOEC_TOOLS_MOE_ARCHIVE_OPTIONS_H

#include "weights/Encoding.h"
#include "weights/Layout.h"
#include "weights/Result.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moec::archive {

struct Options {
  /// Empty with --help and --version.
  std::string command;
  /// The archive, then what the command takes behind it.
  std::vector<std::string> files;
  std::string output;
  /// Names of tensors that are meant; none: all.
  std::vector<std::string> only;
  /// Names of tensors that splat leaves as they are.
  std::vector<std::string> keep;
  std::optional<weights::Encoding> encoding;
  std::optional<weights::Layout> layout;
  /// The largest relative error that is a success.
  std::optional<double> maxError;
  double value = 0;
  bool storedTypes = false;
  bool json = false;
  bool records = false;
  bool finite = false;
  bool help = false;
  bool version = false;
};

/// Reads the arguments behind the program's name. An error is a usage error.
weights::Result<Options> parseOptions(std::span<char *const> arguments);

/// Whether one of the patterns matches; `*` takes any characters, dots too.
bool matches(std::span<const std::string> patterns, const std::string &name);

/// The text of --help.
extern const char *const helpText;

} // namespace moec::archive

#endif // MOEC_TOOLS_MOE_ARCHIVE_OPTIONS_H
