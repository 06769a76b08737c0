// Tiling of moe.grouped_matmul over columns, as an external model.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/Interfaces/TilingInterface.h"

#include "dialects/MoE/IR/MoE.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/TilingInterface.h"

using namespace mlir;
using namespace moec::moe;

namespace {
struct ColumnTiling
    : TilingInterface::ExternalModel<ColumnTiling, GroupedMatmulOp> {
  SmallVector<utils::IteratorType> getLoopIteratorTypes(Operation *) const {
    return {utils::IteratorType::parallel};
  }

  SmallVector<Range> getIterationDomain(Operation *op,
                                        OpBuilder &builder) const {
    // The destination may hide its columns behind a dynamic extent; the weights know them.
    Value weight = cast<GroupedMatmulOp>(op).getWeights().front();
    return {Range{builder.getIndexAttr(0),
                  builder.getIndexAttr(getWeightType(weight).getCols()),
                  builder.getIndexAttr(1)}};
  }

  FailureOr<TilingResult>
  getTiledImplementation(Operation *op, OpBuilder &builder,
                         ArrayRef<OpFoldResult> offsets,
                         ArrayRef<OpFoldResult> sizes) const {
    auto matmul = cast<GroupedMatmulOp>(op);
    Location loc = op->getLoc();
    if (!isa<RankedTensorType>(matmul.getInit().getType()))
      return op->emitOpError("is tiled on tensors, before bufferisation");
    std::optional<int64_t> columns = getConstantIntValue(sizes[0]);
    if (!columns)
      return op->emitOpError("column tile must divide the columns: the sizes "
                             "of weights are static");
    Value offset = getValueOrCreateConstantIndexOp(builder, loc, offsets[0]);
    auto slice = [&](Value weight) -> Value {
      WeightType type = getWeightType(weight);
      return WeightSliceOp::create(builder, loc,
                                   type.withShape(type.getRows(), *columns),
                                   Side::output, weight, offset);
    };
    SmallVector<Value> weights, biases, residuals;
    for (Value weight : matmul.getWeights())
      weights.push_back(slice(weight));
    for (Value bias : matmul.getBiases())
      biases.push_back(slice(bias));
    // Only the right factor has columns of the result.
    for (auto [i, factor] : llvm::enumerate(matmul.getResiduals()))
      residuals.push_back(i % 2 ? slice(factor) : factor);
    Value expand = matmul.getExpand() ? slice(matmul.getExpand()) : Value();

    OpFoldResult zero = builder.getIndexAttr(0), one = builder.getIndexAttr(1);
    auto init = tensor::ExtractSliceOp::create(
        builder, loc, matmul.getInit(),
        ArrayRef<OpFoldResult>{zero, offsets[0]},
        ArrayRef<OpFoldResult>{
            tensor::getMixedSize(builder, loc, matmul.getInit(), 0), sizes[0]},
        ArrayRef<OpFoldResult>{one, one});
    auto tile = GroupedMatmulOp::create(
        builder, loc, TypeRange{init.getType()}, matmul.getInput(), weights,
        biases, matmul.getOffsets(), matmul.getEntries(), matmul.getPairRow(),
        matmul.getPairExpert(), residuals, matmul.getSegment(), expand,
        matmul.getSegmentWeights(), init, matmul.getActAttr(),
        matmul.getAccumulateAttr(), matmul.getRoundingAttr());
    return TilingResult{{tile}, SmallVector<Value>(tile->getResults()), {init}};
  }

  LogicalResult
  getResultTilePosition(Operation *op, OpBuilder &builder, unsigned,
                        ArrayRef<OpFoldResult> offsets,
                        ArrayRef<OpFoldResult> sizes,
                        SmallVector<OpFoldResult> &resultOffsets,
                        SmallVector<OpFoldResult> &resultSizes) const {
    Value init = cast<GroupedMatmulOp>(op).getInit();
    resultOffsets = {builder.getIndexAttr(0), offsets[0]};
    resultSizes = {tensor::getMixedSize(builder, op->getLoc(), init, 0),
                   sizes[0]};
    return success();
  }
};
} // namespace

void moec::moe::registerTilingInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, MoEDialect *) {
    GroupedMatmulOp::attachInterface<ColumnTiling>(*context);
  });
}
