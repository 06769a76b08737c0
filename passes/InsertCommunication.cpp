// moe-insert-communication: rows go to the ranks that have their clusters, and come back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "dialects/MoE/IR/MoE.h"
#include "passes/Decisions.h"
#include "llvm/ADT/SetVector.h"

namespace moec {
#define GEN_PASS_DEF_INSERTCOMMUNICATIONPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "insert-communication";

/// Two values of one param are one table.
static bool areSameTable(Value lhs, Value rhs) {
  auto left = lhs.getDefiningOp<LeafOp>(), right = rhs.getDefiningOp<LeafOp>();
  return lhs == rhs ||
         (left && right && left.getParamAttr() == right.getParamAttr());
}

/// Tables that the layer's weights are looked up by, from its experts to
/// clusters.
static SmallVector<Value> collectTables(ExpertsOp layer) {
  IdType id = getIdType(layer.getIds());
  SmallVector<Value> tables;
  llvm::SetVector<Value> weights;
  for (Value operand : layer->getOperands())
    if (isa<WeightType>(operand.getType()))
      weights.insert(operand);
  // Grows while it is walked: what weights are made of.
  for (size_t i = 0; i < weights.size(); ++i) {
    Operation *made = weights[i].getDefiningOp();
    if (!made)
      continue;
    for (Value operand : made->getOperands())
      if (isa<WeightType>(operand.getType()))
        weights.insert(operand);
    auto select = dyn_cast<WeightSelectOp>(made);
    if (!select)
      continue;
    auto type = cast<TableType>(select.getTable().getType());
    bool isOfLayer = type.getFrom() == id.getAxis() &&
                     type.getFromCount() == id.getCount() &&
                     type.getTo() == Axis::cluster;
    if (isOfLayer && llvm::none_of(tables, [&](Value known) {
          return areSameTable(known, select.getTable());
        }))
      tables.push_back(select.getTable());
  }
  return tables;
}

/// Why the layer's rows stay where they are; empty if they need not.
static StringRef reasonAgainst(ExpertsOp layer) {
  if (getIdType(layer.getIds()).getCount() == 1)
    return "it has one expert, which every rank has";
  if (layer.getSpecials())
    return "it has special experts, which no rank has";
  if (layer.getType().getElementType().isF64())
    return "its rows are f64";
  if (!isa<func::FuncOp>(layer->getParentOp()))
    return "it stands in control flow, where ranks could go different ways";
  return "";
}

static void dispatch(ExpertsOp layer) {
  SmallVector<Value> tables = collectTables(layer);
  Value table = tables.size() == 1 ? tables.front() : Value();
  OpBuilder builder(layer);
  Location loc = layer.getLoc();
  auto send =
      DispatchOp::create(builder, loc, withAnyRows(layer.getInput().getType()),
                         withAnyRows(layer.getIds().getType()),
                         withAnyRows(layer.getWeights().getType()),
                         builder.getType<ExchangeType>(), layer.getInput(),
                         layer.getIds(), layer.getWeights(), table);
  auto here = cast<ExpertsOp>(builder.clone(*layer));
  here.getInputMutable().assign(send.getRows());
  here.getIdsMutable().assign(send.getRowIds());
  here.getWeightsMutable().assign(send.getRowWeights());
  here.getResult().setType(cast<RankedTensorType>(send.getRows().getType()));
  auto back = moe::ReturnOp::create(builder, loc, layer.getType(),
                                    here.getResult(), send.getExchange());
  layer.replaceAllUsesWith(back.getResult());
  layer.erase();

  Decision taken = Decision::taken(loc, passName);
  taken << "a token goes once to each rank that has one of its ";
  if (table)
    taken << cast<TableType>(table.getType()).getToCount() << " clusters";
  else
    taken << getIdType(send.getIds()).getCount() << " experts";
  if (tables.size() > 1)
    taken << ": " << tables.size()
          << " tables say which clusters they are in, so each is by itself";
}

namespace {
struct InsertCommunicationPass
    : moec::impl::InsertCommunicationPassBase<InsertCommunicationPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ExpertsOp> layers;
    getOperation().walk([&](ExpertsOp layer) {
      if (!layer.getIds().getDefiningOp<DispatchOp>())
        layers.push_back(layer);
    });
    for (ExpertsOp layer : layers) {
      StringRef reason = reasonAgainst(layer);
      if (reason.empty())
        dispatch(layer);
      else
        Decision::declined(layer.getLoc(), passName)
            << "the layer's rows stay here: " << reason;
    }
  }
};
} // namespace
