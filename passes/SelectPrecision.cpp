// moe-select-precision: encodings of experts, bases and residuals within a budget.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "passes/Decisions.h"
#include "passes/LayerParams.h"
#include "passes/PrecisionChoices.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

namespace moec {
#define GEN_PASS_DEF_SELECTPRECISIONPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;
using weights::Encoding;
using weights::PrecisionMeasure;
using weights::PrecisionOption;

static constexpr llvm::StringLiteral passName = "select-precision";

/// What rounding of presets may add to a relative error, squares added.
static constexpr double presetAddedError = 0.1;

static std::string toText(double number) {
  return llvm::formatv("{0:F5}", number).str();
}

static std::string describeOption(const StoredMatrix &matrix,
                                  const PrecisionOption &option) {
  return llvm::formatv("{0}, {1:F0} bytes, error {2:F4}, {3:F2} us",
                       describeEncodings(matrix, option.encodings),
                       option.bytes, std::sqrt(option.squaredError),
                       option.seconds * 1e6)
      .str();
}

namespace {
struct SelectPrecisionPass
    : moec::impl::SelectPrecisionPassBase<SelectPrecisionPass> {
  using Base::Base;

  void runOnOperation() override {
    weights::WeightProvider provider;
    if (failed(checkOptions()) || failed(readRequest()) ||
        failed(bindScopes(getOperation(), weights, provider)))
      return signalPassFailure();
    ParamSources sources(provider);
    std::vector<PrecisionChoice> choices;
    std::vector<weights::PrecisionUnit> units;
    for (const StoredMatrix &matrix :
         findStoredMatrices(getOperation(), passName)) {
      auto choice = measureChoice(matrix, request, sources);
      if (failed(choice))
        return signalPassFailure();
      units.push_back(choice->unit);
      choices.push_back(*std::move(choice));
    }
    auto selection = select(units);
    if (failed(selection))
      return signalPassFailure();
    for (auto [choice, option] : llvm::zip_equal(choices, selection->options)) {
      apply(choice, option);
      explain(choice, option);
    }
  }

private:
  bool isFixed() const {
    return preset == PrecisionPreset::paper || preset == PrecisionPreset::exact;
  }

  LogicalResult checkOptions() {
    ModuleOp module = getOperation();
    if (bytes < 0 || errorBudget < 0 || latency < 0 || targetTokens < 0)
      return module.emitError("expected bytes, error-budget, latency-us and "
                              "target-tokens to be positive");
    int asked = (bytes > 0) + (errorBudget > 0) + (latency > 0);
    if (asked > 1)
      return module.emitError("expected one of the options bytes, error-budget "
                              "and latency-us, found ")
             << asked;
    if (preset == PrecisionPreset::none && asked == 0 && targetTokens == 0)
      return module.emitError("expected a preset, a budget or target-tokens, "
                              "found none");
    if (isFixed() && asked > 0)
      return module.emitError("expected no budget beside a preset that fixes "
                              "the encodings, found one");
    if (isFixed() && !encodings.empty())
      return module.emitError("expected no encodings beside a preset that "
                              "fixes them, found '")
             << encodings << "'";
    if (preset != PrecisionPreset::none && (bytes > 0 || latency > 0))
      return module.emitError("expected error-budget or no budget beside a "
                              "preset, found ")
             << (bytes > 0 ? "bytes" : "latency-us");
    return success();
  }

  LogicalResult readRequest() {
    ModuleOp module = getOperation();
    auto read = readProfileOf(module, profilePath);
    auto opened = openCacheOf(module, cacheDirectory);
    if (failed(read) || failed(opened))
      return failure();
    auto found = weights::findTarget(target);
    if (!found)
      return module.emitError("option target-description: ") << found.error();
    if (activations != Activations::f32)
      if (weights::Status status = weights::roundRows(
              *found, activations == Activations::int8 ? weights::Format::Int8
                                                       : weights::Format::BF16);
          !status)
        Decision::declined(module.getLoc(), passName)
            << "times are those of rows as they are: " << status.error();
    auto menu = makeMenu();
    if (failed(menu))
      return failure();
    request = {*std::move(menu),
               *std::move(found),
               std::max<int64_t>(1, targetTokens),
               *std::move(read),
               *std::move(opened),
               rounding,
               progress,
               passName};
    return success();
  }

  FailureOr<PrecisionMenu> makeMenu() {
    auto parsed = weights::encodingsFromText(encodings);
    if (!parsed)
      return getOperation().emitError("option encodings: ") << parsed.error();
    switch (preset) {
    case PrecisionPreset::exact:
      return PrecisionMenu();
    case PrecisionPreset::paper:
      return PrecisionMenu{
          false,
          {{weights::Format::F16}},
          {{weights::Format::Int4, 32, false, weights::ScaleType::F16}}};
    default:
      break;
    }
    if (parsed->empty())
      parsed = weights::usualEncodings();
    return PrecisionMenu{true, *parsed, *parsed};
  }

  weights::PrecisionBudget
  budgetFor(ArrayRef<weights::PrecisionUnit> units) const {
    if (bytes > 0)
      return {PrecisionMeasure::Bytes, double(bytes)};
    if (latency > 0)
      return {PrecisionMeasure::Seconds, latency * 1e-6};
    double least =
        weights::leastPossible(units, PrecisionMeasure::SquaredError);
    double added = presetAddedError * presetAddedError * double(units.size());
    bool isForTime = preset == PrecisionPreset::fast ||
                     (preset == PrecisionPreset::none && targetTokens > 0);
    return {PrecisionMeasure::SquaredError,
            errorBudget > 0
                ? weights::squaredErrorLimit(errorBudget, units.size())
                : least + added,
            isForTime ? PrecisionMeasure::Seconds : PrecisionMeasure::Bytes};
  }

  FailureOr<weights::PrecisionSelection>
  select(ArrayRef<weights::PrecisionUnit> units) {
    weights::PrecisionBudget budget = budgetFor(units);
    double least = weights::leastPossible(units, budget.limited);
    auto selection = weights::selectPrecision(units, budget);
    if (!selection)
      return describeImpossible(budget, least, units.size());
    summarise(*selection, units.size());
    return *std::move(selection);
  }

  void summarise(const weights::PrecisionSelection &selection, size_t units) {
    ModuleOp module = getOperation();
    const PrecisionOption &total = selection.total;
    std::string text =
        llvm::formatv("{0} matrices: {1:F0} bytes, error {2:F4}, at least "
                      "{3:F2} us at {4} tokens on {5}",
                      units, total.bytes,
                      weights::rmsError(total.squaredError, units),
                      total.seconds * 1e6, request.tokens, request.target.name)
            .str();
    if (std::optional<weights::Format> rows = request.target.rounded)
      text += ", rows in " + std::string(weights::formatName(*rows));
    Decision::figure(module.getLoc(), passName) << text;
    module->setAttr(precisionSummary, StringAttr::get(&getContext(), text));
  }

  /// A budget that cannot be kept, and the closest that can.
  LogicalResult describeImpossible(const weights::PrecisionBudget &budget,
                                   double least, size_t units) {
    ModuleOp module = getOperation();
    if (budget.limited == PrecisionMeasure::Bytes)
      return module.emitError("option bytes: expected at least ")
             << uint64_t(least) << ", the fewest possible, found "
             << int64_t(bytes);
    if (budget.limited == PrecisionMeasure::Seconds)
      return module.emitError("option latency-us: expected at least ")
             << toText(least * 1e6) << ", the least possible at "
             << request.tokens << " tokens on " << request.target.name
             << ", found " << toText(latency);
    return module.emitError("option error-budget: expected at least ")
           << toText(weights::rmsError(least, units))
           << ", the least possible, found " << toText(errorBudget);
  }

  void apply(const PrecisionChoice &choice, size_t chosen) {
    const StoredMatrix &matrix = choice.matrix;
    for (ParamOp leaf : matrix.leaves()) {
      Encoding encoding =
          encodingOf(matrix, leaf, choice.unit.options[chosen].encodings);
      round(choice, leaf, encoding);
      // What is stored so anyway keeps its spelling.
      if (*getStoredEncoding(leaf) == encoding)
        continue;
      // It prints as the dialect parses it.
      leaf.setEncodingAttr(*parseEncoding(getOperation(), "encodings",
                                          weights::toString(encoding)));
    }
    auto [mean, largest] = choice.errors[chosen];
    setRelativeError(matrix.leaves().front(), mean, largest);
    Builder builder(&getContext());
    double squared = choice.unit.options[chosen].squaredError;
    matrix.leaves().front()->setAttr(
        precisionError, builder.getF64FloatAttr(std::sqrt(squared)));
    std::string reason = shortReason(choice, chosen);
    for (ParamOp leaf : matrix.leaves()) {
      leaf->setAttr(precisionReason, builder.getStringAttr(reason));
      reason.clear();
    }
  }

  /// Codes are chosen as errors were measured: of experts, input factors, and bases without residuals.
  static void round(const PrecisionChoice &choice, ParamOp leaf,
                    const Encoding &encoding) {
    const StoredMatrix &matrix = choice.matrix;
    bool isCalibrated =
        choice.roundedBy && weights::hasScales(encoding) &&
        leaf != matrix.output && (leaf != matrix.base || !matrix.hasResidual());
    leaf.setRoundedByAttr(
        isCalibrated ? FlatSymbolRefAttr::get(
                           getMomentsParam(choice.matrix.op, choice.matrix.role,
                                           *choice.roundedBy)
                               .getSymNameAttr())
                     : FlatSymbolRefAttr());
  }

  /// Of the options with less of a measure than the chosen one, that with the least of another, then of the first.
  static const PrecisionOption *nextTo(const PrecisionChoice &choice,
                                       size_t chosen, PrecisionMeasure less,
                                       PrecisionMeasure best) {
    const PrecisionOption *next = nullptr;
    auto key = [&](const PrecisionOption &option) {
      return std::pair(option[best], option[less]);
    };
    for (const PrecisionOption &option : choice.unit.options)
      if (option[less] < choice.unit.options[chosen][less] &&
          (!next || key(option) < key(*next)))
        next = &option;
    return next;
  }

  /// What the next ones would cost, in a few words.
  static std::string shortReason(const PrecisionChoice &choice, size_t chosen) {
    const PrecisionOption &own = choice.unit.options[chosen];
    if (choice.unit.options.size() == 1)
      return "the only one";
    SmallVector<std::string> parts;
    auto add = [&](const PrecisionOption *next) {
      if (next)
        parts.push_back(llvm::formatv("{0:F4} for {1:F0} bytes {2}",
                                      std::sqrt(next->squaredError),
                                      std::abs(own.bytes - next->bytes),
                                      next->bytes < own.bytes ? "less" : "more")
                            .str());
    };
    add(nextTo(choice, chosen, PrecisionMeasure::Bytes,
               PrecisionMeasure::SquaredError));
    add(nextTo(choice, chosen, PrecisionMeasure::SquaredError,
               PrecisionMeasure::Bytes));
    return llvm::join(parts, ", ");
  }

  /// The numbers behind a choice: its own, and those of its neighbours.
  static void explain(const PrecisionChoice &choice, size_t chosen) {
    const StoredMatrix &matrix = choice.matrix;
    ExpertsOp op = matrix.op;
    Decision decision = Decision::taken(op.getLoc(), passName);
    decision << matrix.role << ": "
             << describeOption(matrix, choice.unit.options[chosen])
             << (choice.isWeighed ? "; of outputs" : "; of weights") << ", of "
             << choice.unit.options.size() << " mixes";
    if (auto *next = nextTo(choice, chosen, PrecisionMeasure::Bytes,
                            PrecisionMeasure::SquaredError))
      decision << "; with fewer bytes " << describeOption(matrix, *next);
    if (auto *next = nextTo(choice, chosen, PrecisionMeasure::SquaredError,
                            PrecisionMeasure::Bytes))
      decision << "; with less error " << describeOption(matrix, *next);
  }

  PrecisionRequest request;
};
} // namespace
