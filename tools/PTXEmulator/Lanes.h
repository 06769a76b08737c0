// Reading and writing the 32 values of a slot.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_LANES_H
#define MOEC_TOOLS_PTXEMULATOR_LANES_H

#include "tools/PTXEmulator/Warp.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace moec::ptx {

/// What a register of a type is kept in.
template <typename T>
using Stored = std::conditional_t<sizeof(T) <= 4, uint32_t, uint64_t>;

/// A value for each lane.
template <typename T> struct Lanes {
  alignas(64) T values[warpSize];
  T &operator[](size_t lane) { return values[lane]; }
  const T &operator[](size_t lane) const { return values[lane]; }
};

/// Calls `visit` with each lane of a mask.
template <typename F> inline void forEachLane(Mask mask, F visit) {
  if (mask == allLanes) {
    for (unsigned lane = 0; lane < warpSize; ++lane)
      visit(lane);
    return;
  }
  for (; mask; mask &= mask - 1)
    visit(static_cast<unsigned>(std::countr_zero(mask)));
}

inline uint8_t *slotBytes(const Warp &warp, const Slot &slot) {
  return warp.files[slot.file] + slot.offset;
}

/// The values of a slot whose lanes hold a Stored<T>.
template <typename T> inline Lanes<T> read(const Warp &warp, const Slot &slot) {
  Lanes<T> lanes;
  const uint8_t *bytes = slotBytes(warp, slot);
  if constexpr (sizeof(T) == sizeof(Stored<T>)) {
    std::memcpy(lanes.values, bytes, sizeof lanes.values);
  } else {
    Lanes<Stored<T>> stored;
    std::memcpy(stored.values, bytes, sizeof stored.values);
    for (unsigned lane = 0; lane < warpSize; ++lane)
      lanes[lane] = static_cast<T>(stored[lane]);
  }
  return lanes;
}

/// Writes the values of the lanes in `mask`; narrow ones are zero-extended.
template <typename T>
inline void write(Warp &warp, const Slot &slot, const Lanes<T> &lanes,
                  Mask mask) {
  uint8_t *bytes = slotBytes(warp, slot);
  Lanes<Stored<T>> stored;
  if constexpr (sizeof(T) == sizeof(Stored<T>)) {
    std::memcpy(stored.values, lanes.values, sizeof stored.values);
  } else {
    for (unsigned lane = 0; lane < warpSize; ++lane)
      stored[lane] = static_cast<std::make_unsigned_t<T>>(lanes[lane]);
  }
  if (mask == allLanes) {
    std::memcpy(bytes, stored.values, sizeof stored.values);
    return;
  }
  forEachLane(mask, [&](unsigned lane) {
    std::memcpy(bytes + lane * sizeof(Stored<T>), &stored[lane],
                sizeof(Stored<T>));
  });
}

/// One lane of a slot of up to 8 bytes, zero-extended.
inline uint64_t readLane(const Warp &warp, const Slot &slot, unsigned lane) {
  const uint8_t *bytes = slotBytes(warp, slot);
  if (slot.laneBytes == 4) {
    uint32_t value;
    std::memcpy(&value, bytes + 4 * lane, 4);
    return value;
  }
  uint64_t value;
  std::memcpy(&value, bytes + slot.laneBytes * lane, 8);
  return value;
}

/// Sets one lane of a slot; the high half of 16 bytes becomes zero.
inline void writeLane(Warp &warp, const Slot &slot, unsigned lane,
                      uint64_t value) {
  uint8_t *bytes = slotBytes(warp, slot) + slot.laneBytes * lane;
  std::memcpy(bytes, &value, slot.laneBytes == 4 ? 4 : 8);
  if (slot.laneBytes == 16)
    std::memset(bytes + 8, 0, 8);
}

/// A predicate for each lane.
inline Mask readMask(const Warp &warp, const Slot &slot) {
  Mask mask;
  std::memcpy(&mask, slotBytes(warp, slot), sizeof mask);
  return slot.negated ? ~mask : mask;
}

inline void writeMask(Warp &warp, const Slot &slot, Mask values, Mask mask) {
  uint8_t *bytes = slotBytes(warp, slot);
  Mask old;
  std::memcpy(&old, bytes, sizeof old);
  Mask merged = (old & ~mask) | (values & mask);
  std::memcpy(bytes, &merged, sizeof merged);
}

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_LANES_H
