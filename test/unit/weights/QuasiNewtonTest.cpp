// Tests of minimising: functions whose minima are known.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/QuasiNewton.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace moec::weights;

namespace {

/// Rosenbrock's valley, (1 - x)^2 + 100 (y - x^2)^2: its minimum 0 is at (1,
/// 1).
struct Valley : SmoothFunction {
  double evaluate(std::span<const double> at,
                  std::span<double> gradient) override {
    ++evaluations;
    double x = at[0], y = at[1], bend = y - x * x;
    gradient[0] = -2 * (1 - x) - 400 * x * bend;
    gradient[1] = 200 * bend;
    return (1 - x) * (1 - x) + 100 * bend * bend;
  }
  void precondition(std::span<double>) override {}

  int evaluations = 0;
};

/// sum of scales[i] (x[i] - i)^2 / 2, with the inverse Hessian or without.
struct Bowl : SmoothFunction {
  explicit Bowl(bool knowsCurvature) : knowsCurvature(knowsCurvature) {}

  static double scaleOf(size_t i) { return std::pow(10.0, double(i)); }

  double evaluate(std::span<const double> at,
                  std::span<double> gradient) override {
    double sum = 0;
    for (size_t i = 0; i < at.size(); ++i) {
      double away = at[i] - double(i);
      gradient[i] = scaleOf(i) * away;
      sum += gradient[i] * away / 2;
    }
    return sum;
  }
  void precondition(std::span<double> direction) override {
    if (knowsCurvature)
      for (size_t i = 0; i < direction.size(); ++i)
        direction[i] /= scaleOf(i);
  }

  bool knowsCurvature;
};

TEST(QuasiNewton, followsAValley) {
  Valley valley;
  std::vector<double> point{-1.2, 1};
  Minimum found = minimize(valley, point, {200, 0, 10});
  EXPECT_NEAR(point[0], 1, 1e-6);
  EXPECT_NEAR(point[1], 1, 1e-6);
  EXPECT_LT(found.value, 1e-12);
  EXPECT_LT(valley.evaluations, 200);
}

TEST(QuasiNewton, aKnownCurvatureTakesOneStep) {
  std::vector<double> point(6, 7.0), other = point;
  Bowl known(true), unknown(false);
  EXPECT_LE(minimize(known, point, {}).steps, 2);
  for (size_t i = 0; i < point.size(); ++i)
    EXPECT_NEAR(point[i], double(i), 1e-9);
  EXPECT_GT(minimize(unknown, other, {}).steps, 5);
}

TEST(QuasiNewton, stopsAfterItsStepsAndWhereNothingIsGained) {
  Valley valley;
  std::vector<double> point{-1.2, 1};
  EXPECT_EQ(minimize(valley, point, {3, 0, 10}).steps, 3);
  point = {1, 1};
  EXPECT_EQ(minimize(valley, point, {}).steps, 0);
  point = {-1.2, 1};
  EXPECT_LT(minimize(valley, point, {200, 0.5, 10}).steps, 20);
}

} // namespace
