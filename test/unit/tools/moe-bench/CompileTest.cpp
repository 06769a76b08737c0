// Tests of running other programs, and of reading their reports.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Compile.h"

#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

using namespace moec::bench;
using namespace moec::weights;
using moec::test::TemporaryFolder;

namespace {

TEST(Compile, stagesOfAReport) {
  Result<std::vector<Stage>> stages = parseStages("report", R"({"stages": [
    {"name": "parse", "milliseconds": 2.5}, {"name": "lower", "milliseconds": 4},
    {"name": "parse", "milliseconds": 0.5}]})");
  ASSERT_TRUE(bool(stages)) << stages.error();
  ASSERT_EQ(stages->size(), 3u);
  EXPECT_EQ((*stages)[0].name, "all");
  EXPECT_DOUBLE_EQ((*stages)[0].seconds, 7e-3);
  EXPECT_EQ((*stages)[1].name, "parse");
  EXPECT_DOUBLE_EQ((*stages)[1].seconds, 3e-3);
}

TEST(Compile, saysWhatIsWrongWithAReport) {
  EXPECT_NE(parseStages("report", "{").error(), "");
  EXPECT_EQ(parseStages("report", "{}").error(),
            "report: expected the stages of moe-compile --report, found none");
  EXPECT_EQ(parseStages("report", R"({"stages": [{}]})").error(),
            "report: expected the name and the milliseconds of a stage, found "
            "an object of 0");
}

TEST(Compile, programs) {
  TemporaryFolder folder;
  EXPECT_TRUE(bool(runProgram({"true"}, "")));
  EXPECT_EQ(runProgram({"false"}, "").error(), "false: failed without a word");
  EXPECT_EQ(runProgram({"no-such-program"}, "").error().substr(0, 28),
            "no-such-program: cannot run:");
  EXPECT_EQ(runProgram({"sh", "-c",
                        "echo x; echo m: error: bad >&2; echo >&2 "
                        "at; exit 1"},
                       folder.file("out"))
                .error(),
            "sh: m: error: bad");
  EXPECT_EQ(std::filesystem::file_size(folder.file("out")), 2u);
}

TEST(Compile, names) {
  EXPECT_EQ(fileName("two-stage M=1, f16/x"), "two-stage-M-1--f16-x");
  EXPECT_NE(findCompiler().find("moe-compile"), std::string::npos);
}

TEST(Compile, generatorIsFoundAbove) {
  TemporaryFolder folder;
  Suite suite;
  suite.name = "s";
  suite.folder = folder.file("a/b");
  std::filesystem::create_directories(suite.folder);
  EXPECT_EQ(findGenerator(suite).error(),
            "expected make_module.py in the folder of suite 's' or above it, "
            "found none");
  std::string path = folder.write("a/make_module.py", "");
  EXPECT_EQ(*findGenerator(suite), path);
}

TEST(Compile, whatGoesWrongIsSaid) {
  TemporaryFolder folder;
  Compiler compiler;
  compiler.scratch = folder.path;
  compiler.program = "false";
  compiler.generator = folder.write(
      "generator.py", "import sys\nsys.exit('error: ' + sys.argv[1][:15])\n");
  Problem problem;
  problem.name = "p";
  EXPECT_EQ(writeModule(compiler, problem, {}).error(),
            "python3: error: {\"kind\": \"layer");
  EXPECT_EQ(compileArtifact(compiler, problem, {}).error(),
            "python3: error: {\"kind\": \"layer");
  compiler.generator = folder.write("generator.py", "print('module')\n");
  EXPECT_EQ(compileArtifact(compiler, problem, {}).error(),
            "false: failed without a word");
  EXPECT_EQ(timeCompilation(compiler, problem, "x").error(),
            "false: failed without a word");
  compiler.program = "true";
  EXPECT_EQ(*compileArtifact(compiler, problem, {}), folder.file("p-.moec"));
  EXPECT_NE(timeCompilation(compiler, problem, "x").error(), "");
}

} // namespace
