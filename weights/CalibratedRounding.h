// Codes chosen by what matrices multiply: rounding with error feedback.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// docs/precision.md has the mathematics (arXiv 2210.17323).
#ifndef MOEC_WEIGHTS_CALIBRATEDROUNDING_H
#define MOEC_WEIGHTS_CALIBRATEDROUNDING_H

#include "weights/Encoding.h"
#include "weights/MatrixSource.h"
#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace moec::weights {

/// What is added to the diagonal of second moments before they are inverted, as
/// a share of its mean: rows that few inputs reach are not to make up for much.
inline constexpr double calibrationDamping = 0.01;

/// By what the rows of a matrix make up for one another's rounding. With second
/// moments M of the inputs, the error of outputs x·W is tr(ΔᵀMΔ) of what
/// rounding changes. Rows are rounded one after the other, those with the
/// largest inputs first; with the upper factor U of M⁻¹ = UᵀU in that order,
/// what row i loses changes each row j behind it by -Δ_i·U_ij / U_ii, which is
/// the best that they can do.
class ErrorFeedback {
public:
  /// M, [IN, IN], or its diagonal, [IN], by which nothing is made up for.
  /// `name` stands in messages. Takes memory for three matrices of IN x IN
  /// doubles.
  static Result<ErrorFeedback> create(const std::string &name, int64_t size,
                                      std::span<const float> moments,
                                      double damping = calibrationDamping);

  ErrorFeedback(ErrorFeedback &&) noexcept;
  ErrorFeedback &operator=(ErrorFeedback &&) noexcept;
  ~ErrorFeedback();

  /// Codes of an IN x `cols` matrix. Scales and zero points are those that
  /// encode() gives it; so are the codes where inputs do not go together.
  /// Refuses what MatrixEncoder refuses.
  Result<EncodedTensor> encode(const Encoding &encoding, int64_t cols,
                               std::span<const float> values) const;

private:
  struct State;
  explicit ErrorFeedback(std::unique_ptr<const State> state);

  std::unique_ptr<const State> state;
};

/// Matrices in an encoding with scales, each rounded with the feedback of
/// `moments`: one entry for all or one for each, [.., 1, IN] or [.., IN, IN].
/// Reads what leaves are worth; readEncoded() in this encoding gives the codes.
/// The codes of the `kept` entries read last stay in memory.
Result<std::shared_ptr<const MatrixSource>>
calibratedMatrices(std::string name, std::shared_ptr<const MatrixSource> of,
                   const Encoding &encoding,
                   std::shared_ptr<const MatrixSource> moments,
                   int64_t kept = 16);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_CALIBRATEDROUNDING_H
