// moe-group-tokens: slot form to scheduled form, one layer at a time.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// A layer is what works on the slots of one ids value. Its tensors are of three kinds:
//   tokens [T, F]       stay as they are
//   rows   [T, M, F]    one row per (token, cluster), sorted by cluster: [T·M, F]
//   pairs  [T, k, F]    one row per (token, expert), in the order of their rows: [T·k, F]
// Without clusters each choice is a row of its own, so rows and pairs are the same list. Everything is classified before
// anything is changed; a layer with an operation that fits nowhere is left alone.
#include "passes/Passes.h"
#include "passes/Decisions.h"
#include "passes/SlotForm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace moec {
#define GEN_PASS_DEF_GROUPTOKENSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "group-tokens";

namespace {
enum class Kind { tokens, rows, pairs };

/// One layer, before anything is changed.
class Layer {
public:
  Layer(Value ids, Block *block) : ids(ids), block(block) {}

  /// Finds the layer's operations and the kind of each slot tensor. On failure `reason` says what does not fit, at
  /// `culprit`.
  LogicalResult classify();

  Value ids, weights;
  Block *block;
  /// Absent for experts that share nothing.
  ClustersOfOp clusters;
  /// In block order; never empty.
  SmallVector<Operation *> ops;
  /// The last of the operations in the block that make ids, weights and table; the moe.group goes behind it.
  Operation *last = nullptr;
  /// Slot tensors only.
  DenseMap<Value, Kind> kinds;
  Operation *culprit = nullptr;
  StringRef reason;

private:
  LogicalResult refuse(Operation *op, StringRef why) {
    culprit = op;
    reason = why;
    return failure();
  }
  LogicalResult findClusters();
  LogicalResult collect();
  LogicalResult findPlace();
  LogicalResult classify(Operation *op);
  LogicalResult makePairs(Operation *op);
  LogicalResult useWeights(Operation *op, Value used);
  std::optional<Kind> kindOf(Value value) const {
    if (getTensorType(value).getRank() == 2)
      return Kind::tokens;
    auto known = kinds.find(value);
    return known == kinds.end() ? std::nullopt : std::optional(known->second);
  }
};
} // namespace

static bool isElementwise(Operation *op) {
  return isa<ActivateOp, arith::AddFOp, arith::SubFOp, arith::MulFOp,
             arith::MaximumFOp, arith::MinimumFOp>(op);
}

LogicalResult Layer::findClusters() {
  for (Operation *user : ids.getUsers()) {
    auto found = dyn_cast<ClustersOfOp>(user);
    if (!found || found->use_empty())
      continue;
    if (clusters && found.getTable() != clusters.getTable())
      return refuse(found, "the layer groups its experts by two tables");
    if (clusters &&
        found.getClusters().getType() != clusters.getClusters().getType())
      return refuse(found, "the layer counts a token's clusters in two ways");
    if (!clusters || (found->getBlock() == clusters->getBlock() &&
                      found->isBeforeInBlock(clusters)))
      clusters = found;
  }
  if (!clusters)
    return success();
  // With fewer slots than a token may have clusters, slot form and scheduled form drop different things.
  if (getTensorType(clusters.getClusters()).getDimSize(1) <
      getClustersPerToken(ids, clusters.getTable()))
    return refuse(clusters, "a token may have more clusters than slots");
  return success();
}

/// The operations that make or use slot tensors of these ids, transitively, in block order.
LogicalResult Layer::collect() {
  llvm::SetVector<Operation *> found;
  SmallVector<Operation *> work;
  auto add = [&](Operation *op) {
    if (found.insert(op))
      work.push_back(op);
  };
  for (Operation *user : ids.getUsers())
    if (isa<ApplyOp, LookupOp, SpreadOp>(user))
      add(user);
  for (Operation *user : ids.getUsers())
    if (auto other = dyn_cast<ClustersOfOp>(user))
      for (Value result : other.getResults())
        for (Operation *slotUser : result.getUsers())
          add(slotUser);
  while (!work.empty()) {
    Operation *op = work.pop_back_val();
    for (Value result : op->getResults())
      if (auto type = dyn_cast<RankedTensorType>(result.getType());
          type && type.getRank() == 3)
        for (Operation *user : result.getUsers())
          add(user);
    // Rows scaled before they meet the ids belong to the layer too.
    for (Value operand : op->getOperands())
      if (auto scale = operand.getDefiningOp<ScaleRowsOp>())
        add(scale);
  }
  ops.assign(found.begin(), found.end());
  for (Operation *op : ops)
    if (op->getBlock() != block)
      return refuse(op, "the layer spans several blocks");
  llvm::sort(ops, [](Operation *a, Operation *b) {
    return a->isBeforeInBlock(b);
  });
  return success();
}

