// Low-rank factors of one matrix: truncated SVD, exact or randomised, plain or
// whitened. docs/factorization.md has the mathematics.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_FACTORIZATION_H
#define MOEC_WEIGHTS_FACTORIZATION_H

#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moec::weights {

/// Eigen cuts products by the sizes of the caches it finds, and sums in that
/// order: after this, machines with other caches agree. Any number of calls.
void fixCacheSizes();

/// How singular values and vectors are found.
enum class SvdMethod {
  /// Exact where it is cheap or a sketch would not pay; see chosenMethod.
  Automatic,
  /// Divide and conquer, in f64.
  Exact,
  /// A seeded random sketch with power iterations: products in f32.
  Randomized
};

struct FactorizationOptions {
  /// Singular pairs kept, at most min(IN, OUT); 0 only with a paddedRank.
  int64_t rank = 16;
  /// Columns of A and rows of B; those after `rank` are zero. 0 means `rank`.
  int64_t paddedRank = 0;
  SvdMethod method = SvdMethod::Automatic;
  /// Columns of the sketch beyond `rank`, where the matrix has as many.
  int64_t oversampling = 10;
  /// Each multiplies the decay of the singular values that the sketch sees by
  /// their square, and costs two products.
  int64_t powerIterations = 2;
  /// Of the sketch, whose entries are signs: the same on every platform.
  uint32_t seed = 0;
};

/// Whether matrices of this size can be factorised so.
Status verifyFactorization(int64_t rows, int64_t cols,
                           const FactorizationOptions &options);

/// Exact or Randomized: what Automatic means for a matrix of this size.
SvdMethod chosenMethod(int64_t rows, int64_t cols,
                       const FactorizationOptions &options);

/// `rank` rounded up to a multiple, but not above min(rows, cols). Refuses
/// ranks outside 1 to min(rows, cols).
Result<int64_t> roundedRank(int64_t rows, int64_t cols, int64_t rank,
                            int64_t multiple = 16);

/// Singular values of a difference D = W - base, so that the error at each rank
/// is known. When whitened by moments M, all of it is about M^(1/2) D.
struct Spectrum {
  /// The largest ones or all, descending.
  std::vector<double> values;
  /// The squared Frobenius norm of D.
  double squaredNorm = 0;
  /// The squared Frobenius norm of W: errors are relative to it.
  double weightSquaredNorm = 0;
  /// min(IN, OUT): at this rank nothing is left.
  int64_t fullRank = 0;

  /// Whether the error at `rank` is known.
  bool reaches(int64_t rank) const {
    return rank >= 0 && (rank <= int64_t(values.size()) || rank == fullRank);
  }

  /// |D - D_r|^2 = |D|^2 - sum of the first r squares, where the spectrum
  /// reaches `rank`.
  double squaredError(int64_t rank) const;

  /// sqrt(squaredError) / |W|; 0 if both are 0, infinite if only |W| is.
  double relativeError(int64_t rank) const;
};

/// D ~ A * B.
struct LowRankFactors {
  /// A, IN x columns, row-major.
  std::vector<float> input;
  /// B, columns x OUT, row-major.
  std::vector<float> output;
  /// Columns of A and rows of B, zeros included.
  int64_t columns = 0;
  /// The singular values of the `rank` pairs.
  Spectrum spectrum;
  /// Exact or Randomized.
  SvdMethod method = SvdMethod::Exact;
};

/// Whether these can be second moments: as many as there should be, finite,
/// those of the diagonal at least 0, and symmetric up to rounding. `name`
/// stands in messages. [IN] and [IN, IN].
Status verifyDiagonalMoments(const std::string &name,
                             std::span<const float> moments);
Status verifyFullMoments(const std::string &name, int64_t size,
                         std::span<const float> moments);

/// Second moments M of a matrix's inputs, as a measure of errors: the mean of
/// |x D|^2 over inputs x is tr(D^T M D) = |L^T D|^2 with M = L L^T (Cholesky).
/// M is regularised with regularization * mean(diag M) on its diagonal, tenfold
/// more until the Cholesky factor exists, at most 0.01 * mean(diag M).
class InputWhitening {
public:
  /// The diagonal of M, [IN]. `name` stands in messages.
  static Result<InputWhitening> diagonal(const std::string &name,
                                         std::span<const float> moments,
                                         double regularization = 1e-6);

  /// M itself, [IN, IN] and symmetric up to rounding; its lower half is read.
  static Result<InputWhitening> full(const std::string &name, int64_t size,
                                     std::span<const float> moments,
                                     double regularization = 1e-6);

  InputWhitening(InputWhitening &&) noexcept;
  InputWhitening &operator=(InputWhitening &&) noexcept;
  ~InputWhitening();

  /// IN.
  int64_t size() const;

  /// The share of mean(diag M) that was added.
  double regularization() const;

  /// |L^T X|^2 of an IN x cols matrix, row-major.
  double squaredNorm(std::span<const float> matrix, int64_t cols) const;

  /// For factorize and spectrumOf.
  struct Factor;
  const Factor &factor() const { return *cholesky; }

private:
  explicit InputWhitening(std::unique_ptr<const Factor> cholesky);

  std::unique_ptr<const Factor> cholesky;
};

/// W - base, IN x OUT and row-major; W alone when `base` is empty. The names
/// and entries stand in messages about values that are not finite.
struct Difference {
  int64_t rows = 0;
  int64_t cols = 0;
  std::span<const float> weight;
  std::span<const float> base;
  std::string weightName = "weight";
  std::string baseName = "base";
  int64_t weightEntry = 0;
  int64_t baseEntry = 0;
};

/// Refuses values that are not finite, naming the source and the place: values
/// of a matrix with `cols` columns that is entry `entry` of its source.
Status verifyFinite(const std::string &name, int64_t entry, int64_t cols,
                    std::span<const float> values);

/// The best A * B of the given rank for a difference, in the Frobenius norm or,
/// with whitening, in that of L^T D. The singular values' roots are on either
/// side: plain A = U sqrt(S), B = sqrt(S) V^T; whitened A = L^-T U sqrt(S). Of
/// each pair the first entry of largest magnitude in A's column is positive.
Result<LowRankFactors> factorize(const Difference &difference,
                                 const FactorizationOptions &options,
                                 const InputWhitening *whitening = nullptr);

/// All singular values (count 0), from the eigenvalues of the smaller Gram
/// matrix in f64: squares are right to about 1e-15 of the largest one. Or the
/// first `count` ones as `factorize` finds them.
Result<Spectrum> spectrumOf(const Difference &difference, int64_t count = 0,
                            const FactorizationOptions &options = {},
                            const InputWhitening *whitening = nullptr);

/// How far an approximation is from a matrix.
struct MatrixError {
  /// |W - W'| / |W|, Frobenius; 0 if both are 0, infinite if only |W| is.
  double relative = 0;
  /// The largest |W - W'| of one element.
  double maxAbs = 0;
  /// |L^T (W - W')| / |L^T W|, with whitening only; else NaN.
  double whitened = 0;
};

/// Measures weight against base + input * output, where `input` is IN x columns
/// and `output` columns x OUT; no columns measure the base alone.
Result<MatrixError> measureError(const Difference &difference,
                                 std::span<const float> input,
                                 std::span<const float> output,
                                 const InputWhitening *whitening = nullptr);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_FACTORIZATION_H
