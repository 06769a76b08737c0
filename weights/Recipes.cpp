// Weights computed from other weights, one matrix at a time: docs/spec.md
// section 2, recipes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Recipes.h"

#include "weights/CalibratedRounding.h"
#include "weights/EntryCache.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace moec::weights {

static size_t matrixSize(const MatrixSource &source) {
  return size_t(source.shape().rows * source.shape().cols);
}

static Status checkTable(const std::string &name,
                         const std::vector<int32_t> &table, int64_t entries,
                         int64_t targets) {
  if (uint64_t(entries) != table.size())
    return Error{name + ": expected a table of " + std::to_string(entries) +
                 " entries, found " + std::to_string(table.size())};
  for (size_t i = 0; i < table.size(); ++i)
    if (table[i] < 0 || table[i] >= targets)
      return Error{name + ": expected targets from 0 to " +
                   std::to_string(targets - 1) + " in the table, found " +
                   std::to_string(table[i]) + " at entry " + std::to_string(i)};
  return success();
}

//===----------------------------------------------------------------------===//
// Means
//===----------------------------------------------------------------------===//

namespace {

class MeanMatrices final : public MatrixSource {
public:
  /// One member of a target and its share, not yet divided by their sum.
  struct Member {
    int64_t entry;
    double weight;
  };

  MeanMatrices(std::string name, MatrixSourcePtr of,
               std::vector<std::vector<Member>> members)
      : MatrixSource(std::move(name), {int64_t(members.size()),
                                       of->shape().rows, of->shape().cols}),
        source(std::move(of)), members(std::move(members)) {}

private:
  template <typename Read>
  Status mean(int64_t target, std::span<float> values, Read read) const {
    std::vector<double> sum(values.size(), 0.0);
    double total = 0;
    for (const Member &member : members[size_t(target)]) {
      if (Status status = read(member.entry); !status)
        return status;
      for (size_t i = 0; i < sum.size(); ++i)
        sum[i] += member.weight * double(values[i]);
      total += member.weight;
    }
    for (size_t i = 0; i < sum.size(); ++i)
      values[i] = total == 0 ? 0.0f : float(sum[i] / total);
    return success();
  }

  Status doRead(int64_t target, std::span<float> values) const override {
    return mean(target, values,
                [&](int64_t entry) { return source->read(entry, values); });
  }
  // All entries come in one order, so their mean does.
  Status doReadAnyOrder(int64_t target, int64_t begin,
                        std::span<float> values) const override {
    return mean(target, values, [&](int64_t entry) {
      return source->readAnyOrder(entry, begin, values);
    });
  }

  MatrixSourcePtr source;
  std::vector<std::vector<Member>> members;
};

} // namespace

Result<MatrixSourcePtr> meanMatrices(std::string name, MatrixSourcePtr of,
                                     std::vector<int32_t> table,
                                     int64_t targets,
                                     std::vector<double> weights) {
  if (targets < 1)
    return Error{name + ": expected at least one target of the table, found " +
                 std::to_string(targets)};
  if (Status status = checkTable(name, table, of->shape().entries, targets);
      !status)
    return Error{status.error()};
  if (!weights.empty() && weights.size() != table.size())
    return Error{name + ": expected a weight for each of " +
                 std::to_string(table.size()) + " entries, found " +
                 std::to_string(weights.size())};
  for (size_t i = 0; i < weights.size(); ++i)
    if (!(weights[i] >= 0) || std::isinf(weights[i]))
      return Error{name + ": expected finite weights of at least 0, found " +
                   std::to_string(weights[i]) + " at entry " +
                   std::to_string(i)};

  std::vector<std::vector<MeanMatrices::Member>> members(
      static_cast<size_t>(targets));
  for (size_t i = 0; i < table.size(); ++i)
    members[size_t(table[i])].push_back(
        {int64_t(i), weights.empty() ? 1.0 : weights[i]});
  for (std::vector<MeanMatrices::Member> &group : members) {
    double largest = 0;
    for (const MeanMatrices::Member &member : group)
      largest = std::max(largest, member.weight);
    // Divided by the largest, sums of weights stay finite.
    for (MeanMatrices::Member &member : group)
      member.weight = largest == 0 ? 1.0 : member.weight / largest;
    std::erase_if(group, [](const MeanMatrices::Member &member) {
      return member.weight == 0;
    });
  }
  return MatrixSourcePtr(std::make_shared<MeanMatrices>(
      std::move(name), std::move(of), std::move(members)));
}

