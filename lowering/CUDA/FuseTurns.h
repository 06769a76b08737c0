// Loops over the same rows as one.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_FUSETURNS_H
#define MOEC_LOWERING_CUDA_FUSETURNS_H

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <optional>

namespace moec::lowering {

/// On a parallel loop of one dimension: its body is parallel loops, one behind the other, of which each may read what those
/// before it wrote in the same turn.
inline constexpr llvm::StringLiteral turnOfBlockAttrName = "moec.turn_of_block";

/// How many turns a parallel loop from 0 by 1 has, where that is known; without its first `skipped` dimensions.
std::optional<int64_t> turnsOf(mlir::scf::ParallelOp loop,
                               unsigned skipped = 0);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_FUSETURNS_H
