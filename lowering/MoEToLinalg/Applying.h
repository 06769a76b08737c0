// What several lowerings emit: rows times picked matrices, activations, special experts.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_MOETOLINALG_APPLYING_H
#define MOEC_LOWERING_MOETOLINALG_APPLYING_H

#include "dialects/MoE/IR/MoE.h"
#include "lowering/MoEToLinalg/Emitter.h"

namespace moec::lowering {

/// Ids in converted form: i32 [token, slot] or a list [row]. 0 ... count-1 are entries, any other number means none.
struct RowIds {
  mlir::Value ids;
  int64_t count;
};

/// Ids of an op, by the type they have there and the value they were converted to. Special experts are none, unless
/// `countSpecials`.
RowIds rowIds(mlir::Value original, mlir::Value converted,
              bool countSpecials = false);

/// Every element rounded to the element type, or extended to it; the tensor itself if it has that type.
mlir::Value roundTo(Emitter &e, mlir::Value tensor, mlir::Type elementType);

/// rows [.., IN] times weight [IN, OUT] -> [.., OUT] in the type of accumulation (f64 for f64, else f32), not rounded;
/// contracted in increasing index order. Leading extents: one or two.
mlir::Value contractRows(Emitter &e, mlir::Value rows, mlir::Value weight);

/// rows [T, IN] or [T, s, IN] times the matrix of each id [T, s], or rows [R, IN] times that of each id [R]; zero where
/// the id is none. The weight is [entries, IN, OUT], or [IN, OUT] when every entry has the same. In the type of
/// accumulation, not rounded.
mlir::Value contractRows(Emitter &e, mlir::Value rows, mlir::Value weight,
                         RowIds picks);

/// contractRows, rounded once to the rows' element type: moe.apply.
mlir::Value applyRows(Emitter &e, mlir::Value rows, mlir::Value weight);
mlir::Value applyRows(Emitter &e, mlir::Value rows, mlir::Value weight,
                      RowIds picks);

/// The row of a one-row weight ([entries,] 1, F) for each id [T, s] or [R], zero where the id is none: moe.lookup.
mlir::Value lookupRows(Emitter &e, mlir::Value weight, RowIds picks);

/// act(up, gate) of scalars, or act(up) where gate is null. Computed in the type of accumulation and rounded once to
/// the type of `up`.
mlir::Value activate(Emitter &e, moe::ActivationAttr act, mlir::Value up,
                     mlir::Value gate);

/// The same on whole tensors of one shape, of any rank.
mlir::Value activateTensor(Emitter &e, moe::ActivationAttr act, mlir::Value up,
                           mlir::Value gate);

/// Sum over slots of weight times special expert: moe.special_experts. input [T, D]; ids (i32) and weights [T, k];
/// constants [c, D] and mixing [c, D, 2] or null. Ids from `experts` on are special. Summed in the type of accumulation
/// by increasing slot, rounded once to the input's element type.
mlir::Value emitSpecialExperts(Emitter &e, mlir::Value input, mlir::Value ids,
                               mlir::Value weights, moe::SpecialsAttr specials,
                               int64_t experts, mlir::Value constants,
                               mlir::Value mixing);

} // namespace moec::lowering

#endif // MOEC_LOWERING_MOETOLINALG_APPLYING_H
