// Weights made up for a run: random values that are valid, in some copies.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_WEIGHTSET_H
#define MOEC_TOOLS_MOE_BENCH_WEIGHTSET_H

#include "moert/abi.h"
#include "tools/moe-bench/Memory.h"
#include "weights/Encoding.h"
#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moec::bench {

/// One tensor: what a binding calls it, and which part of a weight it is.
struct WeightTensor {
  std::string name;
  /// codes, scales, zero_points, slots or table, as in docs/binding.md; or
  /// input.
  std::string part;
  DLDataType type = {kDLFloat, 32, 1};
  std::vector<int64_t> shape;
  /// Of slots and tables: values are below this.
  int64_t below = 0;

  uint64_t bytes() const;
};

/// The part that an argument's name tells: what moe-bind-params puts behind the
/// last dot; else a table, if its values are bounded, else codes.
std::string partFromName(const std::string &name, int64_t below);

/// Fills one tensor: floats normally distributed, so that a product with N(0,
/// 1) has about its variance; random codes that are no NaN; small positive
/// scales; slots in order; a table that gives members in turn.
void fillTensor(const WeightTensor &tensor, uint8_t *data, uint32_t seed);

/// Of a tensor in panels of 16 columns whose last panel is not full: what is
/// behind the columns becomes zero, as in an archive.
void zeroPadding(const WeightTensor &tensor, uint8_t *data, int64_t columns);

/// Some tensors in huge pages.
class WeightSet {
public:
  /// Makes one copy, filled.
  void make(std::vector<WeightTensor> wanted, uint32_t seed);

  /// Makes copies of the first until there are `count`.
  void setCopies(size_t count);
  size_t copies() const { return memory.size(); }

  /// Bytes of one copy.
  uint64_t bytes() const { return total; }

  const std::vector<WeightTensor> &all() const { return tensors; }
  uint8_t *data(size_t tensor, size_t copy) const {
    return memory[copy].bytes() + offsets[tensor];
  }

private:
  std::vector<WeightTensor> tensors;
  std::vector<uint64_t> offsets;
  std::vector<Memory> memory;
  uint64_t total = 0;
};

/// A tensor of a weight as it is in memory.
struct TensorView {
  const WeightTensor *tensor = nullptr;
  const uint8_t *data = nullptr;
};

/// The values of one matrix of a weight whose parts are among `views`: codes in
/// rows, or in panels of 16 columns.
weights::Result<std::vector<float>>
decodeMatrix(std::span<const TensorView> views, const std::string &name,
             const weights::Encoding &encoding, int64_t entry, int64_t rows,
             int64_t columns);

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_WEIGHTSET_H
