// The ways to store a matrix role of a layer, and what each costs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/PrecisionChoices.h"

#include "passes/Decisions.h"
#include "passes/LayerParams.h"
#include "passes/TerminalProgress.h"
#include "weights/CachedStatistics.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;
using namespace moec;
using namespace moec::moe;
using weights::Encoding;
using weights::LayerEncodings;

std::string moec::describeEncodings(const StoredMatrix &matrix,
                                    const LayerEncodings &encodings) {
  if (matrix.isPlain())
    return weights::toString(encodings.base);
  std::string text;
  if (matrix.base)
    text = "base " + weights::toString(encodings.base);
  if (matrix.hasResidual())
    text += (text.empty() ? "residual " : ", residual ") +
            weights::toString(encodings.residual);
  return text;
}

Encoding moec::encodingOf(const StoredMatrix &matrix, ParamOp leaf,
                          const LayerEncodings &encodings) {
  return leaf == matrix.input || leaf == matrix.output ? encodings.residual
                                                       : encodings.base;
}

static weights::MatrixShape shapeOf(ParamOp param) {
  return matrixShape(cast<WeightType>(param.getType()));
}

namespace {
/// Measures one matrix.
class Measurement {
public:
  Measurement(const StoredMatrix &matrix, const PrecisionRequest &request,
              ParamSources &sources)
      : request(request), sources(sources), op(matrix.op) {
    choice.matrix = matrix;
  }

  FailureOr<PrecisionChoice> run() {
    auto found = findTraffic(op, request.profile);
    if (failed(found))
      return failure();
    traffic = *found;
    if (failed(openProblem()) || failed(weigh()) || failed(measure()))
      return failure();
    return choice;
  }

private:
  Decision declined() { return Decision::declined(op.getLoc(), request.pass); }
  Decision figure() { return Decision::figure(op.getLoc(), request.pass); }

  //===--------------------------------------------------------------------===//
  // Candidates
  //===--------------------------------------------------------------------===//

  /// The encoding with a group that fits leaves of these shapes, or nothing; says so where it is not the one asked for.
  std::optional<Encoding> fit(StringRef part, const Encoding &encoding,
                              ArrayRef<weights::MatrixShape> shapes) {
    SmallVector<int64_t> sides;
    for (const weights::MatrixShape &shape : shapes)
      sides.push_back(encoding.along == weights::GroupAxis::Input ? shape.rows
                                                                  : shape.cols);
    auto fitting = weights::withFittingGroup(encoding, sides);
    if (fitting && fitting->group == encoding.group)
      return fitting;
    std::string text = (choice.matrix.role + ": " + part).str();
    text += fitting ? ": group " + std::to_string(fitting->group) + " for "
                    : " without ";
    text += weights::toString(encoding) + ", whose group does not divide " +
            llvm::formatv("{0:$[ and ]}",
                          llvm::make_range(sides.begin(), sides.end()))
                .str();
    if (fitting)
      figure() << text;
    else
      declined() << text;
    return fitting;
  }

  /// Encodings for the leaves of a part, which share one.
  FailureOr<SmallVector<Encoding>> encodingsFor(StringRef part,
                                                ArrayRef<Encoding> menu,
                                                ArrayRef<ParamOp> params) {
    SmallVector<weights::MatrixShape> shapes;
    for (ParamOp param : params)
      if (param)
        shapes.push_back(shapeOf(param));
    // A part that is not there has one encoding, which nothing is in.
    if (shapes.empty())
      return SmallVector<Encoding>{Encoding()};
    FailureOr<Encoding> stored = getStoredEncoding(params.front());
    if (failed(stored))
      return failure();
    bool withStored = request.menu.withStored;
    SmallVector<Encoding> result;
    if (withStored)
      result.push_back(*stored);
    for (const Encoding &encoding : menu) {
      auto fitting = fit(part, encoding, shapes);
      // Plain experts lose nothing as they are stored.
      bool isIdle =
          choice.matrix.isPlain() && withStored && fitting &&
          weights::bytesPerValue(*fitting) >= weights::bytesPerValue(*stored);
      if (fitting && !isIdle && !llvm::is_contained(result, *fitting))
        result.push_back(*fitting);
    }
    return result;
  }

  LogicalResult addCandidates() {
    const StoredMatrix &matrix = choice.matrix;
    auto bases =
        encodingsFor(matrix.isPlain() ? "experts" : "base", request.menu.bases,
                     {matrix.isPlain() ? matrix.plain : matrix.base});
    auto residuals = encodingsFor("residual", request.menu.residuals,
                                  {matrix.input, matrix.output});
    if (failed(bases) || failed(residuals))
      return failure();
    for (const Encoding &base : *bases)
      for (const Encoding &residual : *residuals)
        problem.candidates.push_back({base, residual});
    return success();
  }

  //===--------------------------------------------------------------------===//
  // What each costs
  //===--------------------------------------------------------------------===//

