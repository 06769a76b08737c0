// Which base leaves its slot.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_RESIDENCY_EVICTION_H
#define MOEC_RUNTIME_RESIDENCY_EVICTION_H

#include "runtime/residency/Prediction.h"

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace moec::residency {

/// What keeping a unit is worth. Time is counted in turns: one for each step of
/// each layer, so that layer is turn mod layers.
class Eviction {
public:
  virtual ~Eviction() = default;

  virtual void used(Unit unit, uint64_t turn) = 0;
  /// It was read, ahead of time or not: it must not be the next to leave for that.
  virtual void entered(Unit unit, uint64_t turn) { used(unit, turn); }
  /// The unit that is worth least leaves first.
  virtual double worth(Unit unit, uint64_t turn) const = 0;
};

/// Least recently used.
class LeastRecentlyUsed : public Eviction {
public:
  explicit LeastRecentlyUsed(uint32_t units) : last(units, 0) {}

  void used(Unit unit, uint64_t turn) override { last[unit] = turn + 1; }
  double worth(Unit unit, uint64_t) const override {
    return double(last[unit]);
  }

private:
  std::vector<uint64_t> last;
};

/// Least frequently used; a use counts half as much after `halfLife` turns.
class LeastFrequentlyUsed : public Eviction {
public:
  LeastFrequentlyUsed(uint32_t units, double halfLife)
      : uses(units), halfLife(halfLife) {}

  void used(Unit unit, uint64_t turn) override;
  double worth(Unit unit, uint64_t turn) const override;

private:
  struct Uses {
    double count = 0;
    uint64_t turn = 0;
  };
  std::vector<Uses> uses;
  double halfLife;
};

/// Latest predicted next use: a layer's next step is so many turns ahead, and
/// meets a cluster of chance p after 1/p steps.
class LatestNextUse : public Eviction {
public:
  LatestNextUse(Extents extents, const Predictor &predictor)
      : extents(extents), predictor(predictor) {}

  void used(Unit, uint64_t) override {}
  double worth(Unit unit, uint64_t turn) const override;

private:
  Extents extents;
  const Predictor &predictor;
};

/// By name: lru, lfu, next_use; null for others. The predictor has to outlive it.
std::unique_ptr<Eviction> makeEviction(std::string_view name, Extents extents,
                                       const Predictor &predictor);
std::vector<std::string_view> evictionNames();

/// Turns from one layer's step to another's next one: 1 to `layers`.
uint32_t turnsUntil(Extents extents, uint64_t turn, uint32_t layer);

} // namespace moec::residency

#endif // MOEC_RUNTIME_RESIDENCY_EVICTION_H
