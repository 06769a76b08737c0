// moe-bind-params: weights and tables become arguments that a layer binds, and layers of one shape share a function.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/PagedBases.h"
#include "passes/Passes.h"

#include "passes/Decisions.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"

namespace moec {
#define GEN_PASS_DEF_BINDPARAMSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "bind-params";

namespace {
/// Makes what one function reads of params its arguments.
class Binder {
public:
  explicit Binder(func::FuncOp function)
      : function(function), builder(function.getContext()) {}

  /// Binds every leaf; false if there is none.
  FailureOr<bool> run() {
    // By param, and by the name it is asked to have.
    llvm::MapVector<std::pair<Attribute, Attribute>, SmallVector<LeafOp>>
        leaves;
    function.walk([&](LeafOp leaf) {
      leaves[{leaf.getParamAttr(), leaf->getAttr(boundAsAttrName)}].push_back(
          leaf);
    });
    for (auto &[key, uses] : leaves) {
      auto param = SymbolTable::lookupNearestSymbolFrom<ParamOp>(
          function, cast<FlatSymbolRefAttr>(key.first));
      if (param.getLayout() && !WrapOp::isKnown(*param.getLayout()))
        return param.emitOpError("expected layout row_major or panel16 of a "
                                 "weight that layers bind, found ")
               << stringifyLayout(*param.getLayout());
      bind(param, uniqueName(param, key.second), uses);
    }
    return !leaves.empty();
  }

  DictionaryAttr getBinding() { return bound.getDictionary(function.getContext()); }

private:
  /// What the layer calls the param: as it is asked to, or without the layer's own name in front.
  StringAttr uniqueName(ParamOp param, Attribute asked) {
    auto name = dyn_cast_or_null<StringAttr>(asked);
    std::string text =
        name ? name.str() : localNameOf(param, function.getSymName()).str();
    while (bound.get(text))
      text += "_";
    return builder.getStringAttr(text);
  }

  static bool isRowMajor(ParamOp param) {
    return param.getLayout().value_or(Layout::row_major) == Layout::row_major;
  }

  Value addArgument(ParamOp param, StringAttr name, StringRef part,
                    int64_t below = 0) {
    RankedTensorType type = *getBoundType(param, part);
    bool isMain = part == "codes" || part == "table";
    std::string full =
        name.str() + (isMain ? "" : ("." + part).str());
    NamedAttrList attributes;
    attributes.append("moec.name", builder.getStringAttr(full));
    attributes.append("moec.binding", name);
    attributes.append("moec.part", builder.getStringAttr(part));
    if (below)
      attributes.append("moec.below", builder.getI64IntegerAttr(below));
    // A pool of as many places as memory is given.
    if (type.getRank() && type.isDynamicDim(0))
      attributes.append(pagedAttrName, builder.getUnitAttr());
    unsigned index = function.getNumArguments();
    LogicalResult inserted = function.insertArgument(
        index, type, attributes.getDictionary(function.getContext()),
        param.getLoc());
    assert(succeeded(inserted) && "functions take any argument");
    (void)inserted;
    return function.getArgument(index);
  }

  void bind(ParamOp param, StringAttr name, ArrayRef<LeafOp> uses) {
    bound.append(name, FlatSymbolRefAttr::get(param.getSymNameAttr()));
    builder.setInsertionPointToStart(&function.getBody().front());
    Value value;
    if (auto table = dyn_cast<TableType>(param.getType())) {
      Value tensor = addArgument(param, name, "table", table.getToCount());
      value = WrapOp::create(builder, param.getLoc(), table, tensor);
    } else {
      auto weight = cast<WeightType>(param.getType());
      auto part = [&](StringRef part) {
        return succeeded(getBoundType(param, part))
                   ? addArgument(param, name, part)
                   : Value();
      };
      Value codes = part("codes"), scales = part("scales"),
            zeroPoints = part("zero_points");
      // A cluster's matrices lie in a pool of places, so that they can move.
      Value slots;
      if (weight.getAxis() == Axis::cluster)
        slots = addArgument(param, name, "slots", weight.getCount());
      value = WrapOp::create(builder, param.getLoc(), weight, codes, scales,
                             zeroPoints, slots, param.getEncodingAttr(),
                             isRowMajor(param) ? LayoutAttr()
                                               : param.getLayoutAttr());
    }
    for (LeafOp leaf : uses) {
      leaf.getResult().replaceAllUsesWith(value);
      leaf.erase();
    }
  }

  func::FuncOp function;
  OpBuilder builder;
  NamedAttrList bound;
};

/// Whether one compiled function can stand for both: all but their names.
bool areEqual(func::FuncOp lhs, func::FuncOp rhs) {
  return lhs.getFunctionType() == rhs.getFunctionType() &&
         lhs.getAllArgAttrs() == rhs.getAllArgAttrs() &&
         lhs.getAllResultAttrs() == rhs.getAllResultAttrs() &&
         OperationEquivalence::isRegionEquivalentTo(
             &lhs.getBody(), &rhs.getBody(),
             OperationEquivalence::IgnoreLocations);
}

struct BindParamsPass : moec::impl::BindParamsPassBase<BindParamsPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    SmallVector<func::FuncOp> functions;
    for (auto function : module.getOps<func::FuncOp>())
      if (function.isPublic() && !function.isExternal())
        functions.push_back(function);

    // Functions that layers run, and how many layers run each.
    llvm::MapVector<Operation *, unsigned> blocks;
    for (func::FuncOp function : functions) {
      Binder binder(function);
      FailureOr<bool> reads = binder.run();
      if (failed(reads))
        return signalPassFailure();
      if (!*reads)
        continue;
      func::FuncOp block = function;
      for (auto &[known, count] : blocks)
        if (areEqual(cast<func::FuncOp>(known), function))
          block = cast<func::FuncOp>(known);
      auto layer = function.getSymNameAttr();
      OpBuilder builder(function->getContext());
      builder.setInsertionPointAfter(function);
      if (block == function) {
        StringAttr name = blockName(symbols);
        if (failed(symbols.rename(function, name)))
          return signalPassFailure();
      } else {
        symbols.remove(function);
        function->remove();
      }
      ++blocks[block];
      auto op = LayerOp::create(
          builder, function.getLoc(), layer,
          FlatSymbolRefAttr::get(block.getSymNameAttr()), binder.getBinding());
      symbols.insert(op);
      if (block != function)
        function->destroy();
    }
    for (auto &[block, count] : blocks)
      Decision::taken(block->getLoc(), passName)
          << count << " layers run @" << cast<func::FuncOp>(block).getSymName();
  }

  static StringAttr blockName(SymbolTable &symbols) {
    MLIRContext *context = symbols.getOp()->getContext();
    for (unsigned i = 0;; ++i) {
      auto name = StringAttr::get(context, "block" + Twine(i));
      if (!symbols.lookup(name))
        return name;
    }
  }
};
} // namespace
