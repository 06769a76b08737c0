// The weights of a module's layers as an archive: planned from types, then streamed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Artifact/LayerWeights.h"

#include "lowering/Library/ArchiveNames.h"
#include "weights/ArchiveWriter.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace moec;
using namespace moec::lowering;
using namespace moec::moe;

namespace {
/// A param that a layer binds, by the name the layer has for it.
struct Bound {
  StringRef local;
  ParamOp param;
};
} // namespace

static weights::TensorForm tableForm(int64_t entries) {
  weights::TensorForm form;
  form.values = weights::ElementType::I32;
  form.shape = {entries};
  return form;
}

FailureOr<LayerWeights>
LayerWeights::plan(ModuleOp module, const weights::WeightProvider &provider,
                   const weights::ArchiveSource &source,
                   const weights::StatisticsCache *cache) {
  LayerWeights result;
  result.header.source = source;
  ParamSources sources(provider, cache);
  SymbolTableCollection symbols;
  auto addRecord = [&](std::string name, weights::RecordClass recordClass) {
    weights::ArchiveRecord record;
    record.name = std::move(name);
    record.recordClass = recordClass;
    result.header.records.push_back(std::move(record));
    result.items.emplace_back();
  };
  auto addTensor = [&](std::string name, weights::TensorForm form, Item item) {
    weights::ArchiveTensor tensor;
    tensor.name = std::move(name);
    tensor.form = std::move(form);
    result.header.records.back().tensors.push_back(std::move(tensor));
    result.items.back().push_back(std::move(item));
  };

  auto addMatrix = [&](std::string name, ParamOp param,
                       int64_t entry) -> LogicalResult {
    auto matrices = sources.openStored(param);
    // moe-bind-params lets no other layout through than it knows.
    auto form = getStoredForm(param);
    if (failed(matrices) || failed(form))
      return failure();
    Item item;
    item.matrices = *matrices;
    item.entry = entry;
    addTensor(std::move(name), *form, std::move(item));
    return success();
  };

  for (auto layer : module.getOps<LayerOp>()) {
    // What has no axis, then by axis: a record holds what moves together.
    SmallVector<Bound> whole;
    llvm::MapVector<Axis, SmallVector<Bound>> indexed;
    for (NamedAttribute bound : layer.getBinding()) {
      auto param = symbols.lookupNearestSymbolFrom<ParamOp>(
          layer, cast<FlatSymbolRefAttr>(bound.getValue()));
      auto weight = dyn_cast<WeightType>(param.getType());
      if (weight && weight.isIndexed())
        indexed[weight.getAxis()].push_back(
            {bound.getName().getValue(), param});
      else
        whole.push_back({bound.getName().getValue(), param});
    }
    if (!whole.empty()) {
      bool isTable = isa<TableType>(whole.front().param.getType());
      addRecord(layer.getSymName().str(), isTable
                                              ? weights::RecordClass::Table
                                              : weights::RecordClass::Router);
    }
    for (Bound bound : whole) {
      std::string name = archiveTensorName(layer, bound.local, bound.param);
      if (!isa<TableType>(bound.param.getType())) {
        if (failed(addMatrix(std::move(name), bound.param, /*entry=*/0)))
          return failure();
        continue;
      }
      FailureOr<std::vector<int32_t>> table = sources.loadTable(bound.param);
      if (failed(table))
        return failure();
      Item item;
      item.table = *std::move(table);
      addTensor(std::move(name), tableForm(int64_t(item.table.size())), item);
    }
    bool hasClusters = indexed.contains(Axis::cluster);
    for (auto &[axis, params] : indexed) {
      weights::RecordClass recordClass =
          axis == Axis::expert && hasClusters
              ? weights::RecordClass::Residual
              : weights::RecordClass::Base;
      // Bases of one layer may differ in number: gate mixes two, up three.
      auto countOf = [](const Bound &bound) {
        ParamOp param = bound.param;
        return cast<WeightType>(param.getType()).getCount();
      };
      int64_t most = 0;
      for (const Bound &bound : params)
        most = std::max(most, countOf(bound));
      for (int64_t entry = 0; entry < most; ++entry) {
        addRecord((layer.getSymName() + "." + stringifyAxis(axis) + "." +
                   Twine(entry))
                      .str(),
                  recordClass);
        for (Bound bound : params) {
          if (entry >= countOf(bound))
            continue;
          std::string name = archiveTensorName(layer, bound.local, bound.param);
          name.replace(name.find('*'), 1, std::to_string(entry));
          if (failed(addMatrix(std::move(name), bound.param, entry)))
            return failure();
        }
      }
    }
  }
  result.header.layoutHash = weights::defaultLayoutHash(result.header);
  return result;
}

std::string LayerWeights::layoutHash() const {
  return weights::hashText(header.layoutHash);
}

LogicalResult LayerWeights::write(
    Location loc, StringRef path,
    const std::function<void(size_t, size_t)> &progress) const {
  auto writer = weights::ArchiveWriter::open(path.str(), header);
  if (!writer)
    return emitError(loc) << writer.error();
  for (size_t i = 0; i < items.size(); ++i) {
    if (progress)
      progress(i, items.size());
    std::vector<weights::StoredTensor> stored;
    for (auto [tensor, item] :
         llvm::zip_equal(header.records[i].tensors, items[i])) {
      weights::Result<weights::StoredTensor> bytes =
          weights::Error{"not read yet"};
      if (!item.matrices) {
        bytes = weights::storeIntegers(
            tensor.form,
            std::vector<int64_t>(item.table.begin(), item.table.end()));
      } else {
        auto encoded =
            item.matrices->readEncoded(item.entry, *tensor.form.encoding());
        if (!encoded)
          return emitError(loc) << encoded.error();
        bytes = weights::storeEncoded(tensor.form, *std::move(encoded));
      }
      if (!bytes)
        return emitError(loc) << tensor.name << ": " << bytes.error();
      stored.push_back(*std::move(bytes));
    }
    std::vector<weights::StoredTensorView> views(stored.begin(), stored.end());
    if (weights::Status status = writer->write(i, views); !status)
      return emitError(loc) << status.error();
  }
  if (weights::Status status = writer->finish(); !status)
    return emitError(loc) << status.error();
  if (progress)
    progress(items.size(), items.size());
  return success();
}
