// Tests of kernels and layers composed from a library's calls.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/BlasContender.h"

#include "test/unit/tools/moe-bench/PlainBlas.h"
#include "tools/moe-bench/Reference.h"

#include <gtest/gtest.h>

using namespace moec::bench;
using moec::weights::Result;

namespace {

Problem smallProblem(Kind kind) {
  Problem problem;
  problem.kind = kind;
  problem.width = 24;
  problem.inner = 40;
  problem.rank = 3;
  if (kind == Kind::Kernel)
    return problem;
  problem.experts = 12;
  problem.clusters = 3;
  problem.k = 3;
  return problem;
}

TEST(BlasContender, agreesWithThePlainSolution) {
  for (Kind kind : {Kind::Kernel, Kind::Layer})
    for (bool compressed : {false, true})
      for (int64_t keep : {0, 1, 2})
        for (int64_t tokens : {1, 2, 17}) {
          Problem problem = smallProblem(kind);
          ContenderSpec spec;
          spec.solver = Solver::OpenBlas;
          spec.compressed = compressed;
          spec.keep = kind == Kind::Layer ? keep : 0;
          std::unique_ptr<Contender> contender =
              makeBlasContender(problem, spec, moec::test::plainBlas());
          Inputs inputs = makeInputs(problem, tokens, 2);
          ASSERT_TRUE(bool(contender->prepare(inputs)));
          contender->setCopies(2);
          EXPECT_EQ(contender->copies(), 2u);
          for (size_t routing : {0, 1}) {
            ASSERT_TRUE(bool(contender->run(routing, routing)));
            Result<double> error =
                measureError(problem, *contender, inputs, routing);
            ASSERT_TRUE(bool(error)) << error.error();
            EXPECT_LT(*error, 2e-5)
                << kindName(kind) << compressed << keep << tokens;
          }
        }
}

TEST(BlasContender, bytes) {
  Problem problem = smallProblem(Kind::Kernel);
  // A tensor ends at a multiple of 64 bytes.
  std::unique_ptr<Contender> contender =
      makeBlasContender(problem, {}, moec::test::plainBlas());
  EXPECT_GE(contender->bytes(), 24u * 40 * 4);
  EXPECT_LE(contender->bytes(), 24u * 40 * 4 + 64);
}

} // namespace
