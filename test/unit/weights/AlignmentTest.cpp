// Tests of alignment: permuted copies must be found again, nothing may get
// worse, and every refusal has its message.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Alignment.h"

#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace moec::weights;

namespace {

using Source = std::shared_ptr<const MatrixSource>;

/// Experts as matrices in memory, so that neurons can be told apart.
struct Experts {
  int64_t count, width, neurons;
  std::vector<float> gate, up, down;

  Source gates() const {
    return matricesOf("m::gate", {count, width, neurons}, gate);
  }
  Source ups() const {
    return matricesOf("m::up", {count, width, neurons}, up);
  }
  Source downs() const {
    return matricesOf("m::down", {count, neurons, width}, down);
  }

  /// All values of a neuron of an expert.
  std::vector<double> neuron(int64_t expert, int64_t f, bool withUp) const {
    std::vector<double> values;
    for (int64_t d = 0; d < width; ++d) {
      size_t column = size_t((expert * width + d) * neurons + f);
      values.push_back(double(gate[column]));
      if (withUp)
        values.push_back(double(up[column]));
      values.push_back(
          double(down[size_t((expert * neurons + f) * width + d)]));
    }
    return values;
  }
};

/// A permutation of the neurons.
std::vector<int32_t> shuffled(uint32_t seed, int64_t neurons) {
  std::vector<int32_t> order(static_cast<size_t>(neurons));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size() - 1; i > 0; --i)
    std::swap(order[i], order[seededBits(seed, i) % (i + 1)]);
  return order;
}

/// Clusters of experts that are copies of one another with their neurons in
/// other orders, and some noise: neuron f of an expert is neuron
/// order[expert][f] of its cluster.
Experts permutedCopies(uint32_t seed, const std::vector<int32_t> &table,
                       int64_t width, int64_t neurons, double noise,
                       std::vector<std::vector<int32_t>> &orders) {
  int64_t count = int64_t(table.size()), size = width * neurons;
  Experts experts{count,
                  width,
                  neurons,
                  seededValues(seed, count * size, noise),
                  seededValues(seed + 1, count * size, noise),
                  seededValues(seed + 2, count * size, noise)};
  orders.clear();
  for (int64_t e = 0; e < count; ++e) {
    orders.push_back(shuffled(seed + 3 + uint32_t(e), neurons));
    uint32_t base = seed + 1000 + 10 * uint32_t(table[size_t(e)]);
    for (int64_t d = 0; d < width; ++d)
      for (int64_t f = 0; f < neurons; ++f) {
        uint64_t from = uint64_t(d * neurons + orders.back()[size_t(f)]);
        size_t column = size_t((e * width + d) * neurons + f);
        experts.gate[column] += seededValue(base, from);
        experts.up[column] += seededValue(base + 1, from);
        experts.down[size_t((e * neurons + f) * width + d)] +=
            seededValue(base + 2, from);
      }
  }
  return experts;
}

/// The sum of squared distances of the members of a cluster to their mean.
double distanceToMean(const Experts &experts, const std::vector<int32_t> &table,
                      int32_t cluster, const std::vector<int32_t> &permutations,
                      bool withUp = true) {
  double distance = 0;
  for (int64_t f = 0; f < experts.neurons; ++f) {
    std::vector<std::vector<double>> rows;
    for (int64_t e = 0; e < experts.count; ++e)
      if (table[size_t(e)] == cluster)
        rows.push_back(experts.neuron(
            e, permutations[size_t(e * experts.neurons + f)], withUp));
    for (size_t n = 0; n < rows[0].size(); ++n) {
      double mean = 0;
      for (const std::vector<double> &row : rows)
        mean += row[n] / double(rows.size());
      for (const std::vector<double> &row : rows)
        distance += (row[n] - mean) * (row[n] - mean);
    }
  }
  return distance;
}

std::vector<int32_t> identity(const Experts &experts) {
  std::vector<int32_t> permutations;
  for (int64_t n = 0; n < experts.count * experts.neurons; ++n)
    permutations.push_back(int32_t(n % experts.neurons));
  return permutations;
}

