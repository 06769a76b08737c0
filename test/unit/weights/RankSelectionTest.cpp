// Tests of choosing ranks by number, by error bound and by byte budget.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/RankSelection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

using namespace moec::weights;

namespace {

using Ranks = std::vector<int64_t>;

/// All singular values of a residual of a weight of norm 100: `value` for the
/// first `count`, then 0.
Spectrum flat(int64_t full, int64_t count, double value) {
  Spectrum spectrum;
  spectrum.values.assign(size_t(full), 0.0);
  std::fill_n(spectrum.values.begin(), count, value);
  spectrum.squaredNorm = double(count) * value * value;
  spectrum.weightSquaredNorm = 1e4;
  spectrum.fullRank = full;
  return spectrum;
}

RoleSpectra role(std::string name, int64_t rows, int64_t cols,
                 std::vector<Spectrum> experts) {
  return {std::move(name), rows, cols, std::move(experts), {}, {}};
}

//===----------------------------------------------------------------------===//
// Fixed
//===----------------------------------------------------------------------===//

TEST(RankSelection, fixed) {
  RoleSpectra gate = role("gate", 100, 40, {flat(40, 40, 1), flat(40, 20, 2)});
  RankChoice choice = *fixedRank(gate, 17);
  EXPECT_EQ(choice.rank, 32);
  EXPECT_EQ(choice.experts, (Ranks{32, 32}));
  // sqrt(8)/100 is left of the first, nothing of the second.
  EXPECT_NEAR(choice.maxRelativeError, std::sqrt(8) / 100, 1e-12);
  EXPECT_NEAR(choice.meanRelativeError, std::sqrt(8) / 200, 1e-12);
  EXPECT_EQ(fixedRank(gate, 17, 1)->rank, 17);
  // Never above the dimensions.
  EXPECT_EQ(fixedRank(gate, 33)->rank, 40);
  EXPECT_EQ(fixedRank(gate, 0)->rank, 0);
  EXPECT_NEAR(fixedRank(gate, 0)->maxRelativeError, std::sqrt(80) / 100, 1e-12);
  // Spectra that do not reach it: the rank is known, the error is not.
  gate.experts[0].values.resize(20);
  EXPECT_EQ(fixedRank(gate, 32)->rank, 32);
  EXPECT_TRUE(std::isnan(fixedRank(gate, 32)->maxRelativeError));
  EXPECT_TRUE(std::isnan(fixedRank(gate, 32)->meanRelativeError));
  EXPECT_EQ(fixedRank(gate, 41).error(),
            "gate: expected a rank from 1 to 40, found 41");
  EXPECT_EQ(fixedRank(gate, -1).error(),
            "gate: expected a rank from 1 to 40, found -1");
  EXPECT_EQ(fixedRank(gate, 8, 0).error(),
            "gate: expected ranks to be a multiple of at least 1, found 0");
}

//===----------------------------------------------------------------------===//
// By an error bound
//===----------------------------------------------------------------------===//

TEST(RankSelection, everyExpertWithinABound) {
  // At rank r sqrt(n - r)/100 of the first two is left: 0.05 is met with 25
  // values left. The third has none.
  RoleSpectra gate =
      role("gate", 64, 80, {flat(64, 64, 1), flat(64, 30, 1), flat(64, 0, 0)});
  Result<RankChoice> choice =
      ranksForErrorBound(gate, 0.05, ErrorBound::EveryExpert, 1);
  ASSERT_TRUE(choice) << choice.error();
  EXPECT_EQ(choice->experts, (Ranks{39, 5, 0}));
  EXPECT_EQ(choice->rank, 39);
  EXPECT_NEAR(choice->maxRelativeError, 0.05, 1e-12);
  EXPECT_NEAR(choice->meanRelativeError, 0.1 / 3, 1e-12);
  // Just below, one more is needed.
  EXPECT_EQ(
      ranksForErrorBound(gate, 0.0499, ErrorBound::EveryExpert, 1)->experts,
      (Ranks{40, 6, 0}));
  // In blocks of 16.
  choice = ranksForErrorBound(gate, 0.05);
  EXPECT_EQ(choice->experts, (Ranks{48, 16, 0}));
  EXPECT_EQ(choice->rank, 48);
  EXPECT_NEAR(choice->maxRelativeError, 0.04, 1e-12);
  // Nothing may be left.
  EXPECT_EQ(ranksForErrorBound(gate, 0)->experts, (Ranks{64, 32, 0}));
  EXPECT_EQ(ranksForErrorBound(gate, 1)->experts, (Ranks{0, 0, 0}));
  gate.cols = 50;
  gate.rows = 64;
  for (Spectrum &spectrum : gate.experts)
    spectrum = flat(50, 50, 1);
  EXPECT_EQ(ranksForErrorBound(gate, 0)->rank, 50);
}

TEST(RankSelection, meanWithinABound) {
  // 0.03 on the mean: one expert may be worse when others are better.
  RoleSpectra gate =
      role("gate", 64, 80, {flat(64, 64, 1), flat(64, 30, 1), flat(64, 0, 0)});
  Result<RankChoice> choice =
      ranksForErrorBound(gate, 0.03, ErrorBound::Mean, 1);
  ASSERT_TRUE(choice) << choice.error();
  // Independently: the first rank at which the mean is small enough.
  int64_t rank = 0;
  auto mean = [](int64_t r) {
    return (std::sqrt(double(64 - r)) +
            std::sqrt(double(std::max<int64_t>(30 - r, 0)))) /
           300;
  };
  while (mean(rank) > 0.03)
    ++rank;
  EXPECT_GT(rank, 0);
  EXPECT_EQ(choice->experts, (Ranks{rank, rank, rank}));
  EXPECT_NEAR(choice->meanRelativeError, mean(rank), 1e-12);
  EXPECT_GT(choice->maxRelativeError, 0.03);
  EXPECT_EQ(ranksForErrorBound(gate, 0.03, ErrorBound::Mean)->rank,
            (rank + 15) / 16 * 16);
}

TEST(RankSelection, leadingValuesMustReachTheBound) {
  RoleSpectra gate = role("gate", 64, 80, {flat(64, 4, 1), flat(64, 64, 1)});
  for (Spectrum &spectrum : gate.experts)
    spectrum.values.resize(20);
  // 44 values of 1 are left after the first 20.
  EXPECT_EQ(ranksForErrorBound(gate, 0.07)->experts, (Ranks{0, 16}));
  EXPECT_EQ(ranksForErrorBound(gate, 0.05).error(),
            "gate: expected singular values down to a relative error of "
            "0.050000 for expert 1, found 0.066332 after the first 20");
  EXPECT_EQ(ranksForErrorBound(gate, 0.01, ErrorBound::Mean).error(),
            "gate: expected singular values down to a mean relative error of "
            "0.010000, found 0.033166 after the first 20");
  // Spectra of different lengths: as far as all of them go.
  gate.experts[1].values.resize(10);
  EXPECT_EQ(ranksForErrorBound(gate, 0.03, ErrorBound::Mean, 1).error(),
            "gate: expected singular values down to a mean relative error of "
            "0.030000, found 0.036742 after the first 10");
  EXPECT_EQ(ranksForErrorBound(gate, 0.037, ErrorBound::Mean, 1)->rank, 10);
}

TEST(RankSelection, boundsAreChecked) {
  RoleSpectra gate = role("gate", 4, 5, {flat(4, 4, 1)});
  for (double bound : {-0.5, double(NAN)})
    EXPECT_EQ(ranksForErrorBound(gate, bound).error(),
              "gate: expected an error bound of at least 0, found " +
                  std::to_string(bound));
  for (ErrorBound holds : {ErrorBound::EveryExpert, ErrorBound::Mean})
    EXPECT_EQ(ranksForErrorBound(gate, 0, holds, 0).error(),
              "gate: expected ranks to be a multiple of at least 1, found 0");
  const char *empty =
      "gate: expected the spectrum of at least one expert, found none";
  gate.experts.clear();
  EXPECT_EQ(ranksForErrorBound(gate, 0).error(), empty);
  EXPECT_EQ(fixedRank(gate, 1).error(), empty);
  EXPECT_EQ(ranksForByteBudget({&gate, 1}, 0).error(), empty);
  gate.experts = {flat(4, 4, 1), flat(5, 5, 1)};
  EXPECT_EQ(
      ranksForErrorBound(gate, 0).error(),
      "gate: expected spectra of 4 x 5 matrices, found one of full rank 5 "
      "for expert 1");
}

TEST(RankSelection, aWeightOfZeroNeedsItsWholeResidual) {
  RoleSpectra gate = role("gate", 8, 8, {flat(8, 3, 1), flat(8, 0, 0)});
  for (Spectrum &spectrum : gate.experts)
    spectrum.weightSquaredNorm = 0;
  RankChoice choice =
      *ranksForErrorBound(gate, 0.5, ErrorBound::EveryExpert, 1);
  EXPECT_EQ(choice.experts, (Ranks{3, 0}));
  EXPECT_EQ(choice.maxRelativeError, 0);
  // A budget can weigh it, too.
  EXPECT_EQ(
      (*ranksForByteBudget({&gate, 1}, 2 * 64, RankUnit::Matrix, 1))[0].experts,
      (Ranks{2, 0}));
}

//===----------------------------------------------------------------------===//
// By a byte budget
//===----------------------------------------------------------------------===//

/// Two roles of one expert each and 16 x 16 matrices: a column of f32 takes
/// 16 * 4 * 2 = 128 bytes.
std::vector<RoleSpectra> twoRoles() {
  return {role("gate", 16, 16, {flat(16, 16, 2)}),
          role("down", 16, 16, {flat(16, 16, 1)})};
}

TEST(RankSelection, bytesGoWhereTheyHelpMost) {
  std::vector<RoleSpectra> roles = twoRoles();
  roles[1].experts[0].values = {9, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  auto ranks = [&](uint64_t bytes) {
    auto choices = ranksForByteBudget(roles, bytes, RankUnit::Role, 2);
    EXPECT_TRUE(choices) << choices.error();
    uint64_t used = 0;
    for (size_t i = 0; i < 2; ++i)
      used += *factorBytes(roles[i], (*choices)[i]);
    EXPECT_LE(used, bytes);
    return std::pair((*choices)[0].rank, (*choices)[1].rank);
  };
  EXPECT_EQ(ranks(255), std::pair(int64_t(0), int64_t(0)));
  EXPECT_EQ(ranks(256), std::pair(int64_t(0), int64_t(2)));
  EXPECT_EQ(ranks(512), std::pair(int64_t(2), int64_t(2)));
  EXPECT_EQ(ranks(8 * 256), std::pair(int64_t(14), int64_t(2)));
  EXPECT_EQ(ranks(9 * 256), std::pair(int64_t(16), int64_t(2)));
  EXPECT_EQ(ranks(10 * 256), std::pair(int64_t(16), int64_t(4)));
  // All there is; more changes nothing.
  EXPECT_EQ(ranks(16 * 256), std::pair(int64_t(16), int64_t(16)));
  EXPECT_EQ(ranks(1 << 20), std::pair(int64_t(16), int64_t(16)));
}

TEST(RankSelection, tiesGoToTheFirst) {
  std::vector<RoleSpectra> roles = twoRoles();
  Spectrum falling = flat(16, 16, 1);
  falling.values[0] = falling.values[1] = 3;
  falling.values[2] = falling.values[3] = 2;
  roles[0].experts = roles[1].experts = {falling};
  auto choices = *ranksForByteBudget(roles, 3 * 256, RankUnit::Role, 2);
  EXPECT_EQ(choices[0].rank, 4);
  EXPECT_EQ(choices[1].rank, 2);
  RoleSpectra one = role("gate", 16, 16, {falling, falling});
  choices = *ranksForByteBudget({&one, 1}, 3 * 256, RankUnit::Matrix, 2);
  EXPECT_EQ(choices[0].experts, (Ranks{4, 2}));
}

TEST(RankSelection, singleMatricesOrAll) {
  RoleSpectra gate =
      role("gate", 32, 32, {flat(32, 32, 1), flat(32, 32, 3), flat(32, 0, 0)});
  // A block of 16 columns of one matrix takes 32 * 16 * 4 * 2 bytes.
  uint64_t block = 4096;
  auto experts = [&](uint64_t bytes, RankUnit unit) {
    return (*ranksForByteBudget({&gate, 1}, bytes, unit))[0].experts;
  };
  EXPECT_EQ(experts(block, RankUnit::Matrix), (Ranks{0, 16, 0}));
  EXPECT_EQ(experts(2 * block, RankUnit::Matrix), (Ranks{0, 32, 0}));
  EXPECT_EQ(experts(3 * block, RankUnit::Matrix), (Ranks{16, 32, 0}));
  // What gains nothing gets nothing.
  EXPECT_EQ(experts(99 * block, RankUnit::Matrix), (Ranks{32, 32, 0}));
  EXPECT_EQ(experts(3 * block - 1, RankUnit::Role), (Ranks{0, 0, 0}));
  EXPECT_EQ(experts(3 * block, RankUnit::Role), (Ranks{16, 16, 16}));
}

TEST(RankSelection, whatDoesNotFitIsPassedOver) {
  // The large one gains most per byte, but only the small one fits.
  std::vector<RoleSpectra> roles = {role("gate", 64, 64, {flat(64, 64, 50)}),
                                    role("down", 16, 16, {flat(16, 16, 1)})};
  auto choices = *ranksForByteBudget(roles, 16 * 128, RankUnit::Role);
  EXPECT_EQ(choices[0].rank, 0);
  EXPECT_EQ(choices[1].rank, 16);
  // One that fitted at first, and no more.
  choices = *ranksForByteBudget(roles, 64 * 16 * 8 + 16 * 128, RankUnit::Role);
  EXPECT_EQ(choices[0].rank, 16);
  EXPECT_EQ(choices[1].rank, 16);
}

TEST(RankSelection, othersGoOnWhenOneNoLongerFits) {
  // Of two large ones the second fits no more; the small one does.
  std::vector<RoleSpectra> roles = {role("gate", 64, 64, {flat(64, 64, 50)}),
                                    role("up", 64, 64, {flat(64, 64, 50)}),
                                    role("down", 16, 16, {flat(16, 16, 1)})};
  auto choices = *ranksForByteBudget(roles, 64 * 16 * 8 + 16 * 128);
  EXPECT_EQ(choices[0].rank, 16);
  EXPECT_EQ(choices[1].rank, 0);
  EXPECT_EQ(choices[2].rank, 16);
}

TEST(RankSelection, encodingsMakeBlocksCheaper) {
  // The same gain, but gate's factors take a quarter of the bytes.
  std::vector<RoleSpectra> roles = twoRoles();
  roles[0].experts[0] = roles[1].experts[0];
  std::swap(roles[0], roles[1]);
  roles[1].input = {Format::F8E4M3};
  roles[1].output = {Format::F8E4M3};
  auto choices = *ranksForByteBudget(roles, 16 * 32, RankUnit::Role);
  EXPECT_EQ(choices[0].rank, 0);
  EXPECT_EQ(choices[1].rank, 16);
  EXPECT_EQ(*factorBytes(roles[1], choices[1]), 16u * 32);
  EXPECT_EQ(*factorBytes(roles[0], {4, {4}, 0, 0}), 4u * 128);
  EXPECT_EQ(*factorBytes(roles[0], {0, {0}, 0, 0}), 0u);
}

TEST(RankSelection, theLastBlockMayBeSmaller) {
  RoleSpectra gate = role("gate", 40, 20, {flat(20, 20, 1)});
  auto choice = (*ranksForByteBudget({&gate, 1}, 1 << 20))[0];
  EXPECT_EQ(choice.rank, 20);
  EXPECT_EQ(choice.maxRelativeError, 0);
  EXPECT_EQ((*ranksForByteBudget({&gate, 1}, 1 << 20, RankUnit::Role,
                                 std::numeric_limits<int64_t>::max()))[0]
                .rank,
            20);
  EXPECT_TRUE(ranksForByteBudget({}, 1)->empty());
}

TEST(RankSelection, budgetsAreChecked) {
  RoleSpectra gate = role("gate", 40, 64, {flat(40, 40, 1)});
  gate.experts[0].values.resize(16);
  EXPECT_EQ((*ranksForByteBudget({&gate, 1}, 16 * 104 * 4))[0].rank, 16);
  EXPECT_EQ(ranksForByteBudget({&gate, 1}, 32 * 104 * 4).error(),
            "gate: expected singular values up to rank 32 for expert 0, found "
            "16");
  EXPECT_EQ(ranksForByteBudget({&gate, 1}, 1, RankUnit::Role, 0).error(),
            "expected ranks to be a multiple of at least 1, found 0");
  gate.input = {Format::Int8, 32};
  EXPECT_EQ(ranksForByteBudget({&gate, 1}, 1).error(),
            "gate: " + encodedBytes(gate.input, {1, 40, 16}).error());
  EXPECT_EQ(factorBytes(gate, {4, {4}, 0, 0}).error(),
            "gate: " + encodedBytes(gate.input, {1, 40, 4}).error());
  gate.input = {};
  gate.output = {Format::Int8, 32};
  EXPECT_EQ(ranksForByteBudget({&gate, 1}, 1).error(),
            "gate: " + encodedBytes(gate.output, {1, 16, 64}).error());
}

} // namespace
