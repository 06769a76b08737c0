// Checks on shapes that the verifiers of several op families share.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/VerifyShapes.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace moec::moe;

LogicalResult shapes::verifyOneForm(Operation *op, StringRef rule) {
  bool buffers = false, tensors = false;
  for (Value operand : op->getOperands()) {
    buffers |= isa<MemRefType>(operand.getType());
    tensors |= isa<RankedTensorType>(operand.getType());
  }
  if (buffers && tensors)
    return op->emitOpError() << rule
                             << ": operands must be all tensors or all buffers";
  return success();
}

LogicalResult shapes::verifyTokens(Operation *op, StringRef rule,
                                   StringRef what, Value value, int64_t rank) {
  ArrayRef<int64_t> shape = shapeOf(value);
  if (int64_t(shape.size()) != rank)
    return op->emitOpError() << rule << ": " << what << " must have rank "
                             << rank << ", is " << value.getType();
  for (int64_t extent : shape.drop_front())
    if (ShapedType::isDynamic(extent))
      return op->emitOpError()
             << rule << ": only the number of tokens of " << what
             << " may be dynamic, type is " << value.getType();
  return success();
}

LogicalResult shapes::verifySameLeading(Operation *op, StringRef rule,
                                        StringRef whatA, Value a,
                                        StringRef whatB, Value b,
                                        unsigned count) {
  for (unsigned i = 0; i < count; ++i)
    if (!mayEqual(shapeOf(a)[i], shapeOf(b)[i]))
      return op->emitOpError()
             << rule << ": " << whatA << " is " << a.getType() << " but "
             << whatB << " is " << b.getType() << ": extent " << i
             << " differs";
  return success();
}

LogicalResult shapes::verifyIndexedBy(Operation *op, StringRef rule,
                                      StringRef what, WeightType weight,
                                      IdType id) {
  if (!weight.isIndexed() || (weight.getAxis() == id.getAxis() &&
                              weight.getCount() == id.getCount()))
    return success();
  return op->emitOpError() << rule << ": " << what << " is " << weight
                           << " but ids are " << id;
}

LogicalResult shapes::verifySpecials(Operation *op, IdType id,
                                     SpecialsAttr specials,
                                     RankedTensorType tokens,
                                     Value constants, Value mixing) {
  int64_t count = specials ? specials.getCount() : 0;
  if (count != id.getSpecials())
    return op->emitOpError() << "E6: " << count
                             << " special experts but ids are " << id;
  int64_t constant = specials ? specials.getConstant() : 0;
  if ((constant > 0) != bool(constants))
    return op->emitOpError()
           << "E6: constant experts and their vectors go together";
  if (mixing && !constants)
    return op->emitOpError() << "E6: mixing without constant experts";
  int64_t width = tokens.getShape()[1];
  for (Value value : {constants, mixing})
    if (value && elementOf(value) != tokens.getElementType())
      return op->emitOpError() << "E7: constant experts have " << value.getType()
                               << " but tokens are " << tokens;
  if (constants && shapeOf(constants) != ArrayRef<int64_t>({constant, width}))
    return op->emitOpError()
           << "E6: vectors of constant experts must be tensor<" << constant
           << "x" << width << ">, are " << constants.getType();
  if (mixing && shapeOf(mixing) != ArrayRef<int64_t>({constant, width, 2}))
    return op->emitOpError()
           << "E6: mixing of constant experts must be tensor<" << constant
           << "x" << width << "x2>, is " << mixing.getType();
  return success();
}

LogicalResult shapes::verifyActivation(Operation *op, ActivationAttr act,
                                       bool gated) {
  if (act.getOffset() && !gated)
    return op->emitOpError() << "A1: an offset needs a gate";
  return success();
}

LogicalResult
shapes::reifyTokenShapes(Operation *op, OpBuilder &builder,
                         ReifiedRankedShapedTypeDims &extents) {
  Value tokens;
  for (Value operand : op->getOperands())
    if (isa<RankedTensorType>(operand.getType())) {
      tokens = operand;
      break;
    }
  if (!tokens)
    return failure();
  for (Value result : op->getResults()) {
    auto type = cast<RankedTensorType>(result.getType());
    SmallVector<OpFoldResult> sizes;
    for (auto [i, extent] : llvm::enumerate(type.getShape())) {
      if (!ShapedType::isDynamic(extent))
        sizes.push_back(builder.getIndexAttr(extent));
      else if (i == 0)
        sizes.push_back(
            tensor::getMixedSize(builder, op->getLoc(), tokens, 0));
      else
        return failure();
    }
    extents.push_back(std::move(sizes));
  }
  return success();
}
