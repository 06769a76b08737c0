// moe-export-entries: public functions take and fill buffers that the caller owns.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "dialects/MoE/IR/MoE.h"
#include "dialects/MoERT/IR/MoERT.h"
#include "lowering/Library/ArchiveNames.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "moert/abi.h"
#include "passes/Analysis/ExtentClasses.h"
#include "passes/PagedBases.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

namespace moec::lowering {
#define GEN_PASS_DEF_EXPORTENTRIESPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;

namespace {
/// An argument or a result of a function before it is exported.
struct Parameter {
  Value value;
  std::string name;
  lowering::EntryRole role;
  int64_t below = 0;
  bool isContiguous = false;
  bool isPaged = false;

  bool isOutput() const { return role == lowering::EntryRole::output; }
};

/// What crosses the boundary for a tensor: ids travel as 32-bit numbers.
RankedTensorType boundaryType(RankedTensorType type) {
  if (!isa<moe::IdType>(type.getElementType()))
    return type;
  return type.clone(IntegerType::get(type.getContext(), 32));
}

/// Whether the operation reads tensors as one run of elements: as kernels read panels, and the runtime lists.
bool readsAsRun(Operation *op) {
  if (auto wrap = dyn_cast<moe::WrapOp>(op))
    return wrap.getLayoutOrDefault() == moe::Layout::panel16;
  auto asksRuntime =
      llvm::IsaPred<moert::PrefetchOp, moert::AcquireOp, moert::BeginOp>;
  if (auto cast = dyn_cast<moe::IdCastOp>(op))
    return llvm::any_of(cast->getUsers(), asksRuntime);
  return asksRuntime(op);
}

/// How many ids there are, of a tensor of ids; 0 of others.
int64_t boundOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto id = tensor ? dyn_cast<moe::IdType>(tensor.getElementType())
                   : moe::IdType();
  return id ? id.getCount() : 0;
}

/// Exports one function.
class Exporter {
public:
  explicit Exporter(func::FuncOp function) : function(function) {}

  LogicalResult run() {
    if (failed(checkFunction()))
      return failure();
    collectParameters();
    if (failed(checkParameters()))
      return failure();
    FailureOr<SmallVector<lowering::EntryArgument>> arguments = describe();
    if (failed(arguments))
      return failure();
    rewrite();
    lowering::setEntryArguments(function, *arguments);
    return success();
  }

private:
  /// "argument 1 'x'".
  std::string nameOf(const Parameter &parameter, unsigned index) {
    unsigned inputs = function.getNumArguments();
    return (parameter.isOutput() ? "result " + Twine(index - inputs)
                               : "argument " + Twine(index))
               .str() +
           " '" + parameter.name + "'";
  }

  LogicalResult checkFunction() {
    StringRef name = function.getSymName();
    // The symbol moec_<name> is a C identifier.
    if (!llvm::all_of(name,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; }))
      return function.emitError(
                 "expected a public function to have a C identifier for a "
                 "name, found '")
             << name << "'";
    // tvm-ffi finds __tvm_ffi_<name>, and its own symbols begin with one more '_'.
    if (name.starts_with("_"))
      return function.emitError("expected a public function whose name does "
                                "not begin with '_', found '")
             << name << "'";
    if (name == "manifest" || name == "abi_version")
      return function.emitError("the name '")
             << name << "' is taken by the library's own moec_" << name;
    auto workspace = (name + "_workspace").str();
    if (auto other =
            function->getParentOfType<ModuleOp>().lookupSymbol<func::FuncOp>(
                workspace))
      return function.emitError("needs the name '")
             << workspace << "' for its workspace query, which another "
             << "function has";
    if (!function.getBody().hasOneBlock())
      return function.emitError("expected a body of one block, found ")
             << function.getBody().getBlocks().size();
    WalkResult calls = function.walk([&](func::CallOp call) {
      call.emitError("calls @")
          << call.getCallee() << ", which was not inlined: expected a function "
          << "with a body that does not call itself";
      return WalkResult::interrupt();
    });
    return failure(calls.wasInterrupted());
  }

