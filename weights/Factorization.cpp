// Low-rank factors of one matrix: truncated SVD, exact or randomised, plain or
// whitened. docs/factorization.md has the mathematics.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Factorization.h"

#include "weights/Seeded.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

namespace moec::weights {

namespace {

using FloatMatrix = Eigen::MatrixXf;
using DoubleMatrix = Eigen::MatrixXd;
using FloatRows =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatView = Eigen::Map<const FloatRows>;

double relative(double squaredError, double squaredWeight) {
  if (squaredError == 0)
    return 0;
  return squaredWeight == 0 ? std::numeric_limits<double>::infinity()
                            : std::sqrt(squaredError / squaredWeight);
}

/// The power of two that brings a magnitude to [1, 2); 1 for zero.
double normaliser(double magnitude) {
  return magnitude == 0 ? 1 : std::ldexp(1.0, -std::ilogb(magnitude));
}

} // namespace

void fixCacheSizes() {
  static std::once_flag once;
  std::call_once(once, [] {
    Eigen::setCpuCacheSizes(32 * 1024, 1024 * 1024, 8 * 1024 * 1024);
  });
}

//===----------------------------------------------------------------------===//
// Whitening
//===----------------------------------------------------------------------===//

struct InputWhitening::Factor {
  int64_t size = 0;
  /// The diagonal of L where M is diagonal; else empty.
  Eigen::VectorXd diagonal;
  DoubleMatrix lower;
  /// L times `normaliser`, for products in f32.
  Eigen::VectorXf diagonalFloat;
  FloatMatrix lowerFloat;
  double normaliser = 1;
  double regularization = 0;

  bool isDiagonal() const { return diagonal.size() != 0; }

  void finish() {
    double largest =
        isDiagonal() ? diagonal.maxCoeff() : lower.diagonal().maxCoeff();
    normaliser = weights::normaliser(largest);
    if (isDiagonal())
      diagonalFloat = (diagonal * normaliser).cast<float>();
    else
      lowerFloat = (lower * normaliser).cast<float>();
  }

  /// L^T X.
  DoubleMatrix apply(const DoubleMatrix &matrix) const {
    if (isDiagonal())
      return diagonal.asDiagonal() * matrix;
    return lower.transpose().triangularView<Eigen::Upper>() * matrix;
  }

  /// normaliser * L^T X.
  FloatRows applyFloat(const FloatRows &matrix) const {
    if (isDiagonal())
      return diagonalFloat.asDiagonal() * matrix;
    return lowerFloat.transpose().triangularView<Eigen::Upper>() * matrix;
  }

