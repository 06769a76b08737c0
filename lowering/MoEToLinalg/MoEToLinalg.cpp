// convert-moe-to-linalg: the reference lowering, plain and slow on purpose; it defines what moe ops mean.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/MoE.h"
#include "lowering/MoEToLinalg/ParamValues.h"
#include "lowering/MoEToLinalg/Patterns.h"
#include "lowering/Passes.h"
#include "weights/WeightProvider.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"

namespace moec::lowering {
#define GEN_PASS_DEF_CONVERTMOETOLINALGPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

/// Ops on buffers are compiled, not interpreted: their values are compared with what this lowering makes of the same
/// ops on tensors.
static LogicalResult verifyOnTensors(Operation *op) {
  if (!isa_and_nonnull<MoEDialect>(op->getDialect()))
    return success();
  for (Value operand : op->getOperands())
    if (isa<BaseMemRefType>(operand.getType()))
      return op->emitOpError("is on buffers, which the reference lowering does "
                             "not take; run it before bufferization");
  return success();
}

namespace {
struct ConvertMoEToLinalgPass
    : moec::lowering::impl::ConvertMoEToLinalgPassBase<ConvertMoEToLinalgPass> {
  using Base::Base;

  LogicalResult bindWeights(moec::weights::WeightProvider &provider) {
    for (const std::string &text : weights)
      if (moec::weights::Status bound = provider.bind(text); !bound)
        return getOperation().emitError("option weights: ") << bound.error();
    return success();
  }

  /// Values of every param that a leaf reads, and of those their recipes read.
  LogicalResult evaluateParams(ParamValues &params) {
    SymbolTableCollection symbols;
    WalkResult result = getOperation().walk([&](LeafOp leaf) {
      auto param =
          symbols.lookupNearestSymbolFrom<ParamOp>(leaf, leaf.getParamAttr());
      return WalkResult(params.evaluate(param));
    });
    return failure(result.wasInterrupted());
  }

  void runOnOperation() override {
    moec::weights::WeightProvider provider;
    if (failed(bindWeights(provider)))
      return signalPassFailure();
    WalkResult onTensors = getOperation().walk(
        [](Operation *op) { return WalkResult(verifyOnTensors(op)); });
    ParamValues params(provider, maxBytes);
    if (onTensors.wasInterrupted() || failed(evaluateParams(params)))
      return signalPassFailure();

    MLIRContext *context = &getContext();
    TypeConverter converter;
    addMoEToLinalgTypeConversions(converter);
    ConversionTarget target(*context);
    target.addDynamicallyLegalDialect<MoEDialect>(
        [](Operation *op) { return op->hasAttr(kernelAttrName); });
    // Leaves look their params up until the last one is converted.
    target.addLegalOp<ModuleOp, ParamOp, LayerOp>();
    RewritePatternSet patterns(context);
    populateTypeConversionPatterns(converter, patterns, target);
    populateWeightToLinalgPatterns(converter, params, patterns);
    populateRouteToLinalgPatterns(converter, patterns);
    populateExpertsToLinalgPatterns(converter, patterns);
    populateCommunicationToLinalgPatterns(converter, patterns);
    populateSlotToLinalgPatterns(converter, patterns);
    populateScheduledToLinalgPatterns(converter, patterns);
    if (failed(
            applyFullConversion(getOperation(), target, std::move(patterns))))
      return signalPassFailure();
    // What layers and params say beyond this, an artifact's manifest and archive say.
    getOperation().walk([](Operation *op) {
      if (isa<ParamOp, LayerOp>(op))
        op->erase();
    });
  }
};
} // namespace
