// Weights in 4 bits, as bitsandbytes keeps them in a checkpoint.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Of a weight "x.weight": the codes under that name; "x.weight.absmax", scales;
// "x.weight.quant_map", what codes stand for;
// "x.weight.quant_state.bitsandbytes__nf4", the rest as JSON in bytes; and
// where scales are quantised themselves, "x.weight.nested_absmax" and
// "x.weight.nested_quant_map".
#ifndef MOEC_FRONTEND_BITSANDBYTES_H
#define MOEC_FRONTEND_BITSANDBYTES_H

#include "frontend/Shards.h"
#include "weights/Nf4.h"
#include "weights/Result.h"

#include <map>
#include <string_view>
#include <vector>

namespace moec::frontend {

/// The tensors of weights in 4 bits, wherever they are.
class QuantizedTensors {
public:
  /// Sees the shards' names.
  explicit QuantizedTensors(const std::vector<Shard> &shards);

  /// The weight that a tensor belongs to beside its codes; empty for a tensor
  /// that is a weight itself, or codes of one.
  std::string_view weightOf(std::string_view tensor) const;

  /// Whether this tensor is the codes of a weight.
  bool isCodes(std::string_view tensor) const;

  /// The weight of these codes, checked; it sees the shards' bytes. Refuses
  /// other formats than nf4, and other values of codes than nf4's.
  weights::Result<weights::Nf4Tensor> open(std::string_view tensor) const;

private:
  struct Stored {
    const Shard *shard = nullptr;
    const weights::TensorRecord *record = nullptr;

    std::span<const uint8_t> bytes() const { return shard->file.data(*record); }
  };

  class Reader;

  /// Empty where no weight is in 4 bits.
  std::map<std::string_view, Stored> tensors;
};

} // namespace moec::frontend

#endif // MOEC_FRONTEND_BITSANDBYTES_H
