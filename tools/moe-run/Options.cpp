// What moe-run's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-run/Options.h"

#include "moert/comm.h"
#include "moert/executor.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

using moec::weights::Error;
using moec::weights::Result;
using moec::weights::Status;

namespace moec::run {

const char *const helpText =
    R"(Runs one entry of a compiled artifact on the device that it was made for.

usage: moe-run ARTIFACT [options]

  ARTIFACT            directory that moe-compile wrote, or a library.so
  --entry NAME        entry to run; may be left out when there is only one
  --layer NAME        layer to run, with its weights; may be left out when there
                      is only one
  --input NAME=FILE   values of an input: FILE.npy or FILE.safetensors:KEY;
                      inputs not named are seeded; float16 and bfloat16 files
                      serve float32 inputs too
  --seed N            seed of input number i is N + i (default 0)
  --tokens N          value of each dynamic extent that no file fixes
                      (default 8)
  --int-range N       seeded integers lie in 0 ... N-1 (default 2)
  --output DIR        write each output to DIR/NAME.npy (bfloat16:
                      DIR/NAME.safetensors)
  --repeat N          run N times and print the time of a run
  --steps N           run all layers in their order, N times, on other seeded
                      inputs each time; a layer's first input is that of the
                      layer before plus its output, rows divided by their root
                      mean square, where these are float32 of one shape; print
                      a checksum of all outputs, the time of a step, the most
                      memory, and with --compare-with the largest differences
  -n N, --ranks N     run N ranks in threads of their own, which share the
                      clusters of each layer: --steps (default 1) on each
                      one's own inputs; for an artifact of
                      moe-compile --expert-parallel. Under mpirun each process
                      is a rank
  --placement FILE    which rank has which cluster; by default placement.json of
                      the artifact, or cluster c on rank c modulo N
  --deadline MS       how long a rank waits for the others (default 30000)
  --memory-budget BYTES
                      keep that many bytes of bases of clusters in memory and
                      read the others when they are needed; for an artifact of
                      moe-compile --page-bases
  --eviction NAME     what leaves when memory is full: lru (default), lfu or
                      next_use
  --predictor NAME    who says what to read ahead of time: none, rolling,
                      past_request, hint (default) or exact_hint
  --lookahead N       how many layers ahead (default 1)
  --idle-steps N      give back the memory of bases that were not used in N
                      steps
  --regroup FOLDER    with --steps, of layers compiled with --instrument: other
                      clusters of experts while it runs, by the traffic it
                      sees; later generations of the archive go to FOLDER; say
                      what came of it, and how long steps took meanwhile
  --original DIR      the checkpoint that the archive was made from; without it
                      clusters stay, and only prototypes change
  --regroup-period S  regroup every S seconds
  --regroup-drift D   regroup when a layer's traffic drifted by more than D
  --regroup-since FILE
                      the profile that drift is measured from at first
  --regroup-tokens N  not before each layer has seen N tokens (default 1024)
  --regroup-alpha A   share of weights in the similarity (default 0.7)
  --regroup-max-error E
                      bound on the relative error of a matrix; by default the
                      largest there is
  --device NAME       cpu, cuda or cuda:N; the artifact must be made for it; by
                      default the first device of its kind
  --isa NAME          variant to run, for example portable or sm_80; by default
                      the best one that this CPU, or the device, has; of OTHER,
                      too, if it is made for the same kind of device
  --threads N         threads that share the work of parallel loops, 0 for one
                      on each CPU (default 1)
  --compare-with OTHER
                      run the entry of this name of another artifact on the same
                      inputs too, and print how far its outputs are from those
                      of ARTIFACT
  --expect NAME=FILE  print how far an output is from the values of a file
  --max-error E       with --compare-with or --expect: fail when an output's
                      largest relative error is above E
  --profile FILE      add the traffic of this run, of a layer compiled with
                      --instrument, to the profile in FILE
  --print             print the values of outputs
  --list              print layers, entries and their arguments, run nothing
  --help, --version

For each output it prints name, type, shape, least, largest and mean value, L2
norm, and an FNV-1a checksum of its bytes. A comparison prints, for values a of
ARTIFACT and b of OTHER,
  max abs   max |a - b|
  max rel   max |a - b| / max |a|
  rms rel   sqrt(sum (a - b)^2 / sum a^2)
and counts NaN. Infinite and NaN a stay out of max |a| and the sums; a NaN or an
infinity on one side only makes all three infinite.

examples:
  moe-run layer.moec --list
  moe-run layer.moec --tokens 16 --seed 7
  moe-run layer.moec --input arg0=x.npy --output results
  moe-run layer.moec --input arg0=acts.safetensors:hidden --repeat 100
  moe-run reference.moec --compare-with=fast.moec --max-error 1e-5

exit codes: 0 the run succeeded; 1 something failed at run time, or an error is
above --max-error; 2 the command line is wrong
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

Status addFile(std::string_view option,
               std::map<std::string, std::string> &files,
               std::string_view text) {
  size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 ||
      equals + 1 == text.size())
    return Error{std::string(option) +
                 ": expected NAME=FILE.npy or NAME=FILE.safetensors:KEY, "
                 "found '" +
                 std::string(text) + "'"};
  auto [place, isFirst] =
      files.emplace(text.substr(0, equals), text.substr(equals + 1));
  if (!isFirst)
    return Error{std::string(option) + ": expected each name once, found '" +
                 place->first + "' twice"};
  return weights::success();
}

