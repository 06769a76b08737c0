// What a structured operation on buffers does at one of its turns.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/StructuredBody.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moec::lowering;

SmallVector<Value> StructuredTurn::placeOf(OpBuilder &b,
                                           OpOperand &operand) const {
  linalg::LinalgOp structured = op;
  Location loc = structured.getLoc();
  AffineMap map = structured.getMatchingIndexingMap(&operand);
  SmallVector<Value> place;
  for (AffineExpr at : map.getResults()) {
    if (auto dim = dyn_cast<AffineDimExpr>(at))
      place.push_back(variables[dim.getPosition()]);
    else if (auto constant = dyn_cast<AffineConstantExpr>(at))
      place.push_back(
          arith::ConstantIndexOp::create(b, loc, constant.getValue()));
    else
      place.push_back(affine::AffineApplyOp::create(
          b, loc, AffineMap::get(map.getNumDims(), 0, at), variables));
  }
  return place;
}

IRMapping StructuredTurn::emitBody(OpBuilder &b, ArrayRef<Value> inits) const {
  IRMapping mapping;
  linalg::LinalgOp structured = op;
  for (OpOperand *input : structured.getDpsInputOperands()) {
    Value value = input->get();
    if (isa<MemRefType>(value.getType()))
      value = memref::LoadOp::create(b, structured.getLoc(), value,
                                     placeOf(b, *input));
    mapping.map(structured.getMatchingBlockArgument(input), value);
  }
  for (auto [init, value] :
       llvm::zip_equal(structured.getDpsInitsMutable(), inits))
    mapping.map(structured.getMatchingBlockArgument(&init), value);
  for (Operation &each : structured.getBlock()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(each))
      mapping.map(index.getResult(), variables[index.getDim()]);
    else
      b.clone(each, mapping);
  }
  return mapping;
}
