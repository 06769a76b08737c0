// How moe.wrap is lowered.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_MOETOLINALG_WRAP_H
#define MOEC_LOWERING_MOETOLINALG_WRAP_H

#include "dialects/MoE/IR/MoE.h"
#include "lowering/MoEToLinalg/Emitter.h"

namespace moec::lowering {

/// The tensor itself, or the dense values of what it encodes.
llvm::SmallVector<mlir::Value> emitWrap(Emitter &emitter, moe::WrapOp op,
                                        moe::WrapOp::Adaptor in);

} // namespace moec::lowering

#endif // MOEC_LOWERING_MOETOLINALG_WRAP_H