/// "cpu", "cuda" or "cuda:1".
Result<DLDevice> parseDevice(std::string_view option, std::string_view text) {
  if (text == "cpu")
    return DLDevice{kDLCPU, 0};
  if (text == "cuda")
    return DLDevice{kDLCUDA, 0};
  if (!text.starts_with("cuda:"))
    return Error{std::string(option) +
                 ": expected cpu, cuda or cuda:N, found '" + std::string(text) +
                 "'"};
  Result<int64_t> index = parseNumber(option, text.substr(5), 0,
                                      std::numeric_limits<int32_t>::max());
  if (!index)
    return Error{index.error()};
  return DLDevice{kDLCUDA, int32_t(*index)};
}

/// A number from 0 on that is finite.
Result<double> parseFraction(std::string_view option, std::string_view text) {
  double value = 0;
  auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() ||
      !std::isfinite(value) || std::signbit(value))
    return Error{std::string(option) +
                 ": expected a number from 0 on, found '" + std::string(text) +
                 "'"};
  return value;
}

/// The field that a valueless option sets, or null.
bool *findFlag(Options &options, std::string_view name) {
  return name == "--print"                  ? &options.print
         : name == "--list"                 ? &options.list
         : name == "--help" || name == "-h" ? &options.help
         : name == "--version"              ? &options.version
                                            : nullptr;
}

/// The text field that an option sets, or null.
std::string *findText(Options &options, std::string_view name) {
  return name == "--entry"           ? &options.entry
         : name == "--layer"         ? &options.layer
         : name == "--output"        ? &options.output
         : name == "--compare-with"  ? &options.compareWith
         : name == "--profile"       ? &options.profile
         : name == "--isa"           ? &options.isa
         : name == "--eviction"      ? &options.paging.eviction
         : name == "--predictor"     ? &options.paging.predictor
         : name == "--regroup"       ? &options.regroup.folder
         : name == "--original"      ? &options.regroup.original
         : name == "--regroup-since" ? &options.regroup.profile
         : name == "--placement"     ? &options.placement
                                     : nullptr;
}

/// The number with a fraction that an option sets, or null.
double *findFraction(Options &options, std::string_view name) {
  return name == "--regroup-period"      ? &options.regroup.period
         : name == "--regroup-drift"     ? &options.regroup.drift
         : name == "--regroup-alpha"     ? &options.regroup.alpha
         : name == "--regroup-max-error" ? &options.regroup.maxError
                                         : nullptr;
}

struct NumberOption {
  int64_t *field;
  int64_t least;
  int64_t most;
};

/// The number that an option sets, or nothing.
std::optional<NumberOption> findNumber(Options &options,
                                       std::string_view name) {
  constexpr int64_t large = int64_t(1) << 40;
  if (name == "--seed")
    return NumberOption{&options.seed, 0, std::numeric_limits<uint32_t>::max()};
  if (name == "--tokens")
    return NumberOption{&options.tokens, 0, large};
  // int8 inputs hold any of them.
  if (name == "--int-range")
    return NumberOption{&options.intRange, 1, 128};
  if (name == "--threads")
    return NumberOption{&options.threads, 0, MOERT_MAX_THREADS};
  if (name == "--repeat")
    return NumberOption{&options.repeat, 1, large};
  if (name == "--steps")
    return NumberOption{&options.steps, 1, large};
  if (name == "--ranks" || name == "-n")
    return NumberOption{&options.ranks, 1, MOERT_MAX_RANKS};
  if (name == "--deadline")
    return NumberOption{&options.deadline, 1, large >> 10};
  if (name == "--memory-budget")
    return NumberOption{&options.paging.memoryBudget, 1, int64_t(1) << 60};
  if (name == "--lookahead")
    return NumberOption{&options.paging.lookahead, 1, 65536};
  if (name == "--regroup-tokens")
    return NumberOption{&options.regroup.leastTokens, 1, large};
  if (name == "--idle-steps")
    return NumberOption{&options.paging.idleSteps, 1, large};
  return std::nullopt;
}

