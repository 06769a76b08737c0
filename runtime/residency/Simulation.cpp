// What paging bases costs, on a trace.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Simulation.h"

#include "runtime/residency/ReadAhead.h"

#include <algorithm>
#include <deque>
#include <memory>

using namespace moec::weights;

namespace moec::residency {

namespace {

//===----------------------------------------------------------------------===//
// Who knows the trace
//===----------------------------------------------------------------------===//

/// Latest next use: Belady's policy.
class ClairvoyantEviction : public Eviction {
public:
  explicit ClairvoyantEviction(const Trace &trace)
      : uses(trace.extents.units()), next(trace.extents.units(), 0) {
    for (uint64_t turn = 0; turn < trace.turns(); ++turn)
      for (uint32_t cluster : trace.used[turn]) {
        uint64_t layer = turn % trace.extents.layers;
        uses[trace.extents.unitOf(layer, cluster)].push_back(turn);
      }
  }

  void entered(Unit, uint64_t) override {}
  void used(Unit unit, uint64_t) override { ++next[unit]; }
  double worth(Unit unit, uint64_t) const override {
    const std::vector<uint64_t> &own = uses[unit];
    constexpr double never = 1e300;
    return next[unit] < own.size() ? -double(own[next[unit]]) : -never;
  }

private:
  std::vector<std::vector<uint64_t>> uses;
  std::vector<size_t> next;
};

class ClairvoyantPredictor : public Predictor {
public:
  explicit ClairvoyantPredictor(const Trace &trace) : trace(trace) {}

  void observe(uint32_t, std::span<const uint32_t>) override { ++observed; }
  double chance(uint32_t layer, uint32_t cluster) const override {
    uint64_t now = observed - 1;
    uint64_t turn = now + turnsUntil(trace.extents, now, layer);
    if (turn >= trace.turns())
      return 0;
    std::span<const uint32_t> used = trace.used[turn];
    return std::find(used.begin(), used.end(), cluster) != used.end();
  }

private:
  const Trace &trace;
  uint64_t observed = 0;
};

//===----------------------------------------------------------------------===//
// By name
//===----------------------------------------------------------------------===//

/// Of the runtime's, or who knows the trace; null for other names.
std::unique_ptr<Predictor> predictorOf(std::string_view name,
                                       const Trace &trace) {
  if (name == "clairvoyant")
    return std::make_unique<ClairvoyantPredictor>(trace);
  return makePredictor(name, trace.extents);
}

std::unique_ptr<Eviction> evictionOf(std::string_view name, const Trace &trace,
                                     const Predictor &predictor) {
  if (name == "clairvoyant")
    return std::make_unique<ClairvoyantEviction>(trace);
  return makeEviction(name, trace.extents, predictor);
}

//===----------------------------------------------------------------------===//
// A run
//===----------------------------------------------------------------------===//

class Simulator {
public:
  Simulator(const Trace &trace, const SimulatedMachine &machine,
            Eviction &eviction, Predictor &predictor)
      : trace(trace), machine(machine), eviction(eviction),
        predictor(predictor), readAhead(trace.extents, eviction, predictor),
        residency(trace.extents.units(), machine.slots),
        isUnused(trace.extents.units(), false) {}

  SimulationResult run(const Watcher &watch) {
    size_t request = 0;
    for (turn = 0; turn < trace.turns(); ++turn) {
      uint64_t step = turn / layers();
      if (turn % layers() == 0 && request < trace.requests.size() &&
          trace.requests[request] == step) {
        predictor.beginRequest();
        ++request;
      }
      takeTurn();
      if (watch)
        watch(turn, residency.occupants());
    }
    result.seconds = clock;
    return result;
  }

private:
  /// A read that waits for the link, from when it was asked for.
  struct Queued {
    Unit unit;
    double asked;
    bool isAhead;
  };

  uint32_t layers() const { return trace.extents.layers; }
  Unit unitOf(uint64_t layer, uint32_t cluster) const {
    return trace.extents.unitOf(layer, cluster);
  }

  void takeTurn() {
    uint64_t layer = turn % layers();
    std::span<const uint32_t> used = trace.used[turn];
    predictor.observe(uint32_t(layer), used);
    for (uint32_t cluster : used) {
      Unit unit = unitOf(layer, cluster);
      eviction.used(unit, turn);
      residency.hold(unit);
    }
    advance(clock);
    double begin = clock, elsewhere = 0;
    for (uint32_t cluster : used)
      elsewhere += meet(unitOf(layer, cluster));
    result.stallSeconds += clock - begin;
    fetchAhead(layer);
    clock += machine.layerSeconds + elsewhere;
    advance(clock);
    for (uint32_t cluster : used)
      residency.release(unitOf(layer, cluster));
  }

  /// A base that the step asks for: it is there afterwards, or done without. Returns what computing elsewhere takes.
  double meet(Unit unit) {
    bool isComing = isWaiting(unit) || residency.isLoading(unit);
    bool isThere = residency.isPresent(unit);
    ++(isThere ? result.hits : isComing ? result.late : result.misses);
    isUnused[unit] = false;
    if (isThere)
      return 0;
    if (machine.misses == MissPolicy::Wait) {
      waitFor(unit);
      return 0;
    }
    if (!isComing)
      queue.push_front({unit, clock, /*isAhead=*/false});
    return machine.misses == MissPolicy::ComputeElsewhere ? machine.missSeconds
                                                          : 0;
  }

