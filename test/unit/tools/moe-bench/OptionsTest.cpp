// Tests of the command line.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Options.h"

#include <gtest/gtest.h>

using namespace moec::bench;
using moec::weights::Result;

namespace {

Result<Options> parse(std::vector<std::string> words) {
  std::vector<char *> arguments;
  for (std::string &word : words)
    arguments.push_back(word.data());
  return parseOptions(arguments);
}

TEST(Options, all) {
  Result<Options> options = parse({"--suite",
                                   "s.json",
                                   "--only=big",
                                   "--tokens",
                                   "1,8,32",
                                   "--threads=1,2",
                                   "--seconds",
                                   "0.5",
                                   "--rounds",
                                   "7",
                                   "--rotate=3",
                                   "--routings=4",
                                   "--memory=2",
                                   "--read-mib=16",
                                   "--max-error=0.1",
                                   "--random-weights",
                                   "--without-peers",
                                   "--flags",
                                   "--pipeline=reference  --cpu=native",
                                   "--compiler=mc",
                                   "--scratch=dir",
                                   "--json=j",
                                   "--csv=c",
                                   "--md=m",
                                   "--svg=v",
                                   "two-stage M=1=other.moec"});
  ASSERT_TRUE(bool(options)) << options.error();
  EXPECT_EQ(options->suite, "s.json");
  EXPECT_EQ(options->only, "big");
  EXPECT_EQ(options->tokens, (std::vector<int64_t>{1, 8, 32}));
  EXPECT_EQ(options->threads, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(options->seconds, 0.5);
  EXPECT_EQ(options->rounds, 7);
  EXPECT_EQ(options->rotate, 3);
  EXPECT_EQ(options->routings, 4);
  EXPECT_EQ(options->memory, 2);
  EXPECT_EQ(options->readMebibytes, 16);
  EXPECT_EQ(options->maxError, 0.1);
  EXPECT_TRUE(options->randomWeights);
  EXPECT_TRUE(options->withoutPeers);
  EXPECT_EQ(options->flags,
            (std::vector<std::string>{"--pipeline=reference", "--cpu=native"}));
  EXPECT_EQ(options->compiler, "mc");
  EXPECT_EQ(options->scratch, "dir");
  EXPECT_EQ(options->json, "j");
  EXPECT_EQ(options->csv, "c");
  EXPECT_EQ(options->markdown, "m");
  EXPECT_EQ(options->svg, "v");
  ASSERT_EQ(options->artifacts.size(), 1u);
  EXPECT_EQ(options->artifacts[0].contender, "two-stage M=1");
  EXPECT_EQ(options->artifacts[0].path, "other.moec");
}

TEST(Options, artifactsAndResults) {
  EXPECT_EQ(parse({"a.moec", "b.moec"})->artifacts.size(), 2u);
  EXPECT_EQ(parse({"--from", "a", "--from=b"})->from.size(), 2u);
  EXPECT_TRUE(parse({"--help"})->help);
  EXPECT_TRUE(parse({"-h"})->help);
  EXPECT_TRUE(parse({"--version"})->version);
}

TEST(Options, saysWhatIsWrong) {
  auto errorOf = [](std::vector<std::string> words) {
    return parse(std::move(words)).error();
  };
  EXPECT_EQ(errorOf({}), "expected --suite, --from or an artifact, found none");
  EXPECT_EQ(errorOf({"--fast"}),
            "expected an option of moe-bench --help, found '--fast'");
  EXPECT_EQ(errorOf({"--suite"}), "--suite: expected a value, found none");
  EXPECT_EQ(errorOf({"--suite="}), "--suite: expected a value, found none");
  EXPECT_EQ(errorOf({"a", "--rounds=0"}),
            "--rounds: expected a number from 1 to 1048576, found '0'");
  EXPECT_EQ(
      errorOf({"a", "--tokens=1,x"}),
      "--tokens: expected numbers from 1 to 1048576, separated by commas, "
      "found '1,x'");
  EXPECT_EQ(errorOf({"a", "--seconds=-1"}),
            "--seconds: expected a number from 0 to 1000000, found '-1'");
  EXPECT_EQ(errorOf({"--from=a", "b"}),
            "expected --from alone, found what to run too");
  EXPECT_EQ(errorOf({"a=b"}),
            "expected --suite with CONTENDER=ARTIFACT, found none");
  EXPECT_EQ(errorOf({"--suite=s", "b"}),
            "expected CONTENDER=ARTIFACT with --suite, found 'b'");
}

} // namespace