  void collectParameters() {
    auto nameOr = [](Attribute attr, const Twine &other) {
      auto name = dyn_cast_or_null<StringAttr>(attr);
      return name ? name.str() : other.str();
    };
    for (BlockArgument argument : function.getArguments()) {
      unsigned i = argument.getArgNumber();
      auto below = function.getArgAttrOfType<IntegerAttr>(i, "moec.below");
      parameters.push_back(
          {argument,
           nameOr(function.getArgAttr(i, "moec.name"), "arg" + Twine(i)),
           function.getArgAttr(i, "moec.binding") ? lowering::EntryRole::binding
                                                  : lowering::EntryRole::input,
           below ? below.getInt() : boundOf(argument.getType()),
           llvm::any_of(argument.getUsers(), readsAsRun),
           bool(function.getArgAttr(i, pagedAttrName))});
    }
    Operation *terminator = function.getBody().front().getTerminator();
    for (auto [i, result] : llvm::enumerate(terminator->getOperands()))
      parameters.push_back(
          {result,
           nameOr(function.getResultAttr(i, "moec.name"), "result" + Twine(i)),
           lowering::EntryRole::output, boundOf(result.getType())});
  }

  LogicalResult checkParameters() {
    if (parameters.size() > MOERT_MAX_ARGUMENTS)
      return function.emitError("expected at most ")
             << MOERT_MAX_ARGUMENTS << " arguments and results, found "
             << parameters.size();
    llvm::StringSet<> names;
    for (auto [i, parameter] : llvm::enumerate(parameters)) {
      Type type = parameter.value.getType();
      if (parameter.name.empty() || !llvm::all_of(parameter.name, [](char c) {
            return llvm::isAlnum(c) || StringRef("_.-:").contains(c);
          }))
        return function.emitError(nameOf(parameter, i))
               << " has a name of other characters than letters, digits and "
                  "'_', '.', '-', ':'";
      if (!names.insert(parameter.name).second)
        return function.emitError(nameOf(parameter, i))
               << " has a name that another one has";
      if (isa<moe::WeightType, moe::TableType>(type))
        return function.emitError(nameOf(parameter, i))
               << " is of type " << type << ": expected a tensor"
               << (parameter.isOutput() ? ""
                                      : ", which the body views with moe.wrap");
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (!tensor || tensor.getEncoding() ||
          !lowering::entryElementType(boundaryType(tensor).getElementType()))
        return function.emitError(nameOf(parameter, i))
               << " is of type " << type
               << ": expected a ranked tensor of f64, f32, f16, bf16, i64, "
                  "i32, i8, i1 or ids";
      if (tensor.getRank() > MOERT_MAX_RANK)
        return function.emitError(nameOf(parameter, i))
               << " has rank " << tensor.getRank() << ", expected at most "
               << MOERT_MAX_RANK;
    }
    return success();
  }

  /// What the caller is told: extents of one class share a number.
  FailureOr<SmallVector<lowering::EntryArgument>> describe() {
    ExtentClasses classes(function);
    // How many extents of arguments and results each class has; those of inputs alone.
    DenseMap<unsigned, unsigned> members, inputMembers;
    auto forEachDynamic = [&](auto visit) {
      for (auto [i, parameter] : llvm::enumerate(parameters)) {
        auto type = cast<RankedTensorType>(parameter.value.getType());
        for (int64_t d = 0; d < type.getRank(); ++d)
          if (type.isDynamicDim(d))
            visit(i, d, classes.classOf(parameter.value, d));
      }
    };
    forEachDynamic([&](unsigned i, int64_t, unsigned extentClass) {
      ++members[extentClass];
      if (!parameters[i].isOutput())
        ++inputMembers[extentClass];
    });

    SmallVector<lowering::EntryArgument> arguments;
    for (const Parameter &parameter : parameters) {
      auto type =
          boundaryType(cast<RankedTensorType>(parameter.value.getType()));
      arguments.push_back(
          {parameter.name, *lowering::entryElementType(type.getElementType()),
           SmallVector<int64_t>(type.getShape()), parameter.role,
           parameter.below, parameter.isContiguous, parameter.isPaged});
    }
    DenseMap<unsigned, int64_t> numbers;
    LogicalResult status = success();
    forEachDynamic([&](unsigned i, int64_t d, unsigned extentClass) {
      int64_t &extent = arguments[i].shape[d];
      const Parameter &parameter = parameters[i];
      if (std::optional<int64_t> known =
              classes.constantOf(parameter.value, d)) {
        extent = *known;
      } else if (parameter.isOutput() && !inputMembers.contains(extentClass)) {
        status = function.emitError(nameOf(parameter, i))
                 << " has an extent, of dimension " << d
                 << ", that is not one of the arguments' extents: the caller "
                    "could not allocate it";
      } else if (members[extentClass] == 1) {
        extent = MOERT_DYNAMIC;
      } else {
        auto [it, isNew] = numbers.try_emplace(
            extentClass, MOERT_DYNAMIC - 1 - int64_t(numbers.size()));
        extent = it->second;
      }
    });
    if (failed(status))
      return failure();
    return arguments;
  }

