// The stages of one router in the reference lowering.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_MOETOLINALG_ROUTER_H
#define MOEC_LOWERING_MOETOLINALG_ROUTER_H

#include "dialects/MoE/IR/MoE.h"
#include "lowering/MoEToLinalg/Emitter.h"
#include <utility>

namespace moec::lowering {

/// Emits moe.route, one function for each stage of docs/spec.md §4.1.
/// Everything is computed in the type of computation (f32, or f64 for f64). A
/// choice is told by ranks: the rank of a key is how many keys come before it,
/// so no loop has to remember what was taken.
class Router {
public:
  Router(mlir::OpBuilder &builder, moe::RouteOp op,
         moe::RouteOp::Adaptor operands);

  /// Ids as i32 [T, k] and gate weights [T, k] of the logits' element type.
  std::pair<mlir::Value, mlir::Value> emit();

private:
  //===--- stages 1 to 3: Route.cpp. Tensors [T, N] ---===//
  mlir::Value emitScores();
  mlir::Value emitKeys(mlir::Value scores);
  mlir::Value emitLimit(mlir::Value keys);
  mlir::Value emitGroupOfColumn();
  mlir::Value emitGroupScores(mlir::Value keys, mlir::Value groupOf);
  mlir::Value emitScoresOfMembers(mlir::Value sums, mlir::Value members,
                                  mlir::Value rows);

  //===--- stage 4: RouteChoice.cpp. Chosen columns [T, k], -1 for none ---===//
  mlir::Value emitChoice(mlir::Value scores, mlir::Value keys);
  mlir::Value emitTopP(mlir::Value scores, mlir::Value columns);
  mlir::Value emitThreshold(mlir::Value keys);
  mlir::Value emitHash(mlir::Value keys);
  mlir::Value emitExpertChoice(mlir::Value keys);
  mlir::Value emitLargest(mlir::Value keys);

  //===--- stages 5 and 6: RouteGates.cpp. Tensors [T, k] ---===//
  mlir::Value emitGates(mlir::Value scores, mlir::Value columns);
  mlir::Value emitGateSource(mlir::Value scores, mlir::Value columns);
  mlir::Value emitSparsemixer(mlir::Value columns);
  mlir::Value emitNorm(mlir::Value gates, mlir::Value columns);
  std::pair<mlir::Value, mlir::Value> emitCapacity(mlir::Value ids,
                                                   mlir::Value gates);

  //===--- what stages share ---===//
  /// ranks[t, i]: how many keys of the same row (or column, with `dim` 0) are
  /// larger, or equal and of lower index. With `groupOf` [N], only keys of the
  /// same group count. Keys must not be NaN.
  mlir::Value emitRanks(mlir::Value keys, int64_t dim = 1);
  /// values[t, columns[t, j]], or `missing` where no column is chosen.
  mlir::Value emitChosen(mlir::Value values, mlir::Value columns,
                         mlir::Value missing);
  /// Softmax of each row; a column of -inf has no part in it.
  mlir::Value emitSoftmax(mlir::Value rows);
  /// A tensor with one row of the given width for each token: without contents,
  /// in the type of computation, or filled.
  mlir::Value emitRows(int64_t width);
  mlir::Value emitRows(int64_t width, mlir::Value scalar);
  /// ⌈factor·T·slots/count⌉ within [atLeast, limit] as i32, in f64 from left to
  /// right.
  mlir::Value emitCapacityOf(double factor, int64_t slots, int64_t count,
                             int64_t atLeast, mlir::Value limit);

  Emitter e;
  moe::RouteOp op;
  moe::RouteOp::Adaptor operands;
  /// The type of computation.
  mlir::Type real;
  /// N, k, and how many ids there are, special ones included.
  int64_t columnCount, slotCount, idCount;
  /// Logits in the type of computation.
  mlir::Value logits;
};

/// True where a key may be chosen: it is not NaN and not -inf.
mlir::Value emitIsEligible(Emitter &e, mlir::Value key);

/// -inf of a float type.
mlir::Value emitMinusInfinity(Emitter &e, mlir::Type type);

} // namespace moec::lowering

#endif // MOEC_LOWERING_MOETOLINALG_ROUTER_H
