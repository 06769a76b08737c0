// Minimising a smooth function of many numbers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_QUASINEWTON_H
#define MOEC_WEIGHTS_QUASINEWTON_H

#include <cstdint>
#include <span>
#include <vector>

namespace moec::weights {

/// A function with a gradient, and a rough idea of its curvature.
class SmoothFunction {
public:
  virtual ~SmoothFunction();

  /// The value at a point; `gradient` has as many numbers.
  virtual double evaluate(std::span<const double> point,
                          std::span<double> gradient) = 0;

  /// Multiplies by an approximation of the inverse Hessian at the point that
  /// was evaluated last: symmetric and positive definite.
  virtual void precondition(std::span<double> direction) = 0;
};

struct MinimumOptions {
  /// Steps, at most.
  int64_t steps = 200;
  /// The last step is one that lowers the value by less than this share of it.
  double smallestGain = 1e-6;
  /// Steps that the curvature is estimated from.
  size_t memory = 10;
};

struct Minimum {
  double value = 0;
  int64_t steps = 0;
};

/// Goes down from `point` to where no step gains more: a local minimum, or on
/// the way to one. L-BFGS (Liu and Nocedal 1989) from the function's own
/// preconditioner, with steps halved until they gain enough (Armijo).
Minimum minimize(SmoothFunction &function, std::vector<double> &point,
                 const MinimumOptions &options);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_QUASINEWTON_H
