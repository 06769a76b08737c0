// What encodings cost the matrices of experts: errors of what is stored.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/PrecisionErrors.h"

#include "weights/ExpertFactors.h"
#include "weights/Seeded.h"

#include <cmath>
#include <limits>
#include <numeric>

namespace moec::weights {

namespace {

/// Every value is read once, so that what fails later is a candidate's fault.
Status checkFinite(const MatrixSource &source,
                   const ParallelOptions &parallel) {
  const MatrixShape &shape = source.shape();
  return parallelFor(shape.entries, {parallel.threads, {}}, [&](int64_t entry) {
    std::vector<float> values(size_t(shape.rows * shape.cols));
    if (Status status = source.read(entry, values); !status)
      return status;
    return verifyFinite(source.name(), entry, shape.cols, values);
  });
}

/// All values, encoded and decoded, in memory: they are read again for each
/// candidate of the residual.
Result<MatrixSourcePtr> encodedCopy(const MatrixSourcePtr &of,
                                    const Encoding &encoding,
                                    const MatrixSourcePtr &moments) {
  Result<MatrixSourcePtr> encoded =
      encodedMatrices(of->name(), of, encoding, moments);
  if (!encoded)
    return Error{encoded.error()};
  Result<std::vector<float>> values = readAll(**encoded);
  if (!values)
    return Error{values.error()};
  return MatrixSourcePtr(
      matricesOf(of->name(), of->shape(), *std::move(values)));
}

/// The candidates of one problem.
class Measurement {
public:
  Measurement(const PrecisionProblem &problem, const ParallelOptions &parallel)
      : problem(problem), parallel{parallel.threads, {}} {}

  Result<std::vector<double>> errorsOf(const LayerEncodings &encodings) {
    if (problem.rank == 0 && !problem.base)
      return errorsOfPlain(encodings.base);
    if (Status status = prepareBase(encodings.base); !status)
      return Error{status.error()};
    LowRankSources factors;
    if (problem.rank > 0) {
      Result<MatrixSourcePtr> input = encodedMatrices(
          "input factor", fitted.input, encodings.residual, problem.rounded);
      Result<MatrixSourcePtr> output =
          encodedMatrices("output factor", fitted.output, encodings.residual);
      if (!input || !output)
        return Error{input ? output.error() : input.error()};
      factors = {*input, *output};
    }
    return relativeErrors(base, table, factors);
  }

private:
  Result<std::vector<double>> errorsOfPlain(const Encoding &encoding) {
    Result<MatrixSourcePtr> after = encodedMatrices(
        problem.of->name(), problem.of, encoding, problem.rounded);
    if (!after)
      return Error{after.error()};
    // Matrix by matrix: each is its own base, with no residual.
    std::vector<int32_t> each(size_t(problem.of->shape().entries));
    std::iota(each.begin(), each.end(), 0);
    return relativeErrors(*after, each, {});
  }

  /// The base as it is stored, and residuals fitted to that.
  Status prepareBase(const Encoding &encoding) {
    if (base && prepared == encoding)
      return success();
    base = nullptr;
    if (problem.base) {
      Result<MatrixSourcePtr> stored =
          encodedCopy(problem.base, encoding,
                      problem.rank == 0 ? problem.rounded : MatrixSourcePtr());
      if (!stored)
        return Error{stored.error()};
      base = *stored;
      table = problem.table;
    } else {
      MatrixShape shape = problem.of->shape();
      table.assign(size_t(shape.entries), 0);
      shape.entries = 1;
      base = splatMatrices("no base", shape, 0);
    }
    prepared = encoding;
    if (problem.rank == 0)
      return success();
    ResidualOptions options;
    options.factorization.rank = problem.rank;
    options.inputs = problem.fitted;
    Result<ExpertFactors> factors = factorizeExperts(
        problem.of->name(), problem.of, base, table, options, parallel);
    if (!factors) {
      base = nullptr;
      return Error{factors.error()};
    }
    fitted = factors->factors;
    return success();
  }

  Result<std::vector<double>> relativeErrors(const MatrixSourcePtr &base,
                                             const std::vector<int32_t> &table,
                                             const LowRankSources &factors) {
    Result<ErrorReport> report = measureExperts(
        problem.of, base, table, factors, problem.measured, parallel);
    if (!report)
      return Error{report.error()};
    std::vector<double> errors;
    for (const MatrixError &error : report->experts)
      errors.push_back(problem.measured.moments ? error.whitened
                                                : error.relative);
    return errors;
  }

  const PrecisionProblem &problem;
  ParallelOptions parallel;
  /// What the last candidate's base was, and what was fitted to it.
  Encoding prepared;
  MatrixSourcePtr base;
  std::vector<int32_t> table;
  LowRankSources fitted;
};

} // namespace

Result<std::vector<std::vector<double>>>
precisionErrors(const PrecisionProblem &problem,
                const ParallelOptions &parallel) {
  if (Status status = checkFinite(*problem.of, parallel); !status)
    return Error{status.error()};
  Measurement measurement(problem, parallel);
  std::vector<std::vector<double>> result;
  size_t experts = size_t(problem.of->shape().entries);
  for (const LayerEncodings &candidate : problem.candidates) {
    Result<std::vector<double>> errors = measurement.errorsOf(candidate);
    result.push_back(
        errors ? *std::move(errors)
               : std::vector<double>(experts,
                                     std::numeric_limits<double>::quiet_NaN()));
    if (parallel.progress)
      parallel.progress(int64_t(result.size()),
                        int64_t(problem.candidates.size()));
  }
  return result;
}

double normalRoundingError(const Encoding &encoding) {
  // Whole groups of every usual size, and 65536 values.
  constexpr int64_t size = 256;
  // Sums of twelve uniform values are nearly normal, and the same everywhere.
  std::vector<float> uniform = seededValues(1, size * size * 12);
  std::vector<float> values(size_t(size * size), 0.0f);
  for (size_t i = 0; i < uniform.size(); ++i)
    values[i / 12] += uniform[i];
  Result<std::vector<float>> rounded =
      roundTrip(encoding, {1, size, size}, values);
  if (!rounded)
    return std::numeric_limits<double>::quiet_NaN();
  double lost = 0, norm = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    double difference = double(values[i]) - double((*rounded)[i]);
    lost += difference * difference;
    norm += double(values[i]) * double(values[i]);
  }
  return std::sqrt(lost / norm);
}

double meanSquare(std::span<const double> errors,
                  std::span<const int64_t> counts) {
  double sum = 0, all = 0;
  for (size_t i = 0; i < counts.size(); ++i)
    all += double(counts[i]);
  for (size_t i = 0; i < errors.size(); ++i)
    sum += errors[i] * errors[i] *
           (all > 0 ? double(counts[i]) / all : 1 / double(errors.size()));
  return sum;
}

} // namespace moec::weights
