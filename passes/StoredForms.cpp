// In what form the matrices of expert layers are stored: plain, bases, residuals.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/StoredForms.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Decisions.h"

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static ParamOp getParam(Value weight) {
  auto leaf = weight.getDefiningOp<LeafOp>();
  return leaf ? SymbolTable::lookupNearestSymbolFrom<ParamOp>(
                    leaf, leaf.getParamAttr())
              : ParamOp();
}

SvdAttr StoredMatrix::getResidual() const {
  ParamOp factor = input;
  return factor ? dyn_cast<SvdAttr>(factor.getSource()) : SvdAttr();
}

ParamOp StoredMatrix::getExperts() const {
  if (isPlain())
    return plain;
  ParamOp shared = base;
  FlatSymbolRefAttr name = hasResidual()
                               ? getResidual().getOf()
                               : cast<MeanAttr>(shared.getSource()).getOf();
  return SymbolTable::lookupNearestSymbolFrom<ParamOp>(op, name);
}

WeightType StoredMatrix::getType() const {
  return cast<WeightType>(getExperts().getType());
}

int64_t StoredMatrix::getRank() const {
  return hasResidual() ? getResidual().getRank() : 0;
}

SmallVector<ParamOp, 3> StoredMatrix::leaves() const {
  SmallVector<ParamOp, 3> params;
  for (ParamOp param : {plain, base, input, output})
    if (param)
      params.push_back(param);
  return params;
}

/// Takes base and table from a select by a table of leaves.
static bool matchBase(Value weight, StoredMatrix &matrix) {
  auto select = weight.getDefiningOp<WeightSelectOp>();
  if (!select)
    return false;
  matrix.base = getParam(select.getWeight());
  matrix.table = getParam(select.getTable());
  return matrix.base && matrix.table && isa<MeanAttr>(matrix.base.getSource());
}

/// Takes both factors from a product of leaves that are made by one SVD.
static bool matchResidual(Value weight, StoredMatrix &matrix) {
  auto product = weight.getDefiningOp<WeightMulOp>();
  if (!product)
    return false;
  matrix.input = getParam(product.getLhs());
  matrix.output = getParam(product.getRhs());
  return matrix.input && matrix.output && matrix.getResidual() &&
         isa<SvdAttr>(matrix.output.getSource());
}

static bool match(Value weight, StoredMatrix &matrix) {
  if (ParamOp param = getParam(weight)) {
    matrix.plain = param;
    return cast<WeightType>(param.getType()).getAxis() == Axis::expert;
  }
  if (auto sum = weight.getDefiningOp<WeightAddOp>())
    return matchBase(sum.getLhs(), matrix) &&
           matchResidual(sum.getRhs(), matrix) &&
           matrix.getResidual().getMinus() ==
               FlatSymbolRefAttr::get(matrix.base.getSymNameAttr());
  return matchBase(weight, matrix) || matchResidual(weight, matrix);
}

SmallVector<StoredMatrix> moec::findStoredMatrices(ModuleOp module,
                                                   StringRef pass) {
  SmallVector<StoredMatrix> found;
  llvm::SmallPtrSet<Operation *, 16> seen;
  auto add = [&](ExpertsOp op, StringRef role, Value weight) {
    StoredMatrix matrix{op, role, {}, {}, {}, {}, {}};
    if (!match(weight, matrix))
      Decision::declined(op.getLoc(), pass)
          << role << " left as it is: expected matrices of experts, bases by a "
          << "table or low-rank products, as leaves";
    else if (seen.insert(matrix.leaves().front()).second)
      found.push_back(matrix);
  };
  module.walk([&](ExpertsOp op) {
    if (op.getGate())
      add(op, "gate", op.getGate());
    add(op, "up", op.getUp());
    add(op, "down", op.getDown());
  });
  return found;
}

/// Clusters that the router limits a token to, where they are those of the table; 0 for flat choices.
static int64_t getClustersPerToken(const StoredMatrix &matrix) {
  ExpertsOp op = matrix.op;
  auto route = op.getIds().getDefiningOp<RouteOp>();
  if (!route || !route.getLimit() || !route.getClusters() ||
      getParam(route.getClusters()) != matrix.table)
    return 0;
  return route.getLimit()->getKeep();
}

weights::ExpertLayerShape moec::getLayerShape(const StoredMatrix &matrix) {
  ExpertsOp op = matrix.op;
  auto up = cast<WeightType>(op.getUp().getType());
  weights::ExpertLayerShape shape;
  shape.width = up.getRows();
  shape.inner = up.getCols();
  shape.isGated = bool(op.getGate());
  shape.experts = up.getCount();
  shape.choices = cast<RankedTensorType>(op.getIds().getType()).getDimSize(1);
  if (ParamOp table = matrix.table) {
    shape.clusters = cast<TableType>(table.getType()).getToCount();
    shape.clustersPerToken = getClustersPerToken(matrix);
  }
  shape.rank = matrix.getRank();
  return shape;
}