/// Steps are of all layers and print no tensors; ranks take steps.
Status checkSteps(const Options &options, const char *option) {
  const std::pair<const char *, bool> others[] = {
      {"--entry", !options.entry.empty()},
      {"--layer", !options.layer.empty()},
      {"--input", !options.inputs.empty()},
      {"--expect", !options.expected.empty()},
      {"--output", !options.output.empty()},
      {"--profile", !options.profile.empty()},
      {"--print", options.print},
      {"--list", options.list},
      {"--repeat", options.repeat > 1}};
  for (auto [name, isThere] : others)
    if (isThere)
      return Error{std::string("expected ") + option + " or " + name +
                   ", found both"};
  return weights::success();
}

Status checkRegroup(const Options &options) {
  const RegroupRequest &regroup = options.regroup;
  if (regroup.folder.empty()) {
    bool isAsked = !regroup.original.empty() || !regroup.profile.empty() ||
                   regroup.period || regroup.drift || regroup.alpha ||
                   regroup.maxError || regroup.leastTokens;
    if (isAsked)
      return Error{"expected --regroup FOLDER beside --original and options "
                   "that begin with --regroup-, found none"};
    return weights::success();
  }
  if (!options.steps)
    return Error{"--regroup: expected --steps too, found none"};
  if (!regroup.period && !regroup.drift)
    return Error{"--regroup: expected --regroup-period or --regroup-drift, "
                 "found neither"};
  return weights::success();
}

/// What no option says by itself.
Status checkTogether(const Options &options) {
  if (options.help || options.version)
    return weights::success();
  if (options.artifact.empty())
    return Error{"expected an artifact, found none"};
  if (options.maxError && options.compareWith.empty() &&
      options.expected.empty())
    return Error{"--max-error: expected --compare-with or --expect too, found "
                 "it alone"};
  if (!options.entry.empty() && !options.layer.empty())
    return Error{"expected --entry or --layer, found both"};
  if (options.list && !options.compareWith.empty())
    return Error{"expected --list or --compare-with, found both"};
  const Paging &paging = options.paging;
  if (!paging.memoryBudget &&
      (!paging.eviction.empty() || !paging.predictor.empty() ||
       paging.lookahead || paging.idleSteps))
    return Error{"expected --memory-budget beside --eviction, --predictor, "
                 "--lookahead or --idle-steps, found none"};
  if (Status status = checkRegroup(options); !status)
    return status;
  if (options.ranks)
    return checkSteps(options, "--ranks");
  if (options.steps)
    return checkSteps(options, "--steps");
  return weights::success();
}

} // namespace

Result<Options> parseOptions(std::span<char *const> arguments) {
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
    if (bool *flag = findFlag(options, option)) {
      *flag = true;
      continue;
    }
    // --option value and --option=value are the same.
    size_t equals = option.find('=');
    std::string_view name = option.substr(0, equals);
    std::string *text = findText(options, name);
    std::optional<NumberOption> number = findNumber(options, name);
    double *fraction = findFraction(options, name);
    if (!text && !number && !fraction && name != "--input" &&
        name != "--expect" && name != "--max-error" && name != "--device")
      return Error{"expected an option of moe-run --help, found '" +
                   std::string(option) + "'"};
    if (equals == std::string_view::npos && i + 1 == arguments.size())
      return Error{std::string(name) + ": expected a value, found none"};
    std::string_view value = equals == std::string_view::npos
                                 ? std::string_view(arguments[++i])
                                 : option.substr(equals + 1);
    if (text) {
      if (value.empty())
        return Error{std::string(name) + ": expected a value, found none"};
      *text = value;
    } else if (number) {
      Result<int64_t> parsed =
          parseNumber(name, value, number->least, number->most);
      if (!parsed)
        return Error{parsed.error()};
      *number->field = *parsed;
    } else if (name == "--input" || name == "--expect") {
      if (Status status = addFile(
              name, name == "--input" ? options.inputs : options.expected,
              value);
          !status)
        return Error{status.error()};
    } else if (name == "--device") {
      Result<DLDevice> parsed = parseDevice(name, value);
      if (!parsed)
        return Error{parsed.error()};
      options.device = *parsed;
    } else {
      Result<double> parsed = parseFraction(name, value);
      if (!parsed)
        return Error{parsed.error()};
      if (fraction)
        *fraction = *parsed;
      else
        options.maxError = *parsed;
    }
  }
  if (Status status = checkTogether(options); !status)
    return Error{status.error()};
  return options;
}

} // namespace moec::run
