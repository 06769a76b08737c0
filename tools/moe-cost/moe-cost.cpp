// What encodings of bases and residuals cost an expert layer, by the cost model.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Program.h"
#include "tools/moe-cost/Options.h"
#include "weights/PrecisionErrors.h"
#include "weights/PrecisionSelection.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace moec::cost;
using namespace moec::weights;

namespace {

/// The mixes of a layer at numbers of tokens.
class Table {
public:
  Table(const Options &options, const TargetDescription &target)
      : options(options), target(target) {}

  Status print() {
    if (Status status = addMixes(); !status)
      return status;
    Encoding int4{Format::Int4, options.group, false, ScaleType::F16};
    addRow("experts as they are, " + toString(options.stored), alone(),
           {options.stored, options.stored});
    addRow("experts as they are, " + toString(int4), alone(), {int4, int4});
    for (const PrecisionOption &mix : mixes.options)
      if (isChosen(mix) || isPaper(mix))
        addRow(describe(mix.encodings), options.shape, mix.encodings);
    printHead();
    for (const Row &row : rows)
      printRow(row);
    for (int64_t tokens : options.tokens)
      printChoice(tokens);
    return success();
  }

private:
  ExpertLayerShape alone() const {
    ExpertLayerShape shape = options.shape;
    shape.clusters = shape.clustersPerToken = shape.rank = 0;
    return shape;
  }

  bool hasBase() const { return options.shape.hasBase(); }
  bool hasResidual() const { return options.shape.hasResidual(); }

  std::string describe(const LayerEncodings &encodings) const {
    if (!hasResidual())
      return toString(encodings.base);
    if (!hasBase())
      return toString(encodings.residual);
    return toString(encodings.base) + " + " + toString(encodings.residual);
  }

  /// The form of the paper: f16 bases, int4 residuals.
  bool isPaper(const PrecisionOption &mix) const {
    return hasBase() && hasResidual() &&
           mix.encodings.base.format == Format::F16 &&
           mix.encodings.residual ==
               Encoding{Format::Int4, options.group, false, ScaleType::F16};
  }

  Status addMixes() {
    std::vector<Encoding> encodings = usualEncodings(options.group);
    encodings.insert(encodings.begin(), options.stored);
    std::vector<double> errors;
    for (const Encoding &encoding : encodings) {
      errors.push_back(normalRoundingError(encoding));
      if (std::isnan(errors.back()))
        return Error{"--stored: expected an encoding whose group divides 256, "
                     "found " +
                     toString(encoding)};
    }
    // A part that is not there is in one encoding.
    size_t bases = hasBase() || !hasResidual() ? encodings.size() : 1;
    size_t residuals = hasResidual() ? encodings.size() : 1;
    double share = !hasResidual() ? 1 : hasBase() ? options.baseShare : 0;
    for (size_t b = 0; b < bases; ++b)
      for (size_t r = 0; r < residuals; ++r) {
        PrecisionOption mix;
        mix.encodings = {encodings[b], encodings[r]};
        mix.bytes = residentBytes(options.shape, mix.encodings);
        mix.squaredError = share * errors[b] * errors[b] +
                           (1 - share) * 2 * errors[r] * errors[r];
        mixes.options.push_back(mix);
      }
    return success();
  }

  Needs needsAt(int64_t tokens, const ExpertLayerShape &shape,
                const LayerEncodings &encodings) const {
    return layerNeeds(shape, encodings, tokens, meetingsOf(shape, tokens),
                      operandBytes(target));
  }

  /// The fastest mix within the error; of those as fast the one that errs least.
  std::optional<PrecisionOption> choiceAt(int64_t tokens) const {
    PrecisionUnit unit = mixes;
    for (PrecisionOption &mix : unit.options)
      mix.seconds =
          timeBound(needsAt(tokens, options.shape, mix.encodings), target)
              .seconds();
    double limit = leastPossible({&unit, 1}, PrecisionMeasure::SquaredError) +
                   options.addedError * options.addedError;
    auto selection =
        selectPrecision({&unit, 1}, {PrecisionMeasure::SquaredError, limit,
                                     PrecisionMeasure::Seconds});
    if (!selection)
      return std::nullopt;
    return unit.options[selection->options.front()];
  }

