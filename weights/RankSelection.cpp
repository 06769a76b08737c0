// Which rank residuals need: fixed, by an error bound, by a byte budget.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/RankSelection.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

namespace moec::weights {

namespace {

Status checkRole(const RoleSpectra &role) {
  if (role.experts.empty())
    return Error{role.name + ": expected the spectrum of at least one expert, "
                             "found none"};
  int64_t full = std::min(role.rows, role.cols);
  for (size_t i = 0; i < role.experts.size(); ++i)
    if (role.experts[i].fullRank != full)
      return Error{role.name + ": expected spectra of " +
                   std::to_string(role.rows) + " x " +
                   std::to_string(role.cols) +
                   " matrices, found one of full rank " +
                   std::to_string(role.experts[i].fullRank) + " for expert " +
                   std::to_string(i)};
  return success();
}

/// Relative errors at ranks 0, 1, ... as far as they are known without a gap.
std::vector<double> relativeErrors(const Spectrum &spectrum) {
  std::vector<double> errors;
  // From the end as squaredError does, but each square added once.
  if (int64_t(spectrum.values.size()) == spectrum.fullRank) {
    errors.resize(spectrum.values.size() + 1);
    double sum = 0;
    errors.back() = 0;
    for (size_t i = spectrum.values.size(); i-- > 0;) {
      sum += spectrum.values[i] * spectrum.values[i];
      errors[i] = sum == 0 ? 0 : std::sqrt(sum / spectrum.weightSquaredNorm);
    }
    return errors;
  }
  double left = spectrum.squaredNorm;
  for (size_t i = 0; i <= spectrum.values.size(); ++i) {
    double rest = std::max(left, 0.0);
    errors.push_back(rest == 0 ? 0
                               : std::sqrt(rest / spectrum.weightSquaredNorm));
    if (i < spectrum.values.size())
      left -= spectrum.values[i] * spectrum.values[i];
  }
  return errors;
}

/// Fills in the rank of all and the errors.
RankChoice finish(const RoleSpectra &role, std::vector<int64_t> ranks) {
  RankChoice choice;
  choice.rank = *std::max_element(ranks.begin(), ranks.end());
  double sum = 0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    double error = role.experts[i].relativeError(ranks[i]);
    sum += error;
    // One that is not known (NaN) makes the largest one unknown, for good.
    if (!(error <= choice.maxRelativeError) &&
        !std::isnan(choice.maxRelativeError))
      choice.maxRelativeError = error;
  }
  choice.meanRelativeError = sum / double(ranks.size());
  choice.experts = std::move(ranks);
  return choice;
}

Result<int64_t> rounded(const RoleSpectra &role, int64_t rank,
                        int64_t multiple) {
  Result<int64_t> result =
      roundedRank(role.rows, role.cols, std::max<int64_t>(rank, 1), multiple);
  if (!result)
    return Error{role.name + ": " + result.error()};
  return rank == 0 ? 0 : *result;
}

} // namespace

Result<RankChoice> fixedRank(const RoleSpectra &role, int64_t rank,
                             int64_t multiple) {
  if (Status status = checkRole(role); !status)
    return Error{status.error()};
  if (rank == 0)
    return finish(role, std::vector<int64_t>(role.experts.size(), 0));
  Result<int64_t> padded = roundedRank(role.rows, role.cols, rank, multiple);
  if (!padded)
    return Error{role.name + ": " + padded.error()};
  return finish(role, std::vector<int64_t>(role.experts.size(), *padded));
}

//===----------------------------------------------------------------------===//
// By an error bound
//===----------------------------------------------------------------------===//

static Result<RankChoice> ranksForEach(const RoleSpectra &role, double bound,
                                       int64_t multiple) {
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < role.experts.size(); ++i) {
    std::vector<double> errors = relativeErrors(role.experts[i]);
    auto within = std::find_if(errors.begin(), errors.end(),
                               [&](double error) { return error <= bound; });
    if (within == errors.end())
      return Error{role.name +
                   ": expected singular values down to a relative "
                   "error of " +
                   std::to_string(bound) + " for expert " + std::to_string(i) +
                   ", found " + std::to_string(errors.back()) +
                   " after the first " + std::to_string(errors.size() - 1)};
    Result<int64_t> rank = rounded(role, within - errors.begin(), multiple);
    if (!rank)
      return Error{rank.error()};
    ranks.push_back(*rank);
  }
  return finish(role, std::move(ranks));
}

static Result<RankChoice> rankForMean(const RoleSpectra &role, double bound,
                                      int64_t multiple) {
  // Errors at one rank more each time, summed over experts.
  std::vector<double> sums;
  for (size_t i = 0; i < role.experts.size(); ++i) {
    std::vector<double> errors = relativeErrors(role.experts[i]);
    if (i == 0)
      sums.resize(errors.size());
    sums.resize(std::min(sums.size(), errors.size()));
    for (size_t rank = 0; rank < sums.size(); ++rank)
      sums[rank] += errors[rank];
  }
  double count = double(role.experts.size());
  auto within = std::find_if(sums.begin(), sums.end(),
                             [&](double sum) { return sum / count <= bound; });
  if (within == sums.end())
    return Error{role.name +
                 ": expected singular values down to a mean "
                 "relative error of " +
                 std::to_string(bound) + ", found " +
                 std::to_string(sums.back() / count) + " after the first " +
                 std::to_string(sums.size() - 1)};
  Result<int64_t> rank = rounded(role, within - sums.begin(), multiple);
  if (!rank)
    return Error{rank.error()};
  return finish(role, std::vector<int64_t>(role.experts.size(), *rank));
}

