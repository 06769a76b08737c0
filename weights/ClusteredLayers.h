// The layers of an archive whose experts share bases, by their tensors' names.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// docs/regrouping.md says which names these are.
#ifndef MOEC_WEIGHTS_CLUSTEREDLAYERS_H
#define MOEC_WEIGHTS_CLUSTEREDLAYERS_H

#include "weights/Archive.h"
#include "weights/Result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moec::weights {

/// How the experts' matrices of one role are stored: a base for each cluster,
/// and two factors for each expert or none.
struct ClusteredMatrix {
  /// "gate", "up" or "down".
  std::string role;
  /// IN x OUT.
  TensorForm base;
  /// IN x r and r x OUT; both or neither.
  std::optional<TensorForm> input, output;

  int64_t rows() const { return base.shape[0]; }
  int64_t cols() const { return base.shape[1]; }
  /// r; 0 without factors.
  int64_t rank() const { return input ? input->shape[1] : 0; }
};

/// A layer whose experts share bases. Its tensors are NAME.cluster, and
/// NAME.cluster.C.ROLE.base, NAME.expert.E.ROLE.a and .b.
struct ClusteredLayer {
  /// "layer3", and its number among the model's layers.
  std::string name;
  int64_t number = 0;
  int64_t experts = 0;
  int64_t clusters = 0;
  /// The cluster of each expert.
  std::vector<int32_t> table;
  std::vector<ClusteredMatrix> matrices;
  /// Tensors that hold the table: the layer's own, and those of layers in
  /// front, which guess what this one meets.
  std::vector<std::string> tables;
  /// Tensors that hold the prototypes of the clusters; empty if routers do
  /// without.
  std::vector<std::string> prototypes;

  std::string baseName(int64_t cluster, const std::string &role) const;
  /// `side` is "a" or "b".
  std::string factorName(int64_t expert, const std::string &role,
                         const char *side) const;
};

/// The archive's layers with clusters, in its order. Refuses an archive without
/// one, tables of clusters that there are not, and tensors that are missing,
/// differ in form or have no values of their own.
Result<std::vector<ClusteredLayer>> findClusteredLayers(const Archive &archive);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_CLUSTEREDLAYERS_H
