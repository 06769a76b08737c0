// Tests of suites: what is read, and what is said of a wrong one.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Suite.h"

#include <filesystem>
#include <gtest/gtest.h>

using namespace moec::bench;
using moec::weights::Format;
using moec::weights::Result;

namespace {

std::string suiteOf(const std::string &problem,
                    const std::string &kind = "layer") {
  return R"({"suite": "s", "kind": ")" + kind + R"(", "problems": [{)" +
         problem + "}]}";
}

const std::string sizes =
    R"("name": "p", "width": 64, "inner": 32, "experts": 8, "clusters": 4,
       "k": 2, "tokens": [1, 2])";

std::string errorOf(const std::string &problem,
                    const std::string &kind = "layer") {
  return parseSuite("file", suiteOf(problem, kind)).error();
}

std::string errorOfContender(const std::string &contender) {
  return errorOf(sizes + R"(, "rank": 4, "contenders": [)" + contender + "]");
}

TEST(Suite, reads) {
  Result<Suite> suite = parseSuite(
      "file", suiteOf(sizes +
                      R"(, "rank": 4, "zipf": 1.5, "encoding": "int4 group 16",
                   "flags": ["--cpu=native"], "contenders": [
          {"name": "a"},
          {"name": "b", "form": "compressed", "keep": 2, "by": "sum",
           "flags": ["--activations=int8"]},
          {"name": "c", "solver": "openblas", "form": "compressed"}])"));
  ASSERT_TRUE(bool(suite)) << suite.error();
  const Problem &problem = suite->problems.at(0);
  EXPECT_EQ(problem.kind, Kind::Layer);
  EXPECT_EQ(problem.width, 64);
  EXPECT_EQ(problem.inner, 32);
  EXPECT_EQ(problem.experts, 8);
  EXPECT_EQ(problem.clusters, 4);
  EXPECT_EQ(problem.k, 2);
  EXPECT_EQ(problem.rank, 4);
  EXPECT_EQ(problem.zipf, 1.5);
  EXPECT_EQ(problem.base.format, Format::Int4);
  EXPECT_EQ(problem.residual.format, Format::F16);
  EXPECT_EQ(problem.tokens, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(problem.flags, std::vector<std::string>{"--cpu=native"});
  ASSERT_EQ(problem.contenders.size(), 3u);
  EXPECT_FALSE(problem.contenders[0].compressed);
  EXPECT_EQ(problem.contenders[0].by, "max");
  EXPECT_TRUE(problem.contenders[1].compressed);
  EXPECT_EQ(problem.contenders[1].keep, 2);
  EXPECT_EQ(problem.contenders[1].by, "sum");
  EXPECT_TRUE(problem.contenders[0].flags.empty());
  EXPECT_EQ(problem.contenders[1].flags,
            std::vector<std::string>{"--activations=int8"});
  EXPECT_EQ(problem.contenders[2].solver, Solver::OpenBlas);
}

TEST(Suite, thoseOfTheProjectAreGood) {
  size_t count = 0;
  for (const auto &file :
       std::filesystem::directory_iterator(MOEC_TEST_BENCH "/suites")) {
    Result<Suite> suite = readSuite(file.path().string());
    EXPECT_TRUE(bool(suite)) << suite.error();
    ++count;
  }
  EXPECT_GE(count, 6u);
}

TEST(Suite, theFolderIsKept) {
  EXPECT_EQ(readSuite(MOEC_TEST_BENCH "/suites/layers.json")->folder,
            MOEC_TEST_BENCH "/suites");
  EXPECT_NE(readSuite("no/such/file").error(), "");
}

TEST(Suite, saysWhatIsWrongWithTheFile) {
  EXPECT_NE(parseSuite("file", "{").error(), "");
  EXPECT_EQ(parseSuite("file", "[]").error(),
            "file: expected an object, found an array of 0");
  EXPECT_EQ(parseSuite("file", "{}").error(),
            "file: expected 'suite', found none");
  EXPECT_EQ(parseSuite("file", R"({"suite": 3})").error(),
            "file: expected 'suite' to be text, found 3");
  EXPECT_EQ(parseSuite("file", R"({"suite": "s", "kind": "x"})").error(),
            "file: expected 'kind' to be one of kernel, layer, block, router, "
            "compile, found 'x'");
  EXPECT_EQ(parseSuite("file", R"({"suite": "s", "kind": "layer",
                                   "problems": 1})")
                .error(),
            "file: expected 'problems' to be a list, found 1");
  EXPECT_EQ(parseSuite("file", R"({"suite": "s", "kind": "layer",
                                   "problems": [{}], "extra": 1})")
                .error(),
            "file: expected no 'extra'");
  std::string one = "{" + sizes + R"(, "contenders": [{"name": "a"}]})";
  EXPECT_EQ(
      parseSuite("file", R"({"suite": "s", "kind": "layer", "problems": [)" +
                             one + ", " + one + "]}")
          .error(),
      "file: expected each problem once, found 'p' twice");
}

