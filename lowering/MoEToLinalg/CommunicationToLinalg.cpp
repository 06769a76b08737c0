// Communication in the reference lowering: there is one rank, which has all experts.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/MoE.h"
#include "lowering/MoEToLinalg/Patterns.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

/// All tokens stay. Nothing is known of an exchange that anyone would ask for.
static SmallVector<Value> emitDispatch(Emitter &e, DispatchOp,
                                       DispatchOp::Adaptor in) {
  return {in.getInput(), in.getIds(), in.getWeights(), e.index(0)};
}

static SmallVector<Value> emitReturn(Emitter &, ReturnOp,
                                     ReturnOp::Adaptor in) {
  return {in.getRows()};
}

void moec::lowering::populateCommunicationToLinalgPatterns(
    const TypeConverter &converter, RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<EmitPattern<DispatchOp>>(converter, context, emitDispatch);
  patterns.add<EmitPattern<ReturnOp>>(converter, context, emitReturn);
}
