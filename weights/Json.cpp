// JSON from outside as a tree of values, within bounds.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// The tree is built from the events of RapidJSON's iterative parser, so that no
// input grows the C++ stack.
#include "weights/Json.h"

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <charconv>

namespace moec::weights {

namespace {

/// Receives the events of the parser and keeps the first error.
class TreeBuilder {
public:
  std::string error;

  TreeBuilder(JsonValue &root, const JsonLimits &limits)
      : root(root), limits(limits) {}

  bool Null() { return add({}); }
  bool Bool(bool boolean) {
    JsonValue value;
    value.kind = JsonValue::Kind::Boolean;
    value.boolean = boolean;
    return add(std::move(value));
  }
  /// RapidJSON's own numbers are not all defined: 0e-300 is not.
  bool RawNumber(const char *text, rapidjson::SizeType length, bool) {
    JsonValue value;
    std::string_view digits(text, length);
    if (digits.find_first_of(".eE") == std::string_view::npos) {
      value.kind = JsonValue::Kind::Integer;
      if (std::from_chars(text, text + length, value.integer).ec == std::errc())
        return add(std::move(value));
    }
    value.kind = JsonValue::Kind::Real;
    if (std::from_chars(text, text + length, value.real).ec != std::errc())
      return fail("expected a number that a double holds, found " +
                  quote(digits));
    return add(std::move(value));
  }
  // All of them are raw.
  bool Double(double) { return false; }
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Int64(int64_t) { return false; }
  bool String(const char *text, rapidjson::SizeType length, bool) {
    JsonValue value;
    value.kind = JsonValue::Kind::String;
    value.string.assign(text, length);
    return add(std::move(value));
  }
  bool Key(const char *text, rapidjson::SizeType length, bool) {
    open.back()->keys.emplace_back(text, length);
    return true;
  }
  bool StartObject() { return enter(JsonValue::Kind::Object); }
  bool StartArray() { return enter(JsonValue::Kind::Array); }
  bool EndArray(rapidjson::SizeType) {
    open.pop_back();
    return true;
  }
  bool EndObject(rapidjson::SizeType) {
    // All at once: asking at each key would take time of the square.
    const std::vector<std::string> &keys = open.back()->keys;
    std::vector<std::string_view> sorted(keys.begin(), keys.end());
    std::sort(sorted.begin(), sorted.end());
    auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end())
      return fail("expected each key once, found " + quote(*twice) + " twice");
    open.pop_back();
    return true;
  }

private:
  bool fail(std::string message) {
    error = std::move(message);
    return false;
  }

  bool add(JsonValue value) {
    if (++count > limits.values)
      return fail("expected at most " + std::to_string(limits.values) +
                  " values, found more");
    if (open.empty())
      root = std::move(value);
    else
      open.back()->items.push_back(std::move(value));
    return true;
  }

  bool enter(JsonValue::Kind kind) {
    if (open.size() == limits.depth)
      return fail("expected nesting of at most " +
                  std::to_string(limits.depth) + ", found it deeper");
    JsonValue value;
    value.kind = kind;
    if (!add(std::move(value)))
      return false;
    // Only the innermost open value grows, so the outer ones stay in place.
    open.push_back(open.empty() ? &root : &open.back()->items.back());
    return true;
  }

  JsonValue &root;
  const JsonLimits &limits;
  uint64_t count = 0;
  std::vector<JsonValue *> open;
};

} // namespace

const JsonValue *JsonValue::member(std::string_view key) const {
  auto place = std::find(keys.begin(), keys.end(), key);
  return place == keys.end() ? nullptr : &items[size_t(place - keys.begin())];
}

std::string quote(std::string_view name) {
  constexpr size_t longest = 200;
  std::string text(name.substr(0, longest));
  for (char &c : text)
    if (uint8_t(c) < 0x20 || c == 0x7F)
      c = '?';
  return "'" + text + (name.size() > longest ? "...'" : "'");
}

std::string describe(const JsonValue &value) {
  switch (value.kind) {
  case JsonValue::Kind::Null:
    return "null";
  case JsonValue::Kind::Boolean:
    return value.boolean ? "true" : "false";
  case JsonValue::Kind::Integer:
    return std::to_string(value.integer);
  case JsonValue::Kind::Real: {
    char digits[32];
    return std::string(
        digits, std::to_chars(digits, digits + sizeof digits, value.real).ptr);
  }
  case JsonValue::Kind::String:
    return "the string " + quote(value.string);
  case JsonValue::Kind::Array:
    return "an array of " + std::to_string(value.items.size());
  case JsonValue::Kind::Object:
    return "an object of " + std::to_string(value.items.size());
  }
  return {};
}

Result<JsonValue> parseJson(const std::string &name, std::string_view text,
                            const JsonLimits &limits) {
  if (text.size() > limits.bytes)
    return Error{name + ": expected JSON of at most " +
                 std::to_string(limits.bytes) + " bytes, found " +
                 std::to_string(text.size())};
  // RapidJSON takes a zero byte for the end of the text.
  if (text.find('\0') != std::string_view::npos)
    return Error{name + ": expected JSON, found a zero byte"};
  JsonValue value;
  TreeBuilder builder(value, limits);
  rapidjson::Reader reader;
  rapidjson::MemoryStream stream(text.data(), text.size());
  constexpr unsigned flags = rapidjson::kParseIterativeFlag |
                             rapidjson::kParseValidateEncodingFlag |
                             rapidjson::kParseNumbersAsStringsFlag;
  if (reader.Parse<flags>(stream, builder))
    return value;
  if (!builder.error.empty())
    return Error{name + ": " + builder.error};
  return Error{name + ": expected JSON, found at byte " +
               std::to_string(reader.GetErrorOffset()) + ": " +
               rapidjson::GetParseError_En(reader.GetParseErrorCode())};
}

} // namespace moec::weights
