// Second moments of what expert matrices multiply, as a profile has them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/InputMoments.h"

#include "passes/LayerParams.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace moec;
using namespace moec::moe;

FailureOr<FoundMoments>
moec::findInputMoments(ExpertsOp op, StringRef role, ParamOp values,
                       const weights::LayerProfile *traffic, MomentsKind kind) {
  // Inputs of down are hidden activations.
  bool isDown = role == "down", isFull = kind == MomentsKind::full;
  if (isDown && isa<PermutedAttr>(values.getSource()))
    return FoundMoments{{}, "the profile knows its neurons in their old order"};
  ArrayRef<double> sums;
  if (traffic)
    sums = isDown ? (isFull ? traffic->hiddenMomentsFull : traffic->hiddenMoments)
                  : (isFull ? traffic->inputMomentsFull : traffic->inputMoments);
  if (sums.empty())
    return FoundMoments{{}, "the profile has no second moments of its inputs"};
  InputMoments moments;
  moments.inputs = isDown ? traffic->hiddenWidth : traffic->width;
  moments.rows = isFull ? moments.inputs : 1;
  moments.sums = sums;
  moments.key = "layers." + std::to_string(*getLayerNumber(op)) +
                (isDown ? ".hidden_moments" : ".input_moments") +
                (isFull ? "_full" : "");
  int64_t rows = cast<WeightType>(values.getType()).getRows();
  if (moments.inputs != rows)
    return op.emitOpError("has ")
           << rows << " rows of " << role
           << ", but the profile has moments of " << moments.inputs;
  return FoundMoments{std::move(moments), ""};
}

weights::MatrixSourcePtr moec::getMatrices(const InputMoments &moments) {
  // A common factor changes no relative error; this one keeps them within f32.
  double largest = *llvm::max_element(moments.sums);
  std::vector<float> values;
  for (double sum : moments.sums)
    values.push_back(float(largest > 0 ? sum / largest : 0));
  return weights::matricesOf("second moments",
                             {1, moments.rows, moments.inputs},
                             std::move(values));
}

ParamOp moec::getMomentsParam(ExpertsOp op, StringRef role,
                              const InputMoments &moments) {
  MLIRContext *context = op.getContext();
  auto type = WeightType::get(context, moments.rows, moments.inputs,
                              Float32Type::get(context), Axis::none, 1);
  auto source = ExternalAttr::get(context, StringAttr::get(context, "profile"),
                                  StringAttr::get(context, moments.key));
  auto function = op->getParentOfType<func::FuncOp>();
  auto known = SymbolTable::lookupNearestSymbolFrom<ParamOp>(
      op, StringAttr::get(context,
                          function.getSymName() + "." + role + ".moments"));
  if (known && known.getType() == type && known.getSource() == source &&
      !known.getEncodingAttr())
    return known;
  return addParam(op, role + ".moments", type, source);
}
