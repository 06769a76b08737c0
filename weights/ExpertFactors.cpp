// All experts of a matrix role at once: factorised with threads, measured, and
// what that costs in parameters and bytes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/ExpertFactors.h"

#include "weights/EntryCache.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace moec::weights {

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

static double meanOf(const std::vector<MatrixError> &experts,
                     double MatrixError::*number) {
  double sum = 0;
  for (const MatrixError &error : experts)
    sum += error.*number;
  return sum / double(experts.size());
}

static double maxOf(const std::vector<MatrixError> &experts,
                    double MatrixError::*number) {
  double largest = experts.empty() ? std::numeric_limits<double>::quiet_NaN()
                                   : experts.front().*number;
  for (const MatrixError &error : experts)
    largest = std::max(largest, error.*number);
  return largest;
}

double ErrorReport::meanRelative() const {
  return meanOf(experts, &MatrixError::relative);
}
double ErrorReport::maxRelative() const {
  return maxOf(experts, &MatrixError::relative);
}
double ErrorReport::maxAbs() const {
  return maxOf(experts, &MatrixError::maxAbs);
}
double ErrorReport::meanWhitened() const {
  return meanOf(experts, &MatrixError::whitened);
}
double ErrorReport::maxWhitened() const {
  return maxOf(experts, &MatrixError::whitened);
}

SizeReport &SizeReport::operator+=(const SizeReport &other) {
  parametersBefore += other.parametersBefore;
  parametersAfter += other.parametersAfter;
  bytesBefore += other.bytesBefore;
  bytesAfter += other.bytesAfter;
  return *this;
}

Result<SizeReport> sizeOf(const MatrixShape &shape, int64_t bases,
                          int64_t columns, const RoleEncodings &encodings) {
  if (bases < 0 || columns < 0)
    return Error{"expected at least 0 bases and 0 columns, found " +
                 std::to_string(bases) + " and " + std::to_string(columns)};
  struct Part {
    Encoding encoding;
    MatrixShape shape;
  };
  const Part parts[] = {
      {encodings.base, {bases, shape.rows, shape.cols}},
      {encodings.input, {shape.entries, shape.rows, columns}},
      {encodings.output, {shape.entries, columns, shape.cols}}};

  Result<uint64_t> before = encodedBytes(encodings.original, shape);
  if (!before)
    return Error{"the original: " + before.error()};
  SizeReport report;
  report.bytesBefore = *before;
  report.parametersBefore = uint64_t(shape.entries * shape.rows * shape.cols);
  const char *names[] = {"the base", "the input factor", "the output factor"};
  for (size_t i = 0; i < std::size(parts); ++i) {
    const MatrixShape &part = parts[i].shape;
    uint64_t parameters = uint64_t(part.entries * part.rows * part.cols);
    if (parameters == 0)
      continue;
    Result<uint64_t> bytes = encodedBytes(parts[i].encoding, part);
    if (!bytes)
      return Error{std::string(names[i]) + ": " + bytes.error()};
    report.parametersAfter += parameters;
    report.bytesAfter += *bytes;
  }
  return report;
}

//===----------------------------------------------------------------------===//
// Walking over the experts
//===----------------------------------------------------------------------===//

namespace {

/// Calls `body` for each expert with its weight and its base, cluster by
/// cluster, so that a base is read once and only bases in use are in memory.
class ExpertWalk {
public:
  ExpertWalk(MatrixSourcePtr of, MatrixSourcePtr base,
             const std::vector<int32_t> &table, const MomentsSource &inputs)
      : source(std::move(of)), base(std::move(base)), table(table),
        whitenings(inputs), order(table.size()) {
    std::iota(order.begin(), order.end(), int64_t(0));
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return std::pair(table[size_t(a)], a) < std::pair(table[size_t(b)], b);
    });
  }

  template <typename Body>
  Status run(const ParallelOptions &parallel, Body body) const {
    Result<int64_t> threads = threadsOf(parallel);
    if (!threads)
      return Error{threads.error()};
    EntryCache<std::vector<float>> bases(*threads);
    return parallelFor(
        int64_t(order.size()), parallel, [&](int64_t position) -> Status {
          int64_t entry = order[size_t(position)];
          int64_t target = table[size_t(entry)];
          auto shared = bases.get(target, [&] { return read(*base, target); });
          if (!*shared)
            return Error{shared->error()};
          Result<std::vector<float>> weight = read(*source, entry);
          if (!weight)
            return Error{weight.error()};
          auto whitening = whitenings.of(entry);
          if (!whitening)
            return Error{whitening.error()};
          const MatrixShape &shape = source->shape();
          return body(entry,
                      Difference{shape.rows, shape.cols, *weight, **shared,
                                 source->name(), base->name(), entry, target},
                      whitening->get());
        });
  }

private:
  static Result<std::vector<float>> read(const MatrixSource &source,
                                         int64_t entry) {
    std::vector<float> values(
        size_t(source.shape().rows * source.shape().cols));
    if (Status status = source.read(entry, values); !status)
      return Error{status.error()};
    return values;
  }

  MatrixSourcePtr source;
  MatrixSourcePtr base;
  const std::vector<int32_t> &table;
  WhiteningOfEntries whitenings;
  std::vector<int64_t> order;
};

} // namespace

