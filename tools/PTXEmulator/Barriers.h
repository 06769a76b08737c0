// Barriers of a CTA and of a cluster.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_BARRIERS_H
#define MOEC_TOOLS_PTXEMULATOR_BARRIERS_H

#include "tools/PTXEmulator/Warp.h"

namespace moec::ptx {

/// Lets go the threads that wait at barriers for all threads of the CTA, if
/// those that have not exited have come. To be called when a warp has exited.
void completeBarriers(Cta &cta);

/// Likewise of the barrier of a cluster.
void completeClusterBarrier(Cluster &cluster);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_BARRIERS_H
