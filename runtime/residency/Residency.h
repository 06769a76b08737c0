// Which bases lie in which slots of a pool.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// What moves is a unit: the base of one cluster of one layer. Units outnumber
// slots. docs/residency.md says what is resident when, and why.
#ifndef MOEC_RUNTIME_RESIDENCY_RESIDENCY_H
#define MOEC_RUNTIME_RESIDENCY_RESIDENCY_H

#include "runtime/residency/Eviction.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace moec::residency {

/// Slots and their occupants. Nothing allocates after the constructor. A unit
/// is absent, loading – its slot is being written – or present. Not for several
/// threads at once.
class Residency {
public:
  Residency(uint32_t units, uint32_t slots);

  bool isPresent(Unit unit) const { return states[unit] == State::Present; }
  bool isLoading(Unit unit) const { return states[unit] == State::Loading; }
  bool isAbsent(Unit unit) const { return states[unit] == State::Absent; }
  /// Of a unit that is not absent.
  uint32_t slotOf(Unit unit) const { return placeOf[unit]; }
  /// By slot; noUnit in empty ones.
  std::span<const Unit> occupants() const { return occupantOf; }

  /// A unit that is not absent stays in its slot until as many releases; a
  /// pinned one is held and never released.
  void hold(Unit unit) { ++holders[unit]; }
  void release(Unit unit) { --holders[unit]; }

  /// An empty slot, else that of the unit which is worth least, of those that
  /// are present and that nobody holds; nothing if there is none.
  std::optional<uint32_t> slotToTake(const Eviction &eviction,
                                     uint64_t turn) const;

  /// An absent unit takes a slot that slotToTake named; who was there is
  /// absent from now on.
  void load(Unit unit, uint32_t slot);
  void landed(Unit unit) { states[unit] = State::Present; }
  /// It could not be read: the slot is empty.
  void failed(Unit unit);
  /// A present unit that nobody holds leaves its slot empty.
  void evict(Unit unit);

  /// A present unit that nobody holds and that was not used since `turn`; noUnit
  /// if all were. Who frees memory early asks until there is none.
  Unit idleSince(uint64_t turn) const;
  void used(Unit unit, uint64_t turn) { lastUse[unit] = turn; }

private:
  enum class State : uint8_t { Absent, Loading, Present };

  bool canLeave(Unit unit) const { return isPresent(unit) && !holders[unit]; }

  std::vector<State> states;
  std::vector<uint32_t> placeOf, holders;
  std::vector<uint64_t> lastUse;
  std::vector<Unit> occupantOf;
};

} // namespace moec::residency

#endif // MOEC_RUNTIME_RESIDENCY_RESIDENCY_H
