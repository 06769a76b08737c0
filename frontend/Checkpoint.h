// Checkpoints as the Hugging Face hub has them: their MoE layers and weights.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_FRONTEND_CHECKPOINT_H
#define MOEC_FRONTEND_CHECKPOINT_H

#include "frontend/Family.h"
#include "weights/ElementType.h"
#include "weights/Hash.h"
#include "weights/Result.h"
#include "weights/TensorSource.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace moec::frontend {

/// The experts that every token of a layer takes, as one of a larger width.
struct SharedExpert {
  int64_t intermediate = 0;
  /// Whether σ(x·shared.router) weighs its output; otherwise 1 does.
  bool gated = false;
  weights::ElementType routerType = weights::ElementType::F32;
  weights::ElementType gateType = weights::ElementType::F32;
  weights::ElementType upType = weights::ElementType::F32;
  weights::ElementType downType = weights::ElementType::F32;
};

/// One MoE layer: for a token x, the `choices` experts of best score of
/// x·router, weighted by their scores, normalised to sum 1 if so said, times
/// `scale`; expert i is (activation(x·gate[i]) ⊙ x·up[i])·down[i].
struct MoELayer {
  /// Its number among the model's layers: N of the keys layers.N.gate.
  int64_t index = 0;
  int64_t hidden = 0;
  int64_t intermediate = 0;
  int64_t experts = 0;
  int64_t choices = 0;

  RouterScore score = RouterScore::Softmax;
  bool normalise = false;
  double scale = 1;
  /// As moec's activations are named: "silu", "gelu", "gelu_tanh", "relu", ...
  std::string activation;

  /// F32, BF16 or F16: what the values are stored as.
  weights::ElementType routerType = weights::ElementType::F32;
  weights::ElementType gateType = weights::ElementType::F32;
  weights::ElementType upType = weights::ElementType::F32;
  weights::ElementType downType = weights::ElementType::F32;

  std::optional<SharedExpert> shared;
};

struct CheckpointOptions {
  /// Folder of family files; empty: those that came with the program.
  std::string families;
  /// Reads all of the MoE layers' weights and refuses NaN and infinity.
  bool checkFinite = false;
};

/// Parameters, and the bytes they are stored in.
struct Size {
  uint64_t parameters = 0;
  uint64_t bytes = 0;
};

/// A checkpoint, opened and checked: config.json and model.safetensors, or the
/// shards that model.safetensors.index.json names. Files stay mapped as long as
/// it or its source lives. Threads may share one.
class Checkpoint {
public:
  static weights::Result<Checkpoint>
  open(const std::string &directory, const CheckpointOptions &options = {});

  const std::string &directory() const;

  /// The family's name, "mixtral".
  const std::string &family() const;

  /// Of the layers, in ascending order of their index; at least one.
  std::span<const MoELayer> layers() const;

  /// One line without paths: "mixtral, 4 MoE layers of 16 experts (2 chosen),
  /// hidden 96, intermediate 160, BF16".
  const std::string &description() const;

  /// Of config.json and of every file's name, size and header: models differ
  /// if it does, short of weights replaced in place.
  const weights::Hash128 &identity() const;

  /// Of config.json and every tensor's name, type, shape and values, wherever
  /// they are stored. Reads all files.
  weights::Hash128 contentHash() const;

  /// All tensors; the routed experts' gate, up and down.
  Size total() const;
  Size inExperts() const;

  /// Weights by key, whatever the family and the layout of its files:
  ///   layers.N.router [hidden, experts]
  ///   layers.N.gate, layers.N.up [experts, hidden, intermediate]
  ///   layers.N.down [experts, intermediate, hidden]
  ///   layers.N.shared.gate, .up [hidden, shared], .down [shared, hidden],
  ///   layers.N.shared.router [hidden, 1], as far as there are
  /// so that y = x·W. The source keeps the files mapped.
  std::shared_ptr<const weights::TensorSource> source() const;

private:
  struct Contents;
  class Source;
  explicit Checkpoint(std::shared_ptr<const Contents> contents);

  std::shared_ptr<const Contents> contents;
};

} // namespace moec::frontend

#endif // MOEC_FRONTEND_CHECKPOINT_H
