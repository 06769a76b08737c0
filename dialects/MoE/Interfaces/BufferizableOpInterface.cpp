// Bufferisation of the scheduled ops and of views, as external models.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/Interfaces/BufferizableOpInterface.h"

#include "dialects/MoE/IR/MoE.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

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

/// A weight is no tensor, so the analysis does not see where it is read. What is written after the wrap, in place, is
/// therefore copied in front of it; weights are as a rule arguments, which nobody writes to.
struct WrapModel
    : bufferization::BufferizableOpInterface::ExternalModel<WrapModel, WrapOp> {
  bool bufferizesToMemoryRead(Operation *, OpOperand &,
                              const bufferization::AnalysisState &) const {
    return true;
  }
  bool bufferizesToMemoryWrite(Operation *, OpOperand &,
                               const bufferization::AnalysisState &) const {
    return false;
  }
  bufferization::AliasingValueList
  getAliasingValues(Operation *, OpOperand &,
                    const bufferization::AnalysisState &) const {
    return {};
  }

  LogicalResult
  resolveConflicts(Operation *op, RewriterBase &rewriter,
                   const bufferization::AnalysisState &analysis,
                   const bufferization::BufferizationState &) const {
    auto *state = dyn_cast<bufferization::OneShotAnalysisState>(&analysis);
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<RankedTensorType>(operand.get().getType()) ||
          (state && !isWrittenLater(op, operand.get(), *state)))
        continue;
      rewriter.setInsertionPoint(op);
      auto copy = bufferization::AllocTensorOp::create(
          rewriter, op->getLoc(),
          cast<RankedTensorType>(operand.get().getType()), ValueRange{},
          operand.get());
      rewriter.modifyOpInPlace(op, [&] { operand.set(copy); });
    }
    return success();
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const bufferization::BufferizationOptions &options,
                          bufferization::BufferizationState &state) const {
    SmallVector<Value> buffers;
    for (Value operand : op->getOperands()) {
      FailureOr<Value> buffer =
          bufferization::getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      buffers.push_back(*buffer);
    }
    OperationState onBuffers(op->getLoc(), op->getName(), buffers,
                             op->getResultTypes(), op->getAttrs());
    onBuffers.propertiesAttr = op->getPropertiesAsAttribute();
    rewriter.replaceOp(op, rewriter.create(onBuffers));
    return success();
  }

private:
  /// Whether the tensor's buffer may be written to after the wrap. A write in front of it may run again in a loop, but
  /// then the wrap does so too, and its old result is gone.
  static bool isWrittenLater(Operation *wrap, Value tensor,
                             const bufferization::OneShotAnalysisState &state) {
    DominanceInfo dominance(wrap->getParentOfType<FunctionOpInterface>());
    bool isWritten = false;
    state.applyOnAliases(tensor, [&](Value alias) {
      for (OpOperand &use : alias.getUses())
        isWritten |= state.bufferizesToMemoryWrite(use) &&
                     state.isInPlace(use) &&
                     !dominance.properlyDominates(use.getOwner(), wrap);
    });
    return isWritten;
  }
};

/// The result is the operand's buffer, read as other numbers.
struct IdCastModel
    : bufferization::BufferizableOpInterface::ExternalModel<IdCastModel,
                                                            IdCastOp> {
  bool bufferizesToMemoryRead(Operation *, OpOperand &,
                              const bufferization::AnalysisState &) const {
    return false;
  }
  bool bufferizesToMemoryWrite(Operation *, OpOperand &,
                               const bufferization::AnalysisState &) const {
    return false;
  }
  bufferization::AliasingValueList
  getAliasingValues(Operation *op, OpOperand &,
                    const bufferization::AnalysisState &) const {
    return {{op->getOpResult(0), bufferization::BufferRelation::Equivalent}};
  }
  FailureOr<bufferization::BufferLikeType>
  getBufferType(Operation *op, Value,
                const bufferization::BufferizationOptions &options,
                const bufferization::BufferizationState &state,
                SmallVector<Value> &invocationStack) const {
    auto cast = llvm::cast<IdCastOp>(op);
    auto from = bufferization::getBufferType(cast.getInput(), options, state,
                                             invocationStack);
    if (failed(from))
      return failure();
    return llvm::cast<bufferization::BufferLikeType>(
        viewOf(llvm::cast<MemRefType>(*from), cast));
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const bufferization::BufferizationOptions &options,
                          bufferization::BufferizationState &state) const {
    auto cast = llvm::cast<IdCastOp>(op);
    FailureOr<Value> buffer =
        bufferization::getBuffer(rewriter, cast.getInput(), options, state);
    if (failed(buffer))
      return failure();
    bufferization::replaceOpWithNewBufferizedOp<IdCastOp>(
        rewriter, op, viewOf(llvm::cast<MemRefType>(buffer->getType()), cast),
        *buffer);
    return success();
  }

private:
  static MemRefType viewOf(MemRefType buffer, IdCastOp cast) {
    Type element =
        llvm::cast<ShapedType>(cast.getResult().getType()).getElementType();
    return MemRefType::Builder(buffer).setElementType(element);
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
    GroupedUpOp::attachInterface<ScheduledOpModel<GroupedUpOp>>(*context);
    ScatterCombineOp::attachInterface<ScheduledOpModel<ScatterCombineOp>>(
        *context);
    WrapOp::attachInterface<WrapModel>(*context);
    IdCastOp::attachInterface<IdCastModel>(*context);
  });
}
