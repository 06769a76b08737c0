// Tests of results as JSON, CSV and Markdown.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Measurement.h"

#include <gtest/gtest.h>

using namespace moec::bench;
using moec::weights::Result;

namespace {

Measurement point(const std::string &contender, double median) {
  Measurement one;
  one.suite = "s";
  one.problem = "p";
  one.contender = contender;
  one.tokens = 8;
  one.rounds = 10;
  one.median = median;
  one.least = median / 2;
  return one;
}

TEST(Measurement, jsonAndBack) {
  Measurement one = point("a \"b\" \\ c", 0.25);
  one.baseline = "x";
  one.routing = "zipf 1";
  one.speedup = 1.5;
  one.bytes = 1e9;
  one.error = 1e-6;
  Result<std::vector<Measurement>> read =
      parseMeasurements("file", toJson(one) + "\n\n" + toJson(one));
  ASSERT_TRUE(bool(read)) << read.error();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ(toJson((*read)[1]), toJson(one));
  EXPECT_EQ((*read)[0].contender, one.contender);
  EXPECT_EQ((*read)[0].bytes, 1e9);
}

TEST(Measurement, saysWhatIsWrongWithALine) {
  EXPECT_EQ(parseMeasurements("file", "[]").error(),
            "file:1: expected an object, found an array of 0");
  EXPECT_EQ(parseMeasurements("file", "\n{\"tokens\": \"x\"}").error(),
            "file:2: expected another 'tokens', found the string 'x'");
  EXPECT_EQ(parseMeasurements("file", "{\"suite\": 1}").error(),
            "file:1: expected another 'suite', found 1");
  EXPECT_EQ(parseMeasurements("file", "{\"min_s\": true}").error(),
            "file:1: expected another 'min_s', found true");
  EXPECT_EQ(parseMeasurements("file", "{}").error(),
            "file:1: expected a problem, a contender and a median_s, found too "
            "little");
  EXPECT_NE(parseMeasurements("file", "{").error(), "");
}

TEST(Measurement, mergesWhatIsOfOneThing) {
  Measurement all[] = {point("a", 2), point("b", 4), point("a", 8),
                       point("a", 4)};
  for (Measurement &one : all)
    if (one.contender == "a") {
      one.baseline = "a";
      one.speedup = 1;
      one.bytesPerSecond = 10;
      one.flopsPerSecond = 10;
    }
  all[1].bytes = 20;
  all[1].flops = 30;
  std::vector<Measurement> merged = merge(all);
  ASSERT_EQ(merged.size(), 2u);
  EXPECT_EQ(merged[0].median, 4);
  EXPECT_EQ(merged[0].least, 1);
  EXPECT_EQ(merged[0].rounds, 30);
  // Another program is compared with the baseline's median.
  EXPECT_EQ(merged[1].contender, "b");
  EXPECT_EQ(merged[1].speedup, 1);
  EXPECT_EQ(merged[1].baseline, "a");
  EXPECT_EQ(merged[1].roofline, 3);
  EXPECT_TRUE(merge({}).empty());
}

TEST(Measurement, mergingPutsProblemsTogether) {
  Measurement all[] = {point("a", 1), point("a", 1), point("b", 1),
                       point("b", 1)};
  all[0].tokens = all[2].tokens = 16;
  all[1].problem = all[3].problem = "q";
  all[2].tokens = 4;
  std::string order;
  for (const Measurement &one : merge(all))
    order += one.problem + one.contender + std::to_string(one.tokens) + " ";
  EXPECT_EQ(order, "pb4 pa16 qa8 qb8 ");
}

TEST(Measurement, csv) {
  Measurement one = point("a \"b\"", 0.5);
  std::string text = toCsv({&one, 1});
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "suite,problem,contender,baseline,routing,tokens,threads,rounds,"
            "median_s,min_s,iqr_s,speedup,bytes,flops,experts_hit,clusters_hit,"
            "roofline_s,rotated_bytes,max_error,bytes_per_s,flops_per_s");
  EXPECT_EQ(text.substr(text.find('\n') + 1),
            "\"s\",\"p\",\"a \"\"b\"\"\",\"\",\"\",8,1,10,0.5,0.25,0,0,0,0,0,0,"
            "0,0,-1,0,0\n");
}

TEST(Measurement, markdownHasATableForEachProblem) {
  Measurement all[] = {point("a", 1e-3), point("b", 2e-6), point("a", 3)};
  all[0].baseline = "a";
  all[0].bytesPerSecond = 2e10;
  all[0].flopsPerSecond = 1e11;
  all[0].bytes = 1e6;
  all[0].roofline = 5e-4;
  all[0].error = 1e-6;
  all[2].threads = 2;
  all[2].routing = "uniform";
  std::string text = toMarkdown(all);
  EXPECT_EQ(text.substr(0, text.find("| tokens")),
            "### p, 1 thread\n\nRates of this run: 20.0 GB/s read, 100 GFLOP/s "
            "FMA. Speedups are over a.\n\n");
  EXPECT_NE(text.find("| 8 | a | 1 ms | 500 us | 0 % | - | 1 | - | - | - | "
                      "1.00 | - | 500 us | 50 % | 1e-06 |\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("| 8 | b | 2 us |"), std::string::npos);
  EXPECT_NE(text.find("\n### p, 2 threads, routing uniform\n"),
            std::string::npos);
}

TEST(Measurement, seconds) {
  EXPECT_EQ(describeSeconds(2.5e-7), "0.25 us");
  EXPECT_EQ(describeSeconds(0.0125), "12.5 ms");
  EXPECT_EQ(describeSeconds(2), "2 s");
}

} // namespace
