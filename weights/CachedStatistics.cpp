// Similarities, spectra, mixes and errors that are computed once for weights of one content.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// The texts that go into keys begin with a name and a version: who changes what
// a computation gives, beyond rounding, counts the version up.
#include "weights/CachedStatistics.h"

#include <cstdio>
#include <optional>
#include <string>
#include <utility>

namespace moec::weights {

namespace {

/// The values of the next array, if it has this name and shape.
template <typename T>
const std::vector<T> *valuesOf(const NamedArray &array, const char *name,
                               const std::vector<int64_t> &shape) {
  if (array.name != name || array.shape != shape)
    return nullptr;
  return std::get_if<std::vector<T>>(&array.values);
}

std::vector<NamedArray> arraysOf(const Similarity &similarity) {
  int64_t experts = similarity.experts;
  std::vector<int32_t> hasDirection(size_t(experts), 1);
  for (int32_t expert : similarity.withoutDirection)
    hasDirection[size_t(expert)] = 0;
  return {{"cosines", {experts, experts}, similarity.cosines},
          {"squared_norms", {experts}, similarity.squaredNorms},
          {"has_direction", {experts}, std::move(hasDirection)}};
}

std::optional<Similarity> similarityOf(const std::vector<NamedArray> &arrays,
                                       int64_t experts) {
  if (arrays.size() != 3)
    return std::nullopt;
  auto *cosines = valuesOf<double>(arrays[0], "cosines", {experts, experts});
  auto *norms = valuesOf<double>(arrays[1], "squared_norms", {experts});
  auto *directions = valuesOf<int32_t>(arrays[2], "has_direction", {experts});
  if (!cosines || !norms || !directions)
    return std::nullopt;
  Similarity similarity{experts, *cosines, *norms, {}};
  for (int64_t expert = 0; expert < experts; ++expert)
    if ((*directions)[size_t(expert)] == 0)
      similarity.withoutDirection.push_back(int32_t(expert));
  return similarity;
}

std::vector<NamedArray> arraysOf(const std::vector<Spectrum> &spectra) {
  std::vector<double> values, norms;
  std::vector<int32_t> counts, ranks;
  for (const Spectrum &spectrum : spectra) {
    values.insert(values.end(), spectrum.values.begin(), spectrum.values.end());
    counts.push_back(int32_t(spectrum.values.size()));
    norms.insert(norms.end(),
                 {spectrum.squaredNorm, spectrum.weightSquaredNorm});
    ranks.push_back(int32_t(spectrum.fullRank));
  }
  int64_t entries = int64_t(spectra.size()), total = int64_t(values.size());
  return {{"values", {total}, std::move(values)},
          {"counts", {entries}, std::move(counts)},
          {"squared_norms", {entries, 2}, std::move(norms)},
          {"full_ranks", {entries}, std::move(ranks)}};
}

std::optional<std::vector<Spectrum>>
spectraOf(const std::vector<NamedArray> &arrays, int64_t entries) {
  if (arrays.size() != 4 || arrays[0].shape.size() != 1)
    return std::nullopt;
  auto *values = valuesOf<double>(arrays[0], "values", arrays[0].shape);
  auto *counts = valuesOf<int32_t>(arrays[1], "counts", {entries});
  auto *norms = valuesOf<double>(arrays[2], "squared_norms", {entries, 2});
  auto *ranks = valuesOf<int32_t>(arrays[3], "full_ranks", {entries});
  if (!values || !counts || !norms || !ranks)
    return std::nullopt;
  std::vector<Spectrum> spectra;
  size_t begin = 0;
  for (size_t i = 0; i < size_t(entries); ++i) {
    if ((*counts)[i] < 0 || size_t((*counts)[i]) > values->size() - begin)
      return std::nullopt;
    auto first = values->begin() + int64_t(begin);
    begin += size_t((*counts)[i]);
    spectra.push_back({{first, values->begin() + int64_t(begin)},
                       (*norms)[2 * i],
                       (*norms)[2 * i + 1],
                       (*ranks)[i]});
  }
  return spectra;
}

std::vector<NamedArray> arraysOf(const BasisMix &mix) {
  auto add = [](const char *name, const auto &values) {
    return NamedArray{name,
                      {int64_t(values.size())},
                      std::vector<double>(values.begin(), values.end())};
  };
  return {add("bases", mix.bases), add("coefficients", mix.coefficients),
          add("relative_errors", mix.relativeErrors)};
}

std::optional<BasisMix> mixOf(const std::vector<NamedArray> &arrays,
                              int64_t ofBases, int64_t ofCoefficients,
                              int64_t experts) {
  if (arrays.size() != 3)
    return std::nullopt;
  auto *bases = valuesOf<double>(arrays[0], "bases", {ofBases});
  auto *coefficients =
      valuesOf<double>(arrays[1], "coefficients", {ofCoefficients});
  auto *errors = valuesOf<double>(arrays[2], "relative_errors", {experts});
  if (!bases || !coefficients || !errors)
    return std::nullopt;
  // They were f32 before.
  return BasisMix{{bases->begin(), bases->end()},
                  {coefficients->begin(), coefficients->end()},
                  *errors};
}

std::vector<NamedArray>
arraysOf(const std::vector<std::vector<double>> &errors) {
  std::vector<double> all;
  for (const std::vector<double> &ofCandidate : errors)
    all.insert(all.end(), ofCandidate.begin(), ofCandidate.end());
  int64_t candidates = int64_t(errors.size());
  int64_t experts = candidates == 0 ? 0 : int64_t(errors.front().size());
  return {{"relative_errors", {candidates, experts}, std::move(all)}};
}

std::optional<std::vector<std::vector<double>>>
errorsOf(const std::vector<NamedArray> &arrays, int64_t candidates,
         int64_t experts) {
  if (arrays.size() != 1)
    return std::nullopt;
  auto *all =
      valuesOf<double>(arrays[0], "relative_errors", {candidates, experts});
  if (!all)
    return std::nullopt;
  std::vector<std::vector<double>> errors;
  for (auto place = all->begin(); place != all->end(); place += experts)
    errors.emplace_back(place, place + experts);
  return errors;
}

/// Moments in a key: the source is hashed, the share in the text. The bits, not the few digits of to_string.
void addMoments(std::string &text, std::vector<MatrixSourcePtr> &sources,
                const char *name, const MomentsSource &inputs) {
  if (!inputs.moments)
    return;
  sources.push_back(inputs.moments);
  char digits[60];
  std::snprintf(digits, sizeof(digits), ", %s %a", name, inputs.regularization);
  text += digits;
}

/// What is under the key, or what `compute` gives, which is put there.
template <typename Read, typename Compute>
auto lookUp(const StatisticsCache *cache,
            std::span<const MatrixSourcePtr> sources, const std::string &text,
            Read read, Compute compute)
    -> Result<Cached<typename decltype(read({}))::value_type>> {
  using Value = typename decltype(read({}))::value_type;
  Hash128 key;
  if (cache) {
    Result<Hash128> hash = contentHash(sources, text);
    if (!hash)
      return Error{hash.error()};
    key = *hash;
    if (auto arrays = cache->get(key))
      if (std::optional<Value> known = read(*arrays))
        return Cached<Value>{*std::move(known), true};
  }
  Result<Value> made = compute();
  if (!made)
    return Error{made.error()};
  if (cache)
    if (Status status = cache->put(key, arraysOf(*made)); !status)
      return Error{status.error()};
  return Cached<Value>{*std::move(made), false};
}

} // namespace

Result<Cached<Similarity>> cachedSimilarityOfWeights(
    const StatisticsCache *cache,
    std::span<const std::shared_ptr<const MatrixSource>> sources,
    const SimilarityOptions &options) {
  std::string text = std::string("similarity 1, mean ") +
                     (options.removeMean ? "removed" : "kept");
  int64_t experts = sources.empty() ? 0 : sources.front()->shape().entries;
  return lookUp(
      cache, sources, text,
      [&](const std::vector<NamedArray> &arrays) {
        return similarityOf(arrays, experts);
      },
      [&] { return similarityOfWeights(sources, options); });
}

Result<Cached<std::vector<Spectrum>>>
cachedResidualSpectra(const StatisticsCache *cache, MatrixSourcePtr of,
                      MatrixSourcePtr base, const std::vector<int32_t> &table,
                      int64_t count, const ResidualOptions &options,
                      const ParallelOptions &parallel) {
  // All of it, whether or not spectra depend on it.
  const FactorizationOptions &ways = options.factorization;
  std::string text = "spectra 1";
  auto add = [&](const char *name, auto number) {
    text += std::string(", ") + name + " " + std::to_string(number);
  };
  add("count", count);
  add("rank", ways.rank);
  add("padded", ways.paddedRank);
  add("method", int(ways.method));
  add("oversampling", ways.oversampling);
  add("iterations", ways.powerIterations);
  add("seed", ways.seed);
  add("entries", table.size());
  for (int32_t entry : table)
    text += " " + std::to_string(entry);
  std::vector<MatrixSourcePtr> sources{of, base};
  addMoments(text, sources, "whitened", options.inputs);
  return lookUp(
      cache, sources, text,
      [&](const std::vector<NamedArray> &arrays) {
        return spectraOf(arrays, int64_t(table.size()));
      },
      [&] {
        return residualSpectra(of, base, table, count, options, parallel);
      });
}

Result<Cached<BasisMix>> cachedBasisMix(const StatisticsCache *cache,
                                        MatrixSourcePtr of,
                                        const BasisMixOptions &options,
                                        const ParallelOptions &parallel) {
  const MatrixShape &shape = of->shape();
  bool isInput = options.side == MatrixSide::Input;
  int64_t ofBases =
      options.bases * options.rank * (isInput ? shape.rows : shape.cols);
  int64_t ofCoefficients = shape.entries * options.bases;
  if (uint64_t(ofBases + ofCoefficients + shape.entries) * sizeof(double) >
      statisticsMaxEntryBytes)
    cache = nullptr;
  std::string text = "basis mix 1";
  for (int64_t number : {options.bases, options.rank, int64_t(options.side),
                         int64_t(options.map), options.steps})
    text += " " + std::to_string(number);
  char digits[40];
  std::snprintf(digits, sizeof(digits), " noise %a", options.noise);
  text += digits;
  std::vector<MatrixSourcePtr> sources{of};
  return lookUp(
      cache, sources, text,
      [&](const std::vector<NamedArray> &arrays) {
        return mixOf(arrays, ofBases, ofCoefficients, shape.entries);
      },
      [&] { return fitBasisMix(*of, options, parallel); });
}

Result<Cached<std::vector<std::vector<double>>>>
cachedPrecisionErrors(const StatisticsCache *cache,
                      const PrecisionProblem &problem,
                      const ParallelOptions &parallel) {
  std::string text = "precision errors 1, rank " + std::to_string(problem.rank);
  std::vector<MatrixSourcePtr> sources{problem.of};
  if (problem.base) {
    sources.push_back(problem.base);
    text += ", by";
    for (int32_t entry : problem.table)
      text += " " + std::to_string(entry);
  }
  addMoments(text, sources, "fitted", problem.fitted);
  addMoments(text, sources, "measured", problem.measured);
  if (problem.rounded) {
    sources.push_back(problem.rounded);
    text += ", rounded 1";
  }
  for (const LayerEncodings &candidate : problem.candidates)
    text +=
        ", " + toString(candidate.base) + " + " + toString(candidate.residual);
  return lookUp(
      cache, sources, text,
      [&](const std::vector<NamedArray> &arrays) {
        return errorsOf(arrays, int64_t(problem.candidates.size()),
                        problem.of->shape().entries);
      },
      [&] { return precisionErrors(problem, parallel); });
}

} // namespace moec::weights