Alignment align(const Experts &experts, const std::vector<int32_t> &table,
                bool withUp = true, AlignmentOptions options = {}) {
  Result<Alignment> result =
      alignExperts(experts.gates(), withUp ? experts.ups() : nullptr,
                   experts.downs(), table, options);
  EXPECT_TRUE(result) << result.error();
  if (!result)
    return {};
  // Permutations they are, and the distances are what is said.
  for (int64_t e = 0; e < experts.count; ++e) {
    auto begin = result->permutations.begin() + e * experts.neurons;
    std::vector<int32_t> sorted(begin, begin + experts.neurons);
    std::sort(sorted.begin(), sorted.end());
    for (int64_t f = 0; f < experts.neurons; ++f)
      EXPECT_EQ(sorted[size_t(f)], f);
  }
  for (size_t c = 0; c < result->clusters.size(); ++c) {
    const ClusterAlignment &found = result->clusters[c];
    if (found.medoid < 0)
      continue;
    double before =
        distanceToMean(experts, table, int32_t(c), identity(experts), withUp);
    EXPECT_NEAR(found.before, before, 1e-5 * before + 1e-9);
    double now = distanceToMean(experts, table, int32_t(c),
                                result->permutations, withUp);
    EXPECT_NEAR(found.used ? found.after : found.before, now,
                1e-5 * before + 1e-9);
    EXPECT_EQ(table[size_t(found.medoid)], int32_t(c));
    for (int64_t f = 0; f < experts.neurons; ++f)
      EXPECT_EQ(
          result->permutations[size_t(found.medoid * experts.neurons + f)], f);
  }
  return *result;
}

TEST(Alignment, findsPermutedCopiesAgain) {
  uint32_t seed = 0;
  for (int64_t neurons : {1, 2, 7, 65, 130})
    for (double noise : {0.0, 0.1})
      for (bool withUp : {false, true}) {
        std::vector<int32_t> table{0, 1, 0, 1, 0, 2};
        std::vector<std::vector<int32_t>> orders;
        Experts experts =
            permutedCopies(seed += 5000, table, 20, neurons, noise, orders);
        Alignment found = align(experts, table, withUp);
        ASSERT_EQ(found.clusters.size(), 3u);
        for (size_t e = 0; e < table.size(); ++e) {
          const ClusterAlignment &cluster = found.clusters[size_t(table[e])];
          if (!cluster.used) {
            // Two random orders of few neurons may be the same one.
            EXPECT_TRUE(neurons <= 2 || table[e] == 2);
            continue;
          }
          // The neuron at each place is the medoid's.
          for (int64_t f = 0; f < neurons; ++f) {
            int32_t old = found.permutations[e * size_t(neurons) + size_t(f)];
            EXPECT_EQ(orders[e][size_t(old)],
                      orders[size_t(cluster.medoid)][size_t(f)]);
          }
          EXPECT_LT(cluster.after, 0.1 * cluster.before);
        }
        // One member has nothing to be aligned with.
        EXPECT_FALSE(found.clusters[2].used);
        EXPECT_EQ(found.clusters[2].passes, 0);
        EXPECT_EQ(found.clusters[2].medoid, 5);
      }
}

TEST(Alignment, leavesWhatIsAlignedAlone) {
  std::vector<int32_t> table{0, 0, 0};
  std::vector<std::vector<int32_t>> orders;
  Experts experts = permutedCopies(1, table, 16, 12, 0.1, orders);
  Alignment first = align(experts, table);
  ASSERT_TRUE(first.clusters[0].used);
  // Put in the order found, there is nothing more to find.
  Experts ordered = experts;
  for (int64_t e = 0; e < 3; ++e)
    for (int64_t f = 0; f < 12; ++f) {
      int64_t old = first.permutations[size_t(e * 12 + f)];
      for (int64_t d = 0; d < 16; ++d) {
        size_t to = size_t((e * 16 + d) * 12 + f),
               from = size_t((e * 16 + d) * 12 + old);
        ordered.gate[to] = experts.gate[from];
        ordered.up[to] = experts.up[from];
        ordered.down[size_t((e * 12 + f) * 16 + d)] =
            experts.down[size_t((e * 12 + old) * 16 + d)];
      }
    }
  Alignment second = align(ordered, table);
  EXPECT_FALSE(second.clusters[0].used);
  EXPECT_EQ(second.permutations, identity(experts));
  EXPECT_EQ(second.clusters[0].after, second.clusters[0].before);
  EXPECT_NEAR(second.clusters[0].before, first.clusters[0].after,
              1e-5 * first.clusters[0].after);
  // Equal experts are at their mean already.
  Experts equal{2,
                3,
                4,
                std::vector<float>(24, 0.7f),
                std::vector<float>(24, 0.7f),
                std::vector<float>(24, 0.7f)};
  Alignment same = align(equal, {0, 0});
  EXPECT_FALSE(same.clusters[0].used);
  EXPECT_EQ(same.clusters[0].before, 0.0);
}

