// Running grids: which CTAs are resident, and whose turn it is.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_MACHINE_H
#define MOEC_TOOLS_PTXEMULATOR_MACHINE_H

#include "tools/PTXEmulator/Warp.h"
#include "weights/Result.h"

#include <optional>
#include <span>

namespace moec::ptx {

/// Runs grids to their ends, or to the first fault. Some CTAs are resident at a
/// time, and their warps take turns at random; warps may be starved for long.
/// Each grid but the first is a programmatic dependent of the one before: it
/// may begin as soon as the CTAs of that one have let it, or have ended. The
/// same settings give the same run. `steps`, if given, becomes the number of
/// thread instructions.
std::optional<Fault> runGrids(DeviceMemory &memory, const Settings &settings,
                              std::span<const Grid> grids,
                              uint64_t *steps = nullptr);

/// What is wrong with the shape of a launch: nothing after success.
weights::Status checkGrid(const Grid &grid);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_MACHINE_H
