// Which encodings a model's matrices get, so that a budget is kept.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_PRECISIONSELECTION_H
#define MOEC_WEIGHTS_PRECISIONSELECTION_H

#include "weights/CostModel.h"
#include "weights/Encoding.h"
#include "weights/Result.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moec::weights {

/// What a choice of encodings is judged by. Each adds up over units.
enum class PrecisionMeasure {
  Bytes,
  /// The square of a relative error.
  SquaredError,
  Seconds
};

/// One way to store a unit, and what it costs.
struct PrecisionOption {
  LayerEncodings encodings;
  double bytes = 0;
  double squaredError = 0;
  double seconds = 0;

  double operator[](PrecisionMeasure measure) const;
};

/// What is stored in one way: gate, up or down of a layer's experts, base and
/// residuals together. Has at least one option.
struct PrecisionUnit {
  std::string name;
  std::vector<PrecisionOption> options;
};

/// `limited` is at most `limit` over all units; of what keeps that, the least
/// `minimised`.
struct PrecisionBudget {
  PrecisionMeasure limited = PrecisionMeasure::Bytes;
  double limit = 0;
  PrecisionMeasure minimised = PrecisionMeasure::SquaredError;
};

struct PrecisionSelection {
  /// The option of each unit.
  std::vector<size_t> options;
  /// Over all units.
  PrecisionOption total;
  /// No selection within the limit has less of what is minimised: the value of
  /// the linear relaxation.
  double lowerBound = 0;
};

/// The multiple-choice knapsack problem, by Lagrange multipliers: from what
/// costs least, along the convex hull of each unit's options, the step that
/// gains most per cost comes first (Shoham and Gersho 1988); what then still
/// fits is taken single. At most one step of a unit away from the best. Ties go
/// to the first unit, then to less of the third measure. O(n log n) for n
/// options, plus O(n) for each of those last steps.
///
/// A limit below what is possible is an error that names the least possible.
Result<PrecisionSelection> selectPrecision(std::span<const PrecisionUnit> units,
                                           const PrecisionBudget &budget);

/// The square root of the mean over units of squared errors, and back: the sum
/// that a bound on it allows.
double rmsError(double squaredErrors, size_t units);
double squaredErrorLimit(double rmsError, size_t units);

/// The sum of what is least for each unit: no limit below it can be kept.
double leastPossible(std::span<const PrecisionUnit> units,
                     PrecisionMeasure measure);

/// Encodings worth trying beside that of a checkpoint: f16, and with groups of
/// `group` and f16 scales f8e4m3, int8, int4, int4 with zero points. (f32 and
/// bf16 are worth it where weights come in them.)
std::vector<Encoding> usualEncodings(int64_t group = 32);

/// The encoding with the largest group, at most its own, that divides each of
/// `extents` (the sides of matrices that groups lie along); nothing where that
/// is below 4, or the format fixes its group.
std::optional<Encoding> withFittingGroup(Encoding encoding,
                                         std::span<const int64_t> extents);

/// Encodings as texts between commas.
Result<std::vector<Encoding>> encodingsFromText(std::string_view text);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_PRECISIONSELECTION_H
