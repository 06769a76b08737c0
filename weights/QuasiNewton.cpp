// Minimising a smooth function of many numbers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/QuasiNewton.h"

#include <Eigen/Core>

#include <algorithm>
#include <deque>
#include <utility>

namespace moec::weights {

SmoothFunction::~SmoothFunction() = default;

namespace {

using Vector = Eigen::VectorXd;

/// The share of the gain that a gradient promises which a step must bring.
constexpr double enoughGain = 1e-4;
/// A step shorter than this gains nothing but rounding.
constexpr double shortestStep = 1e-10;

/// Curvature along the steps taken last.
class Curvature {
public:
  explicit Curvature(size_t memory) : memory(memory) {}

  /// Pairs along which the function is not convex are of no use.
  void add(Vector step, Vector change) {
    if (step.dot(change) <= 1e-12 * step.norm() * change.norm())
      return;
    if (pairs.size() == memory)
      pairs.pop_front();
    pairs.emplace_back(std::move(step), std::move(change));
  }

  /// The estimated inverse Hessian times a vector: the two loops of L-BFGS.
  Vector apply(SmoothFunction &function, Vector vector) const {
    std::vector<double> along(pairs.size());
    for (size_t i = pairs.size(); i-- > 0;) {
      const auto &[step, change] = pairs[i];
      along[i] = step.dot(vector) / step.dot(change);
      vector -= along[i] * change;
    }
    function.precondition({vector.data(), size_t(vector.size())});
    for (size_t i = 0; i < pairs.size(); ++i) {
      const auto &[step, change] = pairs[i];
      vector += (along[i] - change.dot(vector) / step.dot(change)) * step;
    }
    return vector;
  }

private:
  size_t memory;
  /// Steps and what the gradient changed by, the oldest first.
  std::deque<std::pair<Vector, Vector>> pairs;
};

} // namespace

Minimum minimize(SmoothFunction &function, std::vector<double> &point,
                 const MinimumOptions &options) {
  auto size = Eigen::Index(point.size());
  Eigen::Map<Vector> here(point.data(), size);
  auto evaluate = [&](const Vector &at, Vector &gradient) {
    gradient.resize(size);
    return function.evaluate({at.data(), point.size()},
                             {gradient.data(), point.size()});
  };
  Curvature curvature(options.memory);
  Vector gradient, nextGradient;
  Minimum found{evaluate(here, gradient), 0};
  double length = 1;
  while (found.steps < options.steps) {
    Vector direction = -curvature.apply(function, gradient);
    double slope = direction.dot(gradient);
    if (!(slope < 0))
      break;
    // What was too long for the last step is so for this one, often.
    length = std::min(1.0, 2 * length);
    Vector next;
    double value = 0;
    for (;; length /= 2) {
      next = here + length * direction;
      value = evaluate(next, nextGradient);
      if (value <= found.value + enoughGain * length * slope)
        break;
      if (length < shortestStep)
        return found;
    }
    double gain = found.value - value;
    curvature.add(next - here, nextGradient - gradient);
    here = next;
    std::swap(gradient, nextGradient);
    found.value = value;
    ++found.steps;
    if (!(gain > options.smallestGain * std::abs(value)))
      break;
  }
  return found;
}

} // namespace moec::weights
