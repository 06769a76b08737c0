// Which extents of a function's tensors are equal in every call: union-find over (value, dimension).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Analysis/ExtentClasses.h"

#include "dialects/MoE/IR/MoE.h"
#include "dialects/MoERT/IR/MoERT.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

#include <map>

using namespace mlir;
using namespace moec;

namespace {
/// Stands for the number that an integer value holds, among the dimensions of values.
constexpr int64_t wholeValue = -1;

/// An extent that is computed from others. Equal expressions over equal extents are equal.
struct Expression {
  enum class Kind { operation, product, sum };
  Kind kind;
  unsigned result;
  SmallVector<unsigned> operands;
  Operation *op = nullptr;
};

/// A value that control flow gives: equal to its sources if they are all equal.
struct Join {
  Value target;
  int64_t dimension;
  SmallVector<unsigned> sources;
};
} // namespace

class ExtentClasses::Solver {
public:
  explicit Solver(func::FuncOp function) {
    // Start from the belief that values keep their extents through control flow, and drop what turns out not to hold:
    // what remains supports itself, by induction over the steps of a run.
    do
      collect(function);
    while (dropDisprovedJoins());
  }

  unsigned node(Value value, int64_t dimension) {
    if (dimension == wholeValue) {
      APInt number;
      if (matchPattern(value, m_ConstantInt(&number)))
        return constantNode(number.getSExtValue());
    } else {
      auto type = cast<ShapedType>(value.getType());
      if (!type.isDynamicDim(dimension))
        return constantNode(type.getDimSize(dimension));
    }
    auto [it, isNew] =
        nodes.try_emplace({value, dimension}, unsigned(parents.size()));
    if (isNew)
      addNode(std::nullopt);
    return it->second;
  }

  unsigned find(unsigned node) {
    while (parents[node] != node)
      node = parents[node] = parents[parents[node]];
    return node;
  }

  std::optional<int64_t> constant(unsigned node) {
    return constants[find(node)];
  }

private:
  //===--------------------------------------------------------------------===//
  // Classes
  //===--------------------------------------------------------------------===//

  unsigned addNode(std::optional<int64_t> constant) {
    parents.push_back(parents.size());
    constants.push_back(constant);
    return parents.size() - 1;
  }

  unsigned constantNode(int64_t number) {
    auto [it, isNew] =
        constantNodes.try_emplace(number, unsigned(parents.size()));
    if (isNew)
      addNode(number);
    return it->second;
  }

  unsigned node(OpFoldResult size) {
    if (auto value = dyn_cast<Value>(size))
      return node(value, wholeValue);
    return constantNode(*getConstantIntValue(size));
  }

  bool unite(unsigned left, unsigned right) {
    left = find(left);
    right = find(right);
    if (left == right)
      return false;
    // Two different numbers: code that can never run. Nothing follows from it.
    if (constants[left] && constants[right])
      return false;
    // The older node leads, so that class numbers follow the order of the text.
    if (right < left)
      std::swap(left, right);
    parents[right] = left;
    if (!constants[left])
      constants[left] = constants[right];
    return true;
  }

  void uniteDim(Value left, int64_t leftDim, Value right, int64_t rightDim) {
    unite(node(left, leftDim), node(right, rightDim));
  }

  /// All dimensions of two values of equal rank.
  void uniteAll(Value left, Value right) {
    if (rankOf(left) != rankOf(right))
      return;
    for (int64_t d = 0; d < rankOf(left); ++d)
      uniteDim(left, d, right, d);
  }

  /// The first extents of all tensors given; absent ones may be null.
  void uniteFirst(ArrayRef<Value> values) {
    Value first;
    for (Value value : values) {
      if (!value || !isRanked(value))
        continue;
      if (first)
        uniteDim(first, 0, value, 0);
      else
        first = value;
    }
  }

  /// Dimensions of a tensor or buffer; 0 for what has none, or has no rank.
  static int64_t rankOf(Value value) {
    auto type = dyn_cast<ShapedType>(value.getType());
    return type && type.hasRank() ? type.getRank() : 0;
  }
  static bool isRanked(Value value) { return rankOf(value) > 0; }

  //===--------------------------------------------------------------------===//
  // Operations
  //===--------------------------------------------------------------------===//

