// What paging bases costs, on a trace.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Policies and predictors are those of the runtime; only time and reads are
// made up: one link, one read at a time.
#ifndef MOEC_RUNTIME_RESIDENCY_SIMULATION_H
#define MOEC_RUNTIME_RESIDENCY_SIMULATION_H

#include "runtime/residency/Eviction.h"
#include "runtime/residency/Trace.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace moec::residency {

/// What a step does about a base that is not there.
enum class MissPolicy {
  /// It waits for the read.
  Wait,
  /// It takes a copy of few bits, which is always there.
  LowBitCopy,
  /// It computes where the base lies, `missSeconds` for each.
  ComputeElsewhere
};

struct SimulatedMachine {
  uint32_t slots = 0;
  double unitBytes = 0;
  /// A step of a layer, whose bases are all there.
  double layerSeconds = 0;
  double bytesPerSecond = 0;
  double latencySeconds = 0;
  MissPolicy misses = MissPolicy::Wait;
  /// Of ComputeElsewhere.
  double missSeconds = 0;
  /// Layers ahead that predictions are asked for; 0: none.
  uint32_t lookahead = 1;
  /// Reads ahead of time that may wait for the link.
  uint32_t mostQueued = 4;

  double readSeconds() const {
    return latencySeconds + unitBytes / bytesPerSecond;
  }
};

struct SimulationResult {
  /// Bases that steps asked for: there, on their way, not there.
  uint64_t hits = 0, late = 0, misses = 0;
  /// Reads, those of them ahead of time, and those of these that left unused.
  uint64_t reads = 0, fetches = 0, wasted = 0;
  double seconds = 0, stallSeconds = 0;

  uint64_t asked() const { return hits + late + misses; }
  double hitRate() const {
    return asked() ? double(hits) / double(asked()) : 1;
  }
};

/// lru, lfu, next_use; clairvoyant: of the trace's own next uses, which no
/// policy without prediction beats (Belady 1966).
std::vector<std::string_view> simulatedEvictionNames();
/// none, rolling, past_request, hint, exact_hint; clairvoyant.
std::vector<std::string_view> simulatedPredictorNames();

/// Told at the end of each turn which units are in slots, noUnit in empty ones.
using Watcher =
    std::function<void(uint64_t turn, std::span<const Unit> occupants)>;

/// Fails for unknown names, for a predictor of hints where the trace has none,
/// and for fewer slots than a step of a layer meets.
weights::Result<SimulationResult> simulate(const Trace &trace,
                                           const SimulatedMachine &machine,
                                           std::string_view eviction,
                                           std::string_view predictor,
                                           const Watcher &watch = {});

} // namespace moec::residency

#endif // MOEC_RUNTIME_RESIDENCY_SIMULATION_H
