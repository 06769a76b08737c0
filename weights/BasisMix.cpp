// Experts as mixes of a few bases, each times a factor of its own (MoBE).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Inside, bases are always on the left: matrices of the output side are
// transposed on the way in and out.
#include "weights/BasisMix.h"

#include "weights/QuasiNewton.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>

namespace moec::weights {

namespace {

using Matrix = Eigen::MatrixXd;
using FloatRows =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// What is added to the diagonal of a Gram matrix, as a share of its mean:
/// nothing that f32 results see, but enough for one that lost rank.
constexpr double traceOfDiagonal = 1e-12;
/// The same where a rough solution does: of the curvature.
constexpr double roughDiagonal = 1e-9;

void regularize(Matrix &gram, double share) {
  double mean = gram.diagonal().mean();
  gram.diagonal().array() += mean > 0 ? share * mean : 1.0;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

Matrix applyMap(const Matrix &mix, MixMap map) {
  switch (map) {
  case MixMap::Identity:
    return mix;
  case MixMap::Silu:
    return mix.unaryExpr([](double x) { return x * sigmoid(x); });
  case MixMap::Tanh:
    return mix.array().tanh();
  }
  return mix;
}

/// The map's derivative.
Matrix slopesOf(const Matrix &mix, MixMap map) {
  switch (map) {
  case MixMap::Identity:
    break;
  case MixMap::Silu:
    return mix.unaryExpr([](double x) {
      double s = sigmoid(x);
      return s * (1 + x * (1 - s));
    });
  case MixMap::Tanh:
    return 1 - mix.array().tanh().square();
  }
  return Matrix::Ones(mix.rows(), mix.cols());
}

/// What rounding to `noise` of their size costs mixes and factors, as a share
/// of |mixed|^2/rank |factor|^2: half of it comes from either.
double dampingOf(double noise) { return 2 * noise * noise + traceOfDiagonal; }

/// X that brings left X nearest to `target`, and is not larger than that is
/// worth.
Matrix bestFactor(const Matrix &left, const Matrix &target, double damping) {
  Matrix gram = left.transpose() * left;
  regularize(gram, damping);
  return gram.ldlt().solve(left.transpose() * target);
}

/// |target - mixed factor|^2 + damping/rank |mixed|^2 |factor|^2 as a function
/// of bases and coefficients, summed over experts and relative to what all are:
/// each has its best factor, so that the search is over the others alone. Where
/// factors are best, a small change of them changes nothing: the gradient is
/// that of fixed factors (variable projection, Golub and Pereyra 1973).
class MixError final : public SmoothFunction {
public:
  MixError(std::vector<Matrix> matrices, const BasisMixOptions &options,
           const ParallelOptions &parallel)
      : targets(std::move(matrices)), map(options.map),
        damping(dampingOf(options.noise)), rank(options.rank),
        count(options.bases), rows(targets[0].rows()), parallel(parallel),
        states(targets.size()) {
    this->parallel.progress = nullptr;
    for (const Matrix &target : targets)
      squaredNorm += target.squaredNorm();
  }

  /// Where to begin: each basis has the left singular vectors that hold most of
  /// a group of experts together, each expert its group's basis alone.
  std::vector<double> start() const {
    std::vector<double> point(sizeOfPoint(), 0.0);
    for (int64_t m = 0; m < count; ++m) {
      Matrix gram = Matrix::Zero(rows, rows);
      for (int64_t i = 0; i < experts(); ++i) {
        if (i * count / experts() != m)
          continue;
        gram += targets[size_t(i)] * targets[size_t(i)].transpose();
        point[size_t(count * rows * rank + i * count + m)] = 1;
      }
      Eigen::SelfAdjointEigenSolver<Matrix> solver(gram);
      // Maps are nearly linear there, and not yet so small that a step would
      // have to grow to bend them.
      double scale =
          map == MixMap::Identity ? 1 : 0.3 * std::sqrt(double(rows));
      Eigen::Map<Matrix>(point.data() + m * rows * rank, rows, rank) =
          scale * solver.eigenvectors().rightCols(rank).rowwise().reverse();
    }
    return point;
  }

  double evaluate(std::span<const double> point,
                  std::span<double> gradient) override {
    current.assign(point.begin(), point.end());
    std::fill(gradient.begin(), gradient.end(), 0.0);
    // Cannot fail: no part of it does.
    (void)parallelFor(experts(), parallel, [&](int64_t i) {
      evaluateExpert(i, gradient);
      return success();
    });
    (void)parallelFor(count, parallel, [&](int64_t m) {
      Eigen::Map<Matrix> sum(gradient.data() + m * rows * rank, rows, rank);
      for (int64_t i = 0; i < experts(); ++i)
        sum += coefficient(i, m) * states[size_t(i)].gradient;
      return success();
    });
    double error = 0;
    for (const State &state : states)
      error += state.squaredError + state.penalty;
    double scale = relativeTo(squaredNorm);
    for (double &value : gradient)
      value *= scale;
    return error * scale;
  }

  /// By blocks: of each basis and of each expert's coefficients, as if the map
  /// were a straight line of its mean square slope.
  void precondition(std::span<double> direction) override {
    double scale = relativeTo(squaredNorm);
    (void)parallelFor(count, parallel, [&](int64_t m) {
      Matrix gram = Matrix::Zero(rank, rank);
      for (int64_t i = 0; i < experts(); ++i)
        gram += std::pow(coefficient(i, m), 2) * states[size_t(i)].curvature;
      gram *= 2 * scale;
      regularize(gram, roughDiagonal);
      Eigen::Map<Matrix> block(direction.data() + m * rows * rank, rows, rank);
      block = gram.ldlt().solve(block.transpose()).transpose();
      return success();
    });
    std::vector<Matrix> products;
    for (int64_t m = 0; m < count; ++m)
      for (int64_t n = 0; n < count; ++n)
        products.push_back(basis(m).transpose() * basis(n));
    for (int64_t i = 0; i < experts(); ++i) {
      Matrix gram(count, count);
      for (int64_t m = 0; m < count; ++m)
        for (int64_t n = 0; n < count; ++n)
          gram(m, n) = products[size_t(m * count + n)]
                           .cwiseProduct(states[size_t(i)].curvature)
                           .sum();
      gram *= 2 * scale;
      regularize(gram, roughDiagonal);
      Eigen::Map<Eigen::VectorXd> block(
          direction.data() + count * rows * rank + i * count, count);
      block = gram.ldlt().solve(block).eval();
    }
  }

  /// Of all bases and coefficients that say the same, those whose bases are
  /// orthonormal to one another, of numbers about 1: encodings suit them best.
  void balance(std::vector<double> &point) const {
    Eigen::Map<Matrix> bases(point.data(), rows * rank, count);
    Eigen::Map<Matrix> coefficients(point.data() + count * rows * rank, count,
                                    experts());
    Matrix gram = bases.transpose() * bases / double(rows * rank);
    regularize(gram, traceOfDiagonal);
    Eigen::SelfAdjointEigenSolver<Matrix> solver(gram);
    bases *= solver.operatorInverseSqrt();
    coefficients = (solver.operatorSqrt() * coefficients).eval();
  }

  /// Of the point evaluated last.
  BasisMix result(bool isTransposed) const {
    BasisMix mix;
    for (int64_t m = 0; m < count; ++m) {
      FloatRows values = basis(m).cast<float>();
      if (isTransposed)
        values = FloatRows(values.transpose());
      mix.bases.insert(mix.bases.end(), values.data(),
                       values.data() + values.size());
    }
    for (int64_t i = 0; i < experts(); ++i) {
      for (int64_t m = 0; m < count; ++m)
        mix.coefficients.push_back(float(coefficient(i, m)));
      double norm = targets[size_t(i)].squaredNorm();
      mix.relativeErrors.push_back(
          std::sqrt(states[size_t(i)].squaredError * relativeTo(norm)));
    }
    return mix;
  }

private:
  /// Of one expert, at the point evaluated last.
  struct State {
    double squaredError = 0, penalty = 0;
    /// By its mix.
    Matrix gradient;
    /// The factor times its transpose, times the map's mean square slope.
    Matrix curvature;
  };

  static double relativeTo(double norm) { return norm > 0 ? 1 / norm : 1; }

  int64_t experts() const { return int64_t(targets.size()); }
  size_t sizeOfPoint() const {
    return size_t(count * rows * rank + experts() * count);
  }

  Eigen::Map<const Matrix> basis(int64_t m) const {
    return {current.data() + m * rows * rank, rows, rank};
  }
  double coefficient(int64_t i, int64_t m) const {
    return current[size_t(count * rows * rank + i * count + m)];
  }

  void evaluateExpert(int64_t i, std::span<double> gradient) {
    const Matrix &target = targets[size_t(i)];
    State &state = states[size_t(i)];
    Matrix mix = Matrix::Zero(rows, rank);
    for (int64_t m = 0; m < count; ++m)
      mix += coefficient(i, m) * basis(m);
    Matrix mixed = applyMap(mix, map);
    Matrix factor = bestFactor(mixed, target, damping);
    double weight = damping / double(rank) * factor.squaredNorm();
    Matrix difference = mixed * factor - target;
    state.squaredError = difference.squaredNorm();
    state.penalty = weight * mixed.squaredNorm();
    Matrix slopes = slopesOf(mix, map);
    state.gradient = (2 * difference * factor.transpose() + 2 * weight * mixed)
                         .cwiseProduct(slopes);
    state.curvature = factor * factor.transpose();
    state.curvature *= slopes.squaredNorm() / double(slopes.size());
    for (int64_t m = 0; m < count; ++m)
      gradient[size_t(count * rows * rank + i * count + m)] =
          basis(m).cwiseProduct(state.gradient).sum();
  }

  std::vector<Matrix> targets;
  MixMap map;
  double damping;
  int64_t rank, count, rows;
  ParallelOptions parallel;
  double squaredNorm = 0;
  /// Bases, column by column, then [experts, bases].
  std::vector<double> current;
  std::vector<State> states;
};

/// Entry `i`, with bases on the left.
Result<Matrix> readLeft(const MatrixSource &of, int64_t i, MatrixSide side) {
  const MatrixShape &shape = of.shape();
  FloatRows values(shape.rows, shape.cols);
  std::span<float> all(values.data(), size_t(values.size()));
  if (Status status = of.read(i, all); !status)
    return Error{status.error()};
  if (Status status = verifyFinite(of.name(), i, shape.cols, all); !status)
    return Error{status.error()};
  Matrix matrix = values.cast<double>();
  return side == MatrixSide::Input ? matrix : Matrix(matrix.transpose());
}

/// Row-major f32, as sources hand out.
void store(const Matrix &matrix, std::span<float> values) {
  Eigen::Map<FloatRows>(values.data(), matrix.rows(), matrix.cols()) =
      matrix.cast<float>();
}

/// Fits when the first of its parts is read.
class LazyMix {
public:
  explicit LazyMix(std::function<Result<BasisMix>()> fit)
      : fit(std::move(fit)) {}

  const Result<BasisMix> &get() {
    std::call_once(once, [&] { found.emplace(fit()); });
    return *found;
  }

private:
  std::function<Result<BasisMix>()> fit;
  std::once_flag once;
  std::optional<Result<BasisMix>> found;
};

class PartOfMix final : public MatrixSource {
public:
  PartOfMix(std::string name, const MatrixShape &shape,
            std::vector<float> BasisMix::*part, std::shared_ptr<LazyMix> mix)
      : MatrixSource(std::move(name), shape), part(part), mix(std::move(mix)) {}

private:
  Status doRead(int64_t entry, std::span<float> values) const override {
    const Result<BasisMix> &found = mix->get();
    if (!found)
      return Error{found.error()};
    auto all = std::span<const float>((*found).*part);
    std::ranges::copy(all.subspan(size_t(entry) * values.size(), values.size()),
                      values.begin());
    return success();
  }

  std::vector<float> BasisMix::*part;
  std::shared_ptr<LazyMix> mix;
};

class MixedMatrices final : public MatrixSource {
public:
  MixedMatrices(std::string name, MatrixSourcePtr bases,
                MatrixSourcePtr coefficients, MixMap map)
      : MatrixSource(std::move(name),
                     MatrixShape{coefficients->shape().entries,
                                 bases->shape().rows, bases->shape().cols}),
        bases(std::move(bases)), coefficients(std::move(coefficients)),
        map(map) {}

private:
  Status doRead(int64_t entry, std::span<float> values) const override {
    std::vector<float> weights(size_t(coefficients->shape().cols));
    if (Status status = coefficients->read(entry, weights); !status)
      return status;
    Matrix mix = Matrix::Zero(shape().rows, shape().cols);
    for (size_t m = 0; m < weights.size(); ++m) {
      Result<Matrix> basis = readLeft(*bases, int64_t(m), MatrixSide::Input);
      if (!basis)
        return Error{basis.error()};
      mix += double(weights[m]) * *basis;
    }
    store(applyMap(mix, map), values);
    return success();
  }

  MatrixSourcePtr bases, coefficients;
  MixMap map;
};

class LeastSquaresFactors final : public MatrixSource {
public:
  LeastSquaresFactors(std::string name, const MatrixShape &shape,
                      MatrixSourcePtr of, MatrixSourcePtr left, MatrixSide side,
                      double noise)
      : MatrixSource(std::move(name), shape), of(std::move(of)),
        left(std::move(left)), side(side), damping(dampingOf(noise)) {}

private:
  Status doRead(int64_t entry, std::span<float> values) const override {
    fixCacheSizes();
    Result<Matrix> target = readLeft(*of, entry, side);
    if (!target)
      return Error{target.error()};
    Result<Matrix> known = readLeft(*left, entry, side);
    if (!known)
      return Error{known.error()};
    Matrix factor = bestFactor(*known, *target, damping);
    store(side == MatrixSide::Input ? factor : Matrix(factor.transpose()),
          values);
    return success();
  }

  MatrixSourcePtr of, left;
  MatrixSide side;
  double damping;
};

} // namespace

Status verifyBasisMix(const MatrixShape &shape,
                      const BasisMixOptions &options) {
  if (options.bases < 1 || options.bases > shape.entries)
    return Error{"expected 1 to " + std::to_string(shape.entries) +
                 " bases, found " + std::to_string(options.bases)};
  int64_t most = std::min(shape.rows, shape.cols);
  if (options.rank < 1 || options.rank > most)
    return Error{"expected bases of rank 1 to " + std::to_string(most) +
                 ", found " + std::to_string(options.rank)};
  return success();
}

Result<BasisMix> fitBasisMix(const MatrixSource &of,
                             const BasisMixOptions &options,
                             const ParallelOptions &parallel) {
  if (Status status = verifyBasisMix(of.shape(), options); !status)
    return Error{of.name() + ": " + status.error()};
  if (auto threads = threadsOf(parallel); !threads)
    return Error{threads.error()};
  fixCacheSizes();
  std::vector<Matrix> targets;
  for (int64_t i = 0; i < of.shape().entries; ++i) {
    Result<Matrix> target = readLeft(of, i, options.side);
    if (!target)
      return Error{target.error()};
    targets.push_back(*std::move(target));
  }
  MixError error(std::move(targets), options, parallel);
  std::vector<double> point = error.start();
  MinimumOptions ways;
  ways.steps = options.steps;
  minimize(error, point, ways);
  error.balance(point);
  // Where the search ended, which need not be where it last looked.
  std::vector<double> gradient(point.size());
  error.evaluate(point, gradient);
  return error.result(options.side == MatrixSide::Output);
}

BasisMixSources basisMixSources(const std::string &name, const MatrixShape &of,
                                const BasisMixOptions &options,
                                std::function<Result<BasisMix>()> fit) {
  MatrixShape basis = options.side == MatrixSide::Input
                          ? MatrixShape{options.bases, of.rows, options.rank}
                          : MatrixShape{options.bases, options.rank, of.cols};
  auto mix = std::make_shared<LazyMix>(std::move(fit));
  return {std::make_shared<PartOfMix>(name + ".bases", basis, &BasisMix::bases,
                                      mix),
          std::make_shared<PartOfMix>(name + ".coefficients",
                                      MatrixShape{of.entries, 1, options.bases},
                                      &BasisMix::coefficients, mix)};
}

Result<MatrixSourcePtr> mixedMatrices(std::string name, MatrixSourcePtr bases,
                                      MatrixSourcePtr coefficients,
                                      MixMap map) {
  const MatrixShape &shape = coefficients->shape();
  if (shape.rows != 1 || shape.cols != bases->shape().entries)
    return Error{coefficients->name() + ": expected 1 x " +
                 std::to_string(bases->shape().entries) +
                 " coefficients, found " + std::to_string(shape.rows) + " x " +
                 std::to_string(shape.cols)};
  // Each entry is made of all bases.
  int64_t count = bases->shape().entries;
  return MatrixSourcePtr(std::make_shared<MixedMatrices>(
      std::move(name), cachedMatrices(std::move(bases), count),
      std::move(coefficients), map));
}

Result<MatrixSourcePtr> leastSquaresFactors(std::string name,
                                            MatrixSourcePtr of,
                                            MatrixSourcePtr left,
                                            MatrixSide side, double noise) {
  const MatrixShape &all = of->shape(), &known = left->shape();
  bool isInput = side == MatrixSide::Input;
  if (known.entries != all.entries ||
      (isInput ? known.rows != all.rows : known.cols != all.cols))
    return Error{
        left->name() + ": expected " + std::to_string(all.entries) +
        " factors with " + std::to_string(isInput ? all.rows : all.cols) +
        (isInput ? " rows" : " columns") + ", found " +
        std::to_string(known.entries) + " of " + std::to_string(known.rows) +
        " x " + std::to_string(known.cols)};
  MatrixShape shape = isInput ? MatrixShape{all.entries, known.cols, all.cols}
                              : MatrixShape{all.entries, all.rows, known.rows};
  return MatrixSourcePtr(std::make_shared<LeastSquaresFactors>(
      std::move(name), shape, std::move(of), std::move(left), side, noise));
}

} // namespace moec::weights
