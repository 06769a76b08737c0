// moe-insert-prefetch: says which bases will be read as soon as that is known, or can be guessed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/PagedBases.h"
#include "passes/Passes.h"

#include "dialects/MoERT/IR/MoERT.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Decisions.h"
#include "llvm/ADT/SetVector.h"

namespace moec {
#define GEN_PASS_DEF_INSERTPREFETCHPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "insert-prefetch";

namespace {
/// A function that a layer runs; what sorts rows by bases that are paged.
struct Layer {
  func::FuncOp function;
  llvm::SetVector<GroupOp> groups;
};

struct InsertPrefetchPass
    : moec::impl::InsertPrefetchPassBase<InsertPrefetchPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<Layer> layers = collectLayers();
    for (auto [i, layer] : llvm::enumerate(layers)) {
      SmallVector<moert::PrefetchOp> own;
      for (GroupOp group : layer.groups)
        own.push_back(prefetch(layer.function, group.getClusters()));
      if (own.empty() || !gatesAhead)
        continue;
      if (i + 1 == layers.size()) {
        Decision::declined(layer.function.getLoc(), passName)
            << "@" << layer.function.getSymName()
            << " prefetches nothing ahead: no layer follows";
        continue;
      }
      Operation *behind = own.front();
      for (size_t ahead = 1; ahead <= gatesAhead && i + ahead < layers.size();
           ++ahead)
        prefetchAhead(layer.function, layers[i + ahead], int32_t(ahead),
                      behind);
    }
  }

private:
  SmallVector<Layer> collectLayers() {
    SmallVector<Layer> layers;
    SymbolTableCollection symbols;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!function.isPublic() || function.isExternal())
        continue;
      Layer layer{function, {}};
      bool readsParams = false;
      function.walk([&](LeafOp leaf) {
        readsParams = true;
        if (!isPaged(symbols.lookupNearestSymbolFrom<ParamOp>(
                leaf, leaf.getParamAttr())))
          return;
        for (OpOperand &use : leaf->getUses())
          if (GroupOp group = groupOfProduct(use))
            layer.groups.insert(group);
      });
      if (readsParams)
        layers.push_back(std::move(layer));
    }
    return layers;
  }

  /// Right behind what makes the ids.
  static moert::PrefetchOp prefetch(func::FuncOp function, Value clusters,
                                    int32_t ahead = 0) {
    OpBuilder builder(function.getContext());
    if (Operation *made = clusters.getDefiningOp())
      builder.setInsertionPointAfter(made);
    else
      builder.setInsertionPointToStart(&function.getBody().front());
    auto ids = cast<RankedTensorType>(clusters.getType());
    Value numbers = IdCastOp::create(builder, clusters.getLoc(),
                                     ids.clone(builder.getI32Type()), clusters);
    return moert::PrefetchOp::create(builder, clusters.getLoc(), numbers,
                                     ahead);
  }

  /// Why the value, which the next layer's router reads, is not to be had in
  /// this layer; empty if it is, or if it is computed.
  static std::string reasonAgainst(Value read, func::FuncOp function,
                                   func::FuncOp next, int64_t tokens) {
    auto argument = dyn_cast<BlockArgument>(read);
    if (!argument || argument.getOwner() != &next.getBody().front())
      return "";
    unsigned number = argument.getArgNumber();
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    std::string what =
        "its router reads argument " + std::to_string(number) + ", which ";
    if (number >= function.getNumArguments() || !type ||
        function.getArgumentTypes()[number] != type)
      return what + "this layer does not have";
    // One row for each token: what the model passes from layer to layer.
    if (!type.getRank() || type.getDimSize(0) != tokens)
      return what + "may be another one in each layer";
    return "";
  }

  /// What the next layer computes ids of clusters from, and why it cannot stand
  /// in this one; empty if it can.
  static std::string collectGate(Value clusters, func::FuncOp function,
                                 func::FuncOp next,
                                 llvm::SetVector<Operation *> &gate) {
    BackwardSliceOptions options;
    options.inclusive = true;
    options.omitUsesFromAbove = false;
    if (failed(getBackwardSlice(clusters, &gate, options)))
      return "what its router depends on is not known";
    int64_t tokens = cast<RankedTensorType>(clusters.getType()).getDimSize(0);
    std::string reason = reasonAgainst(clusters, function, next, tokens);
    for (Operation *op : gate) {
      auto leaf = dyn_cast<LeafOp>(op);
      if (leaf && isPaged(paramOf(leaf)))
        return "its router reads bases that are paged";
      if (!isMemoryEffectFree(op))
        return "its router has " + op->getName().getStringRef().str() +
               ", which has effects";
      op->walk([&](Operation *inner) {
        for (Value operand : inner->getOperands())
          if (reason.empty())
            reason = reasonAgainst(operand, function, next, tokens);
      });
    }
    return reason;
  }

  static ParamOp paramOf(LeafOp leaf) {
    return SymbolTable::lookupNearestSymbolFrom<ParamOp>(leaf,
                                                         leaf.getParamAttr());
  }

  /// Applies the router of a layer behind this one to this layer's rows; moves
  /// `behind` to the last prefetch.
  static void prefetchAhead(func::FuncOp function, Layer &next, int32_t ahead,
                            Operation *&behind) {
    StringRef name = next.function.getSymName();
    auto decline = [&](StringRef reason) {
      Decision::declined(function.getLoc(), passName)
          << "@" << function.getSymName() << " prefetches nothing of @" << name
          << ": " << reason;
    };
    if (next.groups.empty())
      return decline("none of its bases is paged");
    IRMapping mapping;
    for (BlockArgument argument : next.function.getArguments())
      if (argument.getArgNumber() < function.getNumArguments())
        mapping.map(argument, function.getArgument(argument.getArgNumber()));
    OpBuilder builder(behind->getContext());
    builder.setInsertionPointAfter(behind);
    for (GroupOp group : next.groups) {
      llvm::SetVector<Operation *> gate;
      std::string reason =
          collectGate(group.getClusters(), function, next.function, gate);
      if (!reason.empty()) {
        decline(reason);
        continue;
      }
      for (Operation *op : gate)
        if (!mapping.contains(op))
          nameAsNext(builder.clone(*op, mapping), name, ahead);
      behind = prefetch(function, mapping.lookup(group.getClusters()), ahead);
      Decision::taken(function.getLoc(), passName)
          << "@" << function.getSymName() << " prefetches what the router of @"
          << name << " chooses for its rows";
    }
  }

  /// A param of a layer behind gets a name of its own in this one, "next.router"
  /// or "next2.router": layers of one shape then still run one function.
  static void nameAsNext(Operation *copy, StringRef next, int32_t ahead) {
    if (auto leaf = dyn_cast<LeafOp>(copy))
      leaf->setAttr(
          boundAsAttrName,
          StringAttr::get(leaf.getContext(),
                          "next" + (ahead == 1 ? Twine() : Twine(ahead)) + "." +
                              localNameOf(paramOf(leaf), next)));
  }
};
} // namespace
