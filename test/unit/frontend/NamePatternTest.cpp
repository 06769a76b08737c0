// Tests of names with placeholders.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/NamePattern.h"

#include <gtest/gtest.h>

using namespace moec::frontend;
using moec::weights::Result;

namespace {

NamePattern pattern(const std::string &text) {
  Result<NamePattern> result = NamePattern::parse(text);
  EXPECT_TRUE(result) << result.error();
  return result ? *result : NamePattern();
}

TEST(NamePattern, matchesWholeNames) {
  NamePattern expert = pattern("layers.{layer}.experts.{expert}.w1");
  EXPECT_TRUE(expert.hasLayer());
  EXPECT_TRUE(expert.hasExpert());
  auto match = expert.match("layers.10.experts.7.w1");
  ASSERT_TRUE(match);
  EXPECT_EQ(match->layer, 10);
  EXPECT_EQ(match->expert, 7);
  EXPECT_EQ(match->length, 22u);
  EXPECT_EQ(expert.name(10, 7), "layers.10.experts.7.w1");
  EXPECT_EQ(expert.text(), "layers.{layer}.experts.{expert}.w1");
  for (const char *other :
       {"", "layers.", "layers.1", "layers..experts.7.w1",
        "layers.10.experts.7.w", "layers.10.experts.7.w11",
        "Layers.10.experts.7.w1", "layers.01.experts.7.w1",
        "layers.1.experts.-7.w1", "layers.1.experts.+7.w1",
        "layers.1.experts. 7.w1", "layers.1000000000.experts.7.w1"})
    EXPECT_FALSE(expert.match(other)) << other;
  EXPECT_EQ(expert.match("layers.999999999.experts.0.w1")->layer, 999999999);
}

TEST(NamePattern, matchesBeginnings) {
  NamePattern block = pattern("layers.{layer}.mlp.");
  EXPECT_FALSE(block.hasExpert());
  auto match = block.matchBeginning("layers.3.mlp.gate.weight");
  ASSERT_TRUE(match);
  EXPECT_EQ(match->layer, 3);
  EXPECT_EQ(match->expert, -1);
  EXPECT_EQ(match->length, 13u);
  EXPECT_FALSE(block.match("layers.3.mlp.gate.weight"));
  EXPECT_FALSE(block.matchBeginning("layers.3.mlp_norm.weight"));
  EXPECT_FALSE(pattern("plain").hasLayer());
  EXPECT_TRUE(pattern("plain").match("plain"));
}

TEST(NamePattern, refuses) {
  EXPECT_EQ(NamePattern::parse("a.{Layer}").error(),
            "expected no braces but {layer} and {expert} in a name, found "
            "'a.{Layer}'");
  EXPECT_EQ(NamePattern::parse("a}").error(),
            "expected no braces but {layer} and {expert} in a name, found "
            "'a}'");
  EXPECT_EQ(NamePattern::parse("{layer}.{layer}").error(),
            "expected each placeholder of a name once, found "
            "'{layer}.{layer}'");
  EXPECT_EQ(NamePattern::parse("{expert}.{layer}.{expert}").error(),
            "expected each placeholder of a name once, found "
            "'{expert}.{layer}.{expert}'");
  EXPECT_EQ(NamePattern::parse("a{layer}{expert}").error(),
            "expected text between the placeholders of a name, found "
            "'a{layer}{expert}'");
}

} // namespace
