// Which encodings a model's matrices get, so that a budget is kept.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/PrecisionSelection.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <tuple>
#include <utility>

namespace moec::weights {

double PrecisionOption::operator[](PrecisionMeasure measure) const {
  switch (measure) {
  case PrecisionMeasure::Bytes:
    return bytes;
  case PrecisionMeasure::SquaredError:
    return squaredError;
  case PrecisionMeasure::Seconds:
    return seconds;
  }
  return 0;
}

namespace {

/// The measure that a budget does not speak of.
PrecisionMeasure thirdOf(const PrecisionBudget &budget) {
  for (PrecisionMeasure measure :
       {PrecisionMeasure::SquaredError, PrecisionMeasure::Bytes})
    if (measure != budget.limited && measure != budget.minimised)
      return measure;
  return PrecisionMeasure::Seconds;
}

/// Options that no other beats, by growing cost and falling gain; of these, the
/// convex hull.
class Hull {
public:
  Hull(const PrecisionUnit &unit, const PrecisionBudget &budget) {
    std::vector<size_t> order(unit.options.size());
    std::iota(order.begin(), order.end(), size_t(0));
    PrecisionMeasure third = thirdOf(budget);
    auto key = [&](size_t i) {
      const PrecisionOption &option = unit.options[i];
      return std::array{option[budget.limited], option[budget.minimised],
                        option[third]};
    };
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return std::pair(key(a), a) < std::pair(key(b), b);
    });
    for (size_t i : order) {
      auto [cost, loss, rest] = key(i);
      if (!steps.empty() && loss >= steps.back().loss)
        continue;
      while (steps.size() > 1 &&
             slope(steps[steps.size() - 2], {i, cost, loss}) <=
                 slope(steps[steps.size() - 2], steps.back()))
        steps.pop_back();
      steps.push_back({i, cost, loss});
    }
  }

  struct Step {
    size_t option;
    double cost, loss;
  };
  std::vector<Step> steps;

private:
  /// Of losses, which fall: the more negative, the better.
  static double slope(const Step &from, const Step &to) {
    return (to.loss - from.loss) / (to.cost - from.cost);
  }
};

/// A step along a unit's hull.
struct Move {
  size_t unit;
  /// Where the hull has it, and the option it leads to.
  size_t at, to;
  double cost, gain;
};

/// A selection on its way.
class Search {
public:
  Search(std::span<const PrecisionUnit> units, const PrecisionBudget &budget)
      : units(units), budget(budget) {
    for (const PrecisionUnit &unit : units) {
      hulls.emplace_back(unit, budget);
      chosen.push_back(hulls.back().steps.front().option);
      cost += hulls.back().steps.front().cost;
    }
  }

  /// Whether even what costs least is within the limit; sums round.
  bool isPossible() const { return fits(0); }
  double leastCost() const { return cost; }

  PrecisionSelection run() {
    double bound = descend();
    fill();
    PrecisionSelection selection;
    selection.options = chosen;
    for (size_t i = 0; i < units.size(); ++i) {
      const PrecisionOption &option = units[i].options[chosen[i]];
      selection.total.bytes += option.bytes;
      selection.total.squaredError += option.squaredError;
      selection.total.seconds += option.seconds;
    }
    selection.lowerBound = std::min(bound, selection.total[budget.minimised]);
    return selection;
  }

private:
  bool fits(double more) const {
    return cost + more <= budget.limit * (1 + 1e-12);
  }

  double at(size_t unit, PrecisionMeasure measure) const {
    return units[unit].options[chosen[unit]][measure];
  }

