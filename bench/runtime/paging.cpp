// What paging bases costs a model: the pager on a file, and the simulator's word on the same trace.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
//   runtime-paging FILE [--layers 16] [--clusters 8] [--bytes 4194304] [--part 0.25] [--steps 64] [--layer-seconds 2e-3]
//
// FILE is made, and removed. Traffic is made up: two of the clusters in a step of a layer, popularity 1/rank by topic, three in ten met
// again, hints nine in ten right, one layer ahead. A step of a layer takes as long as it is told, on the caller's core. `part` is
// the budget's part of all bases. The simulator is given the rate at which the pager's own reads came.
#include "bench/runtime/RecordsFile.h"
#include "runtime/pager/Pager.h"
#include "runtime/residency/Simulation.h"

#include <fstream>

using namespace moec::bench;
using namespace moec::pager;
using namespace moec::residency;

namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Bytes of this process that are resident, and were at most since the last
/// reset.
uint64_t statusBytes(const std::string &key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key))
      return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10) * 1024;
  return 0;
}

struct Run {
  PagerStatistics counted;
  double seconds = 0;
  uint64_t peakBytes = 0;
};

/// All steps of the trace, each layer's computation a wait.
Run runTrace(Pager &pager, const Trace &trace, double layerSeconds) {
  std::ofstream("/proc/self/clear_refs") << 5;
  uint64_t before = statusBytes("VmRSS:");
  std::vector<int32_t> slots(trace.extents.clusters), hint;
  auto listOf = [](std::span<const uint32_t> clusters) {
    return std::vector<int32_t>(clusters.begin(), clusters.end());
  };
  size_t request = 0;
  Clock::time_point begin = Clock::now();
  for (uint64_t turn = 0; turn < trace.turns(); ++turn) {
    uint32_t layer = uint32_t(turn % trace.extents.layers);
    if (layer == 0 && request < trace.requests.size() &&
        trace.requests[request] == turn / trace.extents.layers) {
      pager.beginRequest();
      ++request;
    }
    if (auto status = pager.acquire(layer, listOf(trace.used[turn]), slots);
        !status)
      fail(status.error());
    if (layer + 1 < trace.extents.layers)
      pager.hint(layer + 1, listOf(trace.hints[turn + 1]));
    for (Clock::time_point step = Clock::now();
         secondsSince(step) < layerSeconds;)
      ;
    pager.release(layer, slots);
  }
  Run run{pager.statistics(), secondsSince(begin), 0};
  run.peakBytes = statusBytes("VmHWM:") - before;
  return run;
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2)
    fail("expected a file to make");
  auto option = [&](const char *name, double otherwise) {
    return numberAfter(argc, argv, name, otherwise);
  };
  SyntheticTraffic traffic;
  traffic.extents = {uint32_t(option("--layers", 16)),
                     uint32_t(option("--clusters", 8))};
  traffic.requests = 8;
  traffic.stepsOfRequest = uint32_t(option("--steps", 64)) / 8;
  traffic.met = 2;
  traffic.topics = 4;
  traffic.persistence = 0.3;
  traffic.hintPrecision = 0.9;
  auto trace = synthesize(traffic);
  if (!trace)
    fail(trace.error());
  auto bytes = uint64_t(option("--bytes", 1 << 22));
  double layerSeconds = option("--layer-seconds", 2e-3);
  std::vector<moec::store::RecordPlace> places =
      makeRecordsFile(argv[1], traffic.extents.units(), bytes);
  std::vector<PagedLayer> layers;
  for (uint32_t layer = 0; layer < traffic.extents.layers; ++layer) {
    auto first = places.begin() + layer * traffic.extents.clusters;
    layers.push_back(
        {std::to_string(layer), {first, first + traffic.extents.clusters}});
  }
  PagerOptions options;
  options.budgetBytes = uint64_t(option("--part", 0.25) *
                                 double(bytes * traffic.extents.units()));
  std::printf("%-10s %-13s %7s %7s %7s %9s %8s %9s %10s   %s\n", "eviction",
              "predictor", "hits", "late", "misses", "GB read", "GB/s",
              "slowdown", "simulated", "peak - before / budget");
  for (const char *eviction : {"lru", "next_use"})
    for (const char *predictor : {"none", "rolling", "past_request", "hint"}) {
      options.eviction = eviction;
      options.predictor = predictor;
      options.lookahead = predictor == std::string("none") ? 0 : 1;
      if (!options.lookahead && eviction == std::string("next_use"))
        continue;
      auto pager = Pager::open(argv[1], layers, options);
      if (!pager)
        fail(pager.error());
      Run run = runTrace(**pager, *trace, layerSeconds);
      const PagerStatistics &counted = run.counted;
      double ideal = layerSeconds * double(trace->turns());
      SimulatedMachine machine;
      machine.slots = uint32_t(counted.slotBytes / bytes);
      machine.unitBytes = double(bytes);
      machine.layerSeconds = layerSeconds;
      machine.bytesPerSecond = double(counted.bytesRead) / counted.readSeconds;
      machine.lookahead = options.lookahead;
      auto simulated = simulate(*trace, machine, eviction, predictor);
      if (!simulated)
        fail(simulated.error());
      double asked = double(counted.hits + counted.late + counted.misses) / 100;
      std::printf("%-10s %-13s %6.1f%% %6.1f%% %6.1f%% %9.3f %8.2f %8.2fx "
                  "%9.2fx   %.3f\n",
                  eviction, predictor, double(counted.hits) / asked,
                  double(counted.late) / asked, double(counted.misses) / asked,
                  double(counted.bytesRead) * 1e-9,
                  machine.bytesPerSecond * 1e-9, run.seconds / ideal,
                  simulated->seconds / ideal,
                  double(run.peakBytes) / double(counted.slotBytes));
    }
  ::unlink(argv[1]);
}
