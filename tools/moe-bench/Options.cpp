// What moe-bench's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Options.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

using namespace moec::weights;

namespace moec::bench {

const char *const helpText =
    R"(Times artifacts beside one another, beside libraries, and beside what the
machine can do.

usage: moe-bench --suite FILE [options] [CONTENDER=ARTIFACT...]
       moe-bench ARTIFACT... [options]
       moe-bench --from FILE... [--md FILE] [--csv FILE] [--svg FILE]

  --suite FILE        problems and contenders (bench/suites); modules are made
                      and compiled with moe-compile. CONTENDER=ARTIFACT adds an
                      artifact of the module of that contender
  --only TEXT         problems with TEXT in their name
  --tokens N,N...     tokens of a call (default: the suite's, or 8)
  --threads N,N...    threads and processors used (default 1)
  --seconds S         time for each point (default 2)
  --rounds N          at least so many rounds for each point (default 5)
  --rotate N          copies of the weights that are used in turn (default: as
                      many as it takes to read more than the largest cache
                      between two uses of a copy)
  --routings N        different logits that are used in turn (default 8)
  --memory N          GiB that all weights may take (default 10)
  --random-weights    make weights up even where an artifact has its own
  --max-error E       largest error of a checked result (default 1e-3)
  --without-peers     only moec's contenders
  --flags TEXT        for moe-compile, separated by blanks; it compiles for
                      --cpu=native unless they say for which
  --compiler FILE     moe-compile (default: next to this program)
  --scratch DIR       for modules and artifacts (default: a temporary one)
  --read-mib N        MiB read to find the machine's rate (default: more than
                      the largest cache)
  --from FILE         results that --json wrote, to be merged and shown; several
                      times if need be
  --json FILE         results, an object in each line
  --csv FILE, --md FILE, --svg FILE
                      results as a table, and as a picture
  --help, --version

Contenders are called in turn in one process. Times are processor time of the
thread with one thread, time of day with more; ratios are medians of the ratios
within a round. Results of each contender are compared with a plain solution in
f64 of up to three tokens; a wrong one ends the run.

exit codes: 0 done; 1 something failed, or a result is wrong; 2 the command line
is wrong
)";

namespace {

template <typename T>
std::optional<T> parse(std::string_view text, T least, T most) {
  T value = 0;
  auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() ||
      !(value >= least && value <= most))
    return std::nullopt;
  return value;
}

struct NumberOption {
  const char *name;
  int64_t Options::*field;
  int64_t least;
  int64_t most;
};
constexpr NumberOption numbers[] = {
    {"--rounds", &Options::rounds, 1, 1 << 20},
    {"--rotate", &Options::rotate, 1, 1024},
    {"--routings", &Options::routings, 1, 1024},
    {"--memory", &Options::memory, 1, 1 << 16},
    {"--read-mib", &Options::readMebibytes, 1, 1 << 20}};

struct ListOption {
  const char *name;
  std::vector<int64_t> Options::*field;
  int64_t most;
};
constexpr ListOption lists[] = {{"--tokens", &Options::tokens, 1 << 20},
                                {"--threads", &Options::threads, 1024}};

struct TextOption {
  const char *name;
  std::string Options::*field;
};
constexpr TextOption texts[] = {
    {"--suite", &Options::suite},       {"--only", &Options::only},
    {"--compiler", &Options::compiler}, {"--scratch", &Options::scratch},
    {"--json", &Options::json},         {"--csv", &Options::csv},
    {"--md", &Options::markdown},       {"--svg", &Options::svg}};

struct RealOption {
  const char *name;
  double Options::*field;
  double least;
};
constexpr RealOption reals[] = {{"--seconds", &Options::seconds, 0},
                                {"--max-error", &Options::maxError, 0}};

struct FlagOption {
  const char *name;
  bool Options::*field;
};
constexpr FlagOption flagOptions[] = {
    {"--random-weights", &Options::randomWeights},
    {"--without-peers", &Options::withoutPeers},
    {"--help", &Options::help},
    {"-h", &Options::help},
    {"--version", &Options::version}};

