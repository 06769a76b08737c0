// Orders of hidden neurons that make the experts of a cluster most alike.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// A neuron is a row here: its column of gate, its column of up and its row of
// down, one behind the other. The members of a cluster are taken in turn; each
// is put in the order that fits the sum of all others best, which never raises
// the distance to the mean.
#include "weights/Alignment.h"

#include "weights/Gram.h"
#include "weights/LinearAssignment.h"
#include "weights/Similarity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moec::weights {

namespace {

/// Most hidden neurons: their costs are a matrix.
constexpr int64_t maxNeurons = 16384;
/// Neurons whose products are computed at once: with the columns' they stay in
/// the second-level cache.
constexpr int64_t rowsAtOnce = 64;
constexpr int64_t columnsAtOnce = 128;
/// Zeros behind each neuron: rows apart by a power of two would fall into the
/// same sets of the cache.
constexpr int64_t padding = 16;
/// What is gained must be more than rounding.
constexpr double leastGain = 1e-6;

/// Some entries of a source, under numbers of their own. Refuses values that
/// are not finite by the numbers they have in the source.
class Members final : public MatrixSource {
public:
  Members(std::shared_ptr<const MatrixSource> source,
          std::span<const int32_t> members)
      : MatrixSource(source->name(),
                     {int64_t(members.size()), source->shape().rows,
                      source->shape().cols}),
        source(std::move(source)), members(members.begin(), members.end()) {}

private:
  Status doRead(int64_t entry, std::span<float> values) const override {
    return check(entry, values, source->read(members[size_t(entry)], values));
  }
  Status doReadAnyOrder(int64_t entry, int64_t begin,
                        std::span<float> values) const override {
    return check(entry, values,
                 source->readAnyOrder(members[size_t(entry)], begin, values));
  }
  Status check(int64_t entry, std::span<const float> values,
               Status status) const {
    if (!status)
      return status;
    for (float value : values)
      if (!std::isfinite(value))
        return Error{name() + ": expected finite values, found " +
                     (std::isnan(value) ? "a NaN" : "an infinity") +
                     " in expert " + std::to_string(members[size_t(entry)])};
    return success();
  }

  std::shared_ptr<const MatrixSource> source;
  std::vector<int32_t> members;
};

/// What one cluster is worked on with.
class ClusterAligner {
public:
  ClusterAligner(std::vector<std::shared_ptr<const MatrixSource>> columns,
                 std::shared_ptr<const MatrixSource> rows,
                 const AlignmentOptions &options)
      : columns(std::move(columns)), rows(std::move(rows)), options(options),
        count(size_t(this->rows->shape().entries)),
        neurons(this->rows->shape().rows), width(this->rows->shape().cols),
        length(width * int64_t(this->columns.size() + 1) + padding),
        orders(count, std::vector<int32_t>(size_t(neurons))) {
    for (std::vector<int32_t> &order : orders)
      std::iota(order.begin(), order.end(), 0);
  }

  /// The new neurons of each member, by old ones.
  const std::vector<std::vector<int32_t>> &permutations() const {
    return orders;
  }

  /// Finds the orders; medoid is one of the members' own numbers.
  Result<ClusterAlignment> align() {
    ClusterAlignment result;
    // Squared distances to the mean add up to what is to be lowered; the member
    // nearest to it has the least sum of squared distances to the others.
    std::vector<std::shared_ptr<const MatrixSource>> all = columns;
    all.push_back(rows);
    SimilarityOptions centred;
    centred.removeMean = true;
    centred.parallel.threads = options.parallel.threads;
    Result<Similarity> start = similarityOfWeights(all, centred);
    if (!start)
      return Error{start.error()};
    for (double square : start->squaredNorms)
      result.before += square;
    medoid = size_t(std::min_element(start->squaredNorms.begin(),
                                     start->squaredNorms.end()) -
                    start->squaredNorms.begin());
    result.medoid = int32_t(medoid);
    result.after = result.before;
    if (count == 1 || result.before == 0)
      return result;

    features.assign(size_t(neurons * length), 0.0f);
    reference.resize(features.size());
    costs.resize(size_t(neurons * neurons));
    sum.assign(features.size(), 0.0);
    if (Status status = read(medoid); !status)
      return Error{status.error()};
    addOrdered(medoid, 1.0);
    bool moved = false;
    for (bool changed = true; changed && result.passes < options.maxPasses;) {
      changed = false;
      for (size_t member = 0; member < count; ++member) {
        // It stands for the sum at first, and is looked at like any other then.
        if (member == medoid && result.passes == 0)
          continue;
        Result<bool> reordered = improve(member, result.passes == 0);
        if (!reordered)
          return Error{reordered.error()};
        changed |= *reordered;
      }
      moved |= changed;
      ++result.passes;
      // Of two members, each fits the other best: a second look sees the same.
      if (count == 2)
        break;
    }
    if (!moved)
      return result;
    if (Status status = measure(result.after); !status)
      return Error{status.error()};
    result.used = result.after < result.before * (1 - leastGain);
    keepOrderOfMedoid();
    return result;
  }

private:
  /// Fills `features` with a member's neurons.
  Status read(size_t member) {
    matrix.resize(size_t(neurons * width));
    for (size_t part = 0; part < columns.size(); ++part) {
      if (Status status = columns[part]->read(int64_t(member), matrix); !status)
        return status;
      // Tile by tile, so that both sides stay in the cache.
      constexpr int64_t tile = 32;
      float *out = features.data() + int64_t(part) * width;
      for (int64_t first = 0; first < width; first += tile)
        for (int64_t f0 = 0; f0 < neurons; f0 += tile)
          for (int64_t d = first; d < std::min(first + tile, width); ++d)
            for (int64_t f = f0; f < std::min(f0 + tile, neurons); ++f)
              out[f * length + d] = matrix[size_t(d * neurons + f)];
    }
    if (Status status = rows->read(int64_t(member), matrix); !status)
      return status;
    for (int64_t f = 0; f < neurons; ++f)
      std::copy_n(matrix.begin() + f * width, width,
                  features.begin() + f * length +
                      int64_t(columns.size()) * width);
    return success();
  }

