// What moe-archive's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-archive/Options.h"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <fnmatch.h>

using moec::weights::Error;
using moec::weights::Result;
using moec::weights::Status;

namespace moec::archive {

const char *const helpText =
    R"(Lists, checks, compares and rewrites weight archives (docs/archive.md).

usage: moe-archive COMMAND ARCHIVE [arguments] [options]

  list ARCHIVE             records and tensors: class, place, hash, form
    --records              without tensors
    --json                 the archive's own description, as JSON
  verify ARCHIVE [RECORD...]
                           read the data and check its hashes; all records when
                           none is named
    --finite               also fail on NaN and infinity in floats
  unpack ARCHIVE -o FILE   decode into a plain safetensors file
    --as f32|stored        floats as F32 (default), or F16, BF16 and F8_E4M3
                           where they are stored so
    --only PATTERN         tensors of such names; may be repeated
  repack ARCHIVE -o FILE   write it in another encoding or layout, and print the
                           error that makes; tables stay as they are
    --encoding ENCODING    such as bf16 or 'int4 group 32 zero_point scale f16'
    --layout LAYOUT        row_major or panel16
    --only PATTERN         tensors of such names; may be repeated
  diff ARCHIVE OTHER       compare decoded values; OTHER is an archive or a
                           safetensors file
    --max-error E          fail when the max rel of a tensor is above E
    --only PATTERN         tensors of such names; may be repeated
  splat ARCHIVE -o FILE    the same structure without data, in kilobytes: every
                           element is one value
    --value V              that of floats (default 0); tables become 0
    --keep PATTERN         such tensors keep their data; may be repeated

  -o, --output FILE        appears whole or not at all. repack and splat leave
                           FILE.partial when they are interrupted, and go on
                           with it when they run again
  --help, --version

PATTERN is a shell pattern: * takes any characters, dots too.

For values a of ARCHIVE (repack: before) and b of OTHER (repack: after),
  max abs   max |a - b|
  max rel   max |a - b| / max |a|
  rms rel   sqrt(sum (a - b)^2 / sum a^2)
Where only one is NaN, or infinities differ, all three are infinite.

examples:
  moe-archive list weights.moec
  moe-archive verify weights.moec --finite
  moe-archive repack weights.moec -o small.moec --only 'layers.*.clusters.*' \
    --encoding 'int8 group 64'
  moe-archive diff weights.moec small.moec --max-error 0.02

exit codes: 0 success; 1 something failed, is damaged, or differs (other names
or shapes, or an error above --max-error); 2 the command line is wrong
)";

namespace {

/// What a command takes.
struct Command {
  std::string_view name;
  size_t leastFiles;
  size_t mostFiles;
  /// Its options, each with a blank behind it.
  std::string_view options;
};

constexpr Command commands[] = {
    {"list", 1, 1, "--records --json "},
    {"verify", 1, size_t(-1), "--finite "},
    {"unpack", 1, 1, "--output --as --only "},
    {"repack", 1, 1, "--output --encoding --layout --only "},
    {"diff", 2, 2, "--max-error --only "},
    {"splat", 1, 1, "--output --value --keep "},
};

Result<double> parseNumber(std::string_view option, std::string_view text,
                           bool isNegativeAllowed) {
  double value = 0;
  auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() ||
      !std::isfinite(value) || (std::signbit(value) && !isNegativeAllowed))
    return Error{std::string(option) + ": expected a number" +
                 (isNegativeAllowed ? "" : " from 0 on") + ", found '" +
                 std::string(text) + "'"};
  return value;
}

/// The field that a valueless option sets, or null.
bool *findFlag(Options &options, std::string_view name) {
  return name == "--json"                   ? &options.json
         : name == "--records"              ? &options.records
         : name == "--finite"               ? &options.finite
         : name == "--help" || name == "-h" ? &options.help
         : name == "--version"              ? &options.version
                                            : nullptr;
}

bool takesValue(std::string_view name) {
  return name == "--output" || name == "--as" || name == "--only" ||
         name == "--keep" || name == "--encoding" || name == "--layout" ||
         name == "--max-error" || name == "--value";
}

