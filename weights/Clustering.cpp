// Which experts belong together: kernel k-means++ on their similarities.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Nothing here has coordinates. With s(i, c) the sum of similarities of expert
// i to cluster c, and q(c) the sum over pairs of members, the objective is the
// sum of q(c) / |c|, and what a move or a swap gains follows from s and q
// alone.
#include "weights/Clustering.h"

#include "weights/Similarity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moec::weights {

namespace {

/// Gains below this are rounding.
constexpr double smallestGain = 1e-9;
/// Similarities i, j and j, i may differ by this much.
constexpr double symmetryTolerance = 1e-9;

/// SplitMix64: the same numbers on every machine.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}

  uint64_t next() {
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }

  /// A number below `bound`, each equally likely: what would favour small ones
  /// is drawn again.
  uint64_t below(uint64_t bound) {
    uint64_t first = (0 - bound) % bound;
    uint64_t value = next();
    while (value < first)
      value = next();
    return value % bound;
  }

private:
  uint64_t state;
};

/// What is given: the matrix and the rules.
struct Problem {
  size_t experts = 0;
  size_t clusters = 0;
  size_t minSize = 1;
  size_t maxSize = 0;
  double threshold = -1;
  /// Symmetric.
  std::vector<double> similarity;
  /// Experts without any neighbour, which may go anywhere.
  std::vector<bool> isolated;

  double at(size_t i, size_t j) const { return similarity[i * experts + j]; }
  bool neighbours(size_t i, size_t j) const {
    return i != j && at(i, j) >= threshold;
  }
};

/// A table and its sums.
class Partition {
public:
  Partition(const Problem &problem, std::vector<int32_t> table)
      : problem(problem), table(std::move(table)) {
    count();
  }

  /// Sums as if computed for the first time: moves add rounding to them.
  void count() {
    size_t experts = problem.experts, clusters = problem.clusters;
    sizes.assign(clusters, 0);
    toCluster.assign(experts * clusters, 0.0);
    neighboursIn.assign(experts * clusters, 0);
    within.assign(clusters, 0.0);
    for (size_t i = 0; i < experts; ++i)
      ++sizes[clusterOf(i)];
    for (size_t i = 0; i < experts; ++i)
      for (size_t j = 0; j < experts; ++j) {
        size_t place = i * clusters + clusterOf(j);
        toCluster[place] += problem.at(i, j);
        neighboursIn[place] += problem.neighbours(i, j);
      }
    for (size_t i = 0; i < experts; ++i)
      within[clusterOf(i)] += sumTo(i, clusterOf(i));
  }

  size_t clusterOf(size_t i) const { return size_t(table[i]); }
  size_t sizeOf(size_t c) const { return sizes[c]; }
  const std::vector<int32_t> &assignment() const { return table; }

  double objective() const {
    double sum = 0;
    for (size_t c = 0; c < problem.clusters; ++c)
      sum += share(within[c], sizes[c]);
    return sum;
  }

  /// Whether all sizes are within their limits.
  bool fits() const {
    return std::all_of(sizes.begin(), sizes.end(), [&](size_t size) {
      return size >= problem.minSize && size <= problem.maxSize;
    });
  }

  /// Whether the threshold lets an expert into a cluster once `leaving` has
  /// left.
  bool mayEnter(size_t i, size_t c, size_t leaving) const {
    return problem.isolated[i] || neighboursIn[i * problem.clusters + c] >
                                      size_t(clusterOf(leaving) == c &&
                                             problem.neighbours(i, leaving));
  }

  double gainOfMove(size_t i, size_t to) const {
    size_t from = clusterOf(i);
    double self = problem.at(i, i);
    return share(within[from] - 2 * sumTo(i, from) + self, sizes[from] - 1) -
           share(within[from], sizes[from]) +
           share(within[to] + 2 * sumTo(i, to) + self, sizes[to] + 1) -
           share(within[to], sizes[to]);
  }

  double gainOfSwap(size_t i, size_t j) const {
    size_t a = clusterOf(i), b = clusterOf(j);
    double pair = problem.at(i, j);
    double own = problem.at(j, j) + problem.at(i, i) - 2 * pair;
    return (2 * (sumTo(j, a) - sumTo(i, a)) + own) / double(sizes[a]) +
           (2 * (sumTo(i, b) - sumTo(j, b)) + own) / double(sizes[b]);
  }