//===----------------------------------------------------------------------===//
// Permutations
//===----------------------------------------------------------------------===//

namespace {

class PermutedMatrices final : public MatrixSource {
public:
  PermutedMatrices(std::string name, MatrixSourcePtr of,
                   std::vector<int32_t> permutations, MatrixSide side)
      : MatrixSource(std::move(name), of->shape()), source(std::move(of)),
        permutations(std::move(permutations)), side(side) {}

private:
  Status doRead(int64_t entry, std::span<float> values) const override {
    std::vector<float> matrix(values.size());
    if (Status status = source->read(entry, matrix); !status)
      return status;
    int64_t rows = shape().rows, cols = shape().cols;
    int64_t count = side == MatrixSide::Input ? rows : cols;
    const int32_t *order = permutations.data() + entry * count;
    for (int64_t row = 0; row < rows; ++row) {
      const float *from =
          matrix.data() + (side == MatrixSide::Input ? order[row] : row) * cols;
      float *to = values.data() + row * cols;
      if (side == MatrixSide::Input)
        std::copy_n(from, cols, to);
      else
        for (int64_t col = 0; col < cols; ++col)
          to[col] = from[order[col]];
    }
    return success();
  }

  MatrixSourcePtr source;
  std::vector<int32_t> permutations;
  MatrixSide side;
};

} // namespace

Result<MatrixSourcePtr> permutedMatrices(std::string name, MatrixSourcePtr of,
                                         std::vector<int32_t> permutations,
                                         MatrixSide side) {
  int64_t entries = of->shape().entries;
  int64_t count =
      side == MatrixSide::Input ? of->shape().rows : of->shape().cols;
  if (int64_t(permutations.size()) != entries * count)
    return Error{name + ": expected " + std::to_string(entries) +
                 " permutations of " + std::to_string(count) +
                 " indices, found " + std::to_string(permutations.size()) +
                 " indices"};
  for (int64_t entry = 0; entry < entries; ++entry) {
    std::vector<bool> seen(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      int32_t index = permutations[size_t(entry * count + i)];
      if (index < 0 || index >= count)
        return Error{name + ": expected indices from 0 to " +
                     std::to_string(count - 1) + " in the permutation of " +
                     "entry " + std::to_string(entry) + ", found " +
                     std::to_string(index) + " at " + std::to_string(i)};
      if (seen[size_t(index)])
        return Error{name + ": expected each index once in the permutation " +
                     "of entry " + std::to_string(entry) + ", found " +
                     std::to_string(index) + " again at " + std::to_string(i)};
      seen[size_t(index)] = true;
    }
  }
  return MatrixSourcePtr(std::make_shared<PermutedMatrices>(
      std::move(name), std::move(of), std::move(permutations), side));
}

//===----------------------------------------------------------------------===//
// Encodings and caches
//===----------------------------------------------------------------------===//

namespace {

class EncodedMatrices final : public MatrixSource {
public:
  EncodedMatrices(std::string name, MatrixSourcePtr of,
                  const Encoding &encoding)
      : MatrixSource(std::move(name), of->shape()), source(std::move(of)),
        encoding(encoding) {}

private:
  Status doRead(int64_t entry, std::span<float> values) const override {
    if (Status status = source->read(entry, values); !status)
      return status;
    Result<EncodedTensor> encoded = encodeEntry(
        name(), entry, encoding, shape().rows, shape().cols, values);
    if (!encoded)
      return Error{encoded.error()};
    Result<std::vector<float>> decoded = decode(*encoded);
    if (!decoded)
      return Error{name() + ": " + decoded.error()};
    std::copy(decoded->begin(), decoded->end(), values.begin());
    return success();
  }

  MatrixSourcePtr source;
  Encoding encoding;
};

class CachedMatrices final : public MatrixSource {
public:
  CachedMatrices(MatrixSourcePtr of, int64_t kept)
      : MatrixSource(of->name(), of->shape()), source(std::move(of)),
        cache(kept) {}

private:
  Status doRead(int64_t entry, std::span<float> values) const override {
    return doReadAnyOrder(entry, 0, values);
  }
  Status doReadAnyOrder(int64_t entry, int64_t begin,
                        std::span<float> values) const override {
    auto matrix = cache.get(entry, [&]() -> Result<std::vector<float>> {
      std::vector<float> matrix(matrixSize(*source));
      if (Status status = source->read(entry, matrix); !status)
        return Error{status.error()};
      return matrix;
    });
    if (!*matrix)
      return Error{matrix->error()};
    std::copy_n((*matrix)->begin() + begin, values.size(), values.begin());
    return success();
  }

