// moe-plan-residency: which weights stay in memory, and which are brought there when they are needed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/PagedBases.h"
#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "passes/Analysis/ParamSources.h"
#include "passes/Decisions.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

#include <map>

namespace moec {
#define GEN_PASS_DEF_PLANRESIDENCYPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "plan-residency";

/// What parts of a record, and what records that are read past the page cache,
/// are multiples of (docs/archive.md).
static constexpr uint64_t partBytes = 64, pageBytes = 4096;

namespace {
/// A function that a layer runs, with the params that it reads.
struct Layer {
  func::FuncOp function;
  llvm::MapVector<Operation *, SmallVector<LeafOp>> leaves;
  SmallVector<ParamOp> bases;

  int64_t clusters() const {
    ParamOp first = bases.front();
    return cast<WeightType>(first.getType()).getCount();
  }
};

/// Bytes of all layers.
struct Figures {
  uint64_t pinned = 0, paged = 0;
  int64_t records = 0;
  /// What slots of all sizes take that hold one layer's records each.
  uint64_t least = 0;
};

struct PlanResidencyPass
    : moec::impl::PlanResidencyPassBase<PlanResidencyPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<Layer> layers = collectLayers();
    SmallVector<Layer *> paged;
    for (Layer &layer : layers) {
      std::string reason = reasonAgainst(layer);
      if (reason.empty()) {
        paged.push_back(&layer);
        continue;
      }
      Decision::declined(layer.function.getLoc(), passName)
          << "@" << layer.function.getSymName()
          << " stays in memory: " << reason;
    }
    setResidency(layers, paged);
    FailureOr<Figures> figures = measure(layers, paged);
    if (failed(figures) || failed(checkBudget(*figures)))
      return signalPassFailure();
    report(*figures, paged);
  }

private:
  SmallVector<Layer> collectLayers() {
    SmallVector<Layer> layers;
    SymbolTableCollection symbols;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!function.isPublic() || function.isExternal())
        continue;
      Layer layer;
      layer.function = function;
      function.walk([&](LeafOp leaf) {
        auto param =
            symbols.lookupNearestSymbolFrom<ParamOp>(leaf, leaf.getParamAttr());
        SmallVector<LeafOp> &uses = layer.leaves[param];
        auto weight = dyn_cast<WeightType>(param.getType());
        if (uses.empty() && weight && weight.getAxis() == Axis::cluster)
          layer.bases.push_back(param);
        uses.push_back(leaf);
      });
      for (auto &[param, uses] : layer.leaves)
        ++readers[param];
      if (!layer.leaves.empty())
        layers.push_back(std::move(layer));
    }
    return layers;
  }

  /// Why the layer's bases cannot be paged; empty if they can. A cluster's
  /// matrices are one record, so all are or none.
  std::string reasonAgainst(Layer &layer) {
    if (layer.bases.empty())
      return "it has no bases of clusters";
    for (ParamOp base : layer.bases) {
      auto name = [&] { return ("@" + base.getSymName()).str(); };
      if (base.getResidency() == Residency::pinned)
        return name() + " is pinned";
      if (readers.lookup(base) > 1)
        return name() + " is read by several functions";
      if (cast<WeightType>(base.getType()).getCount() != layer.clusters())
        return name() + " has another number of clusters";
      for (LeafOp leaf : layer.leaves[base])
        for (OpOperand &use : leaf->getUses())
          if (!groupOfProduct(use) ||
              use.getOwner()->getBlock() != &layer.function.getBody().front())
            return name() + " is read by " +
                   use.getOwner()->getName().getStringRef().str() +
                   ", not by the groups of a moe.group";
    }
    return "";
  }

  void setResidency(ArrayRef<Layer> layers, ArrayRef<Layer *> paged) {
    for (const Layer &layer : layers) {
      bool isPaged = llvm::is_contained(paged, &layer);
      for (auto &[op, uses] : layer.leaves) {
        auto param = cast<ParamOp>(op);
        bool isBase = llvm::is_contained(layer.bases, param);
        param.setResidency(isPaged && isBase ? Residency::cached
                                             : Residency::pinned);
      }
    }
  }

  /// Bytes of the parts of one entry; of a table all of it.
  static FailureOr<std::vector<uint64_t>> partsOfEntry(ParamOp param) {
    if (auto table = dyn_cast<TableType>(param.getType()))
      return std::vector<uint64_t>{uint64_t(table.getFromCount()) * 4};
    FailureOr<weights::TensorForm> form = getStoredForm(param);
    if (failed(form))
      return failure();
    auto parts = weights::partsOf(*form);
    if (!parts)
      return param.emitOpError(parts.error());
    std::vector<uint64_t> bytes;
    for (const weights::PartForm &part : *parts)
      bytes.push_back(part.bytes);
    return bytes;
  }

  FailureOr<Figures> measure(ArrayRef<Layer> layers, ArrayRef<Layer *> paged) {
    Figures figures;
    llvm::SmallPtrSet<Operation *, 32> seen;
    for (const Layer &layer : layers)
      for (auto &[op, uses] : layer.leaves) {
        auto param = cast<ParamOp>(op);
        if (isPaged(param) || !seen.insert(op).second)
          continue;
        FailureOr<std::vector<uint64_t>> parts = partsOfEntry(param);
        if (failed(parts))
          return failure();
        auto weight = dyn_cast<WeightType>(param.getType());
        for (uint64_t bytes : *parts)
          figures.pinned += bytes * (weight ? weight.getCount() : 1);
      }
    // Layers whose records have one size share slots; one call may meet all
    // clusters of a layer.
    std::map<uint64_t, int64_t> mostOfSize;
    for (Layer *layer : paged) {
      uint64_t record = 0;
      for (ParamOp base : layer->bases) {
        FailureOr<std::vector<uint64_t>> parts = partsOfEntry(base);
        if (failed(parts))
          return failure();
        for (uint64_t part : *parts)
          record += llvm::alignTo(part, partBytes);
      }
      record = llvm::alignTo(record, pageBytes);
      figures.records += layer->clusters();
      figures.paged += uint64_t(layer->clusters()) * record;
      int64_t &most = mostOfSize[record];
      most = std::max(most, layer->clusters());
    }
    for (auto [size, most] : mostOfSize)
      figures.least += size * uint64_t(most);
    return figures;
  }

  LogicalResult checkBudget(const Figures &figures) {
    if (budget < 0)
      return getOperation().emitError("option budget: expected bytes, or 0 for "
                                      "any number, found ")
             << int64_t(budget);
    if (budget == 0 || uint64_t(budget) >= figures.least)
      return success();
    return getOperation().emitError("option budget: expected at least ")
           << figures.least << " bytes, which all bases of one layer take, "
           << "found " << int64_t(budget);
  }

  void report(const Figures &figures, ArrayRef<Layer *> paged) {
    Builder builder(&getContext());
    auto bytes = [&](StringRef name, uint64_t number) {
      return builder.getNamedAttr(name,
                                  builder.getI64IntegerAttr(int64_t(number)));
    };
    getOperation()->setAttr(
        residencyAttrName,
        builder.getDictionaryAttr({bytes("pinned", figures.pinned),
                                   bytes("paged", figures.paged),
                                   bytes("records", figures.records),
                                   bytes("least", figures.least)}));
    Decision::taken(getOperation().getLoc(), passName)
        << figures.pinned << " bytes pinned, " << figures.paged
        << " bytes paged in " << figures.records << " records of "
        << paged.size() << (paged.size() == 1 ? " layer" : " layers")
        << "; smallest budget for them " << figures.least << " bytes";
  }

  /// How many functions read a param.
  DenseMap<Operation *, unsigned> readers;
};
} // namespace
