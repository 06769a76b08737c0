// Tests of artifacts as contenders, with a library as the compiler makes them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/ArtifactContender.h"

#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

using namespace moec::bench;
using namespace moec::weights;

namespace {

TEST(ArtifactContender, runsAnEntryOfWhichNothingIsKnown) {
  Problem problem;
  ContenderSpec spec;
  spec.artifact = MOEC_TEST_FAKES "/fake_library.so";
  Result<std::unique_ptr<Contender>> opened =
      openArtifact(problem, spec, false, 2);
  ASSERT_TRUE(bool(opened)) << opened.error();
  Contender &contender = **opened;
  EXPECT_EQ(contender.bytes(), 0u);
  contender.setCopies(3);
  EXPECT_EQ(contender.copies(), 1u);
  for (int64_t tokens : {5, 2}) {
    Inputs inputs = makeInputs(problem, tokens, 1);
    Status prepared = contender.prepare(inputs);
    ASSERT_TRUE(bool(prepared)) << prepared.error();
    Status status = contender.run(0, 1);
    EXPECT_TRUE(bool(status)) << status.error();
    EXPECT_EQ(contender.output().size() % size_t(tokens), 0u);
    EXPECT_FALSE(contender.output().empty());
  }
  EXPECT_EQ(contender.matrix("gate", 0, 1, 1).error(),
            "expected a weight 'gate' to check results with, found none");
}

TEST(ArtifactContender, saysWhatIsNoArtifact) {
  moec::test::TemporaryFolder folder;
  Problem problem;
  ContenderSpec spec;
  spec.artifact = folder.path;
  EXPECT_NE(openArtifact(problem, spec, false, 2).error(), "");
  folder.write("weights.safetensors", "no weights");
  EXPECT_NE(openArtifact(problem, spec, false, 2).error(), "");
}

} // namespace