/// The slots of `op` become pairs without having been rows of clusters.
LogicalResult Layer::makePairs(Operation *op) {
  // A moe.group lists pairs by row; a choice whose expert the table maps outside has none. Tables of params stay inside.
  if (clusters && !clusters.getTable().getDefiningOp<LeafOp>())
    return refuse(op, "the table is no param, so a choice may have no cluster");
  kinds[op->getResult(0)] = Kind::pairs;
  return success();
}

LogicalResult Layer::useWeights(Operation *op, Value used) {
  if (weights && used != weights)
    return refuse(op, "the layer uses two kinds of gate weights");
  weights = used;
  return success();
}

LogicalResult Layer::classify(Operation *op) {
  auto refuseRows = [&] {
    return refuse(op, "its rows are neither tokens nor slots of the layer");
  };
  if (auto apply = dyn_cast<ApplyOp>(op)) {
    std::optional<Kind> input = kindOf(apply.getInput());
    if (!input)
      return refuseRows();
    if (!apply.getIds()) {
      if (*input != Kind::tokens)
        kinds[apply] = *input;
      return success();
    }
    auto byClusters = apply.getIds().getDefiningOp<ClustersOfOp>();
    if (apply.getIds() != ids && (!byClusters || byClusters.getIds() != ids))
      return refuse(op, "it also uses other ids");
    Kind kind = apply.getIds() == ids ? Kind::pairs : Kind::rows;
    if (*input != Kind::tokens && *input != kind)
      return refuseRows();
    if (*input == Kind::tokens && kind == Kind::pairs)
      return makePairs(op);
    kinds[apply] = kind;
    return success();
  }
  if (auto lookup = dyn_cast<LookupOp>(op)) {
    if (lookup.getIds() != ids)
      return refuse(op, "it also uses other ids");
    return makePairs(op);
  }
  if (auto spread = dyn_cast<SpreadOp>(op)) {
    std::optional<Kind> input = kindOf(spread.getInput());
    bool ofTokens = spread.getIds() == ids && input == Kind::tokens;
    auto slots = spread.getSlot()
                     ? spread.getSlot().getDefiningOp<ClustersOfOp>()
                     : ClustersOfOp();
    bool ofRows = slots && slots.getIds() == ids && input == Kind::rows;
    if (!ofTokens && !ofRows)
      return refuseRows();
    if (ofTokens)
      return makePairs(op);
    kinds[spread] = Kind::pairs;
    return success();
  }
  if (auto scale = dyn_cast<ScaleRowsOp>(op)) {
    std::optional<Kind> input = kindOf(scale.getInput());
    if (!input || *input == Kind::rows ||
        getTensorType(scale.getWeights()).getRank() != 2 ||
        // Rows of id -1 are not listed, so they must be zero here.
        (*input == Kind::tokens &&
         !weightsVanishWithIds(scale.getWeights(), ids)))
      return refuseRows();
    kinds[scale] = Kind::pairs;
    if (*input == Kind::tokens && failed(makePairs(op)))
      return failure();
    return useWeights(op, scale.getWeights());
  }
  if (auto combine = dyn_cast<CombineOp>(op)) {
    std::optional<Kind> input = kindOf(combine.getInput());
    if (!input || *input == Kind::tokens)
      return refuseRows();
    if (combine.getSlot()) {
      auto slots = combine.getSlot().getDefiningOp<ClustersOfOp>();
      if (*input != Kind::pairs || !slots || slots.getIds() != ids)
        return refuseRows();
      kinds[combine] = Kind::rows;
    }
    if (!combine.getWeights())
      return success();
    if (*input != Kind::pairs)
      return refuse(op, "gate weights multiply rows of clusters");
    return useWeights(op, combine.getWeights());
  }
  if (isElementwise(op)) {
    std::optional<Kind> kind;
    for (Value operand : op->getOperands()) {
      std::optional<Kind> own = kindOf(operand);
      if (!own || *own == Kind::tokens || (kind && *own != *kind))
        return refuseRows();
      kind = own;
    }
    kinds[op->getResult(0)] = *kind;
    return success();
  }
  return refuse(op, "it is not an operation of slot form");
}

