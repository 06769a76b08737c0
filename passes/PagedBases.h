// Bases of clusters that may be elsewhere than in memory, as several passes see them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_PAGEDBASES_H
#define MOEC_PASSES_PAGEDBASES_H

#include "dialects/MoE/IR/MoE.h"
#include "llvm/ADT/TypeSwitch.h"

namespace moec {

/// On an argument of a function that layers run: the pool has a place for each
/// base that memory is given for, not one for each cluster. moe-bind-params
/// sets it, moe-export-entries takes it over.
inline constexpr char pagedAttrName[] = "moec.paged";

/// On a moe.leaf: what the layer calls the param, where that is not its name.
/// moe-bind-params takes it over.
inline constexpr char boundAsAttrName[] = "moec.bound_as";

/// On a module: bytes that are pinned and paged, how many records these are,
/// and the least that slots for them take. moe-plan-residency sets it, for
/// plans and reports.
inline constexpr char residencyAttrName[] = "moe.residency";

/// Whether the bytes of the weight are brought to memory when they are needed.
inline bool isPaged(moe::ParamOp param) {
  auto weight = mlir::dyn_cast<moe::WeightType>(param.getType());
  return weight && weight.getAxis() == moe::Axis::cluster &&
         param.getResidency() == moe::Residency::cached;
}

/// What a function's layer calls the param: without the function's name in
/// front.
inline llvm::StringRef localNameOf(moe::ParamOp param,
                                   llvm::StringRef function) {
  llvm::StringRef name = param.getSymName();
  if (name.consume_front(function))
    name.consume_front(".");
  return name.empty() ? param.getSymName() : name;
}

/// The sorting whose groups say which base each row is multiplied by, if the
/// operand is a matrix that a scheduled product reads so; null for all other
/// uses of a weight.
inline moe::GroupOp groupOfProduct(mlir::OpOperand &use) {
  auto groupOf = [&](auto product) -> moe::GroupOp {
    if (!llvm::is_contained(product.getWeights(), use.get()) ||
        llvm::is_contained(product.getBiases(), use.get()) ||
        !product.getOffsets())
      return {};
    return product.getOffsets().template getDefiningOp<moe::GroupOp>();
  };
  return llvm::TypeSwitch<mlir::Operation *, moe::GroupOp>(use.getOwner())
      .Case<moe::GroupedUpOp, moe::GroupedMatmulOp>(groupOf)
      .Default({});
}

} // namespace moec

#endif // MOEC_PASSES_PAGEDBASES_H
