// The read-only registers that say where a thread is.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_SPECIALREGISTERS_H
#define MOEC_TOOLS_PTXEMULATOR_SPECIALREGISTERS_H

#include "tools/PTXEmulator/Types.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace moec::ptx {

using Extent = std::array<uint32_t, 3>;

inline uint64_t volume(const Extent &extent) {
  return uint64_t(extent[0]) * extent[1] * extent[2];
}

/// The coordinates of the `index`th element of `extent`, x fastest.
inline Extent coordinatesOf(uint64_t index, const Extent &extent) {
  return {uint32_t(index % extent[0]), uint32_t(index / extent[0] % extent[1]),
          uint32_t(index / extent[0] / extent[1])};
}

/// Where a thread is in its grid.
struct ThreadPlace {
  Extent thread, block, cta, grid, cluster;
  uint32_t dynamicSharedBytes = 0, totalSharedBytes = 0;
};

/// The type of a special register, such as "%tid.x", or nothing if there is
/// none of that name.
std::optional<Type> specialRegisterType(std::string_view name);

/// Whether a register changes while a thread runs, as %clock64 does.
bool isClock(std::string_view name);

/// The value of a special register that is no clock.
uint64_t specialRegisterValue(std::string_view name, const ThreadPlace &place);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_SPECIALREGISTERS_H
