// A layer's matrices for other clusters, made from its originals.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_CLUSTERCHANGE_H
#define MOEC_WEIGHTS_CLUSTERCHANGE_H

#include "weights/ClusteredLayers.h"
#include "weights/Parallel.h"
#include "weights/Recipes.h"
#include "weights/TensorSource.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace moec::weights {

/// The matrices that an archive was made from.
struct OriginalMatrices {
  /// layers.N.gate, layers.N.up and layers.N.down of [experts, IN, OUT].
  std::shared_ptr<const TensorSource> source;
  /// What the archive says of its source.
  std::string hash;
  /// What the model has its matrices of a layer and a role in: F32, BF16 or
  /// F16.
  std::function<Result<Format>(int64_t layer, const std::string &role)>
      formatOf;
};

/// A layer's matrices of one role, read as compilation reads them: in that
/// order of values similarities have the same bits.
Result<MatrixSourcePtr> openOriginal(const OriginalMatrices &originals,
                                     const ClusteredLayer &layer,
                                     const ClusteredMatrix &matrix);

/// Whether all parts have the same bytes.
bool isSame(const StoredTensorView &a, const StoredTensorView &b);

/// The records of an archive whose bytes were found to be what was written;
/// each is looked at once. Threads may share it.
class CheckedRecords {
public:
  explicit CheckedRecords(const Archive &archive) : archive(archive) {}

  /// The record that the tensor is in.
  Status check(const ArchiveTensor &tensor);

private:
  const Archive &archive;
  std::mutex mutex;
  std::set<const ArchiveRecord *> checked;
};

/// How a change is worked out.
struct ChangeWork {
  ParallelOptions parallel;
  /// Ends the work with an error soon after it was asked for.
  std::stop_token stop;
};

/// The bytes of a tensor: made anew, or those of a tensor of the archive.
struct TensorContent {
  std::optional<StoredTensor> made;
  std::string copied;
};

/// What becomes of a layer's bases and residuals when its experts get other
/// clusters. Archive, layer and originals outlive it.
class ClusterChange {
public:
  /// Opens the originals; nothing is computed. `table` has a cluster of the
  /// layer for each expert.
  static Result<ClusterChange> create(const Archive &archive,
                                      const ClusteredLayer &layer,
                                      const OriginalMatrices &originals,
                                      std::vector<int32_t> table,
                                      const ChangeWork &work);

  const ClusteredLayer &of() const { return *layer; }
  const std::vector<int32_t> &newTable() const { return table; }
  /// Experts whose cluster has other members than before, ascending.
  std::vector<int64_t> movedExperts() const;

  /// Makes all bases and an expert anew, for a change to the present table:
  /// what does not give the archive's bytes would not lead back to them either.
  Status checkRecipe(CheckedRecords &records) const;

  /// Factors of the experts that moved; needed by what follows.
  Status factorize();

  /// The largest relative error of a matrix of the layer's role number `role`,
  /// as it is stored now, and as it will be.
  Result<double> largestErrorNow(size_t role) const;
  Result<double> largestErrorThen(size_t role) const;

  /// What a tensor of the layer's clusters and experts will be.
  Result<TensorContent> contentOf(const ArchiveTensor &tensor) const;

private:
  /// What a role's matrices are made of, as moe-factorize-experts makes them.
  struct Role {
    const ClusteredMatrix *matrix = nullptr;
    MatrixSourcePtr originals;
    /// Of each cluster, before it is encoded, and as residuals see it.
    MatrixSourcePtr mean;
    MatrixSourcePtr base;
    /// Before they are encoded; null without factors.
    LowRankSources factors;
  };

  ClusterChange(const Archive &archive, const ClusteredLayer &layer,
                std::vector<int32_t> table, const ChangeWork &work);

  Result<Role> makeRole(const OriginalMatrices &originals,
                        const ClusteredMatrix &matrix) const;
  Status checkStop() const;
  Status checkTensor(const MatrixSource &source, int64_t entry,
                     const std::string &name, CheckedRecords &records) const;
  Result<std::vector<float>> decode(const std::string &name) const;

  const Archive *archive;
  const ClusteredLayer *layer;
  std::vector<int32_t> table;
  ChangeWork work;
  /// For each new cluster the present one that has the same members, or -1.
  std::vector<int32_t> sameAs;
  std::vector<Role> roles;
  /// By tensor.
  std::map<std::string, StoredTensor> factors;
};

} // namespace moec::weights

#endif // MOEC_WEIGHTS_CLUSTERCHANGE_H
