// Experts as mixes of a few bases, each times a factor of its own (MoBE).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// docs/factorization.md states what is minimised, and how.
#ifndef MOEC_WEIGHTS_BASISMIX_H
#define MOEC_WEIGHTS_BASISMIX_H

#include "weights/Parallel.h"
#include "weights/Recipes.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace moec::weights {

/// The element-wise map that a mix goes through.
enum class MixMap { Identity, Silu, Tanh };

inline constexpr double defaultMixNoise = 0.002;

struct BasisMixOptions {
  /// Bases that all experts mix: from 1 to the experts.
  int64_t bases = 1;
  /// Columns (input side) or rows (output side) of a basis.
  int64_t rank = 1;
  /// The side of the matrix that bases are on.
  MatrixSide side = MatrixSide::Input;
  MixMap map = MixMap::Identity;
  /// What parts will be rounded by, relative to their size: fits in which large
  /// numbers cancel are worth less. The default suits bf16.
  double noise = defaultMixNoise;
  /// Of the search, at most; fewer when one gains little.
  int64_t steps = 200;
};

/// Bases and how much of each an expert has: mixed[i] = map(sum over m of
/// coefficients[i, m] bases[m]).
struct BasisMix {
  /// [bases, IN, rank], or [bases, rank, OUT] on the output side.
  std::vector<float> bases;
  /// [experts, bases].
  std::vector<float> coefficients;
  /// [experts]: what the best factors leave, |W_i - mixed_i A_i| / |W_i|.
  std::vector<double> relativeErrors;
};

/// Bases and coefficients that leave the least of all experts together, each
/// with the best factor of its own: a local minimum, sought from the singular
/// vectors of groups of consecutive experts. Holds all experts in f64, and as
/// much again; a step takes O(E IN OUT rank). The same input gives the same
/// result, whatever the number of threads.
Result<BasisMix> fitBasisMix(const MatrixSource &of,
                             const BasisMixOptions &options,
                             const ParallelOptions &parallel = {});

/// Whether options fit matrices of this shape.
Status verifyBasisMix(const MatrixShape &shape, const BasisMixOptions &options);

/// What a fit is stored as.
struct BasisMixSources {
  MatrixSourcePtr bases;
  /// [experts, 1, bases].
  MatrixSourcePtr coefficients;
};

/// The parts of a mix of matrices of this shape, as `fit` finds it: called
/// once, when the first part is read. Names: name.bases, name.coefficients.
BasisMixSources basisMixSources(const std::string &name, const MatrixShape &of,
                                const BasisMixOptions &options,
                                std::function<Result<BasisMix>()> fit);

/// moe.weight.mix: map(sum over m of coefficients[i][0, m] bases[m]), summed in
/// f64, for each entry of `coefficients`.
Result<MatrixSourcePtr> mixedMatrices(std::string name, MatrixSourcePtr bases,
                                      MatrixSourcePtr coefficients, MixMap map);

/// The factors X_i that bring left[i] X_i nearest to of[i], with `left` on the
/// input side; X_i left[i] with it on the output side. As near as factors are
/// that are still so when either is rounded by `noise`.
Result<MatrixSourcePtr>
leastSquaresFactors(std::string name, MatrixSourcePtr of, MatrixSourcePtr left,
                    MatrixSide side, double noise = defaultMixNoise);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_BASISMIX_H