Error expected(std::string_view option, const std::string &what,
               std::string_view found) {
  return Error{std::string(option) + ": expected " + what + ", found '" +
               std::string(found) + "'"};
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  for (;;) {
    size_t end = text.find(by);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos)
      return parts;
    text.remove_prefix(end + 1);
  }
}

/// Takes the value of an option; nothing if there is no such option.
std::optional<Status> take(Options &options, std::string_view name,
                           std::string_view value) {
  for (const TextOption &each : texts)
    if (name == each.name) {
      options.*each.field = value;
      return success();
    }
  for (const NumberOption &each : numbers)
    if (name == each.name) {
      auto number = parse<int64_t>(value, each.least, each.most);
      if (!number)
        return expected(name,
                        "a number from " + std::to_string(each.least) + " to " +
                            std::to_string(each.most),
                        value);
      options.*each.field = *number;
      return success();
    }
  for (const ListOption &each : lists)
    if (name == each.name) {
      (options.*each.field).clear();
      for (std::string_view part : split(value, ',')) {
        auto number = parse<int64_t>(part, 1, each.most);
        if (!number)
          return expected(name,
                          "numbers from 1 to " + std::to_string(each.most) +
                              ", separated by commas",
                          value);
        (options.*each.field).push_back(*number);
      }
      return success();
    }
  for (const RealOption &each : reals)
    if (name == each.name) {
      auto number = parse<double>(value, each.least, 1e6);
      if (!number)
        return expected(name, "a number from 0 to 1000000", value);
      options.*each.field = *number;
      return success();
    }
  if (name == "--from") {
    options.from.emplace_back(value);
    return success();
  }
  if (name == "--flags") {
    for (std::string_view part : split(value, ' '))
      if (!part.empty())
        options.flags.emplace_back(part);
    return success();
  }
  return std::nullopt;
}

/// What no option says by itself.
Status checkTogether(const Options &options) {
  if (options.help || options.version)
    return success();
  if (options.suite.empty() && options.artifacts.empty() &&
      options.from.empty())
    return Error{"expected --suite, --from or an artifact, found none"};
  if (!options.from.empty() &&
      (!options.suite.empty() || !options.artifacts.empty()))
    return Error{"expected --from alone, found what to run too"};
  for (const ArtifactOption &artifact : options.artifacts)
    if (artifact.contender.empty() != options.suite.empty())
      return Error{options.suite.empty()
                       ? "expected --suite with CONTENDER=ARTIFACT, found none"
                       : "expected CONTENDER=ARTIFACT with --suite, found '" +
                             artifact.path + "'"};
  return success();
}

} // namespace

Result<Options> parseOptions(std::span<char *const> arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view word = arguments[i];
    if (!word.starts_with("-")) {
      // A contender's name may have '=' too.
      size_t equals = word.rfind('=');
      if (equals == std::string_view::npos)
        options.artifacts.push_back({"", std::string(word)});
      else
        options.artifacts.push_back({std::string(word.substr(0, equals)),
                                     std::string(word.substr(equals + 1))});
      continue;
    }
    bool isFlag = false;
    for (const FlagOption &flag : flagOptions)
      if (word == flag.name)
        options.*flag.field = isFlag = true;
    if (isFlag)
      continue;
    size_t equals = word.find('=');
    std::string_view name = word.substr(0, equals);
    bool hasNext = equals != std::string_view::npos || i + 1 < arguments.size();
    std::string_view value = equals != std::string_view::npos
                                 ? word.substr(equals + 1)
                             : hasNext ? std::string_view(arguments[i + 1])
                                       : std::string_view();
    std::optional<Status> taken = take(options, name, value);
    if (!taken)
      return Error{"expected an option of moe-bench --help, found '" +
                   std::string(word) + "'"};
    if (!hasNext || value.empty())
      return Error{std::string(name) + ": expected a value, found none"};
    if (!*taken)
      return Error{taken->error()};
    if (equals == std::string_view::npos)
      ++i;
  }
  if (Status status = checkTogether(options); !status)
    return Error{status.error()};
  return options;
}

} // namespace moec::bench
