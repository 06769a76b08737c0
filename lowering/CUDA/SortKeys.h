// Sorting by the threads of a block.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_SORTKEYS_H
#define MOEC_LOWERING_CUDA_SORTKEYS_H

#include "lowering/CUDA/KernelCode.h"

namespace moec::lowering {

/// Sorts a shared list of `count` i64, a power of two, in increasing order: a
/// bitonic network, so equal keys may change places. All threads of the block
/// come here; what they stored before is sorted, and all see the result.
void sortKeys(KernelCode &k, mlir::Value keys, int64_t count);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_SORTKEYS_H