LogicalResult Layer::findPlace() {
  for (Value value :
       {ids, weights, clusters ? clusters.getTable() : Value()})
    if (Operation *op = value ? value.getDefiningOp() : nullptr;
        op && op->getBlock() == block && (!last || last->isBeforeInBlock(op)))
      last = op;
  if (last && !last->isBeforeInBlock(ops.front()))
    return refuse(ops.front(), "it comes before the gate weights");
  return success();
}

LogicalResult Layer::classify() {
  if (failed(findClusters()) || failed(collect()))
    return failure();
  for (Operation *op : ops)
    if (failed(classify(op)))
      return failure();
  if (!weights)
    return refuse(ops.front(), "the layer has no gate weights");
  return findPlace();
}

/// A grouped_matmul that is a product and nothing more.
static Value buildProduct(OpBuilder &builder, Location loc, Value x,
                          Value weight, Value offsets, Value entries,
                          Value init) {
  return GroupedMatmulOp::create(builder, loc, init.getType(), x, weight,
                                 ValueRange(), offsets, entries, Value(),
                                 Value(), ValueRange(), Value(), Value(),
                                 Value(), init, ActivationAttr(),
                                 /*accumulate=*/false,
                                 /*rounding=*/EncodingAttr())
      .getResult(0);
}

namespace {
/// Writes one classified layer in scheduled form.
class Scheduler {
public:
  Scheduler(Layer &layer) : layer(layer), builder(layer.ids.getContext()) {}
  void run();

private:
  void emitGroup();
  void emit(Operation *op);
  void emitCombine(CombineOp op);

  RankedTensorType list(Type element, int64_t size) {
    return RankedTensorType::get({size}, element);
  }
  Value emptyLike(Value index, int64_t columns, Type element) {
    SmallVector<OpFoldResult> sizes{
        tensor::getMixedSize(builder, loc, index, 0),
        builder.getIndexAttr(columns)};
    return tensor::EmptyOp::create(builder, loc, sizes, element);
  }
  Value gather(Value x, Value index) {
    Value init =
        emptyLike(index, getTensorType(x).getDimSize(1),
                  getTensorType(x).getElementType());
    return GatherOp::create(builder, loc, init.getType(), x, index, init)
        .getResult(0);
  }
  Value scatter(Value x, Value index, Value weights, Value rowsLike) {
    Value init =
        emptyLike(rowsLike, getTensorType(x).getDimSize(1),
                  getTensorType(x).getElementType());
    return ScatterCombineOp::create(builder, loc, init.getType(), x, index,
                                    weights, init, /*accumulate=*/false)
        .getResult(0);
  }
  Value matmul(Value x, Value weight, Value offsets, Value entries) {
    Value init = emptyLike(x, getWeightType(weight).getCols(),
                           getTensorType(x).getElementType());
    return buildProduct(builder, loc, x, weight, offsets, entries, init);
  }
  /// A value as a list of rows: gathered from tokens once, or what its slot tensor became.
  Value rowsOf(Value value);
  Value pairsOf(Value value);

  Layer &layer;
  OpBuilder builder;
  Location loc = UnknownLoc::get(layer.ids.getContext());
  Value rowToken, rowOffsets, pairRow, pairExpert, pairWeight;
  DenseMap<Value, Value> flat;
  DenseMap<Value, Value> tokenRows, tokenPairs;
};
} // namespace

Value Scheduler::rowsOf(Value value) {
  if (getTensorType(value).getRank() == 3)
    return flat.lookup(value);
  Value &rows = tokenRows[value];
  if (!rows)
    rows = gather(value, rowToken);
  return rows;
}

