// What an open checkpoint knows: for the parts that open and read it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_FRONTEND_CHECKPOINTCONTENTS_H
#define MOEC_FRONTEND_CHECKPOINTCONTENTS_H

#include "frontend/BitsAndBytes.h"
#include "frontend/Checkpoint.h"
#include "frontend/ModelConfig.h"
#include "frontend/Shards.h"
#include "weights/Encoding.h"

#include <cstddef>

namespace moec::frontend {

/// Where a tensor of the family's layout is; no tensor until it is found.
struct Place {
  const Shard *shard = nullptr;
  const weights::TensorRecord *tensor = nullptr;
  /// What the tensor has codes of; null for plain numbers.
  std::shared_ptr<const weights::Nf4Tensor> nf4;

  /// Of the numbers.
  std::span<const int64_t> shape() const {
    return nf4 ? nf4->shape : tensor->shape;
  }
  weights::ElementType type() const { return nf4 ? nf4->type : tensor->type; }
};

/// What a role is in a layout: the tensor that holds it, and as which part.
struct Holder {
  size_t tensor = 0;
  size_t part = 0;
};

/// The tensor of a layout that holds a role; nothing for one it lacks.
std::optional<Holder> findHolder(const FamilyLayout &layout, Role role);

/// Whether a role has a matrix for each expert.
bool isOfExperts(Role role);

/// All that a checkpoint knows; immutable once it is open.
struct Checkpoint::Contents {
  std::string directory;
  std::string configText;
  Family family;
  ModelConfig config;
  std::vector<Shard> shards;
  /// Of the shards.
  std::optional<QuantizedTensors> quantized;
  /// The family's layout that the files have.
  const FamilyLayout *layout = nullptr;
  /// places[layer][tensor of the layout]: one for each expert, or one.
  std::vector<std::vector<std::vector<Place>>> places;
  std::vector<MoELayer> layers;
  std::string description;
  weights::Hash128 identity;
  Size total, inExperts;

  Contents() = default;
  Contents(const Contents &) = delete;

  /// Length of an axis of a stored tensor.
  int64_t extent(const FamilyTensor &tensor, Axis axis) const;
  std::vector<int64_t> storedShape(const FamilyTensor &tensor) const;
  /// Rows and columns of y = x·W; entries are the experts of gate, up, down.
  weights::MatrixShape matrixShape(Role role) const;

  /// Opens and checks what `directory` holds.
  weights::Status open(const CheckpointOptions &options);
  /// Refuses weights of MoE layers that are NaN or infinite.
  weights::Status checkFinite() const;

private:
  weights::Status chooseLayout();
  weights::Status placeTensors();
  weights::Result<Place> placeOf(const Shard &shard,
                                 const weights::TensorRecord &record) const;
  weights::Status checkPlaces() const;
  weights::Status checkRecord(const FamilyTensor &tensor,
                              const Place &place) const;
  weights::Status describeLayers();
  weights::Result<weights::ElementType> typeOf(size_t layer, Role role) const;
  void measure();
  uint64_t parametersOf(const weights::TensorRecord &record) const;
};

} // namespace moec::frontend

#endif // MOEC_FRONTEND_CHECKPOINTCONTENTS_H
