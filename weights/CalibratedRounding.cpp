// Codes chosen by what matrices multiply: rounding with error feedback.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/CalibratedRounding.h"

#include "weights/EntryCache.h"
#include "weights/Factorization.h"
#include "weights/Recipes.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

namespace moec::weights {

namespace {

using Rows =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Rows whose feedback to the rows behind them is one product.
constexpr int64_t blockRows = 64;
/// Columns that are rounded together, so that they stay in a cache.
constexpr int64_t panelCols = 64;

/// Rows by falling second moment; ties by number.
std::vector<int64_t> orderOf(const Eigen::MatrixXd &moments) {
  std::vector<int64_t> order(static_cast<size_t>(moments.rows()));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t one, int64_t other) {
    double first = moments(one, one), second = moments(other, other);
    return first != second ? first > second : one < other;
  });
  return order;
}

/// U of M⁻¹ = UᵀU, rows and columns of M in `order`; nothing if M has none.
/// Backwards, M = J·L·Lᵀ·J with the lower Cholesky factor L and J, which turns
/// rows about: then U = J·L⁻¹·J, and M itself is never inverted.
std::optional<Eigen::MatrixXd> inverseFactor(const Eigen::MatrixXd &moments,
                                             const std::vector<int64_t> &order,
                                             double added) {
  int64_t size = moments.rows();
  Eigen::MatrixXd turned(size, size);
  for (int64_t j = 0; j < size; ++j)
    for (int64_t i = 0; i < size; ++i)
      turned(i, j) =
          moments(order[size_t(size - 1 - i)], order[size_t(size - 1 - j)]);
  turned.diagonal().array() += added;
  Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>> cholesky(turned);
  if (cholesky.info() != Eigen::Success)
    return std::nullopt;
  Eigen::MatrixXd inverse = Eigen::MatrixXd::Identity(size, size);
  turned.triangularView<Eigen::Lower>().solveInPlace(inverse);
  return inverse.reverse().eval();
}

} // namespace

struct ErrorFeedback::State {
  int64_t size = 0;
  /// Row `order[i]` is the i-th to be rounded.
  std::vector<int64_t> order;
  /// U; empty where no row makes up for another.
  Eigen::MatrixXd factor;

  /// Rounds rows [begin, end) of the order in a panel of columns that begin at
  /// `firstCol`, and leaves Δ_i / U_ii in their place.
  void roundRows(MatrixEncoder &encoder, Rows &panel, int64_t begin,
                 int64_t end, int64_t firstCol) const {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t col = 0; col < panel.cols(); ++col) {
        double value = panel(i, col);
        panel(i, col) =
            (value - double(encoder.put(order[size_t(i)], firstCol + col,
                                        float(value)))) /
            factor(i, i);
      }
      for (int64_t j = i + 1; j < end; ++j)
        panel.row(j) -= factor(i, j) * panel.row(i);
    }
  }
};

ErrorFeedback::ErrorFeedback(std::unique_ptr<const State> state)
    : state(std::move(state)) {}
ErrorFeedback::ErrorFeedback(ErrorFeedback &&) noexcept = default;
ErrorFeedback &ErrorFeedback::operator=(ErrorFeedback &&) noexcept = default;
ErrorFeedback::~ErrorFeedback() = default;

Result<ErrorFeedback> ErrorFeedback::create(const std::string &name,
                                            int64_t size,
                                            std::span<const float> moments,
                                            double damping) {
  fixCacheSizes();
  auto state = std::make_unique<State>();
  state->size = size;
  if (int64_t(moments.size()) == size) {
    if (Status status = verifyDiagonalMoments(name, moments); !status)
      return Error{status.error()};
    return ErrorFeedback(std::move(state));
  }
  if (Status status = verifyFullMoments(name, size, moments); !status)
    return Error{status.error()};
  Eigen::MatrixXd matrix =
      Eigen::Map<const Eigen::MatrixXf>(moments.data(), size, size)
          .cast<double>();
  double mean = matrix.diagonal().mean();
  // Inputs that were never seen say nothing about errors.
  if (mean == 0)
    return ErrorFeedback(std::move(state));
  matrix /= mean;
  state->order = orderOf(matrix);
  std::optional<Eigen::MatrixXd> factor =
      inverseFactor(matrix, state->order, damping);
  if (!factor)
    return Error{name +
                 ": expected positive semidefinite second moments, found "
                 "no Cholesky factor with " +
                 std::to_string(damping) +
                 " of the mean added to the diagonal"};
  state->factor = *std::move(factor);
  return ErrorFeedback(std::move(state));
}

