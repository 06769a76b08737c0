// Builders and questions about slot form that several passes share.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_SLOTFORM_H
#define MOEC_PASSES_SLOTFORM_H

#include "dialects/MoE/IR/MoE.h"
#include "mlir/IR/Builders.h"
#include "mlir/Rewrite/FrozenRewritePatternSet.h"

namespace moec {

inline mlir::RankedTensorType getTensorType(mlir::Value value) {
  return mlir::cast<mlir::RankedTensorType>(value.getType());
}

/// x·w: a row for each id when there are ids, else the rows of x.
mlir::Value buildApply(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value x, mlir::Value weight, mlir::Value ids);

/// Rows of tokens copied to each slot that has an id.
mlir::Value buildSpreadFor(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::Value rows, mlir::Value ids);

/// How many clusters a token can have: what its router guarantees, else min(k, clusters).
int64_t getClustersPerToken(mlir::Value ids, mlir::Value table);

/// The clusters of each token's ids, with the fewest slots that are sure to hold them. There is one for a block, as early
/// as ids and table allow: all users see the same value.
moe::ClustersOfOp buildClustersOf(mlir::OpBuilder &builder, mlir::Location loc,
                                  mlir::Value ids, mlir::Value table);

/// True if the gate weights of slots with id -1 are known to be 0: both come from one moe.route or moe.real_experts,
/// perhaps by way of a moe.dispatch.
bool weightsVanishWithIds(mlir::Value weights, mlir::Value ids);

/// True if rows of a [token, slot, feature] tensor are known to be zero where the id is -1. Looks a few operations back.
bool rowsVanishWithIds(mlir::Value rows, mlir::Value ids);

/// True if every expert of a cluster, or every expert, multiplies by this weight: it has no axis or is a select.
bool isShared(mlir::Value weight);

/// Applies patterns until none matches. All patterns of the algebra end: each moves an operation one way.
void applyToFixedPoint(mlir::Operation *root,
                       const mlir::FrozenRewritePatternSet &patterns);

} // namespace moec

#endif // MOEC_PASSES_SLOTFORM_H