  bool isChosen(const PrecisionOption &mix) const {
    for (int64_t tokens : options.tokens)
      if (choiceAt(tokens)->encodings.base == mix.encodings.base &&
          choiceAt(tokens)->encodings.residual == mix.encodings.residual)
        return true;
    return false;
  }

  void printHead() const {
    const ExpertLayerShape &shape = options.shape;
    std::printf("%s: width %lld, inner %lld, %lld experts, %lld chosen",
                options.name.c_str(), (long long)shape.width,
                (long long)shape.inner, (long long)shape.experts,
                (long long)shape.choices);
    if (hasBase())
      std::printf(", %lld clusters", (long long)shape.clusters);
    if (hasBase() && shape.clustersPerToken > 0)
      std::printf(", %lld a token", (long long)shape.clustersPerToken);
    if (hasResidual())
      std::printf(", rank %lld", (long long)shape.rank);
    std::printf("; microseconds on %s", target.name.c_str());
    if (target.rounded)
      std::printf(", rows in %s",
                  std::string(formatName(*target.rounded)).c_str());
    std::printf(", m: bound by memory\n%-*s %9s", labelWidth, "encodings",
                "MB");
    for (int64_t tokens : options.tokens)
      std::printf(" %10s", ("T=" + std::to_string(tokens)).c_str());
    std::printf("\n");
  }

  struct Row {
    std::string label;
    ExpertLayerShape shape;
    LayerEncodings encodings;
  };

  void addRow(std::string label, const ExpertLayerShape &shape,
              const LayerEncodings &encodings) {
    labelWidth = std::max(labelWidth, int(label.size()));
    rows.push_back({std::move(label), shape, encodings});
  }

  void printRow(const Row &row) const {
    std::printf("%-*s %9.1f", labelWidth, row.label.c_str(),
                residentBytes(row.shape, row.encodings) / 1e6);
    // The mark has a place of its own, which ends no line.
    const char *mark = "";
    for (int64_t tokens : options.tokens) {
      TimeBound bound =
          timeBound(needsAt(tokens, row.shape, row.encodings), target);
      std::printf("%s %9.1f", mark, bound.seconds() * 1e6);
      mark = bound.isMemoryBound() ? "m" : " ";
    }
    std::printf("%s\n", *mark == 'm' ? mark : "");
  }

  /// What is chosen, and why.
  void printChoice(int64_t tokens) const {
    std::optional<PrecisionOption> choice = choiceAt(tokens);
    if (!choice)
      return;
    Meetings met = meetingsOf(options.shape, tokens);
    Needs needs = needsAt(tokens, options.shape, choice->encodings);
    TimeBound bound = timeBound(needs, target);
    std::printf("T=%lld: %s, error %.4f, %.3g J; %.1f experts",
                (long long)tokens, describe(choice->encodings).c_str(),
                std::sqrt(choice->squaredError), energyOf(needs, target),
                met.experts);
    if (hasBase())
      std::printf(" and %.2f clusters", met.clusters);
    std::printf(" met; memory %.1f us, arithmetic with decoding %.1f us: %s\n",
                bound.memorySeconds * 1e6, bound.computeSeconds * 1e6,
                bound.isMemoryBound() ? "fewer bytes are faster"
                                      : "arithmetic is what takes time");
  }

  const Options &options;
  const TargetDescription &target;
  /// Their seconds are of no number of tokens.
  PrecisionUnit mixes;
  std::vector<Row> rows;
  int labelWidth = 0;
};

Status run(const Options &options) {
  if (!options.printTarget.empty()) {
    std::string_view text = builtInTargetText(options.printTarget);
    if (text.empty())
      return Error{"--print-target: expected a built-in target, found '" +
                   options.printTarget + "'"};
    std::printf("%.*s\n", int(text.size()), text.data());
    return success();
  }
  Result<TargetDescription> target = findTarget(options.target);
  if (!target)
    return Error{"--target: " + target.error()};
  if (options.activations)
    if (Status status = roundRows(*target, *options.activations); !status)
      return Error{"--activations: " + status.error()};
  return Table(options, *target).print();
}

} // namespace

int main(int argc, char **argv) {
  return moec::runProgram(
      "moe-cost",
      parseOptions(std::span(argv + 1, argc > 0 ? size_t(argc - 1) : 0)),
      helpText, MOEC_VERSION, run);
}
