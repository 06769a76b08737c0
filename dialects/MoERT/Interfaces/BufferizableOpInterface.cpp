// Bufferisation of the moert operations, as external models.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoERT/Interfaces/BufferizableOpInterface.h"

#include "dialects/MoERT/IR/MoERT.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"

using namespace mlir;
using namespace moec::moert;

namespace {
/// One model for all: tensors are read, but for the destination of
/// moert.acquire, which is overwritten. Pools are read too: as tensors they are
/// the values that the runtime sees to.
template <typename OpTy>
struct ResidencyOpModel : bufferization::BufferizableOpInterface::ExternalModel<
                              ResidencyOpModel<OpTy>, OpTy> {
  /// Whether the operand is the destination of moert.acquire.
  static bool isInit(OpOperand &operand) {
    auto acquire = dyn_cast<AcquireOp>(operand.getOwner());
    return acquire && &operand == &acquire.getInitMutable();
  }

  bool bufferizesToMemoryRead(Operation *, OpOperand &operand,
                              const bufferization::AnalysisState &) const {
    return !isInit(operand);
  }
  bool bufferizesToMemoryWrite(Operation *, OpOperand &operand,
                               const bufferization::AnalysisState &) const {
    return isInit(operand);
  }
  bufferization::AliasingValueList
  getAliasingValues(Operation *op, OpOperand &operand,
                    const bufferization::AnalysisState &) const {
    if (!isInit(operand))
      return {};
    return {{cast<OpResult>(cast<AcquireOp>(op).getSlots()),
             bufferization::BufferRelation::Equivalent}};
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
    // What is not a tensor stays a result: the lease.
    SmallVector<Type> types;
    for (Type type : op->getResultTypes())
      if (!isa<TensorType>(type))
        types.push_back(type);
    OperationState onBuffers(op->getLoc(), op->getName(), operands, types,
                             op->getAttrs());
    onBuffers.propertiesAttr = op->getPropertiesAsAttribute();
    Operation *created = rewriter.create(onBuffers);
    SmallVector<Value> results(created->getResults());
    if (auto acquire = dyn_cast<AcquireOp>(created))
      results.push_back(acquire.getInit());
    bufferization::replaceOpWithBufferizedValues(rewriter, op, results);
    return success();
  }
};
} // namespace

void moec::moert::registerBufferizableOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, MoERTDialect *) {
    PrefetchOp::attachInterface<ResidencyOpModel<PrefetchOp>>(*context);
    AcquireOp::attachInterface<ResidencyOpModel<AcquireOp>>(*context);
    ReleaseOp::attachInterface<ResidencyOpModel<ReleaseOp>>(*context);
  });
}