Value Scheduler::pairsOf(Value value) {
  if (getTensorType(value).getRank() == 3)
    return flat.lookup(value);
  // Without clusters pairs are rows.
  if (!layer.clusters)
    return rowsOf(value);
  Value rows = rowsOf(value);
  Value &pairs = tokenPairs[value];
  if (!pairs)
    pairs = gather(rows, pairRow);
  return pairs;
}

void Scheduler::emitGroup() {
  Value clusters =
      layer.clusters ? layer.clusters.getClusters() : layer.ids;
  Value slots = layer.clusters ? layer.clusters.getSlot() : Value();
  RankedTensorType idsType = getTensorType(layer.ids);
  Type i32 = builder.getI32Type();
  auto size = [&](Value like) -> OpFoldResult {
    OpFoldResult tokens = tensor::getMixedSize(builder, loc, like, 0);
    int64_t slots = getTensorType(like).getDimSize(1);
    if (auto known = getConstantIntValue(tokens))
      return builder.getIndexAttr(*known * slots);
    Value count = arith::ConstantIndexOp::create(builder, loc, slots);
    return arith::MulIOp::create(builder, loc, cast<Value>(tokens), count)
        .getResult();
  };
  OpFoldResult rows = size(clusters), pairs = size(layer.ids);
  OpFoldResult offsets =
      builder.getIndexAttr(getIdType(clusters).getCount() + 1);
  auto empty = [&](OpFoldResult size, Type element) -> Value {
    return tensor::EmptyOp::create(builder, loc, size, element);
  };
  Value inits[] = {empty(rows, i32), empty(offsets, i32), empty(pairs, i32),
                   empty(pairs, idsType.getElementType()),
                   empty(pairs, getTensorType(layer.weights).getElementType())};
  SmallVector<Type> types;
  for (Value init : inits)
    types.push_back(init.getType());
  auto group = GroupOp::create(builder, loc, types, clusters, layer.ids,
                               layer.weights, slots, inits[0], inits[1],
                               inits[2], inits[3], inits[4]);
  rowToken = group.getResult(0);
  rowOffsets = group.getResult(1);
  pairRow = group.getResult(2);
  pairExpert = group.getResult(3);
  pairWeight = group.getResult(4);
}

void Scheduler::emitCombine(CombineOp op) {
  Value x = flat.lookup(op.getInput());
  Value weights = op.getWeights() ? pairWeight : Value();
  bool fromRows = layer.kinds.lookup(op.getInput()) == Kind::rows;
  if (op.getSlot()) {
    flat[op] = scatter(x, pairRow, weights, rowToken);
    return;
  }
  // Pairs go to their rows first: the residual of a row then meets its base product before the token.
  if (!fromRows && layer.clusters) {
    x = scatter(x, pairRow, weights, rowToken);
    weights = Value();
  }
  Value y = scatter(x, rowToken, weights, layer.ids);
  if (y.getType() != op.getType())
    y = tensor::CastOp::create(builder, loc, op.getType(), y);
  op.getResult().replaceAllUsesWith(y);
}

void Scheduler::emit(Operation *op) {
  builder.setInsertionPoint(op);
  loc = op->getLoc();
  if (auto apply = dyn_cast<ApplyOp>(op)) {
    Value x = apply.getInput(), w = apply.getWeight();
    if (!apply.getIds()) {
      if (getTensorType(x).getRank() == 3)
        flat[apply] = matmul(flat.lookup(x), w, Value(), Value());
      return;
    }
    bool indexed = getWeightType(w).isIndexed();
    if (layer.kinds.lookup(apply) == Kind::rows) {
      flat[apply] =
          matmul(rowsOf(x), w, indexed ? rowOffsets : Value(), Value());
    } else if (!layer.clusters) {
      flat[apply] =
          matmul(pairsOf(x), w, indexed ? rowOffsets : Value(), Value());
    } else {
      flat[apply] =
          matmul(pairsOf(x), w, Value(), indexed ? pairExpert : Value());
    }
  } else if (auto lookup = dyn_cast<LookupOp>(op)) {
    RankedTensorType type = lookup.getType();
    flat[lookup] = LookupOp::create(
        builder, loc,
        type.clone({getTensorType(pairExpert).getDimSize(0),
                    type.getDimSize(2)}),
        lookup.getWeight(), pairExpert);
  } else if (auto spread = dyn_cast<SpreadOp>(op)) {
    flat[spread] = spread.getSlot()
                       ? gather(rowsOf(spread.getInput()), pairRow)
                       : pairsOf(spread.getInput());
  } else if (auto scale = dyn_cast<ScaleRowsOp>(op)) {
    Value x = pairsOf(scale.getInput());
    flat[scale] = ScaleRowsOp::create(builder, loc, x.getType(), x, pairWeight);
  } else if (auto combine = dyn_cast<CombineOp>(op)) {
    emitCombine(combine);
  } else {
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(flat.lookup(operand));
    Operation *onList = builder.create(
        loc, op->getName().getIdentifier(), operands,
        TypeRange{operands.front().getType()}, op->getAttrs());
    flat[op->getResult(0)] = onList->getResult(0);
  }
}

