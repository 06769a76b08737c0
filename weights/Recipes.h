// Weights computed from other weights, one matrix at a time: docs/spec.md
// section 2, recipes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_RECIPES_H
#define MOEC_WEIGHTS_RECIPES_H

#include "weights/Encoding.h"
#include "weights/Factorization.h"
#include "weights/MatrixSource.h"
#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace moec::weights {

/// What a source is handed around as.
using MatrixSourcePtr = std::shared_ptr<const MatrixSource>;

/// #moe.mean: for each of `targets`, the mean (summed in f64) of the entries
/// the table maps to it; zeros where there is none. `weights`, when given, are
/// one non-negative number for each entry of `of` (how often an expert is used,
/// its Fisher information): the mean is weighted by them, and plain for a
/// target whose members' weights are all zero.
Result<MatrixSourcePtr> meanMatrices(std::string name, MatrixSourcePtr of,
                                     std::vector<int32_t> table,
                                     int64_t targets,
                                     std::vector<double> weights = {});

/// A side of an IN x OUT matrix: its rows or its columns.
enum class MatrixSide { Input, Output };

/// Rows (input) or columns (output) in another order: row f of the result is
/// row permutations[entry * n + f]. `permutations` is [entries, n] with each
/// row a permutation of 0 to n - 1.
Result<MatrixSourcePtr> permutedMatrices(std::string name, MatrixSourcePtr of,
                                         std::vector<int32_t> permutations,
                                         MatrixSide side);

/// decode(encode(.)) of each entry: what leaves of these values are worth.
/// Encodings with scales are calibrated by `moments` of the inputs where these
/// are given (weights/CalibratedRounding.h).
Result<MatrixSourcePtr> encodedMatrices(std::string name, MatrixSourcePtr of,
                                        const Encoding &encoding,
                                        MatrixSourcePtr moments = nullptr);

/// The same values; the `kept` entries read last stay in memory, for sources
/// that are dear to read. Threads that ask for one entry wait for one reader.
MatrixSourcePtr cachedMatrices(MatrixSourcePtr of, int64_t kept);

/// Second moments of the inputs of matrices with `rows` rows: one for all
/// entries or one for each, [.., 1, rows] the diagonal or [.., rows, rows].
struct MomentsSource {
  MatrixSourcePtr moments;
  double regularization = 1e-6;
};

struct ResidualOptions {
  FactorizationOptions factorization;
  /// Ranks of single entries, up to factorization.rank; all alike when empty.
  /// Columns after an entry's rank are zero.
  std::vector<int64_t> ranks;
  /// Whitens the residual when given.
  MomentsSource inputs;
};

/// A low-rank pair for each entry: input is [entries, IN, columns], output
/// [entries, columns, OUT].
struct LowRankSources {
  MatrixSourcePtr input;
  MatrixSourcePtr output;
};

/// #moe.svd: the factors of of[i] - base[table[i]] (see `factorize`), computed
/// when the first of the two is read; the `kept` entries read last stay in
/// memory, so reading input and then output computes once. To fit the residual
/// to a quantised base, `base` is encodedMatrices(mean). Names: name.input,
/// name.output.
Result<LowRankSources> residualFactors(std::string name, MatrixSourcePtr of,
                                       MatrixSourcePtr base,
                                       std::vector<int32_t> table,
                                       const ResidualOptions &options,
                                       int64_t kept = 4);

/// What residualFactors does for the entry the difference is of.
Result<LowRankFactors> factorizeEntry(const Difference &difference,
                                      const ResidualOptions &options,
                                      const InputWhitening *whitening);

/// Whether moments fit the matrices whose inputs they are about.
Status verifyMoments(const MatrixSource &of, const MomentsSource &inputs);

/// Whether all that residualFactors is given fits together.
Status verifyResidual(const MatrixSource &of, const MatrixSource &base,
                      const std::vector<int32_t> &table,
                      const ResidualOptions &options);

/// The whitening of an entry, or null without moments. Those of one entry for
/// all are computed once; threads may share this.
class WhiteningOfEntries {
public:
  explicit WhiteningOfEntries(MomentsSource inputs);
  ~WhiteningOfEntries();

  Result<std::shared_ptr<const InputWhitening>> of(int64_t entry) const;

private:
  struct Shared;
  std::unique_ptr<Shared> shared;
};

} // namespace moec::weights

#endif // MOEC_WEIGHTS_RECIPES_H