TEST(Suite, saysWhatIsWrongWithAProblem) {
  EXPECT_EQ(errorOf(""), "file: problem expected 'name', found none");
  EXPECT_EQ(errorOf(R"("name": "p")"),
            "file: problem 'p': expected 'width', found none");
  EXPECT_EQ(errorOf(R"("name": "p", "width": 0)"),
            "file: problem 'p': expected 'width' to be a number from 1 to "
            "16777216, found 0");
  EXPECT_EQ(errorOf(sizes + R"(, "zipf": 11)"),
            "file: problem 'p': expected 'zipf' to be a number from 0 to 10, "
            "found 11");
  EXPECT_EQ(errorOf(sizes + R"(, "encoding": "int4")").substr(0, 30),
            "file: problem 'p': 'encoding':");
  EXPECT_EQ(errorOf(sizes + R"(, "encoding": "int4 group 48")").substr(0, 30),
            "file: problem 'p': 'encoding':");
  EXPECT_EQ(
      errorOf(sizes + R"(, "rank": 4, "residual_encoding": "int4 group 32")")
          .substr(0, 39),
      "file: problem 'p': 'residual_encoding':");
  EXPECT_EQ(errorOf(sizes + R"(, "flags": [1])"),
            "file: problem 'p': expected 'flags' to be texts, found "
            "1");
  EXPECT_EQ(errorOf(R"("name": "p", "width": 64, "inner": 32, "experts": 8,
                       "clusters": 4, "k": 2, "tokens": [0])"),
            "file: problem 'p': expected 'tokens' to be numbers from 1 to "
            "1048576, found 0");
  EXPECT_EQ(errorOf(R"("name": "p", "width": 64, "inner": 32, "experts": 8,
                       "clusters": 3, "k": 2, "tokens": [1])"),
            "file: problem 'p': expected clusters of equal size, found 8 "
            "experts in 3 clusters");
  EXPECT_EQ(errorOf(R"("name": "p", "width": 64, "inner": 32, "experts": 8,
                       "clusters": 4, "k": 9, "tokens": [1])"),
            "file: problem 'p': expected 'k' to be at most 'experts', found 9 "
            "of 8");
  EXPECT_EQ(errorOf(sizes), "file: problem 'p': expected 'contenders', found "
                            "none");
  EXPECT_EQ(
      errorOf(R"("name": "p", "checkpoint": "c")"),
      "file: problem 'p': expected 'checkpoint' in suites of kind compile "
      "only");
  EXPECT_EQ(errorOf(R"("name": "p", "checkpoint": "c")", "compile"), "");
}

TEST(Suite, saysWhatIsWrongWithAContender) {
  const std::string where = "file: problem 'p': contender 1: ";
  EXPECT_EQ(errorOfContender("{}"), where + "expected 'name', found none");
  EXPECT_EQ(errorOfContender(R"({"name": "a", "form": "x"})"),
            where + "expected 'form' to be one of uncompressed, compressed, "
                    "found 'x'");
  EXPECT_EQ(errorOfContender(R"({"name": "a", "keep": 5})"),
            where + "expected 'keep' to be at most the problem's clusters, 4, "
                    "found 5");
  EXPECT_EQ(errorOfContender(R"({"name": "a", "extra": 5})"),
            where + "expected no 'extra'");
  EXPECT_EQ(errorOfContender(
                R"({"name": "a", "solver": "blis", "keep": 1, "by": "sum"})"),
            where + "expected a library's contender to score by max");
  EXPECT_EQ(errorOfContender(R"({"name": "a"}, {"name": "a"})"),
            "file: problem 'p': expected each contender once, found 'a' twice");
  EXPECT_EQ(errorOf(R"("name": "p", "width": 64, "inner": 32, "experts": 8,
                       "clusters": 8, "k": 2, "tokens": [1],
                       "contenders": [{"name": "a", "keep": 1}])"),
            where + "expected 'keep' clusters to have 'k' experts, found 1 of "
                    "1");
  EXPECT_EQ(
      errorOf(sizes +
              R"(, "contenders": [{"name": "a", "form": "compressed"}])"),
      "file: problem 'p': expected 'rank' of compressed contenders, found "
      "none");
  EXPECT_EQ(errorOf(sizes + R"(, "contenders": [{"name": "a",
                                                 "solver": "blis"}])",
                    "block"),
            where + "expected the solver of a block to be moec");
}

TEST(Suite, requestsOfModules) {
  Problem problem;
  problem.kind = Kind::Kernel;
  problem.width = 64;
  problem.inner = 32;
  ContenderSpec contender;
  contender.compressed = true;
  EXPECT_EQ(moduleRequest(problem, contender),
            R"({"kind": "kernel", "form": "compressed", "by": "max", )"
            R"("encoding": "f32", "residual_encoding": "f32", "keep": 0, )"
            R"("width": 64, "inner": 32, "experts": 1, "clusters": 1, "k": 1, )"
            R"("rank": 0, "layers": 1})");
}

} // namespace