  void move(size_t i, size_t to) {
    size_t from = clusterOf(i), clusters = problem.clusters;
    double self = problem.at(i, i);
    within[from] += self - 2 * sumTo(i, from);
    within[to] += self + 2 * sumTo(i, to);
    for (size_t j = 0; j < problem.experts; ++j) {
      double value = problem.at(j, i);
      toCluster[j * clusters + from] -= value;
      toCluster[j * clusters + to] += value;
      if (problem.neighbours(j, i)) {
        --neighboursIn[j * clusters + from];
        ++neighboursIn[j * clusters + to];
      }
    }
    --sizes[from];
    ++sizes[to];
    table[i] = int32_t(to);
  }

private:
  /// A cluster's part of the objective; nothing from an empty one.
  static double share(double sum, size_t size) {
    return size == 0 ? 0.0 : sum / double(size);
  }
  double sumTo(size_t i, size_t c) const {
    return toCluster[i * problem.clusters + c];
  }

  const Problem &problem;
  std::vector<int32_t> table;
  std::vector<size_t> sizes;
  /// [E, G]: sum of similarities to members, itself included.
  std::vector<double> toCluster;
  /// [E, G]: members that are neighbours.
  std::vector<size_t> neighboursIn;
  /// [G]: sum of similarities over pairs of members.
  std::vector<double> within;
};

//===----------------------------------------------------------------------===//
// Moves
//===----------------------------------------------------------------------===//

/// Makes the move that costs least of those that `allowed(expert, cluster)`
/// lets happen; one that the threshold forbids only if there is no other.
template <typename Allowed>
void forceMove(const Problem &problem, Partition &partition, Allowed allowed) {
  size_t expert = 0, target = 0;
  bool found = false, foundEasy = false;
  double best = 0;
  for (size_t i = 0; i < problem.experts; ++i)
    for (size_t c = 0; c < problem.clusters; ++c) {
      if (c == partition.clusterOf(i) || !allowed(i, c))
        continue;
      bool easy = partition.sizeOf(c) == 0 || partition.mayEnter(i, c, i);
      double gain = partition.gainOfMove(i, c);
      if (found && (foundEasy != easy ? foundEasy : gain <= best))
        continue;
      found = true;
      foundEasy = easy;
      best = gain;
      expert = i;
      target = c;
    }
  partition.move(expert, target);
}

/// Moves experts until all sizes are within their limits; returns how many.
/// There are enough experts for all minima and enough room below all maxima.
int64_t mend(const Problem &problem, Partition &partition) {
  int64_t moves = 0;
  auto some = [&](auto predicate) {
    for (size_t c = 0; c < problem.clusters; ++c)
      if (predicate(partition.sizeOf(c)))
        return true;
    return false;
  };
  for (; some([&](size_t size) { return size < problem.minSize; }); ++moves)
    forceMove(problem, partition, [&](size_t i, size_t c) {
      return partition.sizeOf(c) < problem.minSize &&
             partition.sizeOf(partition.clusterOf(i)) > problem.minSize;
    });
  for (; some([&](size_t size) { return size > problem.maxSize; }); ++moves)
    forceMove(problem, partition, [&](size_t i, size_t c) {
      return partition.sizeOf(c) < problem.maxSize &&
             partition.sizeOf(partition.clusterOf(i)) > problem.maxSize;
    });
  return moves;
}

/// One chance for each expert to move and for each pair to swap.
int64_t sweep(const Problem &problem, Partition &partition) {
  partition.count();
  int64_t moves = 0;
  for (size_t i = 0; i < problem.experts; ++i) {
    if (partition.sizeOf(partition.clusterOf(i)) <= problem.minSize)
      continue;
    size_t target = partition.clusterOf(i);
    double best = smallestGain;
    for (size_t c = 0; c < problem.clusters; ++c) {
      if (c == partition.clusterOf(i) ||
          partition.sizeOf(c) >= problem.maxSize ||
          !partition.mayEnter(i, c, i))
        continue;
      double gain = partition.gainOfMove(i, c);
      if (gain > best) {
        best = gain;
        target = c;
      }
    }
    if (target != partition.clusterOf(i)) {
      partition.move(i, target);
      ++moves;
    }
  }
  for (size_t i = 0; i < problem.experts; ++i)
    for (size_t j = i + 1; j < problem.experts; ++j) {
      size_t a = partition.clusterOf(i), b = partition.clusterOf(j);
      if (a == b || partition.gainOfSwap(i, j) <= smallestGain ||
          !partition.mayEnter(i, b, j) || !partition.mayEnter(j, a, i))
        continue;
      partition.move(i, b);
      partition.move(j, a);
      moves += 2;
    }
  return moves;
}

