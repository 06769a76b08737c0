// Tests of how many copies of weights are rotated.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Session.h"

#include <gtest/gtest.h>

using namespace moec::bench;

namespace {

constexpr uint64_t megabyte = 1000000;

TEST(Session, copiesExceedTheCache) {
  // 1.25 of 300 MB in rounds of 100 MB.
  EXPECT_EQ(copiesFor(300 * megabyte, 100e6, 100 * megabyte, 10000 * megabyte),
            4u);
  EXPECT_EQ(copiesFor(300 * megabyte, 400e6, 100 * megabyte, 10000 * megabyte),
            1u);
}

TEST(Session, copiesFitMemory) {
  EXPECT_EQ(copiesFor(300 * megabyte, 1e6, 100 * megabyte, 1000 * megabyte),
            10u);
  EXPECT_EQ(copiesFor(300 * megabyte, 1e6, 2000 * megabyte, 1000 * megabyte),
            1u);
}

TEST(Session, nothingTouchedOrHeld) {
  EXPECT_EQ(copiesFor(300 * megabyte, 0, 0, 1000 * megabyte), 1u);
  EXPECT_EQ(copiesFor(300 * megabyte, 1, 0, 1000 * megabyte), 512u);
}

TEST(Session, saysWhatItCannotRun) {
  std::vector<Measurement> measurements;
  Options options;
  options.suite = "no/such/suite.json";
  EXPECT_NE(run(options, measurements).error(), "");
  options.suite = MOEC_TEST_BENCH "/suites/layers.json";
  options.only = "no such problem";
  EXPECT_EQ(run(options, measurements).error(),
            options.suite +
                ": expected a problem with 'no such problem' in its "
                "name, found none");
  options.only = "big f16";
  options.artifacts = {{"nobody", "x.moec"}};
  EXPECT_EQ(run(options, measurements).error(),
            "big f16: expected a contender 'nobody' of moec, found none");
  options.scratch = "/proc/no/such/folder";
  EXPECT_NE(run(options, measurements).error().find(": cannot create: "),
            std::string::npos);
}

} // namespace
