// Tests of prototypes: the least squares solution over tokens, from a profile alone.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Prototypes.h"

#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace moec::weights;

namespace {

/// Tokens of width 3, two of four experts each.
struct Traffic {
  static constexpr int64_t tokens = 50, width = 3;
  std::vector<float> inputs = seededValues(5, tokens * width);
  std::vector<int32_t> ids;
  std::vector<float> gates = std::vector<float>(tokens * 2, 0.5f);
  LayerProfile profile;

  Traffic() {
    for (int64_t t = 0; t < tokens; ++t) {
      int32_t first = int32_t(seededBits(9, uint64_t(t)) % 4);
      ids.push_back(first);
      ids.push_back((first + 1 + int32_t(seededBits(11, uint64_t(t)) % 3)) % 4);
    }
    AccumulatorOptions options;
    options.experts = 4;
    options.width = width;
    options.fullInputMoments = true;
    auto accumulator = ProfileAccumulator::create(options);
    EXPECT_TRUE(accumulator) << accumulator.error();
    Status added = accumulator->add({tokens, 2, inputs, ids, gates, {}});
    EXPECT_TRUE(added) << added.error();
    profile = accumulator->profile();
  }

  /// sum over tokens and clusters of (x·P - choices in the cluster)^2.
  double loss(const std::vector<float> &prototypes,
              const std::vector<int32_t> &table) const {
    double sum = 0;
    for (int64_t t = 0; t < tokens; ++t)
      for (int32_t c = 0; c < 2; ++c) {
        double guess = 0, truth = 0;
        for (int64_t d = 0; d < width; ++d)
          guess += double(inputs[size_t(t * width + d)]) *
                   prototypes[size_t(d * 2 + c)];
        for (int64_t j = 0; j < 2; ++j)
          truth += table[size_t(ids[size_t(t * 2 + j)])] == c;
        sum += (guess - truth) * (guess - truth);
      }
    return sum;
  }
};

TEST(Prototypes, minimiseTheSquaredErrorOverTokens) {
  Traffic traffic;
  std::vector<int32_t> table = {0, 1, 1, 0};
  auto learned = learnPrototypes(traffic.profile, table, 2, 0);
  ASSERT_TRUE(learned) << learned.error();
  ASSERT_EQ(learned->size(), 6u);
  double least = traffic.loss(*learned, table);
  // Any step away from the solution costs.
  for (size_t i = 0; i < learned->size(); ++i)
    for (float step : {-0.01f, 0.01f}) {
      std::vector<float> other = *learned;
      other[i] += step;
      EXPECT_GT(traffic.loss(other, table), least) << i;
    }
}

TEST(Prototypes, areZeroForAClusterWithoutTraffic) {
  Traffic traffic;
  auto learned = learnPrototypes(traffic.profile, std::vector<int32_t>(4, 0), 2);
  ASSERT_TRUE(learned) << learned.error();
  for (size_t d = 0; d < 3; ++d)
    EXPECT_EQ((*learned)[d * 2 + 1], 0);
}

TEST(Prototypes, refuseWhatIsMissing) {
  Traffic traffic;
  std::vector<int32_t> table = {0, 1, 1, 0};
  LayerProfile without = traffic.profile;
  without.inputMomentsFull.clear();
  EXPECT_EQ(learnPrototypes(without, table, 2).error(),
            "expected a profile with full second moments and means of the "
            "inputs, found one without");
  EXPECT_EQ(learnPrototypes(traffic.profile, std::vector<int32_t>{0, 1}, 2)
                .error(),
            "expected a table of 4 experts, found 2");
  EXPECT_EQ(learnPrototypes(traffic.profile, table, 1).error(),
            "expected clusters from 0 to 0, found 1 of expert 1");
  LayerProfile zero = traffic.profile;
  std::fill(zero.inputMomentsFull.begin(), zero.inputMomentsFull.end(), 0);
  EXPECT_EQ(learnPrototypes(zero, table, 2).error(),
            "expected inputs other than zero in the profile, found none");
}

} // namespace
