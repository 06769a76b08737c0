// moe-round-activations: rows are rounded before weights multiply them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "mlir/IR/SymbolTable.h"
#include "passes/Decisions.h"
#include "llvm/ADT/TypeSwitch.h"

namespace moec {
#define GEN_PASS_DEF_ROUNDACTIVATIONSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "round-activations";

/// How a weight is stored, where that can be seen.
static EncodingAttr encodingOf(Value weight, SymbolTableCollection &symbols) {
  if (auto wrap = weight.getDefiningOp<WrapOp>())
    return wrap.getEncodingAttr();
  auto leaf = weight.getDefiningOp<LeafOp>();
  if (!leaf)
    return {};
  auto param =
      symbols.lookupNearestSymbolFrom<ParamOp>(leaf, leaf.getParamAttr());
  return param ? param.getEncodingAttr() : EncodingAttr();
}

/// Rows that share a scale in all weights; 0 where they do not agree, or have
/// none: whole rows.
static int64_t commonGroup(ValueRange weights, SymbolTableCollection &symbols) {
  std::optional<int64_t> common;
  for (Value weight : weights) {
    EncodingAttr encoding = encodingOf(weight, symbols);
    bool isInteger = encoding && (encoding.getFormat() == Format::int8 ||
                                  encoding.getFormat() == Format::int4);
    int64_t group = isInteger && encoding.getAlong() == Side::input
                        ? encoding.getGroup()
                        : 0;
    if (common.value_or(group) != group)
      return 0;
    common = group;
  }
  return common.value_or(0);
}

namespace {
struct RoundActivationsPass
    : moec::impl::RoundActivationsPassBase<RoundActivationsPass> {
  using Base::Base;

  void runOnOperation() override {
    if (to == Activations::f32)
      return;
    SymbolTableCollection symbols;
    getOperation().walk([&](Operation *op) {
      llvm::TypeSwitch<Operation *>(op)
          .Case([&](GroupedUpOp up) { round(up, symbols); })
          .Case([&](GroupedMatmulOp matmul) {
            if (matmul.getEntries())
              Decision::declined(op->getLoc(), passName)
                  << "rows stay as they are: entries pick the factors of "
                     "residuals";
            else
              round(matmul, symbols);
          })
          .Case([&](ApplyOp apply) {
            if (apply.getIds())
              Decision::declined(op->getLoc(), passName)
                  << "rows stay as they are: the layer is not in scheduled "
                     "form";
          });
    });
  }

  template <typename OpTy> void round(OpTy op, SymbolTableCollection &symbols) {
    WeightType weight = getWeightType(op.getWeights().front());
    if (to == Activations::bf16 && weight.getElementType().isBF16()) {
      Decision::declined(op.getLoc(), passName)
          << "rows stay as they are: they are bf16";
      return;
    }
    bool isInt8 = to == Activations::int8;
    int64_t group = isInt8 ? commonGroup(op.getWeights(), symbols) : 0;
    op.setRoundingAttr(EncodingAttr::get(
        &getContext(), isInt8 ? Format::int8 : Format::bf16, group,
        /*zeroPoint=*/false, ScaleType::f32, Side::input));
    Decision remark = Decision::taken(op.getLoc(), passName);
    remark << "rows of " << weight.getRows() << " numbers are rounded to ";
    if (!isInt8)
      remark << "bf16: by 1/512 of each at most";
    else if (group)
      remark << "int8 in groups of " << group
             << ": by 1/254 of a group's largest at most";
    else
      remark << "int8: by 1/254 of a row's largest at most";
  }
};
} // namespace
