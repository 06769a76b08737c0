// What compiling a checkpoint will make, before it is made.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-compile/Plan.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Communication.h"
#include "passes/LayerParams.h"
#include "passes/PagedBases.h"
#include "passes/PrecisionChoices.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace moec;
using namespace moec::moe;

LayerFigures moec::measureLayers(ModuleOp module,
                                 const lowering::LayerWeights &weights) {
  LayerFigures figures;
  for (const weights::ArchiveRecord &record : weights.plan().records)
    for (const weights::ArchiveTensor &tensor : record.tensors) {
      auto parts = weights::partsOf(tensor.form);
      if (!parts)
        continue;
      for (const weights::PartForm &part : *parts)
        figures.bytes += part.bytes;
      if (tensor.form.encoding())
        figures.parameters +=
            uint64_t(weights::elementCount(tensor.form.shape).value_or(0));
    }
  for (auto layer : module.getOps<LayerOp>()) {
    auto function = module.lookupSymbol<func::FuncOp>(layer.getFunctionAttr());
    if (auto count =
            function->getAttrOfType<IntegerAttr>("moe.multiply_adds_per_token"))
      figures.multiplyAddsPerToken += count.getInt();
  }
  return figures;
}

ClusterMeetings
moec::countMeetings(ModuleOp module,
                    const std::optional<weights::Profile> &profile) {
  ClusterMeetings result;
  int64_t layers = 0;
  result.isCounted = true;
  module.walk([&](ExpertsOp op) {
    ParamOp table = getClusterTable(op);
    if (!table)
      return;
    // moe-cluster-experts has just made it.
    auto values = cast<DenseElementsAttr>(table.getSource());
    ++layers;
    auto type = cast<TableType>(table.getType());
    SmallVector<int32_t> clusterOf(values.getValues<int32_t>());
    int64_t experts = type.getFromCount();
    int64_t choices =
        cast<RankedTensorType>(op.getIds().getType()).getDimSize(1);
    // A profile of other shapes has been refused by the passes before.
    auto found = findTraffic(op, profile);
    const weights::LayerProfile *traffic = succeeded(found) ? *found : nullptr;
    // Pairs say all about two choices; more need the sets that occurred.
    if (traffic && choices == 2) {
      double together = 0, pairs = 0;
      for (int64_t i = 0; i < experts; ++i)
        for (int64_t j = 0; j < i; ++j) {
          double count = double(traffic->cooccurrence[size_t(i * experts + j)]);
          pairs += count;
          together += clusterOf[i] == clusterOf[j] ? count : 0;
        }
      result.perToken += pairs > 0 ? 2 - together / pairs : 0;
      return;
    }
    result.isCounted = false;
    SmallVector<int64_t> sizes(type.getToCount(), 0);
    for (int32_t cluster : clusterOf)
      ++sizes[cluster];
    for (int64_t size : sizes)
      result.perToken += weights::chanceOfGroup(experts, size, choices);
  });
  if (layers > 0)
    result.perToken /= double(layers);
  return result;
}

std::string moec::describeLayers(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  for (auto layer : module.getOps<LayerOp>()) {
    std::string line;
    for (NamedAttribute bound : layer.getBinding()) {
      StringRef local = bound.getName().getValue();
      auto param = module.lookupSymbol<ParamOp>(
          cast<FlatSymbolRefAttr>(bound.getValue()));
      auto error =
          param->getAttrOfType<DenseF64ArrayAttr>("moe.relative_error");
      if (!error)
        continue;
      // The error is said of the base or bases, of A where there is none, or of the plain matrix.
      std::string form;
      if (local.consume_back(".base") || local.consume_back(".a")) {
        int64_t rank = 0;
        if (auto factor = layer.getBinding().getAs<FlatSymbolRefAttr>(
                (local + ".a").str()))
          rank =
              cast<WeightType>(module.lookupSymbol<ParamOp>(factor).getType())
                  .getCols();
        form = "rank " + std::to_string(rank);
      } else if (local.consume_back(".bases")) {
        auto type = cast<WeightType>(param.getType());
        form = std::to_string(type.getCount()) + " bases " +
               std::to_string(type.getRows()) + " x " +
               std::to_string(type.getCols());
      } else {
        form = weights::toString(getPlainEncoding(param.getEncodingAttr()));
      }
      line +=
          llvm::formatv("  {0} {1}, error {2:F4} mean {3:F4} largest;", local,
                        form, error.asArrayRef()[0], error.asArrayRef()[1])
              .str();
    }
    if (!line.empty())
      os << "  " << layer.getSymName() << ":" << StringRef(line).drop_back()
         << "\n";
  }
  return text;
}

