// Exchanges of rows between ranks, as convert-moe-to-moert makes them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_MOETOMOERT_EXCHANGES_H
#define MOEC_LOWERING_MOETOMOERT_EXCHANGES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec::lowering {

/// Makes exchanges of all moe.dispatch and moe.return of a function: what lies
/// between them is done for `fewest` rows at a time, or for as many as a part
/// has tokens if these are more. Returns how many exchanges there are; fails
/// with an error at the operation that is not as expected.
mlir::FailureOr<size_t> convertExchanges(mlir::func::FuncOp function,
                                         int64_t fewest);

} // namespace moec::lowering

#endif // MOEC_LOWERING_MOETOMOERT_EXCHANGES_H
