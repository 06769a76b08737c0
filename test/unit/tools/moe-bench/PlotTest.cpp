// Tests of pictures: what is in them, not how it looks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Plot.h"

#include <gtest/gtest.h>

using namespace moec::bench;

namespace {

size_t count(const std::string &text, const std::string &part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + 1))
    ++found;
  return found;
}

TEST(Plot, aPanelForEachProblemAndALineForEachContender) {
  std::vector<Measurement> all;
  for (const char *problem : {"p", "q"})
    for (const char *contender : {"a", "b <&>"})
      for (int64_t tokens : {1, 8, 64}) {
        Measurement one;
        one.problem = problem;
        one.contender = contender;
        one.tokens = tokens;
        one.median = 1e-3 * double(tokens);
        one.roofline = contender[0] == 'a' ? 5e-4 * double(tokens) : 0;
        all.push_back(one);
      }
  std::string svg = toSvg(all);
  EXPECT_EQ(svg.substr(0, 4), "<svg");
  EXPECT_EQ(svg.substr(svg.size() - 7), "</svg>\n");
  EXPECT_EQ(count(svg, "<rect x="), 2u);
  EXPECT_EQ(count(svg, "<circle"), 12u);
  // Two contenders in each of two panels, and one bound in each.
  EXPECT_EQ(count(svg, "<polyline"), 6u);
  EXPECT_EQ(count(svg, "stroke-dasharray"), 2u);
  EXPECT_EQ(count(svg, "b &lt;&amp;&gt;"), 2u);
  EXPECT_EQ(count(svg, "nan"), 0u);
}

TEST(Plot, onePointAndNone) {
  Measurement one;
  one.problem = "p";
  one.contender = "a";
  one.median = 1;
  std::string svg = toSvg({&one, 1});
  EXPECT_EQ(count(svg, "<circle"), 1u);
  EXPECT_EQ(count(svg, "nan"), 0u);
  EXPECT_EQ(count(toSvg({}), "<circle"), 0u);
}

} // namespace
