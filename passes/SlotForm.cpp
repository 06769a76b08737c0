// Builders and questions about slot form that several passes share.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/SlotForm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include <algorithm>

using namespace mlir;
using namespace moec;
using namespace moec::moe;

Value moec::buildApply(OpBuilder &builder, Location loc, Value x, Value weight,
                       Value ids) {
  RankedTensorType type = getTensorType(x);
  SmallVector<int64_t> shape(type.getShape());
  if (ids)
    shape = {type.getDimSize(0), getTensorType(ids).getDimSize(1), 0};
  shape.back() = getWeightType(weight).getCols();
  return ApplyOp::create(builder, loc, type.clone(shape), x, weight, ids);
}

Value moec::buildSpreadFor(OpBuilder &builder, Location loc, Value rows,
                           Value ids) {
  RankedTensorType type = getTensorType(rows);
  auto result = type.clone({type.getDimSize(0),
                            getTensorType(ids).getDimSize(1),
                            type.getShape().back()});
  return SpreadOp::create(builder, loc, result, rows, Value(), ids);
}

int64_t moec::getClustersPerToken(Value ids, Value table) {
  int64_t clusters =
      std::min(getTensorType(ids).getDimSize(1),
               cast<TableType>(table.getType()).getToCount());
  if (auto dispatch = ids.getDefiningOp<DispatchOp>())
    ids = dispatch.getIds();
  if (auto real = ids.getDefiningOp<RealExpertsOp>())
    ids = real.getIds();
  auto route = ids.getDefiningOp<RouteOp>();
  // Under `masked zero` an expert outside the kept clusters can still be chosen.
  if (route && route.getLimit() && route.getClusters() == table &&
      route.getLimitAttr().getMasked() == Masked::neg_inf)
    clusters = std::min(clusters, route.getLimitAttr().getKeep());
  return clusters;
}

ClustersOfOp moec::buildClustersOf(OpBuilder &builder, Location loc, Value ids,
                                   Value table) {
  auto type = cast<TableType>(table.getType());
  RankedTensorType idsType = getTensorType(ids);
  auto clustersType = RankedTensorType::get(
      {idsType.getDimSize(0), getClustersPerToken(ids, table)},
      IdType::get(builder.getContext(), type.getTo(), type.getToCount(), 0));
  auto slot = RankedTensorType::get(idsType.getShape(), builder.getI32Type());

  Block *block = builder.getInsertionBlock();
  Block::iterator here = builder.getInsertionPoint();
  for (Operation *user : ids.getUsers())
    if (auto found = dyn_cast<ClustersOfOp>(user);
        found && found->getBlock() == block && found.getTable() == table &&
        found.getClusters().getType() == clustersType &&
        (here == block->end() || found->isBeforeInBlock(&*here)))
      return found;

  OpBuilder::InsertionGuard guard(builder);
  Operation *last = nullptr;
  for (Value value : {ids, table})
    if (Operation *op = value.getDefiningOp();
        op && op->getBlock() == block && (!last || last->isBeforeInBlock(op)))
      last = op;
  if (last)
    builder.setInsertionPointAfter(last);
  else
    builder.setInsertionPointToStart(block);
  return ClustersOfOp::create(builder, loc, clustersType, slot, ids, table);
}

bool moec::weightsVanishWithIds(Value weights, Value ids) {
  if (auto dispatch = ids.getDefiningOp<DispatchOp>()) {
    if (dispatch.getRowWeights() != weights)
      return false;
    weights = dispatch.getWeights();
    ids = dispatch.getIds();
  }
  if (auto route = ids.getDefiningOp<RouteOp>())
    return route.getWeights() == weights;
  auto real = ids.getDefiningOp<RealExpertsOp>();
  return real && real.getRealWeights() == weights;
}

bool moec::rowsVanishWithIds(Value rows, Value ids) {
  // Every operation below gives zero rows for zero rows: all activations map 0 to 0.
  SmallVector<Value> work{rows};
  for (int budget = 32; !work.empty(); --budget) {
    Value value = work.pop_back_val();
    Operation *op = value.getDefiningOp();
    if (!op || budget == 0)
      return false;
    if (auto apply = dyn_cast<ApplyOp>(op)) {
      if (apply.getIds() == ids)
        continue;
      if (apply.getIds() || getTensorType(value).getRank() != 3)
        return false;
      work.push_back(apply.getInput());
    } else if (auto lookup = dyn_cast<LookupOp>(op)) {
      if (lookup.getIds() != ids)
        return false;
    } else if (auto spread = dyn_cast<SpreadOp>(op)) {
      if (spread.getIds() == ids)
        continue;
      auto clusters = spread.getSlot()
                          ? spread.getSlot().getDefiningOp<ClustersOfOp>()
                          : ClustersOfOp();
      if (!clusters || clusters.getIds() != ids)
        return false;
    } else if (auto scale = dyn_cast<ScaleRowsOp>(op)) {
      if (weightsVanishWithIds(scale.getWeights(), ids))
        continue;
      if (getTensorType(scale.getInput()).getRank() != 3)
        return false;
      work.push_back(scale.getInput());
    } else if (auto activate = dyn_cast<ActivateOp>(op)) {
      // f(0)·anything is 0, so the gate decides where there is one.
      work.push_back(activate.getGate() ? activate.getGate()
                                        : activate.getUp());
    } else if (isa<arith::AddFOp>(op)) {
      work.append(op->operand_begin(), op->operand_end());
    } else if (auto product = dyn_cast<arith::MulFOp>(op)) {
      // One factor is enough; a diagonal looked up for the ids is the likely one.
      work.push_back(product.getRhs().getDefiningOp<LookupOp>()
                         ? product.getRhs()
                         : product.getLhs());
    } else {
      return false;
    }
  }
  return true;
}

bool moec::isShared(Value weight) {
  return !getWeightType(weight).isIndexed() ||
         weight.getDefiningOp<WeightSelectOp>();
}

void moec::applyToFixedPoint(Operation *root,
                             const FrozenRewritePatternSet &patterns) {
  // Blocks are none of our business.
  auto config =
      GreedyRewriteConfig()
          .setMaxIterations(GreedyRewriteConfig::kNoLimit)
          .setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  (void)applyPatternsGreedily(root, patterns, config);
}
