// How alike experts are: cosines of their weights and of what they are fed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Similarity.h"

#include "weights/Gram.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <mutex>

namespace moec::weights {

namespace {

/// Bytes of weights a thread holds at a time: they stay in its cache.
constexpr int64_t blockBytes = 1 << 20;
/// Shorter pieces of an expert would cost more to begin than to work on.
constexpr int64_t shortestBlock = 1024;
/// Rows are this far apart beyond their length: rows apart by a power of two
/// would fall into the same sets of the cache.
constexpr int64_t rowPadding = 16;

Status checkExperts(int64_t experts) {
  if (experts < 1 || experts > similarityMaxExperts)
    return Error{"expected from 1 to " + std::to_string(similarityMaxExperts) +
                 " experts, found " + std::to_string(experts)};
  return success();
}

/// Cosines from the lower triangle of a Gram matrix.
Similarity cosinesOf(int64_t experts, std::span<const double> gram) {
  Similarity result;
  result.experts = experts;
  size_t count = size_t(experts);
  std::vector<double> norms(count);
  for (size_t i = 0; i < count; ++i) {
    double square = gram[i * count + i];
    result.squaredNorms.push_back(square);
    norms[i] = std::sqrt(square);
    if (square == 0)
      result.withoutDirection.push_back(int32_t(i));
  }
  result.cosines.assign(count * count, 0.0);
  for (size_t i = 0; i < count; ++i) {
    result.cosines[i * count + i] = 1.0;
    for (size_t j = 0; j < i; ++j) {
      if (norms[i] == 0 || norms[j] == 0)
        continue;
      double cosine =
          std::clamp(gram[i * count + j] / norms[i] / norms[j], -1.0, 1.0);
      result.cosines[i * count + j] = cosine;
      result.cosines[j * count + i] = cosine;
    }
  }
  return result;
}

/// Values begin, begin + 1, ... of all entries of one source.
struct Block {
  const MatrixSource *source = nullptr;
  int64_t begin = 0;
  int64_t length = 0;
};

/// What one thread works with at a time.
struct Workspace {
  std::vector<float> rows;
  std::vector<double> gram;
};

/// Why a block's sums are not finite. Looks at the values again: on the way
/// they may have spread from one expert to all.
Error notFinite(const Block &block) {
  std::vector<float> values(size_t(block.length));
  for (int64_t i = 0; i < block.source->shape().entries; ++i) {
    if (Status status = block.source->readAnyOrder(i, block.begin, values);
        !status)
      return Error{status.error()};
    for (float value : values)
      if (!std::isfinite(value))
        return Error{block.source->name() + ": expected finite values, found " +
                     (std::isnan(value) ? "a NaN" : "an infinity") +
                     " in expert " + std::to_string(i)};
  }
  return Error{block.source->name() +
               ": expected values whose squares are finite in f32, found "
               "larger ones"};
}

/// The lower triangle of the block's Gram matrix, into work.gram.
Status gramOf(const Block &block, bool withoutMean, Workspace &work) {
  int64_t experts = block.source->shape().entries;
  int64_t stride = block.length + rowPadding;
  work.rows.resize(size_t(experts * stride));
  for (int64_t i = 0; i < experts; ++i)
    if (Status status = block.source->readAnyOrder(
            i, block.begin,
            std::span(work.rows).subspan(size_t(i * stride),
                                         size_t(block.length)));
        !status)
      return status;
  Rows rows{work.rows.data(), experts, block.length, stride};
  if (withoutMean)
    removeMean(work.rows.data(), experts, block.length, stride);
  work.gram.assign(size_t(experts * experts), 0.0);
  addGram(rows, work.gram.data());
  for (int64_t i = 0; i < experts; ++i)
    if (!std::isfinite(work.gram[size_t(i * experts + i)]))
      return notFinite(block);
  return success();
}

template <typename T>
Result<Similarity> centroidCosines(int64_t experts,
                                   std::span<const T> centroids) {
  if (Status status = checkExperts(experts); !status)
    return Error{status.error()};
  if (centroids.empty() || centroids.size() % size_t(experts) != 0)
    return Error{"expected centroids of " + std::to_string(experts) +
                 " experts, found " + std::to_string(centroids.size()) +
                 " values"};
  size_t count = size_t(experts), width = centroids.size() / count;
  // Scaled by its largest value, no row's square overflows.
  std::vector<double> scaled(centroids.size());
  std::vector<double> scales(count, 0.0);
  for (size_t i = 0; i < count; ++i) {
    for (size_t d = 0; d < width; ++d) {
      double value = double(centroids[i * width + d]);
      if (!std::isfinite(value))
        return Error{"expected finite centroids, found one of expert " +
                     std::to_string(i) + " that is not"};
      scales[i] = std::max(scales[i], std::abs(value));
    }
    for (size_t d = 0; d < width && scales[i] > 0; ++d)
      scaled[i * width + d] = double(centroids[i * width + d]) / scales[i];
  }
  std::vector<double> gram(count * count, 0.0);
  for (size_t i = 0; i < count; ++i)
    for (size_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (size_t d = 0; d < width; ++d)
        sum += scaled[i * width + d] * scaled[j * width + d];
      gram[i * count + j] = sum;
    }
  Similarity result = cosinesOf(experts, gram);
  for (size_t i = 0; i < count; ++i)
    result.squaredNorms[i] *= scales[i] * scales[i];
  return result;
}

} // namespace

Result<Similarity> similarityOfWeights(
    std::span<const std::shared_ptr<const MatrixSource>> sources,
    const SimilarityOptions &options) {
  if (sources.empty())
    return Error{"expected at least one weight to compare, found none"};
  int64_t experts = sources[0]->shape().entries;
  if (Status status = checkExperts(experts); !status)
    return Error{sources[0]->name() + ": " + status.error()};
  int64_t longest = std::max<int64_t>(
      shortestBlock,
      blockBytes / int64_t(sizeof(float)) / experts - rowPadding);
  std::vector<Block> blocks;
  for (const std::shared_ptr<const MatrixSource> &source : sources) {
    const MatrixShape &shape = source->shape();
    if (shape.entries != experts)
      return Error{source->name() + ": expected " + std::to_string(experts) +
                   " experts, as " + sources[0]->name() + " has, found " +
                   std::to_string(shape.entries)};
    int64_t values = shape.rows * shape.cols;
    for (int64_t begin = 0; begin < values; begin += longest)
      blocks.push_back(
          {source.get(), begin, std::min(longest, values - begin)});
  }

  std::vector<double> gram(size_t(experts * experts), 0.0);
  // Blocks are added in their order, so that the sums do not depend on threads.
  // Each is begun behind those before it, so that waiting for them ends.
  std::mutex mutex;
  std::condition_variable turned;
  int64_t turn = 0;
  std::vector<std::unique_ptr<Workspace>> idle;
  auto add = [&](int64_t index) {
    std::unique_ptr<Workspace> work;
    {
      std::lock_guard lock(mutex);
      if (!idle.empty()) {
        work = std::move(idle.back());
        idle.pop_back();
      }
    }
    if (!work)
      work = std::make_unique<Workspace>();
    Status status = gramOf(blocks[size_t(index)], options.removeMean, *work);
    std::unique_lock lock(mutex);
    turned.wait(lock, [&] { return turn == index; });
    ++turn;
    if (status)
      for (size_t n = 0; n < gram.size(); ++n)
        gram[n] += work->gram[n];
    idle.push_back(std::move(work));
    turned.notify_all();
    return status;
  };
  if (Status status =
          parallelFor(int64_t(blocks.size()), options.parallel, add);
      !status)
    return Error{status.error()};
  return cosinesOf(experts, gram);
}

Result<Similarity> similarityOfCentroids(int64_t experts,
                                         std::span<const float> centroids) {
  return centroidCosines(experts, centroids);
}

Result<Similarity> similarityOfCentroids(int64_t experts,
                                         std::span<const double> centroids) {
  return centroidCosines(experts, centroids);
}

Result<std::vector<double>> combineSimilarities(double alpha,
                                                const Similarity &weights,
                                                const Similarity &centroids) {
  if (!(alpha >= 0 && alpha <= 1))
    return Error{"expected alpha from 0 to 1, found " + std::to_string(alpha)};
  if (weights.experts != centroids.experts)
    return Error{"expected centroids of " + std::to_string(weights.experts) +
                 " experts, as the weights have, found " +
                 std::to_string(centroids.experts)};
  std::vector<double> result(weights.cosines.size());
  for (size_t n = 0; n < result.size(); ++n)
    result[n] = alpha * weights.cosines[n] + (1 - alpha) * centroids.cosines[n];
  return result;
}

} // namespace moec::weights