/// Sweeps until nothing moves.
int64_t improve(const Problem &problem, Partition &partition,
                int64_t maxSweeps) {
  int64_t moves = 0;
  for (int64_t n = 0; n < maxSweeps; ++n) {
    int64_t moved = sweep(problem, partition);
    if (moved == 0)
      break;
    moves += moved;
  }
  partition.count();
  return moves;
}

//===----------------------------------------------------------------------===//
// First assignments
//===----------------------------------------------------------------------===//

/// k-means++: the next centre is drawn by its squared distance to the nearest
/// one so far, as an integer, so that no machine rounds it differently.
std::vector<size_t> drawCentres(const Problem &problem, Random &random) {
  std::vector<size_t> centres{size_t(random.below(problem.experts))};
  std::vector<double> distance(problem.experts, HUGE_VAL);
  std::vector<bool> chosen(problem.experts, false);
  std::vector<uint64_t> weight(problem.experts);
  while (true) {
    size_t last = centres.back();
    chosen[last] = true;
    if (centres.size() == problem.clusters)
      return centres;
    double farthest = 0;
    for (size_t i = 0; i < problem.experts; ++i) {
      double square =
          problem.at(i, i) + problem.at(last, last) - 2 * problem.at(i, last);
      distance[i] = std::min(distance[i], std::max(square, 0.0));
      if (!chosen[i])
        farthest = std::max(farthest, distance[i]);
    }
    uint64_t total = 0;
    for (size_t i = 0; i < problem.experts; ++i) {
      // All that is left may equal a centre: then each is as good.
      weight[i] = chosen[i]       ? 0
                  : farthest == 0 ? 1
                                  : uint64_t(distance[i] / farthest * 0x1p32);
      total += weight[i];
    }
    uint64_t draw = random.below(total);
    size_t next = 0;
    while (draw >= weight[next])
      draw -= weight[next++];
    centres.push_back(next);
  }
}

/// Each expert to the centre most like it that has room, closest pairs first.
std::vector<int32_t> assignToCentres(const Problem &problem,
                                     const std::vector<size_t> &centres) {
  std::vector<int32_t> table(problem.experts, -1);
  std::vector<size_t> room(problem.clusters, problem.maxSize);
  for (size_t c = 0; c < centres.size(); ++c) {
    table[centres[c]] = int32_t(c);
    --room[c];
  }
  std::vector<size_t> pairs(problem.experts * problem.clusters);
  std::iota(pairs.begin(), pairs.end(), size_t(0));
  auto likeness = [&](size_t pair) {
    return problem.at(pair / problem.clusters,
                      centres[pair % problem.clusters]);
  };
  std::sort(pairs.begin(), pairs.end(), [&](size_t left, size_t right) {
    double l = likeness(left), r = likeness(right);
    return l != r ? l > r : left < right;
  });
  for (size_t pair : pairs) {
    size_t i = pair / problem.clusters, c = pair % problem.clusters;
    if (table[i] >= 0 || room[c] == 0)
      continue;
    table[i] = int32_t(c);
    --room[c];
  }
  return table;
}

//===----------------------------------------------------------------------===//
// What comes in and what goes out
//===----------------------------------------------------------------------===//

