// Bufferisation of the moert operations, as external models.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoERT/Interfaces/BufferizableOpInterface.h"

#include "dialects/MoERT/IR/MoERT.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"

using namespace mlir;
using namespace moec::moert;

namespace {
/// The operands that an operation writes, one for each of its tensor results.
SmallVector<OpOperand *> destinationsOf(Operation *op) {
  if (auto acquire = dyn_cast<AcquireOp>(op))
    return {&acquire.getInitMutable()};
  if (auto begin = dyn_cast<BeginOp>(op))
    return {&begin.getInitMutable()};
  if (auto read = dyn_cast<ReadOp>(op))
    return {&read.getRowsMutable(), &read.getIdsMutable(),
            &read.getGatesMutable()};
  if (auto collect = dyn_cast<CollectOp>(op))
    return {&collect.getInitMutable()};
  return {};
}

/// One model for all: tensors are read, but for destinations, which are
/// overwritten; those of moert.collect keep the rows of other parts. Pools are
/// read too: as tensors they are the values that the runtime sees to.
template <typename OpTy>
struct RuntimeOpModel : bufferization::BufferizableOpInterface::ExternalModel<
                            RuntimeOpModel<OpTy>, OpTy> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const bufferization::AnalysisState &) const {
    return isa<CollectOp>(op) ||
           !llvm::is_contained(destinationsOf(op), &operand);
  }
  bool bufferizesToMemoryWrite(Operation *op, OpOperand &operand,
                               const bufferization::AnalysisState &) const {
    return llvm::is_contained(destinationsOf(op), &operand);
  }
  bufferization::AliasingValueList
  getAliasingValues(Operation *op, OpOperand &operand,
                    const bufferization::AnalysisState &) const {
    auto written = llvm::make_filter_range(op->getResults(), [](Value result) {
      return isa<TensorType>(result.getType());
    });
    for (auto [destination, result] : llvm::zip(destinationsOf(op), written))
      if (destination == &operand)
        return {{result, bufferization::BufferRelation::Equivalent}};
    return {};
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const bufferization::BufferizationOptions &options,
                          bufferization::BufferizationState &state) const {
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      if (!isa<TensorType>(operand.getType())) {
        operands.push_back(operand);
        continue;
      }
      FailureOr<Value> buffer =
          bufferization::getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      operands.push_back(*buffer);
    }
    // What is not a tensor stays a result: a lease, a number of rows.
    SmallVector<Type> types;
    for (Type type : op->getResultTypes())
      if (!isa<TensorType>(type))
        types.push_back(type);
    OperationState onBuffers(op->getLoc(), op->getName(), operands, types,
                             op->getAttrs());
    onBuffers.propertiesAttr = op->getPropertiesAsAttribute();
    Operation *created = rewriter.create(onBuffers);
    // Tensors stand behind the others.
    SmallVector<Value> results(created->getResults());
    for (OpOperand *destination : destinationsOf(created))
      results.push_back(destination->get());
    bufferization::replaceOpWithBufferizedValues(rewriter, op, results);
    return success();
  }
};

template <typename... OpTy> void attachTo(MLIRContext &context) {
  (OpTy::template attachInterface<RuntimeOpModel<OpTy>>(context), ...);
}
} // namespace

void moec::moert::registerBufferizableOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, MoERTDialect *) {
    attachTo<PrefetchOp, AcquireOp, ReleaseOp, BeginOp, ReadOp, WriteOp,
             CollectOp>(*context);
  });
}
