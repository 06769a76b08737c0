// Makes artifacts of a suite's contenders with moe-compile.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_COMPILE_H
#define MOEC_TOOLS_MOE_BENCH_COMPILE_H

#include "tools/moe-bench/Suite.h"
#include "weights/Result.h"

namespace moec::bench {

/// Programs and folders that compiling needs.
struct Compiler {
  /// moe-compile; empty: next to this program, else on PATH.
  std::string program;
  /// make_module.py.
  std::string generator;
  /// Modules, artifacts and reports are written below it.
  std::string scratch;
  /// Of moe-compile, for all problems: --pipeline=reference
  std::vector<std::string> flags;
};

/// The path of make_module.py: in the suite's folder, or above it, there also
/// in bench/.
weights::Result<std::string> findGenerator(const Suite &suite);

/// "moe-compile" next to this program, or the name alone.
std::string findCompiler();

/// Runs a program; an error has the last line that it wrote to stderr. Its
/// output goes to a file, unless `output` is empty.
weights::Status runProgram(const std::vector<std::string> &words,
                           const std::string &output);

/// A name as one of a file.
std::string fileName(const std::string &text);

/// Writes the contender's module; returns its path.
weights::Result<std::string> writeModule(const Compiler &compiler,
                                         const Problem &problem,
                                         const ContenderSpec &contender);

/// Compiles the contender without its weights; returns the artifact's path.
weights::Result<std::string> compileArtifact(const Compiler &compiler,
                                             const Problem &problem,
                                             const ContenderSpec &contender);

/// Seconds of a stage of moe-compile.
struct Stage {
  std::string name;
  double seconds = 0;
};

/// The stages in the text of a report; stages of one name together.
weights::Result<std::vector<Stage>> parseStages(const std::string &name,
                                                std::string_view text);

/// Compiles a module, or a checkpoint's directory with its weights, and returns
/// the stages and their sum, "all".
weights::Result<std::vector<Stage>> timeCompilation(const Compiler &compiler,
                                                    const Problem &problem,
                                                    const std::string &input);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_COMPILE_H