Status checkMatrix(int64_t experts, std::span<const double> similarity) {
  if (experts < 1 || experts > similarityMaxExperts)
    return Error{"expected from 1 to " + std::to_string(similarityMaxExperts) +
                 " experts, found " + std::to_string(experts)};
  if (similarity.size() != size_t(experts * experts))
    return Error{"expected " + std::to_string(experts * experts) +
                 " similarities of " + std::to_string(experts) +
                 " experts, found " + std::to_string(similarity.size())};
  size_t count = size_t(experts);
  for (size_t i = 0; i < count; ++i)
    for (size_t j = 0; j <= i; ++j) {
      double here = similarity[i * count + j];
      double there = similarity[j * count + i];
      std::string pair = std::to_string(i) + " and " + std::to_string(j);
      if (!std::isfinite(here) || !std::isfinite(there))
        return Error{"expected finite similarities, found one of experts " +
                     pair + " that is not"};
      if (std::abs(here - there) >
          symmetryTolerance * std::max(1.0, std::abs(here)))
        return Error{"expected a symmetric matrix of similarities, found " +
                     std::to_string(here) + " and " + std::to_string(there) +
                     " for experts " + pair};
    }
  return success();
}

Status checkTable(int64_t experts, std::span<const int32_t> table,
                  int64_t clusters) {
  if (table.size() != size_t(experts))
    return Error{"expected a table of " + std::to_string(experts) +
                 " experts, found " + std::to_string(table.size()) +
                 " entries"};
  for (size_t i = 0; i < table.size(); ++i)
    if (table[i] < 0 || table[i] >= clusters)
      return Error{"expected clusters from 0 to " +
                   std::to_string(clusters - 1) + " in the table, found " +
                   std::to_string(table[i]) + " for expert " +
                   std::to_string(i)};
  return success();
}

Status checkOptions(int64_t experts, const ClusteringOptions &options) {
  if (options.clusters < 1 || options.clusters > experts)
    return Error{"expected from 1 to " + std::to_string(experts) +
                 " clusters for " + std::to_string(experts) +
                 " experts, found " + std::to_string(options.clusters)};
  // Sizes beyond the experts are no limit; the product stays small.
  int64_t maxSize = std::min(options.maxSize, experts);
  if (options.maxSize < 0 ||
      (options.maxSize > 0 && maxSize * options.clusters < experts))
    return Error{"expected clusters with room for " + std::to_string(experts) +
                 " experts, found " + std::to_string(options.clusters) +
                 " clusters of at most " + std::to_string(options.maxSize)};
  if (options.restarts < 1)
    return Error{"expected at least one start, found " +
                 std::to_string(options.restarts)};
  if (options.maxSweeps < 0)
    return Error{"expected a number of sweeps, found " +
                 std::to_string(options.maxSweeps)};
  if (std::isnan(options.threshold))
    return Error{"expected a threshold of similarity, found nan"};
  if (!(options.minGain >= 0))
    return Error{"expected a least gain from 0, found " +
                 std::to_string(options.minGain)};
  if (!options.start.empty())
    return checkTable(experts, options.start, options.clusters);
  return success();
}

Problem makeProblem(int64_t experts, std::span<const double> similarity,
                    const ClusteringOptions &options) {
  Problem problem;
  problem.experts = size_t(experts);
  problem.clusters = size_t(options.clusters);
  problem.threshold = options.threshold;
  problem.maxSize = options.maxSize > 0
                        ? size_t(std::min(options.maxSize, experts))
                        : size_t(experts);
  if (options.exactBalance) {
    problem.minSize = problem.experts / problem.clusters;
    problem.maxSize =
        (problem.experts + problem.clusters - 1) / problem.clusters;
  }
  problem.similarity.resize(similarity.size());
  problem.isolated.assign(problem.experts, true);
  for (size_t i = 0; i < problem.experts; ++i)
    for (size_t j = 0; j < problem.experts; ++j)
      problem.similarity[i * problem.experts + j] =
          0.5 * (similarity[i * problem.experts + j] +
                 similarity[j * problem.experts + i]);
  for (size_t i = 0; i < problem.experts; ++i)
    for (size_t j = 0; j < problem.experts; ++j)
      if (problem.neighbours(i, j))
        problem.isolated[i] = false;
  return problem;
}

/// Numbers clusters by their lowest member.
std::vector<int32_t> renumber(std::span<const int32_t> table) {
  std::vector<int32_t> number(table.size(), -1), result;
  int32_t next = 0;
  for (int32_t cluster : table) {
    if (number[size_t(cluster)] < 0)
      number[size_t(cluster)] = next++;
    result.push_back(number[size_t(cluster)]);
  }
  return result;
}

