// What moe-run's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-run/Options.h"

#include <charconv>
#include <limits>
#include <string_view>

using moec::weights::Error;
using moec::weights::Result;
using moec::weights::Status;

namespace moec::run {

const char *const helpText =
    R"(Runs one entry of a compiled artifact on the CPU.

usage: moe-run ARTIFACT [options]

  ARTIFACT            directory that moe-compile wrote, or a library.so
  --entry NAME        entry to run; may be left out when there is only one
  --input NAME=FILE   values of an input: FILE.npy or FILE.safetensors:KEY;
                      inputs not named are seeded
  --seed N            seed of input number i is N + i (default 0)
  --tokens N          value of each dynamic extent that no file fixes
                      (default 8)
  --int-range N       seeded integers lie in 0 ... N-1 (default 2)
  --output DIR        write each output to DIR/NAME.npy (bfloat16:
                      DIR/NAME.safetensors)
  --repeat N          run N times and print the time of a run
  --print             print the values of outputs
  --list              print entries and their arguments, run nothing
  --help, --version

For each output it prints name, type, shape, least, largest and mean value, L2
norm, and an FNV-1a checksum of its bytes.

examples:
  moe-run layer.moec --list
  moe-run layer.moec --tokens 16 --seed 7
  moe-run layer.moec --input arg0=x.npy --output results
  moe-run layer.moec --input arg0=acts.safetensors:hidden --repeat 100

exit codes: 0 the run succeeded, 1 something failed at run time, 2 the command
line is wrong
)";

namespace {

/// A number in [least, most] behind an option.
Result<int64_t> parseNumber(std::string_view option, std::string_view text,
                            int64_t least, int64_t most) {
  int64_t value = 0;
  auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() ||
      value < least || value > most)
    return Error{std::string(option) + ": expected a number from " +
                 std::to_string(least) + " to " + std::to_string(most) +
                 ", found '" + std::string(text) + "'"};
  return value;
}

Status addInput(Options &options, std::string_view text) {
  size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 ||
      equals + 1 == text.size())
    return Error{"--input: expected NAME=FILE.npy or "
                 "NAME=FILE.safetensors:KEY, found '" +
                 std::string(text) + "'"};
  auto [place, isFirst] =
      options.inputs.emplace(text.substr(0, equals), text.substr(equals + 1));
  if (!isFirst)
    return Error{"--input: expected each input once, found '" + place->first +
                 "' twice"};
  return weights::success();
}

} // namespace

Result<Options> parseOptions(std::span<char *const> arguments) {
  constexpr int64_t large = int64_t(1) << 40;
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view option = arguments[i];
    if (!option.starts_with("-")) {
      if (!options.artifact.empty())
        return Error{"expected one artifact, found '" + options.artifact +
                     "' and '" + std::string(option) + "'"};
      options.artifact = option;
      continue;
    }
    bool *flag = option == "--print"     ? &options.print
                 : option == "--list"    ? &options.list
                 : option == "--help"    ? &options.help
                 : option == "-h"        ? &options.help
                 : option == "--version" ? &options.version
                                         : nullptr;
    if (flag) {
      *flag = true;
      continue;
    }
    // --option value and --option=value are the same.
    size_t equals = option.find('=');
    std::string_view name = option.substr(0, equals);
    bool known = name == "--entry" || name == "--input" || name == "--seed" ||
                 name == "--tokens" || name == "--int-range" ||
                 name == "--output" || name == "--repeat";
    if (!known)
      return Error{"expected an option of moe-run --help, found '" +
                   std::string(option) + "'"};
    if (equals == std::string_view::npos && i + 1 == arguments.size())
      return Error{std::string(name) + ": expected a value, found none"};
    std::string_view value = equals == std::string_view::npos
                                 ? std::string_view(arguments[++i])
                                 : option.substr(equals + 1);
    Result<int64_t> number = 0;
    if (name == "--entry") {
      options.entry = value;
    } else if (name == "--output") {
      options.output = value;
    } else if (name == "--input") {
      if (Status status = addInput(options, value); !status)
        return Error{status.error()};
    } else if (name == "--seed") {
      number =
          parseNumber(name, value, 0, std::numeric_limits<uint32_t>::max());
      options.seed = number ? uint32_t(*number) : 0;
    } else if (name == "--tokens") {
      number = parseNumber(name, value, 0, large);
      options.tokens = number ? *number : 0;
    } else if (name == "--int-range") {
      // int8 inputs hold any of them.
      number = parseNumber(name, value, 1, 128);
      options.intRange = number ? *number : 0;
    } else {
      number = parseNumber(name, value, 1, large);
      options.repeat = number ? *number : 0;
    }
    if (!number)
      return Error{number.error()};
  }
  if (options.artifact.empty() && !options.help && !options.version)
    return Error{"expected an artifact, found none"};
  return options;
}

} // namespace moec::run