Result<EncodedTensor>
ErrorFeedback::encode(const Encoding &encoding, int64_t cols,
                      std::span<const float> values) const {
  int64_t size = state->size;
  if (state->factor.size() == 0)
    return weights::encode(encoding, {1, size, cols}, values);
  Result<MatrixEncoder> encoder =
      MatrixEncoder::create(encoding, size, cols, values);
  if (!encoder)
    return Error{encoder.error()};
  for (int64_t firstCol = 0; firstCol < cols; firstCol += panelCols) {
    Rows panel(size, std::min(panelCols, cols - firstCol));
    for (int64_t i = 0; i < size; ++i)
      for (int64_t col = 0; col < panel.cols(); ++col)
        panel(i, col) = double(
            values[size_t(state->order[size_t(i)] * cols + firstCol + col)]);
    for (int64_t begin = 0; begin < size; begin += blockRows) {
      int64_t end = std::min(begin + blockRows, size);
      state->roundRows(*encoder, panel, begin, end, firstCol);
      panel.bottomRows(size - end).noalias() -=
          state->factor.block(begin, end, end - begin, size - end).transpose() *
          panel.middleRows(begin, end - begin);
    }
  }
  return (*std::move(encoder)).take();
}

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

namespace {

class CalibratedMatrices final : public MatrixSource {
public:
  CalibratedMatrices(std::string name, MatrixSourcePtr of,
                     const Encoding &encoding, MatrixSourcePtr moments,
                     int64_t kept)
      : MatrixSource(std::move(name), of->shape()), source(std::move(of)),
        moments(std::move(moments)), encoding(encoding), common(1),
        cache(kept) {}

private:
  using Feedback = std::shared_ptr<const ErrorFeedback>;

  Result<Feedback> makeFeedback(int64_t entry) const {
    const MatrixShape &size = moments->shape();
    std::vector<float> values(size_t(size.rows * size.cols));
    if (Status status = moments->read(entry, values); !status)
      return Error{status.error()};
    std::string name = moments->name();
    if (size.entries > 1)
      name += " entry " + std::to_string(entry);
    Result<ErrorFeedback> made = ErrorFeedback::create(name, size.cols, values);
    if (!made)
      return Error{made.error()};
    return Feedback(std::make_shared<ErrorFeedback>(*std::move(made)));
  }

  Result<Feedback> feedbackOf(int64_t entry) const {
    if (moments->shape().entries > 1)
      return makeFeedback(entry);
    return *common.get(0, [&] { return makeFeedback(0); });
  }

  Result<EncodedTensor> compute(int64_t entry) const {
    Result<Feedback> feedback = feedbackOf(entry);
    if (!feedback)
      return Error{feedback.error()};
    std::vector<float> values(size_t(shape().rows * shape().cols));
    if (Status status = source->read(entry, values); !status)
      return Error{status.error()};
    Result<EncodedTensor> encoded =
        (*feedback)->encode(encoding, shape().cols, values);
    if (!encoded)
      return Error{atEntry(name(), entry, encoded.error())};
    return encoded;
  }

  Status doRead(int64_t entry, std::span<float> values) const override {
    auto encoded = cache.get(entry, [&] { return compute(entry); });
    if (!*encoded)
      return Error{encoded->error()};
    Result<std::vector<float>> decoded = decode(**encoded);
    if (!decoded)
      return Error{decoded.error()};
    std::copy(decoded->begin(), decoded->end(), values.begin());
    return success();
  }

  Result<EncodedTensor> doReadEncoded(int64_t entry,
                                      const Encoding &wanted) const override {
    if (wanted != encoding)
      return MatrixSource::doReadEncoded(entry, wanted);
    return *cache.get(entry, [&] { return compute(entry); });
  }

  MatrixSourcePtr source;
  MatrixSourcePtr moments;
  Encoding encoding;
  mutable EntryCache<Feedback> common;
  mutable EntryCache<EncodedTensor> cache;
};

} // namespace

Result<MatrixSourcePtr> calibratedMatrices(std::string name, MatrixSourcePtr of,
                                           const Encoding &encoding,
                                           MatrixSourcePtr moments,
                                           int64_t kept) {
  if (Status status = verifyEncoding(encoding, of->shape()); !status)
    return Error{name + ": " + status.error()};
  if (!hasScales(encoding))
    return Error{name + ": expected an encoding with scales, found " +
                 toString(encoding)};
  if (Status status = verifyMoments(*of, {moments}); !status)
    return Error{status.error()};
  return MatrixSourcePtr(std::make_shared<CalibratedMatrices>(
      std::move(name), std::move(of), encoding, std::move(moments), kept));
}

} // namespace moec::weights