TEST(Alignment, isTheBestOrderOfTwo) {
  // Of two experts one stays, so that every order of the other can be tried.
  for (uint32_t seed = 0; seed < 20; ++seed) {
    constexpr int64_t width = 3, neurons = 5;
    Experts experts{2,
                    width,
                    neurons,
                    seededValues(seed * 3, 2 * width * neurons),
                    seededValues(seed * 3 + 1, 2 * width * neurons),
                    seededValues(seed * 3 + 2, 2 * width * neurons)};
    Alignment found = align(experts, {0, 0});
    std::vector<int32_t> order = identity(experts);
    double best = 1e300;
    do
      best = std::min(best, distanceToMean(experts, {0, 0}, 0, order));
    while (std::next_permutation(order.begin() + neurons, order.end()));
    const ClusterAlignment &cluster = found.clusters[0];
    EXPECT_NEAR(cluster.used ? cluster.after : cluster.before, best, 1e-5);
  }
}

TEST(Alignment, startsFromTheMedoid) {
  // Expert 2 lies between the others.
  Experts experts{3,
                  1,
                  2,
                  {0, 8, 2, 0, 1, 4},
                  std::vector<float>(6),
                  std::vector<float>(6)};
  EXPECT_EQ(align(experts, {0, 0, 0}).clusters[0].medoid, 2);
}

TEST(Alignment, morePassesNeverMakeItWorse) {
  std::vector<int32_t> table(6, 0);
  std::vector<std::vector<int32_t>> orders;
  // So much noise that one look is not enough.
  Experts experts = permutedCopies(99, table, 6, 40, 1.5, orders);
  double last = 1e300;
  bool better = false;
  for (int64_t passes : {1, 2, 3, 20}) {
    AlignmentOptions options;
    options.maxPasses = passes;
    ClusterAlignment found = align(experts, table, true, options).clusters[0];
    EXPECT_TRUE(found.used);
    EXPECT_LE(found.passes, passes);
    EXPECT_LE(found.after, last * (1 + 1e-9));
    better |= passes > 1 && found.after < last * 0.999;
    last = found.after;
  }
  EXPECT_TRUE(better);
}

TEST(Alignment, isUsedOnlyIfItHelps) {
  // Alike in the order they have, but so noisy that one look at the medoid
  // finds a worse one: it is told, and not used.
  int64_t declined = 0;
  for (uint32_t seed = 0; seed < 30; ++seed) {
    Experts experts{8,
                    2,
                    6,
                    seededValues(10 * seed, 96, 1.0),
                    seededValues(10 * seed + 1, 96, 1.0),
                    seededValues(10 * seed + 2, 96, 1.0)};
    for (size_t n = 0; n < 96; ++n) {
      experts.gate[n] += seededValue(5 * seed + 7, n % 12);
      experts.down[n] += seededValue(5 * seed + 8, n % 12);
    }
    AlignmentOptions options;
    options.maxPasses = 1;
    std::vector<int32_t> table(8, 0);
    Alignment found = align(experts, table, true, options);
    if (found.clusters[0].used) {
      EXPECT_LT(found.clusters[0].after, found.clusters[0].before);
      continue;
    }
    EXPECT_EQ(found.permutations, identity(experts));
    declined += found.clusters[0].after > found.clusters[0].before;
  }
  EXPECT_GT(declined, 0);
}

TEST(Alignment, goesOnWhileAnyMemberMoves) {
  std::vector<std::vector<int32_t>> orders;
  for (uint32_t seed = 0; seed < 10; ++seed) {
    std::vector<int32_t> table(6, 0);
    Experts experts = permutedCopies(seed * 77, table, 4, 12, 1.5, orders);
    AlignmentOptions options;
    options.maxPasses = 100;
    Alignment found = align(experts, table, true, options);
    ASSERT_TRUE(found.clusters[0].used);
    EXPECT_LT(found.clusters[0].passes, 100);
    // In the end no exchange of two neurons of one member helps.
    for (size_t e = 0; e < 6; ++e)
      for (size_t f = 0; f < 12; ++f)
        for (size_t g = 0; g < f; ++g) {
          std::vector<int32_t> other = found.permutations;
          std::swap(other[e * 12 + f], other[e * 12 + g]);
          EXPECT_GE(distanceToMean(experts, table, 0, other),
                    found.clusters[0].after * (1 - 1e-5));
        }
  }
  // Of two members one stays, and the other is looked at once.
  Experts two = permutedCopies(1, {0, 0}, 4, 12, 0.1, orders);
  EXPECT_EQ(align(two, {0, 0}).clusters[0].passes, 1);
}

TEST(Alignment, doesNotDependOnThreads) {
  std::vector<int32_t> table{0, 0, 0, 0};
  std::vector<std::vector<int32_t>> orders;
  Experts experts = permutedCopies(7, table, 9, 150, 1.0, orders);
  AlignmentOptions one, three;
  one.parallel.threads = 1;
  three.parallel.threads = 3;
  Alignment first = align(experts, table, true, one),
            second = align(experts, table, true, three);
  EXPECT_EQ(first.permutations, second.permutations);
  EXPECT_EQ(first.clusters[0].after, second.clusters[0].after);
}

