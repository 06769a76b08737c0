// Comparing two artifacts on the same inputs: how far apart their outputs are.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_EXECUTION_COMPARE_H
#define MOEC_TOOLS_EXECUTION_COMPARE_H

#include "tools/Execution/Tensor.h"
#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moec::run {

/// The tensors of one artifact's entry as those of another's: the same inputs,
/// and outputs of their own. An error names the first argument whose name,
/// role, type or shape the other entry does not have. `other` stands in
/// messages.
weights::Result<std::vector<Tensor>>
tensorsOfOther(std::span<const Tensor> tensors,
               const moert_library_entry *otherEntry, const std::string &other);

/// How far the values b are from a. Places where both are NaN count as equal;
/// where only one is, or infinities differ, the errors are infinite.
struct Difference {
  /// max |a - b|
  double absolute = 0;
  /// max |a - b| / max |a|, over finite a
  double relative = 0;
  /// sqrt(sum (a - b)^2 / sum a^2), over finite a
  double rms = 0;
  uint64_t nansInBoth = 0;
  uint64_t nansInFirst = 0;
  uint64_t nansInSecond = 0;
};

/// Compares two tensors of one type and shape.
Difference compare(const Tensor &a, const Tensor &b);

/// One line: "max abs 0.5 max rel 0.1 rms rel 0.02, no NaN".
std::string describe(const Difference &difference);

} // namespace moec::run

#endif // MOEC_TOOLS_EXECUTION_COMPARE_H