/// Bytes of a param in its encoding.
static uint64_t storedBytes(ParamOp param) {
  FailureOr<weights::Encoding> encoding = getStoredEncoding(param);
  if (failed(encoding))
    return 0;
  auto bytes = weights::encodedBytes(
      *encoding, matrixShape(cast<WeightType>(param.getType())));
  return bytes ? *bytes : 0;
}

std::string moec::describePrecision(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  constexpr const char *row = "  {0,-8} {1,-10} {2,-38} {3,11} {4,7}  {5}";
  auto addRow = [&](const llvm::formatv_object_base &cells) {
    os << StringRef(cells.str()).rtrim() << "\n";
  };
  addRow(
      llvm::formatv(row, "layer", "leaf", "encoding", "bytes", "error", "why"));
  for (auto layer : module.getOps<LayerOp>())
    for (NamedAttribute bound : layer.getBinding()) {
      auto param = module.lookupSymbol<ParamOp>(
          cast<FlatSymbolRefAttr>(bound.getValue()));
      auto why = param->getAttrOfType<StringAttr>(precisionReason);
      if (!why)
        continue;
      auto error = param->getAttrOfType<FloatAttr>(precisionError);
      addRow(llvm::formatv(
          row, layer.getSymName(), bound.getName().getValue(),
          weights::toString(*getStoredEncoding(param)), storedBytes(param),
          error ? llvm::formatv("{0:F4}", error.getValueAsDouble()).str() : "",
          why.getValue()));
    }
  if (auto all = module->getAttrOfType<StringAttr>(precisionSummary))
    os << "  " << all.getValue() << "\n";
  return text;
}

std::string moec::describeResidency(ModuleOp module) {
  auto figures = module->getAttrOfType<DictionaryAttr>(residencyAttrName);
  if (!figures)
    return "";
  auto number = [&](StringRef name) {
    return uint64_t(figures.getAs<IntegerAttr>(name).getInt());
  };
  return llvm::formatv("  in memory {0}, paged {1} in {2} bases; a memory "
                       "budget has at least {3} bytes for them\n",
                       describeBytes(number("pinned")),
                       describeBytes(number("paged")), number("records"),
                       number("least"))
      .str();
}

std::string moec::describePlacement(ModuleOp module) {
  auto placement = module->getAttrOfType<DictionaryAttr>(placementAttrName);
  assert(placement && "moe-place-experts has run");
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::OStream json(os);
  json.object([&] {
    json.attribute("moec_placement", "0.1");
    json.attribute("ranks", placement.getAs<IntegerAttr>("ranks").getInt());
    json.attributeObject("layers", [&] {
      for (NamedAttribute layer : placement.getAs<DictionaryAttr>("layers"))
        json.attributeArray(layer.getName().getValue(), [&] {
          for (auto owners : cast<ArrayAttr>(layer.getValue())
                                 .getAsRange<DenseI32ArrayAttr>())
            json.array([&] {
              for (int32_t rank : owners.asArrayRef())
                json.value(rank);
            });
        });
    });
  });
  return text;
}

uint64_t moec::archiveBytes(const lowering::LayerWeights &weights) {
  weights::ArchiveHeader header = weights.plan();
  return weights::placeArchive(header) ? header.dataOffset + header.dataBytes
                                       : 0;
}

std::string moec::describeBytes(uint64_t bytes) {
  return llvm::formatv("{0:F2} MB", double(bytes) / 1e6).str();
}