void Scheduler::run() {
  Operation *last = layer.last;
  if (layer.clusters) {
    if (last)
      layer.clusters->moveAfter(last);
    else
      layer.clusters->moveBefore(layer.block, layer.block->begin());
    last = layer.clusters;
  }
  if (last)
    builder.setInsertionPointAfter(last);
  else
    builder.setInsertionPointToStart(layer.block);
  loc = layer.clusters ? layer.clusters.getLoc() : layer.ids.getLoc();
  emitGroup();
  for (Operation *op : layer.ops)
    emit(op);
  for (Operation *op : llvm::reverse(layer.ops))
    if (op->use_empty())
      op->erase();
}

namespace {
struct GroupTokensPass : moec::impl::GroupTokensPassBase<GroupTokensPass> {
  using Base::Base;

  void runOnOperation() override {
    // Ids of expert layers, in order of appearance.
    llvm::MapVector<Value, Block *> layers;
    getOperation().walk([&](Operation *op) {
      Value ids;
      if (auto apply = dyn_cast<ApplyOp>(op))
        ids = apply.getIds();
      else if (auto lookup = dyn_cast<LookupOp>(op))
        ids = lookup.getIds();
      else if (auto spread = dyn_cast<SpreadOp>(op))
        ids = spread.getIds();
      if (!ids || getTensorType(ids).getRank() != 2)
        return;
      if (auto clusters = ids.getDefiningOp<ClustersOfOp>())
        ids = clusters.getIds();
      layers.insert({ids, op->getBlock()});
    });
    for (auto [ids, block] : layers) {
      Layer layer(ids, block);
      if (failed(layer.classify())) {
        Location loc = layer.culprit ? layer.culprit->getLoc() : ids.getLoc();
        Decision::declined(loc, passName)
            << "layer not scheduled: " << layer.reason;
        continue;
      }
      Decision::taken(ids.getLoc(), passName)
          << "layer scheduled: "
          << (layer.clusters
                  ? getTensorType(layer.clusters.getClusters()).getDimSize(1)
                  : getTensorType(ids).getDimSize(1))
          << " rows and " << getTensorType(ids).getDimSize(1)
          << " pairs for a token at most";
      Scheduler(layer).run();
    }
    // What is shared by all experts multiplies each token once; it belongs to no layer.
    getOperation().walk([](ApplyOp op) {
      if (!op.getIds() && getTensorType(op).getRank() == 2)
        multiplyTokens(op);
    });
  }

  static void multiplyTokens(ApplyOp op) {
    OpBuilder builder(op);
    SmallVector<OpFoldResult> sizes{
        tensor::getMixedSize(builder, op.getLoc(), op.getInput(), 0),
        builder.getIndexAttr(op.getType().getDimSize(1))};
    Value init = tensor::EmptyOp::create(builder, op.getLoc(), sizes,
                                         op.getType().getElementType());
    Value y = buildProduct(builder, op.getLoc(), op.getInput(), op.getWeight(),
                           Value(), Value(), init);
    if (y.getType() != op.getType())
      y = tensor::CastOp::create(builder, op.getLoc(), op.getType(), y);
    op.getResult().replaceAllUsesWith(y);
    op.erase();
  }
};
} // namespace
