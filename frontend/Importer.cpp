// From a checkpoint to a module in graph form.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/Importer.h"

#include "dialects/MoE/IR/MoE.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/DenseMap.h"

#include <array>
#include <cassert>
#include <optional>
#include <string>

using namespace mlir;
using namespace moec::moe;

namespace moec::frontend {

namespace {

/// Makes the params and the function of one layer.
class LayerImporter {
public:
  LayerImporter(ModuleOp module, const MoELayer &layer)
      : layer(layer), key("layers." + std::to_string(layer.index)),
        symbol("layer" + std::to_string(layer.index)),
        b(NameLoc::get(StringAttr::get(module.getContext(), key)),
          OpBuilder::atBlockEnd(module.getBody())) {
    rows = tensor(layer.hidden);
  }

  void import() {
    int64_t d = layer.hidden, f = layer.intermediate, e = layer.experts;
    StringAttr router = param("router", {d, e}, layer.routerType);
    StringAttr gate = param("gate", {d, f}, layer.gateType, e);
    StringAttr up = param("up", {d, f}, layer.upType, e);
    StringAttr down = param("down", {f, d}, layer.downType, e);
    StringAttr sharedRouter, sharedGate, sharedUp, sharedDown;
    if (const std::optional<SharedExpert> &shared = layer.shared) {
      int64_t s = shared->intermediate;
      if (shared->gated)
        sharedRouter = param("shared.router", {d, 1}, shared->routerType);
      sharedGate = param("shared.gate", {d, s}, shared->gateType);
      sharedUp = param("shared.up", {d, s}, shared->upType);
      sharedDown = param("shared.down", {s, d}, shared->downType);
    }

    auto name = [&](StringRef text) {
      return b.getDictionaryAttr(
          b.getNamedAttr("moec.name", b.getStringAttr(text)));
    };
    auto function =
        func::FuncOp::create(b, symbol, b.getFunctionType({rows}, {rows}));
    function.setArgAttrs(0, name("x"));
    function.setResultAttrs(0, name("y"));
    b.setInsertionPointToStart(function.addEntryBlock());
    x = function.getArgument(0);

    Norm norm = layer.normalise ? Norm::l1 : Norm::keep;
    FloatAttr scale =
        layer.scale == 1 ? FloatAttr() : b.getF64FloatAttr(layer.scale);
    RouteOp route = this->route(
        apply(router), e,
        layer.score == RouterScore::Softmax ? Score::softmax : Score::sigmoid,
        layer.choices,
        GatesAttr::get(b.getContext(), GateSource::scores, norm, {}, scale));
    Value y = experts(route, gate, up, down);
    if (layer.shared) {
      // One expert that is always chosen: by itself it scores σ of its logit,
      // or 1 as the only term of a softmax.
      RouteOp always =
          this->route(sharedRouter ? apply(sharedRouter) : zeroLogits(), 1,
                      sharedRouter ? Score::sigmoid : Score::softmax, 1,
                      GatesAttr::get(b.getContext(), GateSource::scores,
                                     Norm::keep, {}, {}));
      y = arith::AddFOp::create(
          b, y, experts(always, sharedGate, sharedUp, sharedDown));
    }
    func::ReturnOp::create(b, y);
  }

private:
  RankedTensorType tensor(int64_t columns) {
    return RankedTensorType::get({ShapedType::kDynamic, columns},
                                 b.getF32Type());
  }

  /// A param of the checkpoint's; its values stay where they are. Returns its
  /// name.
  StringAttr param(StringRef role, std::array<int64_t, 2> shape,
                   weights::ElementType stored, int64_t experts = 0) {
    auto type =
        WeightType::get(b.getContext(), shape[0], shape[1], b.getF32Type(),
                        experts ? moe::Axis::expert : moe::Axis::none,
                        experts ? experts : 1);
    EncodingAttr encoding;
    if (stored != weights::ElementType::F32)
      encoding = EncodingAttr::get(
          b.getContext(),
          stored == weights::ElementType::BF16 ? Format::bf16 : Format::f16,
          /*group=*/0, /*zeroPoint=*/false, ScaleType::f32, Side::input);
    StringAttr name = b.getStringAttr(symbol + "." + role);
    ParamOp::create(b, name, b.getStringAttr("private"), TypeAttr::get(type),
                    ExternalAttr::get(b.getContext(),
                                      b.getStringAttr(modelScope),
                                      b.getStringAttr(key + "." + role)),
                    encoding, /*rounded_by=*/FlatSymbolRefAttr(), LayoutAttr(),
                    ResidencyAttr());
    types[name] = type;
    return name;
  }

  Value leaf(StringAttr param) {
    return LeafOp::create(b, types[param], FlatSymbolRefAttr::get(param));
  }

  /// The tokens times a matrix.
  Value apply(StringAttr param) {
    return ApplyOp::create(b, tensor(types[param].getCols()), x, leaf(param),
                           Value());
  }

  Value zeroLogits() {
    Value count = tensor::DimOp::create(b, x, 0);
    Value empty = tensor::EmptyOp::create(b, tensor(1), ValueRange{count});
    Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
    return linalg::FillOp::create(b, zero, empty).getResult(0);
  }

  RouteOp route(Value logits, int64_t count, Score score, int64_t choices,
                GatesAttr gates) {
    auto ids = RankedTensorType::get(
        {ShapedType::kDynamic, choices},
        IdType::get(b.getContext(), moe::Axis::expert, count, /*specials=*/0));
    return RouteOp::create(
        b, ids, tensor(choices), logits, /*bias=*/Value(), /*clusters=*/Value(),
        /*groupLogits=*/Value(), /*candidates=*/Value(), /*hashTable=*/Value(),
        /*tokenIds=*/Value(), score, LimitAttr(),
        ChoiceAttr::get(b.getContext(), ChoiceKind::top_k, choices, {}), gates,
        CapacityAttr(), SpecialsAttr());
  }

  Value experts(RouteOp route, StringAttr gate, StringAttr up,
                StringAttr down) {
    auto kind = symbolizeActivationKind(layer.activation);
    assert(kind && "a config is read with activations that moec has");
    Value gateLeaf = leaf(gate), upLeaf = leaf(up), downLeaf = leaf(down);
    return ExpertsOp::create(
        b, rows, x, route.getIds(), route.getWeights(), GateSide::on_output,
        gateLeaf, upLeaf, downLeaf, /*gateBias=*/Value(), /*upBias=*/Value(),
        /*downBias=*/Value(),
        ActivationAttr::get(b.getContext(), *kind, {}, {}, {}), SpecialsAttr(),
        /*constants=*/Value(), /*mixing=*/Value());
  }

  const MoELayer &layer;
  std::string key;
  std::string symbol;
  ImplicitLocOpBuilder b;
  /// Of the params, by name.
  llvm::DenseMap<StringAttr, WeightType> types;
  RankedTensorType rows;
  Value x;
};

} // namespace

OwningOpRef<ModuleOp> importCheckpoint(MLIRContext &context,
                                       const Checkpoint &checkpoint) {
  context
      .loadDialect<arith::ArithDialect, func::FuncDialect,
                   linalg::LinalgDialect, tensor::TensorDialect, MoEDialect>();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  for (const MoELayer &layer : checkpoint.layers())
    LayerImporter(*module, layer).import();
  return module;
}

} // namespace moec::frontend
