// Tests of descriptions of machines: what is built in, and what is refused.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/TargetDescription.h"

#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

using namespace moec::weights;

namespace {

const std::string plain = R"({
  "name": "box", "operands": "bf16",
  "arithmetic": {"bf16": {"flops_per_second": 2e12, "joules_per_flop": 1e-12}, "f32": {"flops_per_second": 1000}},
  "decode": {"int4": 5e9},
  "memory": [{"name": "near", "bytes": 8, "bytes_per_second": 1e9},
             {"name": "far", "bytes": 80, "bytes_per_second": 1e8, "joules_per_byte": 3e-12, "near_memory_compute": true}],
  "links": [{"name": "bus", "from": "far", "to": "near", "bytes_per_second": 5e7, "latency_seconds": 1e-6},
            {"name": "net", "from": "near", "to": "peer", "bytes_per_second": 1e7}]
})";

/// The message about `plain` with one text in it replaced.
std::string messageOf(const std::string &from, const std::string &to) {
  std::string text = plain;
  size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  text.replace(place, from.size(), to);
  Result<TargetDescription> target = targetFromText("t", text);
  EXPECT_FALSE(target) << text;
  return target.error();
}

TEST(TargetDescription, everyFigureIsRead) {
  Result<TargetDescription> target = targetFromText("t", plain);
  ASSERT_TRUE(target) << target.error();
  EXPECT_EQ(target->name, "box");
  EXPECT_EQ(target->operands, Format::BF16);
  EXPECT_EQ(target->arithmetic.at(Format::BF16).flopsPerSecond, 2e12);
  EXPECT_EQ(target->arithmetic.at(Format::BF16).joulesPerFlop, 1e-12);
  EXPECT_EQ(target->arithmetic.at(Format::F32).flopsPerSecond, 1000);
  EXPECT_EQ(target->arithmetic.at(Format::F32).joulesPerFlop, 0);
  EXPECT_EQ(target->decode.at(Format::Int4), 5e9);
  ASSERT_EQ(target->memory.size(), 2u);
  EXPECT_FALSE(target->memory[0].nearMemoryCompute);
  EXPECT_EQ(target->tier("far")->bytes, 80);
  EXPECT_EQ(target->tier("far")->joulesPerByte, 3e-12);
  EXPECT_TRUE(target->tier("far")->nearMemoryCompute);
  EXPECT_EQ(target->tier("peer"), nullptr);
  ASSERT_EQ(target->links.size(), 2u);
  EXPECT_EQ(target->links[0].latencySeconds, 1e-6);
  EXPECT_EQ(target->links[1].to, "peer");
}

TEST(TargetDescription, builtInOnesAreWhole) {
  ASSERT_EQ(builtInTargets().size(), 4u);
  for (std::string_view name : builtInTargets()) {
    Result<TargetDescription> target = findTarget(std::string(name));
    ASSERT_TRUE(target) << target.error();
    EXPECT_EQ(target->name, name);
    EXPECT_FALSE(target->source.empty());
    for (const MemoryTier &tier : target->memory)
      EXPECT_GT(tier.joulesPerByte, 0) << name;
  }
  EXPECT_EQ(findTarget("h200")->memory[0].bytesPerSecond, 4.8e12);
  EXPECT_TRUE(builtInTargetText("b200").empty());
}

TEST(TargetDescription, aFileIsReadWhereNoNameFits) {
  moec::test::TemporaryFolder folder;
  std::string path = folder.file("box.json");
  std::ofstream(path) << plain;
  Result<TargetDescription> target = findTarget(path);
  ASSERT_TRUE(target) << target.error();
  EXPECT_EQ(target->name, "box");
  EXPECT_NE(findTarget(folder.file("absent")).error().find("absent"),
            std::string::npos);
  std::ofstream(path) << plain << std::string(targetMaxBytes, ' ');
  EXPECT_NE(findTarget(path).error().find("expected JSON of at most 65536 bytes"),
            std::string::npos)
      << findTarget(path).error();
}

TEST(TargetDescription, whatIsWrongIsSaid) {
  EXPECT_EQ(messageOf("\"name\": \"box\", ", ""),
            "t: target: expected a key 'name', found none");
  EXPECT_EQ(messageOf("\"decode\"", "\"code\""),
            "t: target: expected known keys, found 'code'");
  EXPECT_EQ(messageOf("\"operands\": \"bf16\"", "\"operands\": \"int8\""),
            "t: operands: expected a type of 'arithmetic', found int8");
  EXPECT_EQ(messageOf("\"operands\": \"bf16\"", "\"operands\": 16"),
            "t: operands: expected a text of at most 300 bytes, found 16");
  EXPECT_EQ(messageOf("{\"bf16\"", "{\"bf17\""),
            "t: arithmetic: expected a format such as bf16 or int8, found 'bf17'");
  EXPECT_EQ(messageOf("\"f32\": {\"flops_per_second\"", "\"f32\": {\"flops\""),
            "t: arithmetic of 'f32': expected known keys, found 'flops'");
  EXPECT_EQ(messageOf("\"bytes\": 8,", "\"bytes\": 0,"),
            "t: tier 0: expected a positive number, found 0");
  EXPECT_EQ(messageOf("5e9", "-5e9"),
            "t: decode of 'int4': expected a positive number, found -5e+09");
  EXPECT_EQ(messageOf("\"bytes_per_second\": 1e9", "\"bytes_per_second\": \"fast\""),
            "t: tier 0: expected a positive number, found the string 'fast'");
  EXPECT_EQ(messageOf("true", "1"), "t: tier 1: expected true or false, found 1");
  EXPECT_EQ(messageOf("\"name\": \"far\"", "\"name\": \"near\""),
            "t: tier 1: expected a name of its own that is not 'peer', found 'near'");
  EXPECT_EQ(messageOf("\"to\": \"near\"", "\"to\": \"nowhere\""),
            "t: link 0: expected a tier of 'memory' or 'peer', found 'nowhere'");
  EXPECT_EQ(messageOf("{\"int4\": 5e9}", "[]"),
            "t: decode: expected an object of rates, found an array of 0");
  EXPECT_EQ(targetFromText("t", R"({"name": "a", "operands": "f32", "arithmetic": {}, "memory": []})").error(),
            "t: arithmetic: expected an object of rates, found an object of 0");
  EXPECT_EQ(targetFromText("t", R"({"name": "a", "operands": "f32", "arithmetic": {"f32": {"flops_per_second": 1}}, "memory": []})").error(),
            "t: memory: expected at least one tier, found none");
  EXPECT_FALSE(targetFromText("t", "{"));
}

TEST(TargetDescription, tiersAreBounded) {
  std::string tiers;
  for (size_t i = 0; i <= targetMaxTiers; ++i)
    tiers += (i ? "," : "") + std::string("{}");
  EXPECT_EQ(targetFromText("t", R"({"name": "a", "operands": "f32", "arithmetic": {"f32": {"flops_per_second": 1}}, "memory": [)" + tiers + "]}").error(),
            "t: memory: expected at most 16 items, found 17");
}

} // namespace