  /// The neuron of `features` that stands at place f of the member's order.
  const float *ordered(size_t member, int64_t f) const {
    return features.data() + int64_t(orders[member][size_t(f)]) * length;
  }

  void addOrdered(size_t member, double sign) {
    for (int64_t f = 0; f < neurons; ++f) {
      const float *row = ordered(member, f);
      double *out = sum.data() + f * length;
      for (int64_t n = 0; n < length; ++n)
        out[n] += sign * double(row[n]);
    }
  }

  /// Puts one member in the order that fits the sum of the others best. In the
  /// first pass the sum does not have it yet, nor those behind it.
  Result<bool> improve(size_t member, bool isFirst) {
    if (Status status = read(member); !status)
      return Error{status.error()};
    if (!isFirst)
      addOrdered(member, -1.0);
    // Only directions matter: scaled to its largest value, nothing overflows.
    double largest = 0;
    for (double value : sum)
      largest = std::max(largest, std::abs(value));
    for (size_t n = 0; n < sum.size(); ++n)
      reference[n] = largest > 0 ? float(sum[n] / largest) : 0.0f;
    computeCosts();
    Result<Assignment> found = assignLinearly(neurons, costs);
    if (!found)
      return Error{rows->name() + ": " + found.error()};
    double now = 0, scale = 0;
    for (int64_t f = 0; f < neurons; ++f) {
      size_t place = size_t(f * neurons + orders[member][size_t(f)]);
      now += double(costs[place]);
      scale += std::abs(double(costs[place]));
    }
    bool better = found->cost < now - leastGain * scale;
    if (better)
      orders[member] = found->columnOfRow;
    addOrdered(member, 1.0);
    return better;
  }

  /// costs[f, g] = -<reference neuron f, the member's neuron g>: the squared
  /// distances, but for what no order changes.
  void computeCosts() {
    ParallelOptions threads;
    threads.threads = options.parallel.threads;
    auto rowsOfCosts = [&](int64_t index) {
      int64_t first = index * rowsAtOnce;
      int64_t size = std::min(rowsAtOnce, neurons - first);
      std::vector<double> products(size_t(size * neurons), 0.0);
      for (int64_t column = 0; column < neurons; column += columnsAtOnce)
        addProducts({reference.data() + first * length, size, length, length},
                    {features.data() + column * length,
                     std::min(columnsAtOnce, neurons - column), length, length},
                    products.data() + column, neurons);
      for (size_t n = 0; n < products.size(); ++n)
        costs[size_t(first * neurons) + n] = float(-products[n]);
      return success();
    };
    // It has no way to fail.
    (void)parallelFor((neurons + rowsAtOnce - 1) / rowsAtOnce, threads,
                      rowsOfCosts);
  }

  /// Orders all members alike, which changes no distance, so that the medoid
  /// has the order it came in.
  void keepOrderOfMedoid() {
    std::vector<int32_t> place(static_cast<size_t>(neurons));
    for (size_t f = 0; f < place.size(); ++f)
      place[size_t(orders[medoid][f])] = int32_t(f);
    for (std::vector<int32_t> &order : orders) {
      std::vector<int32_t> old = order;
      for (size_t f = 0; f < place.size(); ++f)
        order[f] = old[size_t(place[f])];
    }
  }