Result<ExpertFactors> factorizeExperts(const std::string &name,
                                       MatrixSourcePtr of, MatrixSourcePtr base,
                                       const std::vector<int32_t> &table,
                                       const ResidualOptions &options,
                                       const ParallelOptions &parallel) {
  if (Status status = verifyResidual(*of, *base, table, options); !status)
    return Error{status.error()};
  MatrixShape shape = of->shape();
  int64_t columns =
      std::max(options.factorization.rank, options.factorization.paddedRank);
  size_t inputSize = size_t(shape.rows * columns);
  size_t outputSize = size_t(columns * shape.cols);
  std::vector<float> input(size_t(shape.entries) * inputSize);
  std::vector<float> output(size_t(shape.entries) * outputSize);
  ExpertFactors result;
  result.spectra.resize(size_t(shape.entries));
  result.errors.experts.resize(size_t(shape.entries));

  ExpertWalk walk(std::move(of), std::move(base), table, options.inputs);
  Status status =
      walk.run(parallel,
               [&](int64_t entry, const Difference &difference,
                   const InputWhitening *whitening) -> Status {
                 Result<LowRankFactors> factors =
                     factorizeEntry(difference, options, whitening);
                 if (!factors)
                   return Error{factors.error()};
                 Result<MatrixError> error = measureError(
                     difference, factors->input, factors->output, whitening);
                 if (!error)
                   return Error{error.error()};
                 std::copy(factors->input.begin(), factors->input.end(),
                           input.begin() + entry * int64_t(inputSize));
                 std::copy(factors->output.begin(), factors->output.end(),
                           output.begin() + entry * int64_t(outputSize));
                 result.spectra[size_t(entry)] = std::move(factors->spectrum);
                 result.errors.experts[size_t(entry)] = *error;
                 return success();
               });
  if (!status)
    return Error{status.error()};
  result.factors.input = matricesOf(
      name + ".input", {shape.entries, shape.rows, columns}, std::move(input));
  result.factors.output =
      matricesOf(name + ".output", {shape.entries, columns, shape.cols},
                 std::move(output));
  return result;
}

Result<std::vector<Spectrum>> residualSpectra(MatrixSourcePtr of,
                                              MatrixSourcePtr base,
                                              const std::vector<int32_t> &table,
                                              int64_t count,
                                              const ResidualOptions &options,
                                              const ParallelOptions &parallel) {
  // The rank is no matter of spectra: that of one pair always fits.
  ResidualOptions checked = options;
  checked.factorization.rank = 1;
  checked.factorization.paddedRank = 0;
  checked.ranks.clear();
  if (Status status = verifyResidual(*of, *base, table, checked); !status)
    return Error{status.error()};
  std::vector<Spectrum> spectra(table.size());
  ExpertWalk walk(std::move(of), std::move(base), table, options.inputs);
  Status status = walk.run(parallel,
                           [&](int64_t entry, const Difference &difference,
                               const InputWhitening *whitening) -> Status {
                             Result<Spectrum> spectrum =
                                 spectrumOf(difference, count,
                                            options.factorization, whitening);
                             if (!spectrum)
                               return Error{spectrum.error()};
                             spectra[size_t(entry)] = *std::move(spectrum);
                             return success();
                           });
  if (!status)
    return Error{status.error()};
  return spectra;
}

static Status verifyFactors(const MatrixSource &of,
                            const LowRankSources &factors) {
  if (!factors.input && !factors.output)
    return success();
  if (!factors.input || !factors.output)
    return Error{of.name() + ": expected both factors or none, found one"};
  const MatrixShape &shape = of.shape();
  const MatrixShape &input = factors.input->shape();
  const MatrixShape &output = factors.output->shape();
  if (input == MatrixShape{shape.entries, shape.rows, output.rows} &&
      output == MatrixShape{shape.entries, input.cols, shape.cols})
    return success();
  int64_t inputExtents[] = {input.entries, input.rows, input.cols};
  int64_t outputExtents[] = {output.entries, output.rows, output.cols};
  std::string entries = "[" + std::to_string(shape.entries) + ", ";
  return Error{
      of.name() + ": expected factors " + entries + std::to_string(shape.rows) +
      ", r] and " + entries + "r, " + std::to_string(shape.cols) + "], found " +
      shapeToString(inputExtents) + " and " + shapeToString(outputExtents)};
}

Result<ErrorReport> measureExperts(MatrixSourcePtr of, MatrixSourcePtr base,
                                   const std::vector<int32_t> &table,
                                   const LowRankSources &factors,
                                   const MomentsSource &inputs,
                                   const ParallelOptions &parallel) {
  ResidualOptions checked;
  checked.factorization.rank = 1;
  checked.inputs = inputs;
  if (Status status = verifyResidual(*of, *base, table, checked); !status)
    return Error{status.error()};
  if (Status status = verifyFactors(*of, factors); !status)
    return Error{status.error()};
  ErrorReport report;
  report.experts.resize(table.size());
  ExpertWalk walk(std::move(of), std::move(base), table, inputs);
  Status status = walk.run(
      parallel,
      [&](int64_t entry, const Difference &difference,
          const InputWhitening *whitening) -> Status {
        std::vector<float> input, output;
        if (factors.input) {
          int64_t columns = factors.input->shape().cols;
          input.resize(size_t(difference.rows * columns));
          output.resize(size_t(columns * difference.cols));
          if (Status status = factors.input->read(entry, input); !status)
            return status;
          if (Status status = factors.output->read(entry, output); !status)
            return status;
          if (Status status =
                  verifyFinite(factors.input->name(), entry, columns, input);
              !status)
            return status;
          if (Status status = verifyFinite(factors.output->name(), entry,
                                           difference.cols, output);
              !status)
            return status;
        }
        Result<MatrixError> error =
            measureError(difference, input, output, whitening);
        if (!error)
          return Error{error.error()};
        report.experts[size_t(entry)] = *error;
        return success();
      });
  if (!status)
    return Error{status.error()};
  return report;
}

} // namespace moec::weights
