// One run of moe-compile.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOECOMPILE_DRIVER_H
#define MOEC_TOOLS_MOECOMPILE_DRIVER_H

#include "lowering/Library/EmitLibrary.h"

#include <string>
#include <vector>

namespace moec {

/// Where to stop, and so what is written.
enum class Emit { linalg, llvm, object, library };

/// What the command line asks for.
struct CompileRequest {
  std::string input;
  /// A directory for a library, else a file; "-" is stdout.
  std::string output;
  Emit emit = Emit::library;
  /// Passes on the module before it is lowered, as text.
  std::string passes;
  /// Whether moe-optimize runs, behind `passes`.
  bool optimize = false;
  /// Whether weights are kept out of the library: an archive beside it, bound by layers.
  bool separateWeights = false;
  /// Bindings of external params.
  std::vector<std::string> weights;
  /// Where times and remarks go; empty for nowhere.
  std::string report;
  lowering::LibraryOptions library;
};

/// Exit codes of moe-compile.
enum ExitCode { compiled = 0, compileError = 1, usageError = 2 };

/// Compiles; errors are printed with their place in the source.
ExitCode compile(const CompileRequest &request);

} // namespace moec

#endif // MOEC_TOOLS_MOECOMPILE_DRIVER_H
