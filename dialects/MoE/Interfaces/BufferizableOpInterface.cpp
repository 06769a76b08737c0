// Bufferisation of the scheduled ops, as external models.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/Interfaces/BufferizableOpInterface.h"

#include "dialects/MoE/IR/MoE.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"

using namespace mlir;
using namespace moec::moe;

namespace {
/// One model for all scheduled ops: destinations are overwritten, so they are read only under `accumulate`.
template <typename OpTy>
struct ScheduledOpModel
    : bufferization::DstBufferizableOpInterfaceExternalModel<
          ScheduledOpModel<OpTy>, OpTy> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const bufferization::AnalysisState &) const {
    if (!cast<DestinationStyleOpInterface>(op).isDpsInit(&operand))
      return true;
    return op->hasAttr("accumulate");
  }

  /// Rows are read at indices that have nothing to do with the row being written, so no in-place reuse of inputs.
  bool bufferizesToElementwiseAccess(Operation *,
                                     const bufferization::AnalysisState &,
                                     ArrayRef<OpOperand *>) const {
    return false;
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const bufferization::BufferizationOptions &options,
                          bufferization::BufferizationState &state) const {
    auto dps = cast<DestinationStyleOpInterface>(op);
    SmallVector<Value> operands;
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<TensorType>(operand.get().getType())) {
        operands.push_back(operand.get());
        continue;
      }
      FailureOr<Value> buffer =
          bufferization::getBuffer(rewriter, operand.get(), options, state);
      if (failed(buffer))
        return failure();
      operands.push_back(*buffer);
    }
    SmallVector<Value> results;
    for (int64_t i = 0; i < dps.getNumDpsInits(); ++i)
      results.push_back(operands[dps.getDpsInitOperand(i)->getOperandNumber()]);
    rewriter.setInsertionPoint(op);
    OperationState onBuffers(op->getLoc(), op->getName(), operands, TypeRange{},
                             op->getAttrs());
    onBuffers.propertiesAttr = op->getPropertiesAsAttribute();
    rewriter.create(onBuffers);
    bufferization::replaceOpWithBufferizedValues(rewriter, op, results);
    return success();
  }
};
} // namespace

void moec::moe::registerBufferizableOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, MoEDialect *) {
    GroupOp::attachInterface<ScheduledOpModel<GroupOp>>(*context);
    GatherOp::attachInterface<ScheduledOpModel<GatherOp>>(*context);
    GroupedMatmulOp::attachInterface<ScheduledOpModel<GroupedMatmulOp>>(
        *context);
    ScatterCombineOp::attachInterface<ScheduledOpModel<ScatterCombineOp>>(
        *context);
  });
}
