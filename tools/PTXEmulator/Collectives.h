// Lanes of a warp that do something together.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_COLLECTIVES_H
#define MOEC_TOOLS_PTXEMULATOR_COLLECTIVES_H

#include "tools/PTXEmulator/Lanes.h"

namespace moec::ptx {

/// Calls `run` with each group of lanes that name each other as members, all of
/// which have come; exited lanes count as having come. Returns the lanes of
/// those groups. A lane that does not name itself is a fault.
template <typename F>
Mask forEachGroup(Warp &warp, const Operation &operation, const Slot &members,
                  Mask mask, F run) {
  Mask done = 0;
  for (Mask left = mask; left && !warp.machine->fault;) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(left));
    Mask named = static_cast<Mask>(readLane(warp, members, lane));
    if (!(named >> lane & 1))
      return warp.fault(FaultKind::LaunchFailed, operation, lane,
                        "expected the lane to be in its member mask");
    Mask group = named & warp.alive;
    left &= ~(group | Mask(1) << lane);
    if (group & ~mask)
      continue;
    run(group);
    done |= group;
  }
  return warp.machine->fault ? 0 : done;
}

/// Whether all lanes of the warp have come, as .aligned demands.
inline bool isWholeWarp(const Warp &warp, Mask mask) {
  return mask == warp.alive;
}

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_COLLECTIVES_H