Result<RankChoice> ranksForErrorBound(const RoleSpectra &role, double bound,
                                      ErrorBound holds, int64_t multiple) {
  if (Status status = checkRole(role); !status)
    return Error{status.error()};
  if (!(bound >= 0))
    return Error{role.name + ": expected an error bound of at least 0, found " +
                 std::to_string(bound)};
  if (holds == ErrorBound::Mean)
    return rankForMean(role, bound, multiple);
  return ranksForEach(role, bound, multiple);
}

//===----------------------------------------------------------------------===//
// By a byte budget
//===----------------------------------------------------------------------===//

/// Bytes of one expert's pair.
static Result<uint64_t> pairBytes(const RoleSpectra &role, int64_t rank) {
  if (rank == 0)
    return uint64_t(0);
  Result<uint64_t> input = encodedBytes(role.input, {1, role.rows, rank});
  if (!input)
    return Error{role.name + ": " + input.error()};
  Result<uint64_t> output = encodedBytes(role.output, {1, rank, role.cols});
  if (!output)
    return Error{role.name + ": " + output.error()};
  return *input + *output;
}

Result<uint64_t> factorBytes(const RoleSpectra &role,
                             const RankChoice &choice) {
  uint64_t sum = 0;
  for (int64_t rank : choice.experts) {
    Result<uint64_t> bytes = pairBytes(role, rank);
    if (!bytes)
      return Error{bytes.error()};
    sum += *bytes;
  }
  return sum;
}

namespace {

/// A role or a matrix of one, and the block of rank it could get next.
struct Candidate {
  size_t role;
  /// Experts [first, last).
  size_t first;
  size_t last;
  int64_t rank;
  uint64_t bytes;
  double gainPerByte;

  /// Whether the other one is better: std::priority_queue has the best on top.
  bool operator<(const Candidate &other) const {
    if (gainPerByte != other.gainPerByte)
      return gainPerByte < other.gainPerByte;
    if (role != other.role)
      return role > other.role;
    return first > other.first;
  }
};

/// The next block after `rank`, or false when there is none that gains.
Result<bool> propose(const RoleSpectra &role, int64_t multiple, int64_t rank,
                     uint64_t budget, Candidate &candidate) {
  int64_t full = std::min(role.rows, role.cols);
  if (rank == full)
    return false;
  candidate.rank = multiple >= full - rank ? full : rank + multiple;
  Result<uint64_t> now = pairBytes(role, rank);
  if (!now)
    return Error{now.error()};
  Result<uint64_t> then = pairBytes(role, candidate.rank);
  if (!then)
    return Error{then.error()};
  candidate.bytes = (*then - *now) * (candidate.last - candidate.first);
  if (candidate.bytes > budget)
    return false;
  double gain = 0;
  for (size_t i = candidate.first; i < candidate.last; ++i) {
    const Spectrum &spectrum = role.experts[i];
    if (!spectrum.reaches(candidate.rank))
      return Error{role.name + ": expected singular values up to rank " +
                   std::to_string(candidate.rank) + " for expert " +
                   std::to_string(i) + ", found " +
                   std::to_string(spectrum.values.size())};
    // Without a weight to compare with, errors are compared with the first.
    double norm = spectrum.weightSquaredNorm != 0 ? spectrum.weightSquaredNorm
                                                  : spectrum.squaredNorm;
    if (norm != 0)
      gain += (spectrum.squaredError(rank) -
               spectrum.squaredError(candidate.rank)) /
              norm;
  }
  candidate.gainPerByte = gain / double(candidate.bytes);
  return gain > 0;
}

} // namespace

Result<std::vector<RankChoice>>
ranksForByteBudget(std::span<const RoleSpectra> roles, uint64_t bytes,
                   RankUnit unit, int64_t multiple) {
  if (multiple < 1)
    return Error{"expected ranks to be a multiple of at least 1, found " +
                 std::to_string(multiple)};
  std::vector<std::vector<int64_t>> ranks;
  std::priority_queue<Candidate> candidates;
  for (size_t r = 0; r < roles.size(); ++r) {
    const RoleSpectra &role = roles[r];
    if (Status status = checkRole(role); !status)
      return Error{status.error()};
    size_t count = role.experts.size();
    ranks.emplace_back(count, 0);
    size_t step = unit == RankUnit::Role ? count : 1;
    for (size_t first = 0; first < count; first += step) {
      Candidate candidate{r, first, first + step, 0, 0, 0};
      Result<bool> gains = propose(role, multiple, 0, bytes, candidate);
      if (!gains)
        return Error{gains.error()};
      if (*gains)
        candidates.push(candidate);
    }
  }

  uint64_t left = bytes;
  while (!candidates.empty()) {
    Candidate best = candidates.top();
    candidates.pop();
    // Later blocks of the same matrices need this one, so theirs end here.
    if (best.bytes > left)
      continue;
    left -= best.bytes;
    for (size_t i = best.first; i < best.last; ++i)
      ranks[best.role][i] = best.rank;
    Result<bool> gains =
        propose(roles[best.role], multiple, best.rank, left, best);
    if (!gains)
      return Error{gains.error()};
    if (*gains)
      candidates.push(best);
  }

  std::vector<RankChoice> choices;
  for (size_t r = 0; r < roles.size(); ++r)
    choices.push_back(finish(roles[r], std::move(ranks[r])));
  return choices;
}

} // namespace moec::weights
