// What the programs without LLVM have in common: options, help, errors, exit
// codes. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PROGRAM_H
#define MOEC_TOOLS_PROGRAM_H

#include "weights/Result.h"

#include <cstdio>
#include <new>
#include <stdexcept>
#include <string>

namespace moec {

/// What each program's --help says of its exit code.
enum ExitCode { Succeeded = 0, Failed = 1, WrongUsage = 2 };

/// The body of a main. `run` takes the options and returns a weights::Status;
/// errors go to stderr behind the program's name. Sizes come from users and
/// files, so memory may end; vectors say so by an exception.
template <typename Options, typename Run>
int runProgram(const std::string &name, const weights::Result<Options> &options,
               const char *help, const std::string &version, Run run) {
  auto say = [&](const std::string &what) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), what.c_str());
  };
  if (!options) {
    say(options.error() + "\nSee " + name + " --help.");
    return WrongUsage;
  }
  if (options->help) {
    std::fputs(help, stdout);
    return Succeeded;
  }
  if (options->version) {
    std::printf("%s %s\n", name.c_str(), version.c_str());
    return Succeeded;
  }
  try {
    weights::Status status = run(*options);
    if ((std::fflush(stdout) != 0 || std::ferror(stdout)) && status)
      status = weights::Error{"cannot write to standard output"};
    if (status)
      return Succeeded;
    say(status.error());
  } catch (const std::bad_alloc &) {
    say("out of memory");
  } catch (const std::length_error &) {
    // What could not be in memory even if there were enough of it.
    say("out of memory");
  }
  return Failed;
}

} // namespace moec

#endif // MOEC_TOOLS_PROGRAM_H