  /// L^-T X.
  DoubleMatrix solve(const DoubleMatrix &matrix) const {
    if (isDiagonal())
      return diagonal.cwiseInverse().asDiagonal() * matrix;
    return lower.transpose().triangularView<Eigen::Upper>().solve(matrix);
  }
};

InputWhitening::InputWhitening(std::unique_ptr<const Factor> cholesky)
    : cholesky(std::move(cholesky)) {}
InputWhitening::InputWhitening(InputWhitening &&) noexcept = default;
InputWhitening &InputWhitening::operator=(InputWhitening &&) noexcept = default;
InputWhitening::~InputWhitening() = default;

int64_t InputWhitening::size() const { return cholesky->size; }

double InputWhitening::regularization() const {
  return cholesky->regularization;
}

double InputWhitening::squaredNorm(std::span<const float> matrix,
                                   int64_t cols) const {
  FloatView view(matrix.data(), size(), cols);
  double scale = normaliser(view.cwiseAbs().maxCoeff());
  double sum = 0;
  // A few columns at a time, so that no second matrix is needed.
  for (int64_t first = 0; first < cols; first += 64) {
    int64_t width = std::min<int64_t>(64, cols - first);
    FloatRows block =
        (view.middleCols(first, width).cast<double>() * scale).cast<float>();
    sum += cholesky->applyFloat(block).cast<double>().squaredNorm();
  }
  // One root at a time: the square of a scale may be out of range.
  return sum / cholesky->normaliser / cholesky->normaliser / scale / scale;
}

static Status checkMoments(const std::string &name,
                           std::span<const float> moments, size_t expected) {
  if (moments.empty() || moments.size() != expected)
    return Error{name + ": expected " + std::to_string(expected) +
                 " second moments, found " + std::to_string(moments.size())};
  for (size_t i = 0; i < moments.size(); ++i)
    if (!std::isfinite(moments[i]))
      return Error{name + ": expected finite second moments, found " +
                   std::to_string(moments[i]) + " at " + std::to_string(i)};
  return success();
}

static Error negativeMoment(const std::string &name, double value,
                            int64_t feature) {
  return Error{name + ": expected second moments of at least 0, found " +
               std::to_string(value) + " of feature " +
               std::to_string(feature)};
}

static Status checkRegularization(const std::string &name,
                                  double regularization) {
  if (!(regularization >= 0 && regularization <= 0.01))
    return Error{name + ": expected a regularisation from 0 to 0.01, found " +
                 std::to_string(regularization)};
  return success();
}

Status verifyDiagonalMoments(const std::string &name,
                             std::span<const float> moments) {
  if (Status status = checkMoments(name, moments, moments.size()); !status)
    return status;
  for (size_t i = 0; i < moments.size(); ++i)
    if (moments[i] < 0)
      return negativeMoment(name, moments[i], int64_t(i));
  return success();
}

Status verifyFullMoments(const std::string &name, int64_t size,
                         std::span<const float> moments) {
  if (Status status = checkMoments(name, moments, size_t(size * size)); !status)
    return status;
  FloatView view(moments.data(), size, size);
  for (int64_t i = 0; i < size; ++i) {
    if (view(i, i) < 0)
      return negativeMoment(name, view(i, i), i);
    for (int64_t j = 0; j < i; ++j) {
      double bound = std::sqrt(double(view(i, i)) * double(view(j, j)));
      if (std::abs(double(view(i, j)) - double(view(j, i))) > 1e-3 * bound)
        return Error{name + ": expected symmetric second moments, found " +
                     std::to_string(view(i, j)) + " at [" + std::to_string(i) +
                     ", " + std::to_string(j) + "] and " +
                     std::to_string(view(j, i)) + " across"};
    }
  }
  return success();
}

Result<InputWhitening> InputWhitening::diagonal(const std::string &name,
                                                std::span<const float> moments,
                                                double regularization) {
  if (Status status = checkRegularization(name, regularization); !status)
    return Error{status.error()};
  if (Status status = verifyDiagonalMoments(name, moments); !status)
    return Error{status.error()};
  Eigen::VectorXd values =
      Eigen::Map<const Eigen::VectorXf>(moments.data(), moments.size())
          .cast<double>();

  auto factor = std::make_unique<Factor>();
  factor->size = values.size();
  factor->regularization = regularization;
  double mean = values.mean();
  // Inputs that were never seen say nothing about errors: M = 1.
  if (mean == 0)
    values.setOnes();
  // Without regularisation a feature that is always zero has no root to divide
  // by.
  values.array() += regularization * mean;
  if (values.minCoeff() == 0)
    return Error{name + ": expected positive second moments, or a "
                        "regularisation, found 0"};
  factor->diagonal = values.cwiseSqrt();
  factor->finish();
  return InputWhitening(std::move(factor));
}

Result<InputWhitening> InputWhitening::full(const std::string &name,
                                            int64_t size,
                                            std::span<const float> moments,
                                            double regularization) {
  if (Status status = checkRegularization(name, regularization); !status)
    return Error{status.error()};
  if (Status status = verifyFullMoments(name, size, moments); !status)
    return Error{status.error()};
  FloatView view(moments.data(), size, size);
  auto factor = std::make_unique<Factor>();
  factor->size = size;
  double mean = view.diagonal().cast<double>().mean();
  if (mean == 0) {
    factor->diagonal = Eigen::VectorXd::Ones(size);
    factor->finish();
    return InputWhitening(std::move(factor));
  }
  // Few samples, or moments rounded to f32, have eigenvalues at zero or a
  // little below: add as little as makes the factor exist.
  constexpr double largest = 0.01;
  for (double share = regularization;;
       share = share == 0 ? 1e-12 : std::min(10 * share, largest)) {
    DoubleMatrix matrix = view.cast<double>();
    matrix.diagonal().array() += share * mean;
    Eigen::LLT<Eigen::Ref<DoubleMatrix>> cholesky(matrix);
    if (cholesky.info() == Eigen::Success) {
      factor->lower = cholesky.matrixL();
      factor->regularization = share;
      factor->finish();
      return InputWhitening(std::move(factor));
    }
    if (share >= largest)
      return Error{name + ": expected positive semidefinite second moments, "
                          "found no Cholesky factor with 0.01 of the mean "
                          "added to the diagonal"};
  }
}

//===----------------------------------------------------------------------===//
// Ranks and spectra
//===----------------------------------------------------------------------===//

SvdMethod chosenMethod(int64_t rows, int64_t cols,
                       const FactorizationOptions &options) {
  if (options.method != SvdMethod::Automatic)
    return options.method;
  int64_t fullRank = std::min(rows, cols);
  // A sketch of half the columns takes about half as long as an exact SVD
  // (bench/weights); beyond, the exact one is worth its time.
  if (fullRank <= 128 || 2 * (options.rank + options.oversampling) >= fullRank)
    return SvdMethod::Exact;
  return SvdMethod::Randomized;
}

static Status checkRank(int64_t rows, int64_t cols, int64_t rank,
                        int64_t least = 1) {
  if (rank < least || rank > std::min(rows, cols))
    return Error{"expected a rank from " + std::to_string(least) + " to " +
                 std::to_string(std::min(rows, cols)) + ", found " +
                 std::to_string(rank)};
  return success();
}

Status verifyFactorization(int64_t rows, int64_t cols,
                           const FactorizationOptions &options) {
  if (Status status =
          checkRank(rows, cols, options.rank, options.paddedRank == 0 ? 1 : 0);
      !status)
    return status;
  if (options.paddedRank != 0 && options.paddedRank < options.rank)
    return Error{"expected rank " + std::to_string(options.rank) +
                 " to be padded to at least as much, found " +
                 std::to_string(options.paddedRank)};
  if (options.oversampling < 0)
    return Error{"expected an oversampling of at least 0, found " +
                 std::to_string(options.oversampling)};
  if (options.powerIterations < 0)
    return Error{"expected at least 0 power iterations, found " +
                 std::to_string(options.powerIterations)};
  return success();
}

Result<int64_t> roundedRank(int64_t rows, int64_t cols, int64_t rank,
                            int64_t multiple) {
  if (Status status = checkRank(rows, cols, rank); !status)
    return Error{status.error()};
  if (multiple < 1)
    return Error{"expected ranks to be a multiple of at least 1, found " +
                 std::to_string(multiple)};
  int64_t full = std::min(rows, cols);
  // Above `full` nothing is left to explain, and the sum could overflow.
  if (multiple >= full)
    return full;
  return std::min((rank + multiple - 1) / multiple * multiple, full);
}

double Spectrum::squaredError(int64_t rank) const {
  if (!reaches(rank))
    return std::numeric_limits<double>::quiet_NaN();
  if (rank == fullRank)
    return 0;
  // Where all values are known the small ones are summed, instead of taking
  // large ones from each other.
  double sum = 0;
  if (int64_t(values.size()) == fullRank) {
    for (size_t i = values.size(); i-- > size_t(rank);)
      sum += values[i] * values[i];
    return sum;
  }
  for (int64_t i = 0; i < rank; ++i)
    sum += values[size_t(i)] * values[size_t(i)];
  return std::max(squaredNorm - sum, 0.0);
}

double Spectrum::relativeError(int64_t rank) const {
  return relative(squaredError(rank), weightSquaredNorm);
}

//===----------------------------------------------------------------------===//
// Differences
//===----------------------------------------------------------------------===//

Status verifyFinite(const std::string &name, int64_t entry, int64_t cols,
                    std::span<const float> values) {
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      return Error{name + ": expected finite values, found " +
                   std::to_string(values[i]) + " at [" + std::to_string(entry) +
                   ", " + std::to_string(int64_t(i) / cols) + ", " +
                   std::to_string(int64_t(i) % cols) + "]"};
  return success();
}

static Status checkDifference(const Difference &difference,
                              const InputWhitening *whitening) {
  int64_t rows = difference.rows, cols = difference.cols;
  if (rows < 1 || cols < 1)
    return Error{difference.weightName +
                 ": expected at least one row and one column, found " +
                 std::to_string(rows) + " x " + std::to_string(cols)};
  if (int64_t(difference.weight.size()) != rows * cols)
    return Error{difference.weightName + ": expected " +
                 std::to_string(rows * cols) + " values, found " +
                 std::to_string(difference.weight.size())};
  if (!difference.base.empty() &&
      int64_t(difference.base.size()) != rows * cols)
    return Error{difference.baseName + ": expected " +
                 std::to_string(rows * cols) + " values, found " +
                 std::to_string(difference.base.size())};
  if (whitening && whitening->size() != rows)
    return Error{difference.weightName + ": expected second moments of " +
                 std::to_string(rows) + " inputs, found " +
                 std::to_string(whitening->size())};
  if (Status status =
          verifyFinite(difference.weightName, difference.weightEntry, cols,
                       difference.weight);
      !status)
    return status;
  return verifyFinite(difference.baseName, difference.baseEntry, cols,
                      difference.base);
}

static DoubleMatrix differenceInDouble(const Difference &difference) {
  FloatView weight(difference.weight.data(), difference.rows, difference.cols);
  if (difference.base.empty())
    return weight.cast<double>();
  FloatView base(difference.base.data(), difference.rows, difference.cols);
  return weight.cast<double>() - base.cast<double>();
}

static double weightSquaredNorm(const Difference &difference,
                                const InputWhitening *whitening) {
  if (whitening)
    return whitening->squaredNorm(difference.weight, difference.cols);
  FloatView weight(difference.weight.data(), difference.rows, difference.cols);
  return weight.cast<double>().squaredNorm();
}

//===----------------------------------------------------------------------===//
// Truncated SVD
//===----------------------------------------------------------------------===//

namespace {

/// The leading singular triplets of what is factorised.
struct Triplets {
  DoubleMatrix left;
  Eigen::VectorXd values;
  DoubleMatrix right;
  double squaredNorm = 0;
};

Result<Triplets> exactTriplets(const Difference &difference, int64_t rank,
                               const InputWhitening *whitening) {
  DoubleMatrix matrix = differenceInDouble(difference);
  if (whitening)
    matrix = whitening->factor().apply(matrix);
  Triplets triplets;
  triplets.squaredNorm = matrix.squaredNorm();
  Eigen::BDCSVD<DoubleMatrix> svd(matrix,
                                  Eigen::ComputeThinU | Eigen::ComputeThinV);
  if (svd.info() != Eigen::Success)
    return Error{difference.weightName + ": the SVD of entry " +
                 std::to_string(difference.weightEntry) + " did not converge"};
  triplets.left = svd.matrixU().leftCols(rank);
  triplets.values = svd.singularValues().head(rank);
  triplets.right = svd.matrixV().leftCols(rank);
  return triplets;
}

FloatMatrix orthonormal(const FloatMatrix &matrix) {
  Eigen::HouseholderQR<FloatMatrix> qr(matrix);
  return qr.householderQ() *
         FloatMatrix::Identity(matrix.rows(), matrix.cols());
}

/// Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1. Signs as a sketch
/// need no functions that platforms round differently.
Triplets randomisedTriplets(const Difference &difference,
                            const FactorizationOptions &options,
                            const InputWhitening *whitening) {
  int64_t rows = difference.rows, cols = difference.cols, rank = options.rank;
  // Brought near 1 first: squares of small weights would vanish in f32.
  double largest = 0;
  const float *weight = difference.weight.data();
  const float *base = difference.base.data();
  bool hasBase = !difference.base.empty();
  for (int64_t i = 0; i < rows * cols; ++i)
    largest = std::max(largest,
                       std::abs(double(weight[i]) - (hasBase ? base[i] : 0.0)));
  Triplets triplets;
  if (largest == 0) {
    triplets.left = DoubleMatrix::Zero(rows, rank);
    triplets.values = Eigen::VectorXd::Zero(rank);
    triplets.right = DoubleMatrix::Zero(cols, rank);
    return triplets;
  }
  double scale = normaliser(largest);
  FloatRows matrix(rows, cols);
  for (int64_t i = 0; i < rows * cols; ++i)
    matrix.data()[i] =
        float((double(weight[i]) - (hasBase ? base[i] : 0.0)) * scale);
  if (whitening) {
    matrix = whitening->factor().applyFloat(matrix);
    scale *= whitening->factor().normaliser;
  }
  triplets.squaredNorm = matrix.cast<double>().squaredNorm() / scale / scale;

  // The sum could overflow.
  int64_t spare = std::min(rows, cols) - rank;
  int64_t width = rank + std::min(options.oversampling, spare);
  FloatMatrix sketch(cols, width);
  for (int64_t i = 0; i < cols * width; ++i)
    sketch.data()[i] =
        seededBits(options.seed, uint64_t(i)) >> 31 ? 1.0f : -1.0f;
  FloatMatrix range = orthonormal(matrix * sketch);
  for (int64_t i = 0; i < options.powerIterations; ++i) {
    // What f32 loses on the way there and back lies along the largest singular
    // vectors, and orthonormalising takes it out: once is enough.
    range = orthonormal(matrix * FloatMatrix(matrix.transpose() * range));
  }

  // matrix ~ range * core^T, and core = Q R, so only R needs an SVD.
  DoubleMatrix core = (matrix.transpose() * range).cast<double>();
  Eigen::HouseholderQR<DoubleMatrix> qr(core);
  DoubleMatrix small =
      qr.matrixQR().topRows(width).triangularView<Eigen::Upper>();
  Eigen::BDCSVD<DoubleMatrix> svd(small.transpose(),
                                  Eigen::ComputeThinU | Eigen::ComputeThinV);
  triplets.left = range.cast<double>() * svd.matrixU().leftCols(rank);
  triplets.values = svd.singularValues().head(rank) / scale;
  DoubleMatrix right = DoubleMatrix::Zero(cols, rank);
  right.topRows(width) = svd.matrixV().leftCols(rank);
  triplets.right = qr.householderQ() * right;
  return triplets;
}

Result<Triplets> tripletsOf(const Difference &difference,
                            const FactorizationOptions &options,
                            const InputWhitening *whitening) {
  fixCacheSizes();
  if (options.rank == 0) {
    DoubleMatrix matrix = differenceInDouble(difference);
    if (whitening)
      matrix = whitening->factor().apply(matrix);
    return Triplets{DoubleMatrix(difference.rows, 0), Eigen::VectorXd(),
                    DoubleMatrix(difference.cols, 0), matrix.squaredNorm()};
  }
  if (chosenMethod(difference.rows, difference.cols, options) ==
      SvdMethod::Exact)
    return exactTriplets(difference, options.rank, whitening);
  return randomisedTriplets(difference, options, whitening);
}

Spectrum spectrumOfTriplets(const Difference &difference,
                            const Triplets &triplets,
                            const InputWhitening *whitening) {
  Spectrum spectrum;
  spectrum.values.assign(triplets.values.begin(), triplets.values.end());
  spectrum.squaredNorm = triplets.squaredNorm;
  spectrum.weightSquaredNorm = weightSquaredNorm(difference, whitening);
  spectrum.fullRank = std::min(difference.rows, difference.cols);
  return spectrum;
}

} // namespace

Result<LowRankFactors> factorize(const Difference &difference,
                                 const FactorizationOptions &options,
                                 const InputWhitening *whitening) {
  if (Status status = checkDifference(difference, whitening); !status)
    return Error{status.error()};
  if (Status status =
          verifyFactorization(difference.rows, difference.cols, options);
      !status)
    return Error{difference.weightName + ": " + status.error()};
  Result<Triplets> triplets = tripletsOf(difference, options, whitening);
  if (!triplets)
    return Error{triplets.error()};
  DoubleMatrix left = whitening ? whitening->factor().solve(triplets->left)
                                : std::move(triplets->left);

  LowRankFactors factors;
  factors.method = chosenMethod(difference.rows, difference.cols, options);
  factors.columns = std::max(options.rank, options.paddedRank);
  factors.input.resize(size_t(difference.rows * factors.columns));
  factors.output.resize(size_t(factors.columns * difference.cols));
  for (int64_t r = 0; r < options.rank; ++r) {
    int64_t largest = 0;
    for (int64_t row = 1; row < difference.rows; ++row)
      if (std::abs(left(row, r)) > std::abs(left(largest, r)))
        largest = row;
    double root = std::sqrt(triplets->values(r));
    double factor = left(largest, r) < 0 ? -root : root;
    for (int64_t row = 0; row < difference.rows; ++row)
      factors.input[size_t(row * factors.columns + r)] =
          float(left(row, r) * factor);
    for (int64_t col = 0; col < difference.cols; ++col)
      factors.output[size_t(r * difference.cols + col)] =
          float(triplets->right(col, r) * factor);
  }
  factors.spectrum = spectrumOfTriplets(difference, *triplets, whitening);
  return factors;
}

Result<Spectrum> spectrumOf(const Difference &difference, int64_t count,
                            const FactorizationOptions &options,
                            const InputWhitening *whitening) {
  if (Status status = checkDifference(difference, whitening); !status)
    return Error{status.error()};
  int64_t fullRank = std::min(difference.rows, difference.cols);
  if (count < 0 || count > fullRank)
    return Error{difference.weightName + ": expected from 0 (all) to " +
                 std::to_string(fullRank) + " singular values, found " +
                 std::to_string(count)};
  if (count != 0) {
    FactorizationOptions leading = options;
    leading.rank = count;
    leading.paddedRank = 0;
    if (Status status =
            verifyFactorization(difference.rows, difference.cols, leading);
        !status)
      return Error{difference.weightName + ": " + status.error()};
    Result<Triplets> triplets = tripletsOf(difference, leading, whitening);
    if (!triplets)
      return Error{triplets.error()};
    return spectrumOfTriplets(difference, *triplets, whitening);
  }

  fixCacheSizes();
  DoubleMatrix matrix = differenceInDouble(difference);
  if (whitening)
    matrix = whitening->factor().apply(matrix);
  DoubleMatrix gram = DoubleMatrix::Zero(fullRank, fullRank);
  if (difference.rows <= difference.cols)
    gram.selfadjointView<Eigen::Lower>().rankUpdate(matrix);
  else
    gram.selfadjointView<Eigen::Lower>().rankUpdate(matrix.transpose());
  Spectrum spectrum;
  spectrum.squaredNorm = matrix.squaredNorm();
  matrix.resize(0, 0);
  Eigen::SelfAdjointEigenSolver<DoubleMatrix> solver(gram,
                                                     Eigen::EigenvaluesOnly);
  if (solver.info() != Eigen::Success)
    return Error{difference.weightName + ": the singular values of entry " +
                 std::to_string(difference.weightEntry) + " did not converge"};
  for (int64_t i = fullRank; i-- > 0;)
    spectrum.values.push_back(
        std::sqrt(std::max(solver.eigenvalues()(i), 0.0)));
  spectrum.weightSquaredNorm = weightSquaredNorm(difference, whitening);
  spectrum.fullRank = fullRank;
  return spectrum;
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

Result<MatrixError> measureError(const Difference &difference,
                                 std::span<const float> input,
                                 std::span<const float> output,
                                 const InputWhitening *whitening) {
  if (Status status = checkDifference(difference, whitening); !status)
    return Error{status.error()};
  int64_t rows = difference.rows, cols = difference.cols;
  int64_t columns = int64_t(input.size()) / rows;
  if (int64_t(input.size()) != columns * rows ||
      int64_t(output.size()) != columns * cols)
    return Error{difference.weightName + ": expected factors of " +
                 std::to_string(rows) + " x r and r x " + std::to_string(cols) +
                 " values, found " + std::to_string(input.size()) + " and " +
                 std::to_string(output.size())};
  fixCacheSizes();
  FloatView weight(difference.weight.data(), rows, cols);
  FloatView left(input.data(), rows, columns);
  FloatView right(output.data(), columns, cols);
  DoubleMatrix wideRight = right.cast<double>();
  std::vector<float> whole(whitening ? size_t(rows * cols) : 0);

  MatrixError error;
  double squaredError = 0;
  constexpr int64_t block = 32;
  for (int64_t first = 0; first < rows; first += block) {
    int64_t height = std::min(block, rows - first);
    DoubleMatrix rest = weight.middleRows(first, height).cast<double>();
    if (!difference.base.empty()) {
      FloatView base(difference.base.data(), rows, cols);
      rest -= base.middleRows(first, height).cast<double>();
    }
    if (columns != 0)
      rest.noalias() -=
          left.middleRows(first, height).cast<double>() * wideRight;
    squaredError += rest.squaredNorm();
    error.maxAbs = std::max(error.maxAbs, rest.cwiseAbs().maxCoeff());
    if (whitening)
      Eigen::Map<FloatRows>(whole.data() + first * cols, height, cols) =
          rest.cast<float>();
  }
  error.relative = relative(squaredError, weight.cast<double>().squaredNorm());
  error.whitened =
      whitening ? relative(whitening->squaredNorm(whole, cols),
                           whitening->squaredNorm(difference.weight, cols))
                : std::numeric_limits<double>::quiet_NaN();
  return error;
}

} // namespace moec::weights
