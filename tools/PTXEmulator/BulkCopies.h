// Bulk copies between global and shared memory, plain and of tensors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_BULKCOPIES_H
#define MOEC_TOOLS_PTXEMULATOR_BULKCOPIES_H

#include "tools/PTXEmulator/Decoder.h"
#include "tools/PTXEmulator/Warp.h"

namespace moec::ptx {

/// cp.async.bulk, and with `reduces` cp.reduce.async.bulk, whose modifiers up
/// to .bulk were taken.
void buildBulkCopy(Decoder &decoder, bool reduces);

/// Finishes the stores of lanes that exit; one whose source was not read yet is
/// a fault, because the shared memory goes with the CTA.
void finishBulkStores(Warp &warp, Mask lanes);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_BULKCOPIES_H
