// Tests of the JSON tree.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/src/json.h"

#include <gtest/gtest.h>

using namespace moec::runtime;

namespace {

std::string refusal(const std::string &text) {
  JsonValue value;
  std::string error;
  EXPECT_FALSE(parseJson(text, value, error)) << text;
  return error;
}

TEST(Json, readsEveryKind) {
  JsonValue value;
  std::string error;
  ASSERT_TRUE(parseJson(
      R"( {"a": [1, -2, 1.5, true, null, 18446744073709551615], "b": {"c": "d"}} )",
      value, error))
      << error;
  const JsonValue *a = value.member("a");
  ASSERT_TRUE(a);
  ASSERT_EQ(a->items.size(), 6u);
  EXPECT_EQ(a->items[0].integer, 1);
  EXPECT_EQ(a->items[1].integer, -2);
  for (size_t i = 2; i < 6; ++i)
    EXPECT_EQ(a->items[i].kind, JsonValue::Kind::Other);
  EXPECT_EQ(value.member("b")->member("c")->string, "d");
  EXPECT_EQ(value.member("z"), nullptr);
  EXPECT_EQ(a->member("z"), nullptr);
}

TEST(Json, refuses) {
  EXPECT_EQ(refusal(""), "expected JSON, found at byte 0: The document is "
                         "empty.");
  EXPECT_EQ(refusal("{} {}"), "expected JSON, found at byte 3: The document "
                              "root must not be followed by other values.");
  EXPECT_EQ(refusal(std::string("{}\0", 3)),
            "expected JSON, found a zero byte");
  EXPECT_EQ(refusal(R"({"a":1,"a":2})"),
            "expected each key once, found 'a' twice");
  EXPECT_EQ(refusal(std::string(1000000, '[')),
            "expected nesting of at most 16, found it deeper");
  EXPECT_EQ(refusal(std::string(17, '[') + std::string(17, ']')),
            "expected nesting of at most 16, found it deeper");
  JsonValue value;
  std::string error;
  EXPECT_TRUE(
      parseJson(std::string(16, '[') + std::string(16, ']'), value, error))
      << error;
}

} // namespace
