// What paging bases of clusters costs, on a trace.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Program.h"
#include "tools/moe-simulate/Options.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

using namespace moec::residency;
using namespace moec::simulate;
using namespace moec::weights;

namespace {

/// All policies where none is asked for; predictors of hints where there are
/// any.
void chooseAll(Options &options, const Trace &trace) {
  if (options.evictions.empty())
    for (std::string_view name : simulatedEvictionNames())
      options.evictions.emplace_back(name);
  if (!options.predictors.empty())
    return;
  for (std::string_view name : simulatedPredictorNames())
    if (trace.hints.size() || !name.ends_with("hint"))
      options.predictors.emplace_back(name);
}

void printHead(const Trace &trace, const SimulatedMachine &machine) {
  double all = trace.extents.units();
  std::printf("%u layers of %u clusters, %llu requests, %llu steps; %u slots, "
              "%.1f %% of all bases, %.3g of %.3g GB; a read takes %.3g ms\n",
              trace.extents.layers, trace.extents.clusters,
              static_cast<unsigned long long>(trace.requests.size()),
              static_cast<unsigned long long>(trace.steps()), machine.slots,
              100 * std::min(machine.slots / all, 1.0),
              machine.slots * machine.unitBytes * 1e-9,
              all * machine.unitBytes * 1e-9, machine.readSeconds() * 1e3);
  std::printf("%-12s %-13s %7s %7s %7s %9s %8s %7s %9s\n", "eviction",
              "predictor", "hits", "late", "misses", "GB read", "wasted",
              "stall", "slowdown");
}

void print(const Trace &trace, const SimulatedMachine &machine,
           const std::string &eviction, const std::string &predictor,
           const SimulationResult &result, bool json) {
  double asked = std::max(double(result.asked()), 1.0);
  double bytes = double(result.reads) * machine.unitBytes;
  double wasted = double(result.wasted) / std::max(double(result.reads), 1.0);
  double plain = double(trace.turns()) * machine.layerSeconds;
  double stalled =
      result.seconds > 0 ? result.stallSeconds / result.seconds : 0;
  double slowdown = plain > 0 ? result.seconds / plain : 1;
  if (json)
    std::printf(
        "{\"eviction\": \"%s\", \"predictor\": \"%s\", \"slots\": %u, "
        "\"hits\": %llu, \"late\": %llu, \"misses\": %llu, \"reads\": %llu, "
        "\"fetches\": %llu, \"wasted\": %llu, \"bytes\": %.9g, \"seconds\": "
        "%.9g, \"stall_seconds\": %.9g, \"slowdown\": %.9g}\n",
        eviction.c_str(), predictor.c_str(), machine.slots,
        static_cast<unsigned long long>(result.hits),
        static_cast<unsigned long long>(result.late),
        static_cast<unsigned long long>(result.misses),
        static_cast<unsigned long long>(result.reads),
        static_cast<unsigned long long>(result.fetches),
        static_cast<unsigned long long>(result.wasted), bytes, result.seconds,
        result.stallSeconds, slowdown);
  else
    std::printf(
        "%-12s %-13s %6.2f%% %6.2f%% %6.2f%% %9.4g %7.2f%% %6.2f%% "
        "%8.3fx\n",
        eviction.c_str(), predictor.c_str(), 100 * double(result.hits) / asked,
        100 * double(result.late) / asked, 100 * double(result.misses) / asked,
        bytes * 1e-9, 100 * wasted, 100 * stalled, slowdown);
}

/// Writes who is in slots, a line for each turn.
class ResidencyFile {
public:
  explicit ResidencyFile(const std::string &path) : path(path) {
    if (!path.empty())
      file.open(path);
  }

  void write(std::span<const Unit> occupants) {
    std::vector<Unit> units(occupants.begin(), occupants.end());
    std::erase(units, noUnit);
    std::sort(units.begin(), units.end());
    for (size_t i = 0; i < units.size(); ++i)
      file << (i ? " " : "") << units[i];
    file << '\n';
  }
  Status close() {
    if (path.empty())
      return success();
    file.close();
    return file ? success() : Error{path + ": cannot be written"};
  }

private:
  std::string path;
  std::ofstream file;
};

Status run(Options options) {
  Result<Trace> trace = options.trace.empty() ? synthesize(options.traffic)
                                              : readTrace(options.trace);
  if (!trace)
    return Error{trace.error()};
  if (!options.written.empty())
    if (Status status = writeTrace(options.written, *trace); !status)
      return status;
  chooseAll(options, *trace);
  if (!options.json)
    printHead(*trace, options.machine);
  ResidencyFile residency(options.residency);
  Watcher watch;
  if (!options.residency.empty())
    watch = [&](uint64_t, std::span<const Unit> occupants) {
      residency.write(occupants);
    };
  for (const std::string &eviction : options.evictions)
    for (const std::string &predictor : options.predictors) {
      Result<SimulationResult> result =
          simulate(*trace, options.machine, eviction, predictor, watch);
      if (!result)
        return Error{result.error()};
      print(*trace, options.machine, eviction, predictor, *result,
            options.json);
    }
  return residency.close();
}

} // namespace

int main(int argc, char **argv) {
  return moec::runProgram(
      "moe-simulate",
      parseOptions(std::span(argv + 1, argc > 0 ? size_t(argc - 1) : 0)),
      helpText, MOEC_VERSION, run);
}