  void rewrite() {
    MLIRContext *context = function.getContext();
    Block &body = function.getBody().front();
    Operation *terminator = body.getTerminator();
    OpBuilder builder = OpBuilder::atBlockBegin(&body);
    SmallVector<Type> types;

    // Any strides, at any place: what a caller's view may be.
    auto bufferType = [&](RankedTensorType type) {
      SmallVector<int64_t> strides(type.getRank(), ShapedType::kDynamic);
      return MemRefType::get(
          type.getShape(), type.getElementType(),
          StridedLayoutAttr::get(context, ShapedType::kDynamic, strides));
    };
    for (BlockArgument argument : body.getArguments()) {
      Location loc = argument.getLoc();
      auto type = cast<RankedTensorType>(argument.getType());
      RankedTensorType atBoundary = boundaryType(type);
      types.push_back(bufferType(atBoundary));
      SmallVector<OpOperand *> uses(
          llvm::make_pointer_range(argument.getUses()));
      argument.setType(types.back());
      Value tensor = bufferization::ToTensorOp::create(
          builder, loc, atBoundary, argument, /*restrict=*/true);
      if (atBoundary != type)
        tensor = moe::IdCastOp::create(builder, loc, type, tensor);
      for (OpOperand *use : uses)
        use->set(tensor);
    }

    builder.setInsertionPoint(terminator);
    for (Value result : terminator->getOperands()) {
      Location loc = terminator->getLoc();
      auto type = cast<RankedTensorType>(result.getType());
      RankedTensorType atBoundary = boundaryType(type);
      types.push_back(bufferType(atBoundary));
      if (atBoundary != type)
        result = moe::IdCastOp::create(builder, loc, atBoundary, result);
      Value destination = body.addArgument(types.back(), loc);
      auto write = bufferization::MaterializeInDestinationOp::create(
          builder, loc, result, destination);
      write.setRestrict(true);
      write.setWritable(true);
    }
    terminator->setOperands({});

    function.setFunctionType(FunctionType::get(context, types, {}));
    function.removeArgAttrsAttr();
    function.removeResAttrsAttr();
  }

  func::FuncOp function;
  SmallVector<Parameter> parameters;
};

/// What the manifest says of a layer: its entry, and the archive's tensors in the order of the entry's bindings.
FailureOr<Attribute> describeLayer(moe::LayerOp layer,
                                   SymbolTableCollection &symbols) {
  Builder builder(layer.getContext());
  auto function = symbols.lookupNearestSymbolFrom<func::FuncOp>(
      layer, layer.getFunctionAttr());
  if (!function || function.isPrivate() || function.isExternal())
    return layer.emitOpError("expected a public function with a body to run, "
                             "found ")
           << layer.getFunctionAttr();
  SmallVector<Attribute> bindings;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto local = function.getArgAttrOfType<StringAttr>(i, "moec.binding");
    if (!local)
      continue;
    auto param = symbols.lookupNearestSymbolFrom<moe::ParamOp>(
        layer, layer.getBinding().getAs<FlatSymbolRefAttr>(local.getValue()));
    auto name = function.getArgAttrOfType<StringAttr>(i, "moec.name");
    NamedAttrList binding;
    binding.append("argument", name ? name : builder.getStringAttr(
                                                 "arg" + Twine(i)));
    binding.append("tensor", builder.getStringAttr(lowering::archiveTensorName(
                                 layer, local.getValue(), param)));
    binding.append("part", function.getArgAttr(i, "moec.part"));
    bindings.push_back(binding.getDictionary(layer.getContext()));
  }
  NamedAttrList description;
  description.append("name", layer.getSymNameAttr());
  description.append("entry", function.getSymNameAttr());
  description.append("binding", builder.getArrayAttr(bindings));
  return Attribute(description.getDictionary(layer.getContext()));
}

struct ExportEntriesPass
    : lowering::impl::ExportEntriesPassBase<ExportEntriesPass> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTableCollection symbols;
    SmallVector<Attribute> layers;
    for (auto layer : llvm::make_early_inc_range(
             getOperation().getOps<moe::LayerOp>())) {
      FailureOr<Attribute> description = describeLayer(layer, symbols);
      if (failed(description))
        return signalPassFailure();
      layers.push_back(*description);
      layer.erase();
    }
    if (!layers.empty())
      getOperation()->setAttr("moec.layers",
                              ArrayAttr::get(&getContext(), layers));
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isPublic() && !function.isExternal() &&
          failed(Exporter(function).run()))
        signalPassFailure();
  }
};
} // namespace