TEST(Alignment, reportsProgressAndEmptyClusters) {
  std::vector<int32_t> table{2, 0, 2};
  std::vector<std::vector<int32_t>> orders;
  Experts experts = permutedCopies(7, {0, 0, 0}, 2, 3, 1.0, orders);
  std::vector<std::pair<int64_t, int64_t>> calls;
  AlignmentOptions options;
  options.parallel.progress = [&](int64_t done, int64_t total) {
    calls.emplace_back(done, total);
  };
  Alignment found = align(experts, table, true, options);
  EXPECT_EQ(calls,
            (std::vector<std::pair<int64_t, int64_t>>{{1, 3}, {2, 3}, {3, 3}}));
  EXPECT_EQ(found.clusters[1].medoid, -1);
  EXPECT_EQ(found.clusters[0].medoid, 1);
}

std::string refusal(const Source &gate, const Source &up, const Source &down,
                    const std::vector<int32_t> &table,
                    const AlignmentOptions &options = {}) {
  Result<Alignment> result = alignExperts(gate, up, down, table, options);
  EXPECT_FALSE(result);
  return result.error();
}

TEST(Alignment, refusesWhatDoesNotFit) {
  Source gate = splatMatrices("g", {2, 3, 4}, 1),
         down = splatMatrices("d", {2, 4, 3}, 1);
  EXPECT_EQ(refusal(splatMatrices("g", {0, 3, 4}, 1), nullptr, down, {}),
            "g: expected from 1 to 4096 experts and from 1 to 16384 hidden "
            "neurons, found shape [0, 3, 4]");
  EXPECT_EQ(refusal(splatMatrices("g", {2, 1, 16385}, 1), nullptr, down, {}),
            "g: expected from 1 to 4096 experts and from 1 to 16384 hidden "
            "neurons, found shape [2, 1, 16385]");
  EXPECT_EQ(refusal(gate, down, down, {0, 0}),
            "d: expected shape [2, 3, 4], as g has, found [2, 4, 3]");
  EXPECT_EQ(refusal(gate, gate, gate, {0, 0}),
            "g: expected shape [2, 4, 3], as g is transposed, found [2, 3, 4]");
  EXPECT_EQ(refusal(gate, nullptr, down, {0}),
            "expected a table of 2 experts, found 1 entries");
  EXPECT_EQ(refusal(gate, nullptr, down, {0, 2}),
            "expected clusters from 0 to 1 in the table, found 2 for expert 1");
  EXPECT_EQ(refusal(gate, nullptr, down, {-1, 0}),
            "expected clusters from 0 to 1 in the table, found -1 for expert "
            "0");
  AlignmentOptions options;
  options.maxPasses = 0;
  EXPECT_EQ(refusal(gate, nullptr, down, {0, 0}, options),
            "expected at least one pass over the members, found 0");
}

TEST(Alignment, refusesWhatIsNotFinite) {
  Source gate = splatMatrices("g", {4, 1, 2}, 1);
  // The expert's own number, not that within its cluster.
  EXPECT_EQ(refusal(gate, nullptr,
                    matricesOf("d", {4, 2, 1}, {1, 1, 1, 1, 1, 1, 1, NAN}),
                    {0, 1, 0, 1}),
            "d: expected finite values, found a NaN in expert 3");
  EXPECT_EQ(refusal(gate, nullptr,
                    matricesOf("d", {4, 2, 1}, {1, 1, 1, 1, INFINITY, 1, 1, 1}),
                    {0, 1, 0, 1}),
            "d: expected finite values, found an infinity in expert 2");
}

/// Can be read in any order only: what is compared first.
class Unreadable final : public MatrixSource {
public:
  explicit Unreadable(const MatrixShape &shape) : MatrixSource("gone", shape) {}

private:
  Status doRead(int64_t, std::span<float>) const override {
    return Error{"gone: cannot read"};
  }
  Status doReadAnyOrder(int64_t entry, int64_t begin,
                        std::span<float> values) const override {
    for (size_t n = 0; n < values.size(); ++n)
      values[n] = float(entry * 3 + begin + int64_t(n));
    return success();
  }
};

TEST(Alignment, passesErrorsOn) {
  Source gate = splatMatrices("g", {2, 1, 2}, 1);
  EXPECT_EQ(refusal(gate, nullptr,
                    std::make_shared<Unreadable>(MatrixShape{2, 2, 1}), {0, 0}),
            "gone: cannot read");
  EXPECT_EQ(refusal(std::make_shared<Unreadable>(MatrixShape{2, 1, 2}), nullptr,
                    splatMatrices("d", {2, 2, 1}, 1), {0, 0}),
            "gone: cannot read");
}

} // namespace
