// Tests of JSON from outside.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Json.h"

#include <gtest/gtest.h>

using namespace moec::weights;

namespace {

std::string refusal(const std::string &text, const JsonLimits &limits = {}) {
  Result<JsonValue> value = parseJson("file", text, limits);
  EXPECT_FALSE(value) << text.substr(0, 100);
  return value.error();
}

TEST(Json, readsEveryKind) {
  Result<JsonValue> value = parseJson(
      "file",
      R"({"a": [1, -2, 1.5, true, false, null, "s"], "b": {"c": [], "d": 1}})");
  ASSERT_TRUE(value) << value.error();
  const JsonValue *a = value->member("a");
  ASSERT_TRUE(a);
  ASSERT_EQ(a->items.size(), 7u);
  EXPECT_EQ(a->items[0].integer, 1);
  EXPECT_EQ(a->items[1].integer, -2);
  EXPECT_EQ(a->items[2].real, 1.5);
  EXPECT_TRUE(a->items[3].boolean);
  EXPECT_FALSE(a->items[4].boolean);
  EXPECT_EQ(a->items[5].kind, JsonValue::Kind::Null);
  EXPECT_EQ(a->items[6].string, "s");
  EXPECT_EQ(a->member("b"), nullptr);
  EXPECT_EQ(value->member("z"), nullptr);
  std::string text;
  for (const JsonValue &item : a->items)
    text += describe(item) + "; ";
  EXPECT_EQ(text, "1; -2; 1.5; true; false; null; the string 's'; ");
  EXPECT_EQ(describe(*a), "an array of 7");
  EXPECT_EQ(describe(*value->member("b")), "an object of 2");
}

TEST(Json, keepsIntegersExact) {
  Result<JsonValue> value = parseJson(
      "file", "[9223372036854775807, -9223372036854775808, "
              "9223372036854775808, 9007199254740993, 1e3, 1.0, 0.1, "
              "123456789012345678e-30, 5e-324, 1.7976931348623157e308, "
              "2.8610215308722862e-17, 8.589973e9, 0e-300, -0]");
  ASSERT_TRUE(value) << value.error();
  using Kind = JsonValue::Kind;
  EXPECT_EQ(value->items[0].integer, INT64_MAX);
  EXPECT_EQ(value->items[1].integer, INT64_MIN);
  EXPECT_EQ(value->items[2].kind, Kind::Real);
  EXPECT_EQ(value->items[2].real, 0x1p63);
  EXPECT_EQ(value->items[3].integer, 9007199254740993);
  EXPECT_EQ(value->items[4].kind, Kind::Real);
  EXPECT_EQ(value->items[5].kind, Kind::Real);
  EXPECT_EQ(value->items[6].real, 0.1);
  EXPECT_EQ(value->items[7].real, 123456789012345678e-30);
  EXPECT_EQ(value->items[8].real, 5e-324);
  EXPECT_EQ(value->items[9].real, 1.7976931348623157e308);
  EXPECT_EQ(value->items[10].real, 2.8610215308722862e-17);
  EXPECT_EQ(value->items[11].real, 8.589973e9);
  EXPECT_EQ(value->items[12].kind, Kind::Real);
  EXPECT_EQ(value->items[12].real, 0);
  EXPECT_EQ(value->items[13].kind, Kind::Integer);
  EXPECT_EQ(value->items[13].integer, 0);
}

TEST(Json, refuses) {
  EXPECT_EQ(refusal(""), "file: expected JSON, found at byte 0: The document "
                         "is empty.");
  EXPECT_EQ(refusal("{} {}"), "file: expected JSON, found at byte 3: The "
                              "document root must not be followed by other "
                              "values.");
  EXPECT_EQ(refusal(std::string("{}\0", 3)),
            "file: expected JSON, found a zero byte");
  EXPECT_EQ(refusal(R"({"b":1,"a":1,"c":{},"a":2})"),
            "file: expected each key once, found 'a' twice");
  EXPECT_EQ(refusal("[1e400]"), "file: expected JSON, found at byte 1: Number "
                                "too big to be stored in double.");
  EXPECT_EQ(refusal("[-1e-400]"), "file: expected a number that a double holds, found '-1e-400'");
  EXPECT_EQ(refusal("\"\xFF\""), "file: expected JSON, found at byte 1: "
                                 "Invalid encoding in string.");
  EXPECT_EQ(refusal("[NaN]"),
            "file: expected JSON, found at byte 1: Invalid value.");
}

TEST(Json, hasBounds) {
  EXPECT_EQ(refusal(std::string(1000000, '[')),
            "file: expected nesting of at most 16, found it deeper");
  EXPECT_EQ(refusal(std::string(17, '[') + std::string(17, ']')),
            "file: expected nesting of at most 16, found it deeper");
  EXPECT_TRUE(parseJson("file", std::string(16, '[') + std::string(16, ']')));
  EXPECT_EQ(refusal("[1, 2, 3]", {.values = 3}),
            "file: expected at most 3 values, found more");
  EXPECT_TRUE(parseJson("file", "[1, 2, 3]", {.values = 4}));
  EXPECT_EQ(refusal("[[]]", {.values = 1}),
            "file: expected at most 1 values, found more");
  EXPECT_EQ(refusal("[1, 2, 3]", {.bytes = 8}),
            "file: expected JSON of at most 8 bytes, found 9");
  EXPECT_TRUE(parseJson("file", "[1, 2, 3]", {.bytes = 9}));
}

TEST(Json, quotesNames) {
  EXPECT_EQ(quote("a"), "'a'");
  EXPECT_EQ(quote("a\nb\x7F"), "'a?b?'");
  EXPECT_EQ(quote(std::string(201, 'x')), "'" + std::string(200, 'x') + "...'");
  EXPECT_EQ(quote(std::string(200, 'x')), "'" + std::string(200, 'x') + "'");
}

} // namespace
