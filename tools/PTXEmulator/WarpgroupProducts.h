// wgmma: products of matrices in shared memory by four warps.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_WARPGROUPPRODUCTS_H
#define MOEC_TOOLS_PTXEMULATOR_WARPGROUPPRODUCTS_H

#include "tools/PTXEmulator/Warp.h"

namespace moec::ptx {

/// Before an operation: that it accesses no register of a product that was not
/// waited for is checked, and what it writes is noted for wgmma.fence.
void checkRegisters(Warp &warp, const Operation &operation, Mask mask);

/// A warp that exits must have waited for its products.
void checkProducts(Warp &warp, Mask exiting);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_WARPGROUPPRODUCTS_H
