// What a scope of external weights is bound to: tensors by key.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_TENSORSOURCE_H
#define MOEC_WEIGHTS_TENSORSOURCE_H

#include "weights/MatrixSource.h"
#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moec::weights {

/// Tensors by key: a safetensors file, a checkpoint directory, made-up values.
/// `name` is scope::key, for messages. Threads may share a source.
class TensorSource {
public:
  virtual ~TensorSource();

  /// Floats of exactly this shape, as matrices: the last two extents are rows
  /// and columns, those before count entries; missing extents are 1.
  virtual Result<std::shared_ptr<const MatrixSource>>
  openMatrices(const std::string &name, std::string_view key,
               std::span<const int64_t> shape) const = 0;

  /// A table of integers that fit 32 bits, of exactly this shape.
  virtual Result<std::vector<int32_t>>
  loadIntegers(const std::string &name, std::string_view key,
               std::span<const int64_t> shape) const = 0;
};

/// A safetensors file, opened and checked at once.
Result<std::shared_ptr<const TensorSource>>
openSafetensorsSource(const std::string &path);

/// The same value everywhere.
std::shared_ptr<const TensorSource> splatSource(double value);

/// docs/spec.md 2.1 with the seed seedForKey(seed, key), scaled.
std::shared_ptr<const TensorSource> seededSource(uint32_t seed, double scale);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_TENSORSOURCE_H