  /// Steps along the hulls, best first; gives the value of the relaxation.
  double descend() {
    std::vector<Move> moves;
    double loss = 0;
    for (size_t unit = 0; unit < hulls.size(); ++unit) {
      const std::vector<Hull::Step> &steps = hulls[unit].steps;
      loss += steps.front().loss;
      for (size_t i = 1; i < steps.size(); ++i)
        moves.push_back({unit, i, steps[i].option,
                         steps[i].cost - steps[i - 1].cost,
                         steps[i - 1].loss - steps[i].loss});
    }
    // Of one unit the gains per cost fall, so that its steps keep their order.
    std::sort(moves.begin(), moves.end(), [](const Move &a, const Move &b) {
      return std::tuple(-a.gain / a.cost, a.unit, a.at) <
             std::tuple(-b.gain / b.cost, b.unit, b.at);
    });
    double bound = loss;
    bool isTight = false;
    std::vector<bool> isStopped(units.size(), false);
    for (const Move &move : moves) {
      if (!isTight) {
        double share = std::clamp((budget.limit - cost) / move.cost, 0.0, 1.0);
        bound -= move.gain * share;
        isTight = share < 1;
      }
      if (isStopped[move.unit] || !fits(move.cost)) {
        isStopped[move.unit] = true;
        continue;
      }
      chosen[move.unit] = move.to;
      cost += move.cost;
    }
    return bound;
  }

  /// Takes single options, on a hull or not, while one fits that gains.
  void fill() {
    for (;;) {
      Move best{0, 0, 0, 0, 0};
      for (size_t unit = 0; unit < units.size(); ++unit)
        for (size_t i = 0; i < units[unit].options.size(); ++i) {
          const PrecisionOption &option = units[unit].options[i];
          double more = option[budget.limited] - at(unit, budget.limited);
          double gain = at(unit, budget.minimised) - option[budget.minimised];
          if (gain > best.gain && fits(more))
            best = {unit, 0, i, more, gain};
        }
      if (best.gain <= 0)
        return;
      chosen[best.unit] = best.to;
      cost += best.cost;
    }
  }

  std::span<const PrecisionUnit> units;
  const PrecisionBudget &budget;
  std::vector<Hull> hulls;
  std::vector<size_t> chosen;
  double cost = 0;
};

} // namespace

Result<PrecisionSelection> selectPrecision(std::span<const PrecisionUnit> units,
                                           const PrecisionBudget &budget) {
  Search search(units, budget);
  if (!search.isPossible()) {
    char text[120];
    std::snprintf(
        text, sizeof(text),
        "expected a limit of at least %.9g, the least possible, found "
        "%.9g",
        search.leastCost(), budget.limit);
    return Error{text};
  }
  return search.run();
}

double rmsError(double squaredErrors, size_t units) {
  return units == 0 ? 0 : std::sqrt(squaredErrors / double(units));
}

double squaredErrorLimit(double rmsError, size_t units) {
  return rmsError * rmsError * double(units);
}

double leastPossible(std::span<const PrecisionUnit> units,
                     PrecisionMeasure measure) {
  double sum = 0;
  for (const PrecisionUnit &unit : units) {
    double least = unit.options.front()[measure];
    for (const PrecisionOption &option : unit.options)
      least = std::min(least, option[measure]);
    sum += least;
  }
  return sum;
}

std::vector<Encoding> usualEncodings(int64_t group) {
  std::vector<Encoding> encodings;
  encodings.push_back({Format::F16});
  for (Format format : {Format::F8E4M3, Format::Int8, Format::Int4})
    encodings.push_back({format, group, false, ScaleType::F16});
  encodings.push_back({Format::Int4, group, true, ScaleType::F16});
  return encodings;
}

std::optional<Encoding> withFittingGroup(Encoding encoding,
                                         std::span<const int64_t> extents) {
  if (encoding.group == 0)
    return encoding;
  int64_t common = 0;
  for (int64_t extent : extents)
    common = std::gcd(common, extent);
  int64_t fitting = std::min(encoding.group, common);
  while (fitting > 1 && common % fitting != 0)
    --fitting;
  if (fitting != encoding.group &&
      (fitting < 4 || encoding.format == Format::MXFP4))
    return std::nullopt;
  encoding.group = fitting;
  return encoding;
}

Result<std::vector<Encoding>> encodingsFromText(std::string_view text) {
  std::vector<Encoding> encodings;
  for (std::string_view rest = text; !rest.empty();) {
    size_t end = std::min(rest.find(','), rest.size());
    Result<Encoding> encoding = encodingFromText(rest.substr(0, end));
    if (!encoding)
      return Error{encoding.error()};
    encodings.push_back(*encoding);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return encodings;
}

} // namespace moec::weights
