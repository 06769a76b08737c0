// mbarrier objects: phases that end when all have arrived and all bytes have.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_MBARRIERS_H
#define MOEC_TOOLS_PTXEMULATOR_MBARRIERS_H

#include "tools/PTXEmulator/SharedMemory.h"

namespace moec::ptx {

/// Whether a fence followed the initialisation of an mbarrier, as copies need
/// it; false after a fault.
bool checkFenced(Warp &warp, const Operation &operation, unsigned lane,
                 const Mbarrier &barrier);

/// Whether an address in shared memory is not of another CTA, or that CTA has
/// initialised the mbarrier there, fenced it and met the own one at a barrier
/// of the cluster since; false after a fault.
bool checkRemote(Warp &warp, const Operation &operation, unsigned lane,
                 Space space, uint64_t address);

/// What these lanes initialised is seen by copies and other CTAs.
void fenceMbarriers(Warp &warp, Mask lanes);

/// The mbarrier at an address, which may be in another CTA of the cluster. None
/// there is a fault and null.
Mbarrier *findMbarrier(Warp &warp, const Operation &operation, unsigned lane,
                       Space space, uint64_t address);

/// Threads arrive; more than the phase waits for is a fault. False then.
bool arrive(Warp &warp, const Operation &operation, unsigned lane,
            Mbarrier &barrier, uint32_t count);

/// Bytes are expected (positive) or have come (negative).
bool addTransactions(Warp &warp, const Operation &operation, unsigned lane,
                     Mbarrier &barrier, int64_t bytes);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_MBARRIERS_H
