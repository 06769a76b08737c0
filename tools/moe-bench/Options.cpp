// What moe-bench's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Options.h"

#include "tools/OptionReader.h"

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

/// Numbers from 1 to `most`, between commas.
OptionReader intoList(std::vector<int64_t> &numbers, int64_t most) {
  return [&numbers, most](const std::string &name,
                          std::string_view value) -> Status {
    numbers.clear();
    for (std::string_view part : splitText(value, ',')) {
      numbers.push_back(numberFromText<int64_t>(part).value_or(0));
      if (numbers.back() < 1 || numbers.back() > most)
        return unexpected(name,
                          "numbers from 1 to " + std::to_string(most) +
                              ", separated by commas",
                          value);
    }
    return success();
  };
}

/// Adds what is between blanks.
OptionReader addWords(std::vector<std::string> &words) {
  return [&words](const std::string &, std::string_view value) {
    for (std::string_view part : splitText(value, ' '))
      if (!part.empty())
        words.emplace_back(part);
    return success();
  };
}

/// Adds the whole value.
OptionReader addText(std::vector<std::string> &texts) {
  return [&texts](const std::string &, std::string_view value) {
    texts.emplace_back(value);
    return success();
  };
}

OptionReaders readersOf(Options &options) {
  return {{"--suite", into(options.suite)},
          {"--only", into(options.only)},
          {"--compiler", into(options.compiler)},
          {"--scratch", into(options.scratch)},
          {"--json", into(options.json)},
          {"--csv", into(options.csv)},
          {"--md", into(options.markdown)},
          {"--svg", into(options.svg)},
          {"--rounds", into(options.rounds, 1, 1 << 20)},
          {"--rotate", into(options.rotate, 1, 1024)},
          {"--routings", into(options.routings, 1, 1024)},
          {"--memory", into(options.memory, 1, 1 << 16)},
          {"--read-mib", into(options.readMebibytes, 1, 1 << 20)},
          {"--seconds", into(options.seconds, 0, 1e6)},
          {"--max-error", into(options.maxError, 0, 1e6)},
          {"--tokens", intoList(options.tokens, 1 << 20)},
          {"--threads", intoList(options.threads, 1024)},
          {"--from", addText(options.from)},
          {"--flags", addWords(options.flags)}};
}

/// Takes a flag or the name of an artifact.
bool takeWord(Options &options, std::string_view word) {
  if (word.starts_with("-")) {
    for (const FlagOption &flag : flagOptions)
      if (word == flag.name)
        return options.*flag.field = true;
    return false;
  }
  // A contender's name may have '=' too.
  size_t equals = word.rfind('=');
  if (equals == std::string_view::npos)
    options.artifacts.push_back({"", std::string(word)});
  else
    options.artifacts.push_back({std::string(word.substr(0, equals)),
                                 std::string(word.substr(equals + 1))});
  return true;
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
  if (Status status = readOptions(
          arguments, readersOf(options), "an option of moe-bench --help",
          [&](std::string_view word, size_t) -> Result<bool> {
            return takeWord(options, word);
          });
      !status)
    return Error{status.error()};
  if (Status status = checkTogether(options); !status)
    return Error{status.error()};
  return options;
}

} // namespace moec::bench
