// All experts of a matrix role at once: factorised with threads, measured, and
// what that costs in parameters and bytes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_EXPERTFACTORS_H
#define MOEC_WEIGHTS_EXPERTFACTORS_H

#include "weights/Parallel.h"
#include "weights/Recipes.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace moec::weights {

/// Errors of a role's matrices, one for each expert.
struct ErrorReport {
  std::vector<MatrixError> experts;

  double meanRelative() const;
  double maxRelative() const;
  double maxAbs() const;
  /// NaN without moments.
  double meanWhitened() const;
  double maxWhitened() const;
};

/// Factors in memory, with what is known about them.
struct ExpertFactors {
  LowRankSources factors;
  /// The singular values kept, one spectrum for each expert.
  std::vector<Spectrum> spectra;
  /// Of base + input * output, the factors as they are here (f32).
  ErrorReport errors;
};

/// residualFactors of every entry, measured. A thread holds at most four
/// matrices of IN x OUT floats at a time (an exact SVD and moments take their
/// own memory); the base is read once for each run of experts that share it.
Result<ExpertFactors> factorizeExperts(const std::string &name,
                                       MatrixSourcePtr of, MatrixSourcePtr base,
                                       const std::vector<int32_t> &table,
                                       const ResidualOptions &options,
                                       const ParallelOptions &parallel = {});

/// The spectrum of every residual: all singular values (count 0) or `count`.
Result<std::vector<Spectrum>>
residualSpectra(MatrixSourcePtr of, MatrixSourcePtr base,
                const std::vector<int32_t> &table, int64_t count,
                const ResidualOptions &options,
                const ParallelOptions &parallel = {});

/// Measures of[i] against base[table[i]] + input[i] * output[i]: with encoded
/// sources, what encodings cost. Without factors the base alone is measured.
Result<ErrorReport> measureExperts(MatrixSourcePtr of, MatrixSourcePtr base,
                                   const std::vector<int32_t> &table,
                                   const LowRankSources &factors,
                                   const MomentsSource &inputs = {},
                                   const ParallelOptions &parallel = {});

/// What a role takes before and after.
struct SizeReport {
  uint64_t parametersBefore = 0;
  uint64_t parametersAfter = 0;
  uint64_t bytesBefore = 0;
  uint64_t bytesAfter = 0;

  /// K IN OUT / (IN OUT + K r (IN + OUT)) for one base and K experts.
  double parameterRatio() const {
    return double(parametersBefore) / double(parametersAfter);
  }
  double byteRatio() const { return double(bytesBefore) / double(bytesAfter); }

  SizeReport &operator+=(const SizeReport &other);
};

/// How a role is stored.
struct RoleEncodings {
  Encoding original;
  Encoding base;
  Encoding input;
  Encoding output;
};

/// Sizes of `shape.entries` experts as `bases` bases and a pair of `columns`
/// columns for each expert; 0 columns are no factors at all.
Result<SizeReport> sizeOf(const MatrixShape &shape, int64_t bases,
                          int64_t columns, const RoleEncodings &encodings);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_EXPERTFACTORS_H
