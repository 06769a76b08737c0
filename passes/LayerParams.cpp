// The params behind an expert layer, as passes that compress it see them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/LayerParams.h"

#include "frontend/BindSource.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Builders.h"
#include "passes/Decisions.h"

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral tableAttribute = "moe.clusters";

std::optional<int64_t> moec::getLayerNumber(ExpertsOp op) {
  auto function = op->getParentOfType<func::FuncOp>();
  StringRef name = function ? function.getSymName() : StringRef();
  int64_t number;
  if (!name.consume_front("layer") || name.getAsInteger(10, number))
    return std::nullopt;
  return number;
}

/// The matrices of a layer, or why it is not a plain one.
static StringRef collectMatrices(ExpertLayer &layer) {
  auto add = [&](StringRef role, OpOperand &use) -> StringRef {
    auto leaf = use.get().getDefiningOp<LeafOp>();
    auto type = cast<WeightType>(use.get().getType());
    if (!leaf)
      return "its weights are expressions already, or arguments";
    if (type.getAxis() != Axis::expert)
      return "its weights are not indexed by expert";
    auto param =
        SymbolTable::lookupNearestSymbolFrom<ParamOp>(leaf, leaf.getParamAttr());
    layer.experts = type.getCount();
    layer.matrices.push_back({role, &use, param});
    return "";
  };
  ExpertsOp op = layer.op;
  if (op.getGate())
    if (StringRef reason = add("gate", op.getGateMutable()[0]); !reason.empty())
      return reason;
  if (StringRef reason = add("up", op.getUpMutable()); !reason.empty())
    return reason;
  return add("down", op.getDownMutable());
}

SmallVector<ExpertLayer> moec::findExpertLayers(ModuleOp module,
                                                StringRef pass) {
  SmallVector<ExpertLayer> layers;
  module.walk([&](ExpertsOp op) {
    ExpertLayer layer;
    layer.op = op;
    // Params are declared in front of a function.
    if (!op->getParentOfType<func::FuncOp>())
      return;
    StringRef reason = collectMatrices(layer);
    if (reason.empty())
      layers.push_back(std::move(layer));
    else
      Decision::declined(op.getLoc(), pass) << "layer left as it is: " << reason;
  });
  return layers;
}

ParamOp moec::getClusterTable(ExpertsOp op) {
  auto name = op->getAttrOfType<FlatSymbolRefAttr>(tableAttribute);
  return name ? SymbolTable::lookupNearestSymbolFrom<ParamOp>(op, name)
              : ParamOp();
}

void moec::setClusterTable(ExpertsOp op, ParamOp table) {
  op->setAttr(tableAttribute, FlatSymbolRefAttr::get(table.getSymNameAttr()));
}

ParamOp moec::addParam(ExpertsOp op, const Twine &name, Type type,
                       Attribute source, EncodingAttr encoding) {
  auto function = op->getParentOfType<func::FuncOp>();
  OpBuilder builder(function);
  auto module = function->getParentOfType<ModuleOp>();
  std::string wanted = (function.getSymName() + "." + name).str(), free = wanted;
  for (unsigned i = 1; module.lookupSymbol(free); ++i)
    free = wanted + "." + std::to_string(i);
  return ParamOp::create(builder, op.getLoc(),
                         builder.getStringAttr(free),
                         builder.getStringAttr("private"), TypeAttr::get(type),
                         source, encoding, /*rounded_by=*/FlatSymbolRefAttr(),
                         LayoutAttr(), ResidencyAttr());
}

FailureOr<EncodingAttr> moec::parseEncoding(ModuleOp module, StringRef option,
                                            StringRef text) {
  if (text.empty())
    return EncodingAttr();
  Attribute parsed = parseAttribute(("#moe.encoding<" + text + ">").str(),
                                    module.getContext());
  if (auto encoding = dyn_cast_or_null<EncodingAttr>(parsed))
    return encoding;
  return module.emitError("option ")
         << option << ": expected an encoding, for example 'int8 group "
         << "32', found '" << text << "'";
}

void moec::setRelativeError(ParamOp param, double mean, double largest) {
  param->setAttr("moe.relative_error",
                 DenseF64ArrayAttr::get(param.getContext(), {mean, largest}));
}

LogicalResult moec::bindScopes(ModuleOp module, ArrayRef<std::string> texts,
                               weights::WeightProvider &provider) {
  for (const std::string &text : texts)
    if (weights::Status bound = frontend::bindSource(provider, text); !bound)
      return module.emitError("option weights: ") << bound.error();
  return success();
}

FailureOr<std::optional<weights::Profile>>
moec::readProfileOf(ModuleOp module, StringRef path) {
  if (path.empty())
    return std::optional<weights::Profile>();
  auto profile = weights::readProfile(path.str());
  if (!profile)
    return module.emitError("option profile: ") << profile.error();
  return std::optional<weights::Profile>(*std::move(profile));
}

FailureOr<std::optional<weights::StatisticsCache>>
moec::openCacheOf(ModuleOp module, StringRef directory) {
  if (directory.empty())
    return std::optional<weights::StatisticsCache>();
  auto cache = weights::StatisticsCache::open(directory.str());
  if (!cache)
    return module.emitError("option cache: ") << cache.error();
  return std::optional<weights::StatisticsCache>(*std::move(cache));
}

FailureOr<const weights::LayerProfile *>
moec::findTraffic(ExpertsOp op,
                  const std::optional<weights::Profile> &profile) {
  const weights::LayerProfile *none = nullptr;
  std::optional<int64_t> number = getLayerNumber(op);
  if (!profile || !number)
    return none;
  auto place = profile->layers.find(*number);
  if (place == profile->layers.end())
    return none;
  int64_t experts = getIdType(op.getIds()).getCount();
  if (place->second.experts != experts)
    return op.emitOpError("has ")
           << experts << " experts, but layer " << *number
           << " of the profile has " << place->second.experts;
  int64_t width = getWeightType(op.getUp()).getRows();
  if (place->second.width != width)
    return op.emitOpError("has inputs of width ")
           << width << ", but layer " << *number
           << " of the profile has " << place->second.width;
  return &place->second;
}