Clustering describe(int64_t experts, std::span<const double> similarity,
                    std::span<const int32_t> table) {
  Clustering result;
  result.table = renumber(table);
  size_t count = size_t(experts);
  size_t clusters =
      size_t(*std::max_element(result.table.begin(), result.table.end())) + 1;
  result.sizes.assign(clusters, 0);
  for (int32_t cluster : result.table)
    ++result.sizes[size_t(cluster)];
  double within = 0, between = 0;
  int64_t withinPairs = 0, betweenPairs = 0;
  for (size_t i = 0; i < count; ++i)
    for (size_t j = 0; j < count; ++j) {
      double value = similarity[i * count + j];
      if (result.table[i] == result.table[j])
        result.objective +=
            value / double(result.sizes[size_t(result.table[i])]);
      if (j >= i)
        continue;
      bool same = result.table[i] == result.table[j];
      (same ? within : between) += value;
      ++(same ? withinPairs : betweenPairs);
    }
  result.objective /= double(experts);
  if (withinPairs > 0)
    result.meanWithin = within / double(withinPairs);
  if (betweenPairs > 0)
    result.meanBetween = between / double(betweenPairs);
  return result;
}

} // namespace

Result<Clustering> clusterExperts(int64_t experts,
                                  std::span<const double> similarity,
                                  const ClusteringOptions &options) {
  if (Status status = checkMatrix(experts, similarity); !status)
    return Error{status.error()};
  if (Status status = checkOptions(experts, options); !status)
    return Error{status.error()};
  Problem problem = makeProblem(experts, similarity, options);

  std::vector<int32_t> best;
  double bestObjective = 0;
  int64_t moves = 0;
  bool changed = true;
  if (!options.start.empty()) {
    best.assign(options.start.begin(), options.start.end());
    Partition partition(problem, best);
    bool fits = partition.fits();
    double before = partition.objective();
    moves = mend(problem, partition);
    moves += improve(problem, partition, options.maxSweeps);
    // The objective is a sum over experts here and a mean outside.
    double gain = (partition.objective() - before) / double(experts);
    changed = !fits || (moves > 0 && gain > options.minGain);
    if (changed)
      best = partition.assignment();
    else
      moves = 0;
  } else {
    Random seeds(options.seed);
    for (int64_t n = 0; n < options.restarts; ++n) {
      Random random(seeds.next());
      Partition partition(
          problem, assignToCentres(problem, drawCentres(problem, random)));
      int64_t moved = mend(problem, partition);
      moved += improve(problem, partition, options.maxSweeps);
      double objective = partition.objective();
      if (!best.empty() && objective <= bestObjective + smallestGain)
        continue;
      best = partition.assignment();
      bestObjective = objective;
      moves = moved;
    }
  }
  Clustering result = describe(experts, problem.similarity, best);
  result.moves = moves;
  result.changed = changed;
  for (size_t i = 0; i < problem.experts; ++i)
    if (problem.isolated[i])
      result.isolated.push_back(int32_t(i));
  return result;
}

Result<Clustering> describeClustering(int64_t experts,
                                      std::span<const double> similarity,
                                      std::span<const int32_t> table) {
  if (Status status = checkMatrix(experts, similarity); !status)
    return Error{status.error()};
  if (Status status = checkTable(experts, table, experts); !status)
    return Error{status.error()};
  return describe(experts, similarity, table);
}

Result<std::vector<int32_t>> randomTable(int64_t experts, int64_t clusters,
                                         uint64_t seed) {
  if (clusters < 1 || clusters > experts)
    return Error{"expected 1 to " + std::to_string(experts) +
                 " clusters, found " + std::to_string(clusters)};
  std::vector<int32_t> table;
  for (int64_t expert = 0; expert < experts; ++expert)
    table.push_back(int32_t(expert % clusters));
  Random random(seed);
  for (size_t left = table.size(); left > 1; --left)
    std::swap(table[left - 1], table[size_t(random.below(left))]);
  return renumber(table);
}

int64_t balancedSize(int64_t experts, int64_t clusters, double slack) {
  int64_t ceiling = (experts + clusters - 1) / clusters;
  double wanted = double(ceiling) * slack;
  if (!(wanted > double(ceiling)))
    return ceiling;
  return wanted < double(experts) ? int64_t(wanted) : experts;
}

} // namespace moec::weights