  MatrixSourcePtr source;
  mutable EntryCache<std::vector<float>> cache;
};

} // namespace

Result<MatrixSourcePtr> encodedMatrices(std::string name, MatrixSourcePtr of,
                                        const Encoding &encoding,
                                        MatrixSourcePtr moments) {
  if (moments && hasScales(encoding))
    return calibratedMatrices(std::move(name), std::move(of), encoding,
                              std::move(moments));
  if (Status status = verifyEncoding(encoding, of->shape()); !status)
    return Error{name + ": " + status.error()};
  return MatrixSourcePtr(std::make_shared<EncodedMatrices>(
      std::move(name), std::move(of), encoding));
}

MatrixSourcePtr cachedMatrices(MatrixSourcePtr of, int64_t kept) {
  return std::make_shared<CachedMatrices>(std::move(of), kept);
}

//===----------------------------------------------------------------------===//
// Residuals
//===----------------------------------------------------------------------===//

struct WhiteningOfEntries::Shared {
  explicit Shared(MomentsSource inputs)
      : inputs(std::move(inputs)), common(1) {}

  Result<std::shared_ptr<const InputWhitening>> compute(int64_t entry) const {
    const MatrixSource &moments = *inputs.moments;
    std::vector<float> values(matrixSize(moments));
    if (Status status = moments.read(entry, values); !status)
      return Error{status.error()};
    std::string name = moments.name();
    if (moments.shape().entries > 1)
      name += " entry " + std::to_string(entry);
    Result<InputWhitening> whitening =
        moments.shape().rows == 1
            ? InputWhitening::diagonal(name, values, inputs.regularization)
            : InputWhitening::full(name, moments.shape().cols, values,
                                   inputs.regularization);
    if (!whitening)
      return Error{whitening.error()};
    return std::shared_ptr<const InputWhitening>(
        std::make_shared<InputWhitening>(*std::move(whitening)));
  }

  MomentsSource inputs;
  EntryCache<std::shared_ptr<const InputWhitening>> common;
};

WhiteningOfEntries::WhiteningOfEntries(MomentsSource inputs)
    : shared(std::make_unique<Shared>(std::move(inputs))) {}
WhiteningOfEntries::~WhiteningOfEntries() = default;

Result<std::shared_ptr<const InputWhitening>>
WhiteningOfEntries::of(int64_t entry) const {
  if (!shared->inputs.moments)
    return std::shared_ptr<const InputWhitening>();
  if (shared->inputs.moments->shape().entries > 1)
    return shared->compute(entry);
  return *shared->common.get(0, [&] { return shared->compute(0); });
}

Status verifyMoments(const MatrixSource &of, const MomentsSource &inputs) {
  if (!inputs.moments)
    return success();
  const MatrixShape &shape = of.shape(), &found = inputs.moments->shape();
  if ((found.entries == 1 || found.entries == shape.entries) &&
      (found.rows == 1 || found.rows == shape.rows) && found.cols == shape.rows)
    return success();
  int64_t extents[] = {found.entries, found.rows, found.cols};
  std::string rows = std::to_string(shape.rows);
  return Error{inputs.moments->name() + ": expected second moments [1 or " +
               std::to_string(shape.entries) + ", 1 or " + rows + ", " + rows +
               "] for " + of.name() + ", found " + shapeToString(extents)};
}

Status verifyResidual(const MatrixSource &of, const MatrixSource &base,
                      const std::vector<int32_t> &table,
                      const ResidualOptions &options) {
  const MatrixShape &shape = of.shape();
  if (base.shape().rows != shape.rows || base.shape().cols != shape.cols)
    return Error{base.name() + ": expected a base of " +
                 std::to_string(shape.rows) + " x " +
                 std::to_string(shape.cols) + " for " + of.name() + ", found " +
                 std::to_string(base.shape().rows) + " x " +
                 std::to_string(base.shape().cols)};
  if (Status status =
          checkTable(of.name(), table, shape.entries, base.shape().entries);
      !status)
    return status;
  if (Status status =
          verifyFactorization(shape.rows, shape.cols, options.factorization);
      !status)
    return Error{of.name() + ": " + status.error()};
  if (!options.ranks.empty() && options.ranks.size() != size_t(shape.entries))
    return Error{of.name() + ": expected a rank for each of " +
                 std::to_string(shape.entries) + " entries, found " +
                 std::to_string(options.ranks.size())};
  for (size_t i = 0; i < options.ranks.size(); ++i)
    if (options.ranks[i] < 0 || options.ranks[i] > options.factorization.rank)
      return Error{of.name() + ": expected ranks from 0 to " +
                   std::to_string(options.factorization.rank) + ", found " +
                   std::to_string(options.ranks[i]) + " at entry " +
                   std::to_string(i)};
  return verifyMoments(of, options.inputs);
}

