// Running grids: which CTAs are resident, and whose turn it is.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_MACHINE_H
#define MOEC_TOOLS_PTXEMULATOR_MACHINE_H

#include "tools/PTXEmulator/Warp.h"
#include "weights/Result.h"

#include <optional>

namespace moec::ptx {

/// Runs a grid to its end, or to the first fault. Some CTAs are resident at a
/// time, and their warps take turns at random; warps may be starved for long.
/// The same settings give the same run. `steps`, if given, becomes the number
/// of thread instructions.
std::optional<Fault> runGrid(DeviceMemory &memory, const Settings &settings,
                             const Grid &grid, uint64_t *steps = nullptr);

/// What is wrong with the shape of a launch: nothing after success.
weights::Status checkGrid(const Grid &grid);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_MACHINE_H
