// What CTAs of a cluster do with each other's shared memory.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_CLUSTERS_H
#define MOEC_TOOLS_PTXEMULATOR_CLUSTERS_H

#include "tools/PTXEmulator/Decoder.h"

namespace moec::ptx {

/// st.async, and with `reduces` red.async, whose modifier .async was taken.
void buildRemoteStore(Decoder &decoder, bool reduces);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_CLUSTERS_H
