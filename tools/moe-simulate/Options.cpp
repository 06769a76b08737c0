// What moe-simulate's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-simulate/Options.h"

#include "tools/OptionReader.h"

#include <cmath>
#include <map>

using namespace moec::residency;
using namespace moec::weights;

namespace moec::simulate {

const char *const helpText =
    R"(What paging bases of clusters costs, on a trace (docs/residency.md).

usage: moe-simulate [traffic] [machine] [policies]

traffic: a file, or made up from a seed
  --trace FILE             what steps of layers have met
  --layers N               48             --clusters N        of a layer: 16
  --requests N             32             --steps N           of a request: 64
  --met N                  different clusters that a step of a layer meets: 1
  --topics N               a request has one; each ranks clusters anew: 8
  --skew S                 cluster of rank n comes as often as 1/n^S: 1
  --persistence P          chance that a cluster is met again at once: 0.3
  --hint-precision P       chance that a hint is right; 0: no hints: 0.9
  --seed N                 0
  --write-trace FILE       keep it

machine
  --slots N                bases in fast memory at a time, of all layers
  --memory BYTES           the same in bytes: as many slots as fit
  --unit-bytes B           of a base: 1e7
  --layer-seconds S        a step of a layer whose bases are there: 1e-4
  --bandwidth B            bytes per second: 3e9
  --latency S              1e-4
  --misses POLICY          wait, low_bit_copy, compute_elsewhere: wait
  --miss-seconds S         of a base, with compute_elsewhere: 1e-3
  --lookahead N            layers ahead that predictions are for: 4
  --most-queued N          reads ahead of time that wait for the link: 4

policies
  --evictions LIST         of lru, lfu, next_use, clairvoyant; all
  --predictors LIST        of none, rolling, past_request, hint, exact_hint,
                           clairvoyant; all that the trace allows

  --json                   an object a line
  --write-residency FILE   of one eviction and one predictor: a line for each
                           step of each layer, with the bases in slots at its
                           end, layer * clusters + cluster
  --help, --version

hits are bases that are there when a step asks; late ones are on their way.
wasted reads were ahead of time, and left before any step met them. stall is
the part of the time in which a step waits; slowdown is against bases that are
all there.

examples:
  moe-simulate --layers 48 --clusters 8 --memory 1e9 --unit-bytes 9.4e6
  moe-simulate --trace trace.safetensors --slots 96 --evictions lru,next_use

exit codes: 0 all well; 1 the trace or the policies do not work out; 2 a
wrong command line
)";

namespace {

/// Any number from 0.
template <typename Number> OptionReader into(Number &number) {
  return [&number](const std::string &name, std::string_view text) -> Status {
    std::optional<Number> found = numberFromText<Number>(text);
    if (!found || *found < 0)
      return unexpected(name, "a number from 0", text);
    if constexpr (std::is_floating_point_v<Number>)
      if (!std::isfinite(*found))
        return unexpected(name, "a finite number", text);
    number = *found;
    return success();
  };
}

OptionReader into(std::vector<std::string> &names) {
  return intoEach(names, [](std::string &name) { return moec::into(name); });
}

OptionReader into(MissPolicy &policy) {
  return [&policy](const std::string &name, std::string_view text) -> Status {
    static const std::map<std::string_view, MissPolicy> policies = {
        {"wait", MissPolicy::Wait},
        {"low_bit_copy", MissPolicy::LowBitCopy},
        {"compute_elsewhere", MissPolicy::ComputeElsewhere}};
    auto found = policies.find(text);
    if (found == policies.end())
      return Error{name +
                   ": expected wait, low_bit_copy or "
                   "compute_elsewhere, found '" +
                   std::string(text) + "'"};
    policy = found->second;
    return success();
  };
}

/// What --help says is there when nothing is said.
Options defaults() {
  Options options;
  SyntheticTraffic &traffic = options.traffic;
  traffic.extents = {48, 16};
  traffic.requests = 32;
  traffic.stepsOfRequest = 64;
  traffic.topics = 8;
  traffic.persistence = 0.3;
  traffic.hintPrecision = 0.9;
  SimulatedMachine &machine = options.machine;
  machine.unitBytes = 1e7;
  machine.layerSeconds = 1e-4;
  machine.bytesPerSecond = 3e9;
  machine.latencySeconds = 1e-4;
  machine.missSeconds = 1e-3;
  machine.lookahead = 4;
  return options;
}

Status check(Options &options) {
  SimulatedMachine &machine = options.machine;
  if (!(machine.unitBytes > 0) || !(machine.bytesPerSecond > 0))
    return Error{"expected --unit-bytes and --bandwidth above 0"};
  if ((machine.slots > 0) == (options.memory > 0))
    return Error{"expected one of --slots and --memory"};
  constexpr double mostSlots = 1 << 24;
  if (options.memory > 0)
    machine.slots = uint32_t(
        std::min(std::floor(options.memory / machine.unitBytes), mostSlots));
  if (!options.residency.empty() &&
      (options.evictions.size() != 1 || options.predictors.size() != 1))
    return Error{"--write-residency: expected one of --evictions and one of "
                 "--predictors"};
  return success();
}

} // namespace

Result<Options> parseOptions(std::span<char *const> arguments) {
  Options options = defaults();
  SyntheticTraffic &traffic = options.traffic;
  SimulatedMachine &machine = options.machine;
  const OptionReaders readers = {
      {"--trace", moec::into(options.trace)},
      {"--write-trace", moec::into(options.written)},
      {"--write-residency", moec::into(options.residency)},
      {"--layers", into(traffic.extents.layers)},
      {"--clusters", into(traffic.extents.clusters)},
      {"--requests", into(traffic.requests)},
      {"--steps", into(traffic.stepsOfRequest)},
      {"--met", into(traffic.met)},
      {"--topics", into(traffic.topics)},
      {"--skew", into(traffic.skew)},
      {"--persistence", into(traffic.persistence)},
      {"--hint-precision", into(traffic.hintPrecision)},
      {"--seed", into(traffic.seed)},
      {"--slots", into(machine.slots)},
      {"--memory", into(options.memory)},
      {"--unit-bytes", into(machine.unitBytes)},
      {"--layer-seconds", into(machine.layerSeconds)},
      {"--bandwidth", into(machine.bytesPerSecond)},
      {"--latency", into(machine.latencySeconds)},
      {"--misses", into(machine.misses)},
      {"--miss-seconds", into(machine.missSeconds)},
      {"--lookahead", into(machine.lookahead)},
      {"--most-queued", into(machine.mostQueued)},
      {"--evictions", into(options.evictions)},
      {"--predictors", into(options.predictors)}};
  auto takeWord = [&](std::string_view word, size_t) -> Result<bool> {
    if (word == "--help" || word == "-h")
      return options.help = true;
    if (word == "--version")
      return options.version = true;
    if (word == "--json")
      return options.json = true;
    return false;
  };
  if (Status status = readOptions(arguments, readers,
                                  "an option of moe-simulate --help", takeWord);
      !status)
    return Error{status.error()};
  if (!options.help && !options.version)
    if (Status status = check(options); !status)
      return Error{status.error()};
  return options;
}

} // namespace moec::simulate
