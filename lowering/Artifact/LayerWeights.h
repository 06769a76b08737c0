// The weights of a module's layers as an archive: planned from types, then streamed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_ARTIFACT_LAYERWEIGHTS_H
#define MOEC_LOWERING_ARTIFACT_LAYERWEIGHTS_H

#include "mlir/IR/BuiltinOps.h"
#include "passes/Analysis/ParamSources.h"
#include "weights/ArchiveHeader.h"

#include <functional>
#include <string>
#include <vector>

namespace moec::lowering {

/// What the archive of a module holds: for each moe.layer its tables and unindexed weights in one record, and a record
/// for each cluster and expert.
class LayerWeights {
public:
  /// Plans the archive; nothing is read but tables. The module may change afterwards; the provider, and the cache of
  /// statistics if there is one, must outlive this.
  static mlir::FailureOr<LayerWeights> plan(mlir::ModuleOp module,
                                            const weights::WeightProvider &provider,
                                            const weights::ArchiveSource &source,
                                            const weights::StatisticsCache *cache = nullptr);

  bool isEmpty() const { return header.records.empty(); }
  std::string layoutHash() const;
  const weights::ArchiveHeader &plan() const { return header; }

  /// Reads, encodes and writes record by record. `progress` hears the records done and in all.
  mlir::LogicalResult
  write(mlir::Location loc, llvm::StringRef path,
        const std::function<void(size_t, size_t)> &progress = {}) const;

private:
  /// Where one tensor's values come from.
  struct Item {
    weights::MatrixSourcePtr matrices;
    int64_t entry = 0;
    std::vector<int32_t> table;
  };

  weights::ArchiveHeader header;
  /// By record and place in it, as in the header.
  std::vector<std::vector<Item>> items;
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_ARTIFACT_LAYERWEIGHTS_H