  void collect(func::FuncOp function) {
    nodes.clear();
    constantNodes.clear();
    parents.clear();
    constants.clear();
    expressions.clear();
    joins.clear();
    // Arguments first: their nodes are the oldest of their classes.
    for (Value argument : function.getArguments())
      for (int64_t d = 0; d < rankOf(argument); ++d)
        node(argument, d);
    function.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (op != function)
        visit(op);
    });
    while (closeExpressions()) {
    }
  }

  void visit(Operation *op) {
    if (auto branch = dyn_cast<RegionBranchOpInterface>(op))
      addJoins(branch);
    if (auto destination = dyn_cast<DestinationStyleOpInterface>(op))
      for (OpResult result : op->getResults())
        uniteAll(destination.getTiedOpOperand(result)->get(), result);
    if (OpTrait::hasElementwiseMappableTraits(op))
      visitElementwise(op);
    if (auto structured = dyn_cast<linalg::LinalgOp>(op))
      return visitStructured(structured);

    llvm::TypeSwitch<Operation *>(op)
        .Case<tensor::DimOp, tensor::EmptyOp, tensor::CastOp, tensor::BitcastOp,
              tensor::ExtractSliceOp, tensor::InsertSliceOp,
              tensor::ParallelInsertSliceOp, tensor::CollapseShapeOp,
              tensor::ExpandShapeOp, tensor::ConcatOp, tensor::PadOp,
              tensor::GenerateOp, tensor::SplatOp, memref::DimOp,
              memref::AllocOp, memref::CastOp, memref::SubViewOp,
              memref::CollapseShapeOp, memref::ExpandShapeOp, memref::CopyOp,
              bufferization::AllocTensorOp, bufferization::ToTensorOp,
              bufferization::ToBufferOp,
              bufferization::MaterializeInDestinationOp, scf::ForallOp,
              linalg::SoftmaxOp, moe::RouteOp, moe::ExpertsOp, moe::ApplyOp,
              moe::LookupOp, moe::ClustersOfOp, moe::SpreadOp, moe::ScaleRowsOp,
              moe::CombineOp, moe::ActivateOp, moe::RealExpertsOp,
              moe::SpecialExpertsOp, moe::IdCastOp, moe::DispatchOp,
              moe::ReturnOp, moe::GroupOp, moe::GatherOp, moe::GroupedMatmulOp,
              moe::GroupedUpOp, moe::ScatterCombineOp, moert::BeginOp,
              moert::ReadOp, moert::CollectOp>(
            [&](auto known) { visitOp(known); })
        .Default([&](Operation *other) { visitScalar(other); });
  }

  void visitElementwise(Operation *op) {
    Value first;
    SmallVector<Value> values(op->getOperands());
    llvm::append_range(values, op->getResults());
    for (Value value : values) {
      if (first)
        uniteAll(first, value);
      else if (isRanked(value))
        first = value;
    }
  }

  /// Every loop of a structured op has one trip count.
  void visitStructured(linalg::LinalgOp op) {
    DenseMap<unsigned, unsigned> trips;
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isRanked(operand.get()))
        continue;
      AffineMap map = op.getMatchingIndexingMap(&operand);
      for (auto [d, access] : llvm::enumerate(map.getResults())) {
        auto loop = dyn_cast<AffineDimExpr>(access);
        if (!loop)
          continue;
        unsigned extent = node(operand.get(), d);
        auto [it, isNew] = trips.try_emplace(loop.getPosition(), extent);
        if (!isNew)
          unite(it->second, extent);
      }
    }
  }

  /// Index arithmetic.
  void visitScalar(Operation *op) {
    auto isNumber = [](Type type) { return type.isIntOrIndex(); };
    if (op->getNumResults() != 1 || op->getNumRegions() ||
        op->getNumOperands() == 0 || !isPure(op) ||
        !isNumber(op->getResult(0).getType()) ||
        !llvm::all_of(op->getOperandTypes(), isNumber))
      return;
    Expression expression{isa<arith::MulIOp>(op) ? Expression::Kind::product
                                                 : Expression::Kind::operation,
                          node(op->getResult(0), wholeValue),
                          {},
                          op};
    for (Value operand : op->getOperands())
      expression.operands.push_back(node(operand, wholeValue));
    expressions.push_back(expression);
  }

  void visitOp(tensor::DimOp op) { visitDim(op); }
  void visitOp(memref::DimOp op) { visitDim(op); }
  template <typename DimOp> void visitDim(DimOp op) {
    std::optional<int64_t> index = op.getConstantIndex();
    if (index && *index < rankOf(op.getSource()))
      unite(node(op.getResult(), wholeValue), node(op.getSource(), *index));
  }
  void visitOp(tensor::EmptyOp op) {
    uniteSizes(op.getResult(), op.getMixedSizes());
  }
  void visitOp(memref::AllocOp op) {
    uniteSizes(op.getMemref(), op.getMixedSizes());
  }
  void uniteSizes(Value value, ArrayRef<OpFoldResult> sizes) {
    for (auto [d, size] : llvm::enumerate(sizes))
      unite(node(value, d), node(size));
  }
  void visitOp(bufferization::AllocTensorOp op) {
    if (op.getCopy())
      return uniteAll(op.getCopy(), op.getResult());
    auto type = cast<RankedTensorType>(op.getType());
    for (int64_t d = 0, next = 0; d < type.getRank(); ++d)
      if (type.isDynamicDim(d))
        unite(node(op.getResult(), d),
              node(op.getDynamicSizes()[next++], wholeValue));
  }
  void visitOp(tensor::GenerateOp op) {
    for (int64_t d = 0, next = 0; d < op.getType().getRank(); ++d)
      if (op.getType().isDynamicDim(d))
        unite(node(op.getResult(), d),
              node(op.getDynamicExtents()[next++], wholeValue));
  }
  void visitOp(tensor::SplatOp op) {
    auto type = cast<RankedTensorType>(op.getType());
    for (int64_t d = 0, next = 0; d < type.getRank(); ++d)
      if (type.isDynamicDim(d))
        unite(node(op.getResult(), d),
              node(op.getDynamicSizes()[next++], wholeValue));
  }
  void visitOp(tensor::CastOp op) { uniteAll(op.getSource(), op.getResult()); }
  void visitOp(memref::CastOp op) { uniteAll(op.getSource(), op.getResult()); }
  void visitOp(memref::CopyOp op) { uniteAll(op.getSource(), op.getTarget()); }
  void visitOp(tensor::BitcastOp op) {
    uniteAll(op.getSource(), op.getResult());
  }
  void visitOp(bufferization::ToTensorOp op) {
    uniteAll(op.getBuffer(), op.getResult());
  }
  void visitOp(bufferization::ToBufferOp op) {
    uniteAll(op.getTensor(), op.getResult());
  }
  void visitOp(bufferization::MaterializeInDestinationOp op) {
    uniteAll(op.getSource(), op.getDest());
    if (op.getResult())
      uniteAll(op.getDest(), op.getResult());
  }
  void visitOp(linalg::SoftmaxOp op) {
    uniteAll(op.getInput(), op.getOutput());
  }

  /// The dimensions of a slice against the sizes it is made of.
  void uniteSlice(Value slice, ArrayRef<OpFoldResult> sizes,
                  const llvm::SmallBitVector &dropped) {
    int64_t d = 0;
    for (auto [i, size] : llvm::enumerate(sizes))
      if (!dropped.test(i))
        unite(node(slice, d++), node(size));
  }
  void visitOp(tensor::ExtractSliceOp op) {
    uniteSlice(op.getResult(), op.getMixedSizes(), op.getDroppedDims());
  }
  void visitOp(memref::SubViewOp op) {
    uniteSlice(op.getResult(), op.getMixedSizes(), op.getDroppedDims());
  }
  void visitOp(tensor::InsertSliceOp op) {
    uniteSlice(op.getSource(), op.getMixedSizes(), op.getDroppedDims());
  }
  void visitOp(tensor::ParallelInsertSliceOp op) {
    uniteSlice(op.getSource(), op.getMixedSizes(), op.getDroppedDims());
  }
  void visitOp(scf::ForallOp op) {
    for (auto [init, argument, result] :
         llvm::zip(op.getOutputs(), op.getRegionIterArgs(), op.getResults())) {
      uniteAll(init, argument);
      uniteAll(init, result);
    }
  }

  void visitOp(tensor::CollapseShapeOp op) { visitCollapse(op); }
  void visitOp(memref::CollapseShapeOp op) { visitCollapse(op); }
  template <typename CollapseOp> void visitCollapse(CollapseOp op) {
    for (auto [d, group] : llvm::enumerate(op.getReassociationIndices()))
      addProduct(node(op.getResult(), d), op.getSrc(), group);
  }
  void visitOp(tensor::ExpandShapeOp op) { visitExpand(op); }
  void visitOp(memref::ExpandShapeOp op) { visitExpand(op); }
  template <typename ExpandOp> void visitExpand(ExpandOp op) {
    uniteSizes(op.getResult(), op.getMixedOutputShape());
    for (auto [d, group] : llvm::enumerate(op.getReassociationIndices()))
      addProduct(node(op.getSrc(), d), op.getResult(), group);
  }
  void visitOp(tensor::ConcatOp op) {
    int64_t along = op.getDim();
    Expression sum{Expression::Kind::sum, node(op.getResult(), along), {}};
    for (Value input : op.getInputs()) {
      sum.operands.push_back(node(input, along));
      for (int64_t d = 0; d < op.getResultType().getRank(); ++d)
        if (d != along)
          uniteDim(input, d, op.getResult(), d);
    }
    expressions.push_back(sum);
  }
  void visitOp(tensor::PadOp op) {
    for (auto [d, low, high] :
         llvm::enumerate(op.getMixedLowPad(), op.getMixedHighPad()))
      expressions.push_back({Expression::Kind::sum,
                             node(op.getResult(), d),
                             {node(op.getSource(), d), node(low), node(high)}});
  }

  //===--------------------------------------------------------------------===//
  // moe operations: docs/spec.md says what belongs together
  //===--------------------------------------------------------------------===//

  /// All tensors of an op of graph or slot form count the same tokens, but for the tables among them.
  void uniteTokens(Operation *op, ArrayRef<Value> tables = {}) {
    SmallVector<Value> counting;
    for (Value value : op->getOperands())
      if (!llvm::is_contained(tables, value))
        counting.push_back(value);
    llvm::append_range(counting, op->getResults());
    uniteFirst(counting);
  }
  void visitOp(moe::RouteOp op) {
    uniteTokens(op, {op.getBias(), op.getHashTable()});
  }
  void visitOp(moe::ExpertsOp op) {
    uniteTokens(op, {op.getConstants(), op.getMixing()});
  }
  void visitOp(moe::SpecialExpertsOp op) {
    uniteTokens(op, {op.getConstants(), op.getMixing()});
  }
  void visitOp(moe::ApplyOp op) { uniteTokens(op); }
  void visitOp(moe::LookupOp op) { uniteTokens(op); }
  void visitOp(moe::ClustersOfOp op) { uniteTokens(op); }
  void visitOp(moe::SpreadOp op) { uniteTokens(op); }
  void visitOp(moe::ScaleRowsOp op) { uniteTokens(op); }
  void visitOp(moe::CombineOp op) { uniteTokens(op); }
  void visitOp(moe::ActivateOp op) { uniteTokens(op); }
  void visitOp(moe::RealExpertsOp op) { uniteTokens(op); }
  void visitOp(moe::IdCastOp op) { uniteAll(op.getInput(), op.getResult()); }
  /// Rows that are received are another number than tokens.
  void visitOp(moe::DispatchOp op) {
    uniteFirst({op.getInput(), op.getIds(), op.getWeights()});
    uniteFirst({op.getRows(), op.getRowIds(), op.getRowWeights()});
  }
  void visitOp(moe::ReturnOp op) {
    uniteAll(op.getDispatch().getRows(), op.getRows());
    uniteAll(op.getDispatch().getInput(), op.getResult());
  }
  void visitOp(moe::GroupOp op) {
    if (!isRanked(op.getClusters()))
      return;
    uniteFirst({op.getClusters(), op.getIds(), op.getWeights(), op.getSlots()});
    addProduct(node(op.getRowToken(), 0), op.getClusters(), {0, 1});
    for (Value pairs :
         {op.getPairRow(), op.getPairExpert(), op.getPairWeight()})
      addProduct(node(pairs, 0), op.getIds(), {0, 1});
  }
  /// The rows that numbers made by moe.group count: tokens by row_token, rows by pair_row (G10).
  void uniteCounted(Value rows, Value numbers) {
    while (auto cast = numbers.getDefiningOp<tensor::CastOp>())
      numbers = cast.getSource();
    auto group = numbers.getDefiningOp<moe::GroupOp>();
    if (!group || !isRanked(rows))
      return;
    OpOperand *made = group.getTiedOpOperand(cast<OpResult>(numbers));
    if (made == &group.getRowTokenMutable() && isRanked(group.getClusters()))
      uniteDim(rows, 0, group.getClusters(), 0);
    else if (made == &group.getPairRowMutable() &&
             isRanked(group.getRowToken()))
      uniteDim(rows, 0, group.getRowToken(), 0);
  }
  void visitOp(moe::GatherOp op) {
    uniteFirst({op.getIndex(), op.getInit()});
    uniteCounted(op.getInput(), op.getIndex());
    if (isRanked(op.getInput()))
      uniteTrailing(op.getInput(), op.getInit());
  }
  void visitOp(moe::GroupedMatmulOp op) {
    uniteFirst({op.getInput(), op.getEntries(),
                op.yieldsPairs() ? Value() : op.getInit()});
    uniteFirst({op.getPairRow(), op.getPairExpert(), op.getSegment(),
                op.getSegmentWeights(),
                op.yieldsPairs() ? op.getInit() : Value()});
  }
  void visitOp(moe::GroupedUpOp op) {
    uniteFirst({op.getPairRow(), op.getPairExpert(), op.getPairWeights(),
                op.getShrunk()});
  }
  void visitOp(moe::ScatterCombineOp op) {
    uniteFirst({op.getInput(), op.getIndex(), op.getWeights()});
    uniteCounted(op.getInit(), op.getIndex());
    if (isRanked(op.getInput()))
      uniteTrailing(op.getInput(), op.getInit());
  }
  void visitOp(moert::BeginOp op) {
    uniteFirst({op.getRows(), op.getIds(), op.getGates(), op.getClusters(),
                op.getInit(), op.getSums()});
  }
  void visitOp(moert::ReadOp op) {
    SmallVector<Value> values(op.getResults());
    values.append({op.getRows(), op.getIds(), op.getGates()});
    uniteFirst(values);
  }
  void visitOp(moert::CollectOp op) {
    uniteFirst({op.getRows(), op.getIds(), op.getGates(), op.getClusters(),
                op.getInit(), op.getResult()});
  }
  /// All extents but the first.
  void uniteTrailing(Value left, Value right) {
    for (int64_t d = 1; d < rankOf(left); ++d)
      uniteDim(left, d, right, d);
  }

  //===--------------------------------------------------------------------===//
  // Expressions
  //===--------------------------------------------------------------------===//

  void addProduct(unsigned result, Value of, ArrayRef<int64_t> dimensions) {
    Expression product{Expression::Kind::product, result, {}};
    for (int64_t d : dimensions)
      product.operands.push_back(node(of, d));
    expressions.push_back(product);
  }

  /// Unites the results of expressions that have become equal. Returns whether anything changed.
  bool closeExpressions() {
    bool changed = false;
    using Key =
        std::pair<std::pair<const void *, const void *>, SmallVector<int64_t>>;
    std::map<Key, unsigned> seen;
    // For each class, the products c·x it is known to equal: x by (class, c).
    std::map<std::pair<unsigned, int64_t>, unsigned> factors;
    for (const Expression &expression : expressions) {
      Key key;
      SmallVector<int64_t> &operands = key.second;
      // Numbers are gathered in front: the factor of a product, the rest of a sum.
      bool isProduct = expression.kind == Expression::Kind::product;
      bool isOperation = expression.kind == Expression::Kind::operation;
      int64_t number = isProduct ? 1 : 0;
      for (unsigned operand : expression.operands) {
        std::optional<int64_t> known = constant(operand);
        if (known && isProduct)
          number *= *known;
        else if (known && !isOperation)
          number += *known;
        else
          operands.push_back(find(operand));
      }
      if (isOperation) {
        Operation *op = expression.op;
        key.first = {op->getName().getAsOpaquePointer(),
                     op->getAttrDictionary().getAsOpaquePointer()};
        if (op->hasTrait<OpTrait::IsCommutative>())
          llvm::sort(operands);
      } else {
        if (isProduct && number == 0)
          operands.clear();
        llvm::sort(operands);
        if (operands.empty()) {
          changed |= unite(expression.result, constantNode(number));
          continue;
        }
        if (operands.size() == 1 && number == (isProduct ? 1 : 0)) {
          changed |= unite(expression.result, operands.front());
          continue;
        }
        if (isProduct && operands.size() == 1)
          changed |=
              divide(expression.result, number, operands.front(), factors);
        operands.insert(operands.begin(), number);
        key.first = {isProduct ? "*" : "+", nullptr};
      }
      auto [it, isNew] = seen.try_emplace(key, expression.result);
      if (!isNew)
        changed |= unite(it->second, expression.result);
    }
    return changed;
  }

  /// product = factor·operand, factor not 0: equal products have equal operands.
  bool divide(unsigned product, int64_t factor, unsigned operand,
              std::map<std::pair<unsigned, int64_t>, unsigned> &factors) {
    if (std::optional<int64_t> known = constant(product))
      return *known % factor == 0 &&
             unite(operand, constantNode(*known / factor));
    auto [it, isNew] = factors.try_emplace({find(product), factor}, operand);
    return !isNew && unite(it->second, operand);
  }

  //===--------------------------------------------------------------------===//
  // Control flow
  //===--------------------------------------------------------------------===//

  void addJoins(RegionBranchOpInterface branch) {
    RegionBranchInverseSuccessorMapping mapping;
    branch.getSuccessorInputOperandMapping(mapping);
    auto add = [&](Value target) {
      auto it = mapping.find(target);
      if (it == mapping.end())
        return;
      if (isRanked(target)) {
        auto type = cast<ShapedType>(target.getType());
        for (int64_t d = 0; d < type.getRank(); ++d)
          if (type.isDynamicDim(d))
            addJoin(branch, target, d, it->second);
      } else if (target.getType().isIntOrIndex()) {
        addJoin(branch, target, wholeValue, it->second);
      }
    };
    for (Region &region : branch->getRegions())
      for (Value argument : region.getArguments())
        add(argument);
    for (Value result : branch->getResults())
      add(result);
  }

  void addJoin(Operation *branch, Value target, int64_t dimension,
               ArrayRef<OpOperand *> operands) {
    if (dropped.contains({target, dimension}))
      return;
    Join join{target, dimension, {}};
    for (OpOperand *operand : operands) {
      join.sources.push_back(node(operand->get(), dimension));
      // What comes from outside leads: the way around a loop leads to the target itself.
      if (operand->getOwner() == branch)
        std::swap(join.sources.front(), join.sources.back());
    }
    unite(node(target, dimension), join.sources.front());
    joins.push_back(join);
  }

  bool dropDisprovedJoins() {
    bool changed = false;
    for (const Join &join : joins)
      for (unsigned source : join.sources)
        if (find(source) != find(join.sources.front()))
          changed |= dropped.insert({join.target, join.dimension}).second;
    return changed;
  }

  DenseMap<std::pair<Value, int64_t>, unsigned> nodes;
  DenseMap<int64_t, unsigned> constantNodes;
  SmallVector<unsigned> parents;
  SmallVector<std::optional<int64_t>> constants;
  SmallVector<Expression> expressions;
  SmallVector<Join> joins;
  /// Control-flow values that have no extent of their own.
  DenseSet<std::pair<Value, int64_t>> dropped;
};

ExtentClasses::ExtentClasses(func::FuncOp function)
    : solver(std::make_unique<Solver>(function)) {}
ExtentClasses::~ExtentClasses() = default;

unsigned ExtentClasses::classOf(Value value, int64_t dimension) const {
  return solver->find(solver->node(value, dimension));
}

std::optional<int64_t> ExtentClasses::constantOf(Value value,
                                                 int64_t dimension) const {
  return solver->constant(solver->node(value, dimension));
}