Result<LowRankFactors> factorizeEntry(const Difference &difference,
                                      const ResidualOptions &options,
                                      const InputWhitening *whitening) {
  FactorizationOptions own = options.factorization;
  own.paddedRank = std::max(own.rank, own.paddedRank);
  if (!options.ranks.empty())
    own.rank = options.ranks[size_t(difference.weightEntry)];
  return factorize(difference, own, whitening);
}

namespace {

/// What both factors of a residual are read from.
class ResidualFactors {
public:
  ResidualFactors(MatrixSourcePtr of, MatrixSourcePtr base,
                  std::vector<int32_t> table, const ResidualOptions &options,
                  int64_t kept)
      : source(std::move(of)), base(std::move(base)), table(std::move(table)),
        options(options), whitenings(options.inputs), cache(kept) {}

  std::shared_ptr<const Result<LowRankFactors>> factors(int64_t entry) {
    return cache.get(entry, [&] { return compute(entry); });
  }

private:
  Result<LowRankFactors> compute(int64_t entry) const {
    auto whitening = whitenings.of(entry);
    if (!whitening)
      return Error{whitening.error()};
    int64_t target = table[size_t(entry)];
    std::vector<float> shared(matrixSize(*base)), weight(matrixSize(*source));
    if (Status status = base->read(target, shared); !status)
      return Error{status.error()};
    if (Status status = source->read(entry, weight); !status)
      return Error{status.error()};
    return factorizeEntry({source->shape().rows, source->shape().cols, weight,
                           shared, source->name(), base->name(), entry, target},
                          options, whitening->get());
  }

  MatrixSourcePtr source;
  MatrixSourcePtr base;
  std::vector<int32_t> table;
  ResidualOptions options;
  WhiteningOfEntries whitenings;
  EntryCache<LowRankFactors> cache;
};

class FactorMatrices final : public MatrixSource {
public:
  FactorMatrices(std::string name, const MatrixShape &shape, MatrixSide side,
                 std::shared_ptr<ResidualFactors> residual)
      : MatrixSource(std::move(name), shape), side(side),
        residual(std::move(residual)) {}

private:
  Status doRead(int64_t entry, std::span<float> values) const override {
    return doReadAnyOrder(entry, 0, values);
  }
  Status doReadAnyOrder(int64_t entry, int64_t begin,
                        std::span<float> values) const override {
    auto factors = residual->factors(entry);
    if (!*factors)
      return Error{factors->error()};
    const std::vector<float> &whole =
        side == MatrixSide::Input ? (*factors)->input : (*factors)->output;
    std::copy_n(whole.begin() + begin, values.size(), values.begin());
    return success();
  }

  MatrixSide side;
  std::shared_ptr<ResidualFactors> residual;
};

} // namespace

Result<LowRankSources> residualFactors(std::string name, MatrixSourcePtr of,
                                       MatrixSourcePtr base,
                                       std::vector<int32_t> table,
                                       const ResidualOptions &options,
                                       int64_t kept) {
  if (Status status = verifyResidual(*of, *base, table, options); !status)
    return Error{status.error()};
  MatrixShape shape = of->shape();
  int64_t columns =
      std::max(options.factorization.rank, options.factorization.paddedRank);
  auto residual = std::make_shared<ResidualFactors>(
      std::move(of), std::move(base), std::move(table), options, kept);
  return LowRankSources{
      std::make_shared<FactorMatrices>(
          name + ".input", MatrixShape{shape.entries, shape.rows, columns},
          MatrixSide::Input, residual),
      std::make_shared<FactorMatrices>(
          name + ".output", MatrixShape{shape.entries, columns, shape.cols},
          MatrixSide::Output, residual)};
}

} // namespace moec::weights
