// Which rank residuals need: fixed, by an error bound, by a byte budget.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_RANKSELECTION_H
#define MOEC_WEIGHTS_RANKSELECTION_H

#include "weights/Encoding.h"
#include "weights/Factorization.h"
#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moec::weights {

/// The residuals of a matrix role (gate, up, down): one spectrum an expert.
struct RoleSpectra {
  /// Stands in messages: "layer 3 gate".
  std::string name;
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<Spectrum> experts;
  /// Of the factors, for their bytes.
  Encoding input;
  Encoding output;
};

/// Ranks of a role.
struct RankChoice {
  /// The largest of `experts`: what all have when factors are one tensor.
  int64_t rank = 0;
  /// What each expert needs; 0: its base alone will do.
  std::vector<int64_t> experts;
  /// Relative errors at each expert's own rank; NaN where a spectrum does not
  /// reach it.
  double meanRelativeError = 0;
  double maxRelativeError = 0;
};

/// What an error bound holds for.
enum class ErrorBound {
  /// The relative error of each expert.
  EveryExpert,
  /// The mean of the relative errors; all experts have the same rank.
  Mean
};

/// The smallest ranks whose relative Frobenius error (whitened, if the spectra
/// are) is within `bound`, rounded up to a multiple as roundedRank does.
Result<RankChoice>
ranksForErrorBound(const RoleSpectra &role, double bound,
                   ErrorBound holds = ErrorBound::EveryExpert,
                   int64_t multiple = 16);

/// What gets the next block of rank.
enum class RankUnit {
  /// All experts of a role together: every factor tensor has one rank.
  Role,
  /// Single matrices.
  Matrix
};

/// Ranks of several roles whose factors together take at most `bytes`. Greedy:
/// the next `multiple` columns go to what lowers the sum of squared relative
/// errors most per byte; ties to the first. What no longer fits is passed over
/// and others go on. Takes O(n log n) for n blocks.
Result<std::vector<RankChoice>>
ranksForByteBudget(std::span<const RoleSpectra> roles, uint64_t bytes,
                   RankUnit unit = RankUnit::Role, int64_t multiple = 16);

/// The same rank everywhere, rounded up; 0 is the base alone.
Result<RankChoice> fixedRank(const RoleSpectra &role, int64_t rank,
                             int64_t multiple = 16);

/// Bytes of the factors of these ranks.
Result<uint64_t> factorBytes(const RoleSpectra &role, const RankChoice &choice);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_RANKSELECTION_H