  /// In front of all that waits, behind what is on its way.
  void waitFor(Unit unit) {
    std::erase_if(queue, [&](const Queued &read) { return read.unit == unit; });
    if (reading != noUnit) {
      clock = std::max(clock, landsAt);
      land();
    }
    if (residency.isPresent(unit))
      return;
    // The step's own bases are held, and there are slots for all of them.
    begin({unit, clock, /*isAhead=*/false}, clock);
    clock = landsAt;
    land();
  }

  //===--- the link ---===//
  void land() {
    residency.landed(reading);
    reading = noUnit;
    freeAt = landsAt;
  }

  /// Up to a time: what is on its way lands, what waits begins.
  void advance(double now) {
    for (;;) {
      if (reading != noUnit) {
        if (landsAt > now)
          return;
        land();
      }
      if (queue.empty())
        return;
      Queued next = queue.front();
      double start = std::max(freeAt, next.asked);
      if (start > now)
        return;
      queue.pop_front();
      begin(next, start);
    }
  }

  /// Nothing happens where no slot can be had, or not for that.
  void begin(const Queued &read, double start) {
    std::optional<uint32_t> slot = residency.slotToTake(eviction, turn);
    if (!slot || (read.isAhead &&
                  !readAhead.pays(residency, read.unit, *slot, turn, costs())))
      return;
    Unit leaving = residency.occupants()[*slot];
    if (leaving != noUnit && isUnused[leaving]) {
      ++result.wasted;
      isUnused[leaving] = false;
    }
    residency.load(read.unit, *slot);
    eviction.entered(read.unit, turn);
    isUnused[read.unit] = read.isAhead;
    ++result.reads;
    result.fetches += read.isAhead;
    reading = read.unit;
    landsAt = start + machine.readSeconds();
    busySeconds += machine.readSeconds();
  }

  //===--- ahead of time ---===//
  ReadCosts costs() const {
    return {machine.layerSeconds, machine.readSeconds(),
            clock > 0 ? std::min(busySeconds / clock, 1.0) : 0};
  }

  /// Hints come from earlier layers of the same step.
  void giveHints(uint64_t layer) {
    if (!trace.hints.size())
      return;
    uint64_t first = layer == 0 ? 1 : machine.lookahead;
    for (uint64_t ahead = first; ahead <= machine.lookahead; ++ahead)
      if (ahead && layer + ahead < layers())
        predictor.hint(uint32_t(layer + ahead), trace.hints[turn + ahead]);
  }

  /// Queues what the next layers are likely to meet, the nearest layers first,
  /// of those the likeliest.
  void fetchAhead(uint64_t layer) {
    giveHints(layer);
    uint32_t most = std::min(machine.lookahead, layers());
    for (uint32_t ahead = 1; ahead <= most; ++ahead)
      for (Unit unit :
           readAhead.unitsWorthReading(residency, ahead, turn, costs())) {
        if (queue.size() >= machine.mostQueued)
          return;
        if (!isWaiting(unit))
          queue.push_back({unit, clock, /*isAhead=*/true});
      }
  }

  bool isWaiting(Unit unit) const {
    return std::any_of(queue.begin(), queue.end(),
                       [&](const Queued &read) { return read.unit == unit; });
  }

  const Trace &trace;
  const SimulatedMachine &machine;
  Eviction &eviction;
  Predictor &predictor;
  ReadAhead readAhead;
  Residency residency;
  SimulationResult result;
  uint64_t turn = 0;
  double clock = 0;
  /// The link: what it reads, until when; since when it is free; how long it
  /// was not.
  Unit reading = noUnit;
  double landsAt = 0, freeAt = 0, busySeconds = 0;
  std::deque<Queued> queue;
  /// Of units read ahead of time, that no step has met them yet.
  std::vector<bool> isUnused;
};

} // namespace

static std::vector<std::string_view>
withClairvoyant(std::vector<std::string_view> names) {
  names.push_back("clairvoyant");
  return names;
}

std::vector<std::string_view> simulatedEvictionNames() {
  return withClairvoyant(evictionNames());
}

std::vector<std::string_view> simulatedPredictorNames() {
  return withClairvoyant(predictorNames());
}

Result<SimulationResult> simulate(const Trace &trace,
                                  const SimulatedMachine &machine,
                                  std::string_view eviction,
                                  std::string_view predictor,
                                  const Watcher &watch) {
  std::unique_ptr<Predictor> predicting = predictorOf(predictor, trace);
  if (!predicting)
    return Error{"expected a predictor of " +
                 listed(simulatedPredictorNames()) + ", found '" +
                 std::string(predictor) + "'"};
  std::unique_ptr<Eviction> evicting = evictionOf(eviction, trace, *predicting);
  if (!evicting)
    return Error{"expected an eviction of " + listed(simulatedEvictionNames()) +
                 ", found '" + std::string(eviction) + "'"};
  if (predictor.ends_with("hint") && !trace.hints.size())
    return Error{"expected a trace with hints for the predictor '" +
                 std::string(predictor) + "', found none"};
  if (machine.slots < trace.most())
    return Error{"expected slots for the " + std::to_string(trace.most()) +
                 " bases that a step of a layer meets, found " +
                 std::to_string(machine.slots)};
  return Simulator(trace, machine, *evicting, *predicting).run(watch);
}

} // namespace moec::residency