  LogicalResult openProblem() {
    const StoredMatrix &matrix = choice.matrix;
    auto of = sources.openLeaf(matrix.getExperts());
    if (failed(of) || failed(addCandidates()))
      return failure();
    problem.of = *of;
    problem.rank = matrix.getRank();
    if (matrix.base) {
      auto base = sources.openSource(matrix.base);
      auto table = sources.loadTable(matrix.table);
      if (failed(base) || failed(table))
        return failure();
      problem.base = *base;
      problem.table = *std::move(table);
    }
    SvdAttr residual = matrix.getResidual();
    if (!residual || !residual.getMoments())
      return success();
    auto moments =
        sources.openLeaf(SymbolTable::lookupNearestSymbolFrom<ParamOp>(
            op, residual.getMoments()));
    if (failed(moments))
      return failure();
    problem.fitted.moments = *moments;
    return success();
  }

  /// Weighs errors by the profile's moments, where there are any that fit, and rounds by them where that is asked for.
  LogicalResult weigh() {
    StringRef role = choice.matrix.role;
    ParamOp experts = choice.matrix.getExperts();
    auto find = [&](MomentsKind kind) {
      return findInputMoments(op, role, experts, traffic, kind);
    };
    FailureOr<FoundMoments> full = find(MomentsKind::full);
    FailureOr<FoundMoments> diagonal = find(MomentsKind::diagonal);
    if (failed(full) || failed(diagonal))
      return failure();
    if (request.rounding == Rounding::calibrated) {
      if (full->moments)
        problem.rounded = getMatrices(*full->moments);
      else
        declined() << role << " is rounded to nearest: " << full->reason;
      choice.roundedBy = full->moments;
    }
    const std::optional<InputMoments> &moments =
        full->moments ? full->moments : diagonal->moments;
    if (moments) {
      problem.measured.moments = getMatrices(*moments);
      choice.isWeighed = true;
    } else if (traffic && isa<PermutedAttr>(experts.getSource())) {
      declined() << "errors of " << role
                 << " are those of weights: " << diagonal->reason;
    }
    return success();
  }

  LogicalResult measure() {
    weights::ParallelOptions parallel;
    if (request.progress)
      parallel.progress = progressOnTerminal(
          (choice.matrix.role + ": precision").str(), "mixes");
    auto errors = weights::cachedPrecisionErrors(
        request.cache ? &*request.cache : nullptr, problem, parallel);
    // The line goes before anything is said.
    parallel.progress = nullptr;
    if (!errors)
      return op.emitOpError(errors.error());
    if (request.cache)
      figure() << (errors->isHit ? "cache hit" : "cache miss") << ": errors of "
               << choice.matrix.role;
    choice.unit.name = choice.matrix.role.str();
    for (auto [candidate, ofExperts] :
         llvm::zip_equal(problem.candidates, errors->value))
      addOption(candidate, ofExperts);
    if (choice.unit.options.empty())
      return op.emitOpError("expected an encoding that holds the values of ")
             << choice.matrix.role << ", found none";
    return success();
  }

  void addOption(const LayerEncodings &candidate, ArrayRef<double> errors) {
    const StoredMatrix &matrix = choice.matrix;
    if (llvm::any_of(errors,
                     [](double error) { return !std::isfinite(error); })) {
      declined() << matrix.role << ": not "
                 << describeEncodings(matrix, candidate)
                 << ", which does not hold its values";
      return;
    }
    weights::PrecisionOption option;
    option.encodings = candidate;
    for (ParamOp leaf : matrix.leaves())
      // Groups fit, so this is a number.
      option.bytes += double(*weights::encodedBytes(
          encodingOf(matrix, leaf, candidate), shapeOf(leaf)));
    ArrayRef<int64_t> counts;
    if (traffic)
      counts = traffic->counts;
    option.squaredError = weights::meanSquare(errors, counts);
    option.seconds = secondsOf(candidate);
    choice.unit.options.push_back(option);
    double sum = 0, largest = 0;
    for (double error : errors) {
      sum += error;
      largest = std::max(largest, error);
    }
    choice.errors.push_back({sum / double(errors.size()), largest});
  }

  double secondsOf(const LayerEncodings &encodings) const {
    weights::ExpertLayerShape shape = getLayerShape(choice.matrix);
    std::optional<weights::ExpertTraffic> counted;
    if (traffic)
      counted = {traffic->tokens, traffic->counts, problem.table};
    weights::Meetings met = weights::meetingsOf(shape, request.tokens, counted);
    WeightType type = choice.matrix.getType();
    weights::Needs needs = weights::matrixNeeds(
        shape, type.getRows(), type.getCols(), encodings, request.tokens, met);
    return weights::timeBound(needs, request.target).seconds();
  }

  const PrecisionRequest &request;
  ParamSources &sources;
  ExpertsOp op;
  const weights::LayerProfile *traffic = nullptr;
  weights::PrecisionProblem problem;
  PrecisionChoice choice;
};
} // namespace

FailureOr<PrecisionChoice> moec::measureChoice(const StoredMatrix &matrix,
                                               const PrecisionRequest &request,
                                               ParamSources &sources) {
  return Measurement(matrix, request, sources).run();
}
