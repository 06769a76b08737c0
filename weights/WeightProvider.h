// Where the values of external weights come from: scope::key to tensors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_WEIGHTPROVIDER_H
#define MOEC_WEIGHTS_WEIGHTPROVIDER_H

#include "weights/Result.h"
#include "weights/TensorSource.h"

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moec::weights {

/// Binds scopes to sources and reads tensors from them. Reading does not change
/// the provider: threads may share one that is bound.
class WeightProvider {
public:
  /// Binds one scope; the text is what a user writes after `--weights=`:
  ///   scope=path.safetensors  a file, opened and checked at once
  ///   scope=splat:0.5         the same value everywhere
  ///   scope=seeded:7          docs/spec.md 2.1, seed seedForKey(7, key)
  ///   scope=seeded:7:0.1      the same, scaled
  /// A file of such a name is written `./splat:0.5`.
  Status bind(std::string_view text);

  /// Binds a scope to a source of the caller's.
  Status bind(std::string scope, std::shared_ptr<const TensorSource> source);

  bool isBound(std::string_view scope) const;

  /// Floats (F32, F16, BF16 or F64, rounded to f32) of exactly this shape, read
  /// one matrix at a time.
  Result<std::shared_ptr<const MatrixSource>>
  openMatrices(std::string_view scope, std::string_view key,
               std::span<const int64_t> shape) const;

  /// A table of integers (I64, I32, I16, I8 or U8) that fit 32 bits. A splat
  /// must be an integer; seeded values are no table.
  Result<std::vector<int32_t>>
  loadIntegers(std::string_view scope, std::string_view key,
               std::span<const int64_t> shape) const;

private:
  Result<const TensorSource *> sourceOf(std::string_view scope,
                                        std::string_view key) const;

  std::map<std::string, std::shared_ptr<const TensorSource>, std::less<>>
      sources;
};

} // namespace moec::weights

#endif // MOEC_WEIGHTS_WEIGHTPROVIDER_H
