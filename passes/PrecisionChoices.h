// The ways to store a matrix role of a layer, and what each costs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_PRECISIONCHOICES_H
#define MOEC_PASSES_PRECISIONCHOICES_H

#include "passes/Analysis/ParamSources.h"
#include "passes/InputMoments.h"
#include "passes/Passes.h"
#include "passes/StoredForms.h"
#include "weights/PrecisionSelection.h"
#include "weights/Profile.h"
#include "weights/StatisticsCache.h"

#include <optional>
#include <string>
#include <vector>

namespace moec {

/// Attributes of what was chosen, for plans: of a param why it has its encoding, and the relative error of the matrix (root
/// mean square over experts), both on one leaf of each matrix while the reason of others is empty; of the module what all
/// choices come to.
inline constexpr llvm::StringLiteral precisionReason = "moe.precision_reason";
inline constexpr llvm::StringLiteral precisionError = "moe.precision_error";
inline constexpr llvm::StringLiteral precisionSummary = "moe.precision";

/// Encodings to choose from. Groups that do not divide a leaf's sides get smaller.
struct PrecisionMenu {
  /// Whether leaves may stay in the encoding that they have.
  bool withStored = true;
  /// Of experts and bases, and of residuals.
  std::vector<weights::Encoding> bases, residuals;
};

/// What ways to store something are measured by.
struct PrecisionRequest {
  PrecisionMenu menu;
  weights::TargetDescription target;
  /// Of a call whose time is bounded.
  int64_t tokens = 1;
  std::optional<weights::Profile> profile;
  std::optional<weights::StatisticsCache> cache;
  /// How experts, bases without residuals, and input factors get their codes.
  Rounding rounding = Rounding::nearest;
  /// Whether a line on the terminal counts.
  bool progress = false;
  /// The pass that remarks name.
  llvm::StringRef pass;
};

/// A matrix and the ways to store it.
struct PrecisionChoice {
  StoredMatrix matrix;
  weights::PrecisionUnit unit;
  /// The relative error of the experts, mean and largest, of each option.
  llvm::SmallVector<std::pair<double, double>> errors;
  /// Whether errors are those of outputs.
  bool isWeighed = false;
  /// What leaves that meet the inputs are rounded by.
  std::optional<InputMoments> roundedBy;
};

/// Measures all pairs of an encoding of the base and one of the residual. Experts count as often as the profile has
/// them used.
mlir::FailureOr<PrecisionChoice> measureChoice(const StoredMatrix &matrix,
                                               const PrecisionRequest &request,
                                               ParamSources &sources);

/// The encoding that a leaf of the matrix gets of a pair.
weights::Encoding encodingOf(const StoredMatrix &matrix, moe::ParamOp leaf,
                             const weights::LayerEncodings &encodings);

/// "base int4 group 32, residual f16".
std::string describeEncodings(const StoredMatrix &matrix,
                              const weights::LayerEncodings &encodings);

} // namespace moec

#endif // MOEC_PASSES_PRECISIONCHOICES_H