  /// The sum of squared distances to the mean, in the orders found.
  Status measure(double &distance) {
    distance = 0;
    for (size_t member = 0; member < count; ++member) {
      if (Status status = read(member); !status)
        return status;
      for (int64_t f = 0; f < neurons; ++f) {
        const float *row = ordered(member, f);
        const double *mean = sum.data() + f * length;
        for (int64_t n = 0; n < length; ++n) {
          double difference = double(row[n]) - mean[n] / double(count);
          distance += difference * difference;
        }
      }
    }
    return success();
  }

  std::vector<std::shared_ptr<const MatrixSource>> columns;
  std::shared_ptr<const MatrixSource> rows;
  const AlignmentOptions &options;
  size_t count;
  int64_t neurons;
  int64_t width;
  /// Values of a neuron, and the padding.
  int64_t length;
  size_t medoid = 0;
  std::vector<std::vector<int32_t>> orders;

  std::vector<float> matrix;
  /// [F, length]: one member as it comes; the sum of the others, scaled.
  std::vector<float> features;
  std::vector<float> reference;
  /// [F, length]: the sum of members in their orders.
  std::vector<double> sum;
  /// [F, F].
  std::vector<float> costs;
};

Status checkShapes(const MatrixSource &gate, const MatrixSource *up,
                   const MatrixSource &down) {
  auto text = [](const MatrixShape &shape) {
    int64_t extents[] = {shape.entries, shape.rows, shape.cols};
    return shapeToString(extents);
  };
  const MatrixShape &shape = gate.shape();
  if (shape.entries < 1 || shape.entries > similarityMaxExperts ||
      shape.rows < 1 || shape.cols < 1 || shape.cols > maxNeurons)
    return Error{gate.name() + ": expected from 1 to " +
                 std::to_string(similarityMaxExperts) +
                 " experts and from 1 to " + std::to_string(maxNeurons) +
                 " hidden neurons, found shape " + text(shape)};
  if (up && up->shape() != shape)
    return Error{up->name() + ": expected shape " + text(shape) + ", as " +
                 gate.name() + " has, found " + text(up->shape())};
  MatrixShape transposed{shape.entries, shape.cols, shape.rows};
  if (down.shape() != transposed)
    return Error{down.name() + ": expected shape " + text(transposed) +
                 ", as " + gate.name() + " is transposed, found " +
                 text(down.shape())};
  return success();
}

} // namespace

Result<Alignment> alignExperts(const std::shared_ptr<const MatrixSource> &gate,
                               const std::shared_ptr<const MatrixSource> &up,
                               const std::shared_ptr<const MatrixSource> &down,
                               std::span<const int32_t> table,
                               const AlignmentOptions &options) {
  if (Status status = checkShapes(*gate, up.get(), *down); !status)
    return Error{status.error()};
  int64_t experts = gate->shape().entries, neurons = gate->shape().cols;
  if (table.size() != size_t(experts))
    return Error{"expected a table of " + std::to_string(experts) +
                 " experts, found " + std::to_string(table.size()) +
                 " entries"};
  int32_t clusters = 0;
  for (size_t i = 0; i < table.size(); ++i) {
    if (table[i] < 0 || table[i] >= experts)
      return Error{"expected clusters from 0 to " +
                   std::to_string(experts - 1) + " in the table, found " +
                   std::to_string(table[i]) + " for expert " +
                   std::to_string(i)};
    clusters = std::max(clusters, table[i] + 1);
  }
  if (options.maxPasses < 1)
    return Error{"expected at least one pass over the members, found " +
                 std::to_string(options.maxPasses)};

  Alignment result;
  result.permutations.resize(size_t(experts * neurons));
  for (size_t n = 0; n < result.permutations.size(); ++n)
    result.permutations[n] = int32_t(n % size_t(neurons));
  for (int32_t cluster = 0; cluster < clusters; ++cluster) {
    std::vector<int32_t> members;
    for (size_t i = 0; i < table.size(); ++i)
      if (table[i] == cluster)
        members.push_back(int32_t(i));
    ClusterAlignment found;
    if (!members.empty()) {
      std::vector<std::shared_ptr<const MatrixSource>> columns{
          std::make_shared<Members>(gate, members)};
      if (up)
        columns.push_back(std::make_shared<Members>(up, members));
      ClusterAligner aligner(std::move(columns),
                             std::make_shared<Members>(down, members), options);
      Result<ClusterAlignment> aligned = aligner.align();
      if (!aligned)
        return Error{aligned.error()};
      found = *aligned;
      found.medoid = members[size_t(found.medoid)];
      for (size_t n = 0; found.used && n < members.size(); ++n)
        std::copy(aligner.permutations()[n].begin(),
                  aligner.permutations()[n].end(),
                  result.permutations.begin() + members[n] * neurons);
    }
    result.clusters.push_back(found);
    if (options.parallel.progress)
      options.parallel.progress(cluster + 1, clusters);
  }
  return result;
}

} // namespace moec::weights
