// What instructions that access memory have in common.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_MEMORYACCESS_H
#define MOEC_TOOLS_PTXEMULATOR_MEMORYACCESS_H

#include "tools/PTXEmulator/Decoder.h"
#include "tools/PTXEmulator/Warp.h"

namespace moec::ptx {

/// The address of a lane: slots[1] plus the offset.
uint64_t addressOf(const Warp &warp, const Operation &operation, unsigned lane);

/// Takes the state space; generic if there is none.
Space takeSpace(Decoder &decoder);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_MEMORYACCESS_H