Status setValue(Options &options, std::string_view name,
                std::string_view value) {
  if (name == "--output") {
    options.output = value;
  } else if (name == "--only" || name == "--keep") {
    (name == "--only" ? options.only : options.keep).emplace_back(value);
  } else if (name == "--as") {
    if (value != "f32" && value != "stored")
      return Error{"--as: expected f32 or stored, found '" +
                   std::string(value) + "'"};
    options.storedTypes = value == "stored";
  } else if (name == "--encoding") {
    Result<weights::Encoding> encoding = weights::encodingFromText(value);
    if (!encoding)
      return Error{"--encoding: " + encoding.error()};
    options.encoding = *encoding;
  } else if (name == "--layout") {
    options.layout = weights::layoutFromName(value);
    if (options.layout != weights::Layout::RowMajor &&
        options.layout != weights::Layout::Panel16)
      return Error{"--layout: expected row_major or panel16, found '" +
                   std::string(value) + "'"};
  } else {
    bool isValue = name == "--value";
    Result<double> number = parseNumber(name, value, isValue);
    if (!number)
      return Error{number.error()};
    if (isValue)
      options.value = *number;
    else
      options.maxError = *number;
  }
  return weights::success();
}

/// What no argument says by itself.
Status checkTogether(const Options &options, const Command &command,
                     std::span<const std::string> used) {
  std::string where = options.command + ": ";
  for (const std::string &option : used)
    if (command.options.find(option + " ") == std::string_view::npos)
      return Error{where + "expected an option of moe-archive --help, found '" +
                   option + "'"};
  if (options.files.empty())
    return Error{where + "expected an archive, found none"};
  if (options.files.size() < command.leastFiles)
    return Error{where + "expected another file, found only '" +
                 options.files[0] + "'"};
  if (options.files.size() > command.mostFiles)
    return Error{where + "expected " +
                 (command.mostFiles == 1 ? "one file" : "two files") +
                 ", found '" + options.files[command.mostFiles] + "' too"};
  if (command.options.starts_with("--output") && options.output.empty())
    return Error{where + "expected -o FILE, found none"};
  if (options.command == "repack" && !options.encoding && !options.layout)
    return Error{where + "expected --encoding or --layout, found neither"};
  if (options.json && options.records)
    return Error{where + "expected --json or --records, found both"};
  return weights::success();
}

} // namespace

Result<Options> parseOptions(std::span<char *const> arguments) {
  Options options;
  std::vector<std::string> used;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view option = arguments[i];
    if (!option.starts_with("-")) {
      if (options.command.empty())
        options.command = option;
      else
        options.files.emplace_back(option);
      continue;
    }
    if (bool *flag = findFlag(options, option)) {
      *flag = true;
      used.emplace_back(option);
      continue;
    }
    // --option value and --option=value are the same; so are -o and --output.
    size_t equals = option.find('=');
    std::string_view name = option.substr(0, equals);
    if (name == "-o")
      name = "--output";
    if (!takesValue(name))
      return Error{"expected an option of moe-archive --help, found '" +
                   std::string(option) + "'"};
    if (equals == std::string_view::npos && i + 1 == arguments.size())
      return Error{std::string(name) + ": expected a value, found none"};
    std::string_view value = equals == std::string_view::npos
                                 ? std::string_view(arguments[++i])
                                 : option.substr(equals + 1);
    if (value.empty())
      return Error{std::string(name) + ": expected a value, found none"};
    if (Status status = setValue(options, name, value); !status)
      return Error{status.error()};
    used.emplace_back(name);
  }
  if (options.help || options.version)
    return options;
  std::string names;
  for (const Command &command : commands) {
    if (command.name == options.command) {
      if (Status status = checkTogether(options, command, used); !status)
        return Error{status.error()};
      return options;
    }
    names += (names.empty() ? "" : ", ") + std::string(command.name);
  }
  return Error{
      "expected a command of " + names + ", found " +
      (options.command.empty() ? "none" : "'" + options.command + "'")};
}

bool matches(std::span<const std::string> patterns, const std::string &name) {
  for (const std::string &pattern : patterns)
    if (::fnmatch(pattern.c_str(), name.c_str(), 0) == 0)
      return true;
  return false;
}

} // namespace moec::archive
