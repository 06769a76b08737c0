// JSON text as a tree of values.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// RapidJSON's own tree (document.h) does not compile with current Clang, so the
// tree is built from the events of its reader.
#include "json.h"

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>

namespace moec::runtime {

namespace {

class TreeBuilder {
public:
  std::string error;

  explicit TreeBuilder(JsonValue &root) : root(root) {}

  bool Null() { return add({}); }
  bool Bool(bool) { return add({}); }
  bool Double(double) { return add({}); }
  bool RawNumber(const char *, rapidjson::SizeType, bool) { return add({}); }
  bool Int(int value) { return Int64(value); }
  bool Uint(unsigned value) { return Int64(value); }
  bool Uint64(uint64_t value) {
    return value <= uint64_t(INT64_MAX) ? Int64(int64_t(value)) : add({});
  }
  bool Int64(int64_t number) {
    JsonValue value;
    value.kind = JsonValue::Kind::Integer;
    value.integer = number;
    return add(std::move(value));
  }
  bool String(const char *text, rapidjson::SizeType length, bool) {
    JsonValue value;
    value.kind = JsonValue::Kind::String;
    value.string.assign(text, length);
    return add(std::move(value));
  }
  bool Key(const char *text, rapidjson::SizeType length, bool) {
    std::vector<std::string> &keys = open.back()->keys;
    std::string key(text, length);
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
      error = "expected each key once, found '" + key + "' twice";
      return false;
    }
    keys.push_back(std::move(key));
    return true;
  }
  bool StartObject() { return enter(JsonValue::Kind::Object); }
  bool StartArray() { return enter(JsonValue::Kind::Array); }
  bool EndObject(rapidjson::SizeType) { return leave(); }
  bool EndArray(rapidjson::SizeType) { return leave(); }

private:
  bool add(JsonValue value) {
    if (open.empty())
      root = std::move(value);
    else
      open.back()->items.push_back(std::move(value));
    return true;
  }

  bool enter(JsonValue::Kind kind) {
    if (open.size() == jsonMaxDepth) {
      error = "expected nesting of at most " + std::to_string(jsonMaxDepth) +
              ", found it deeper";
      return false;
    }
    JsonValue value;
    value.kind = kind;
    add(std::move(value));
    // Only the innermost open value grows, so the outer ones stay in place.
    open.push_back(open.empty() ? &root : &open.back()->items.back());
    return true;
  }

  bool leave() {
    open.pop_back();
    return true;
  }

  JsonValue &root;
  std::vector<JsonValue *> open;
};

} // namespace

const JsonValue *JsonValue::member(std::string_view key) const {
  auto place = std::find(keys.begin(), keys.end(), key);
  return place == keys.end() ? nullptr : &items[size_t(place - keys.begin())];
}

bool parseJson(std::string_view text, JsonValue &value, std::string &error) {
  // RapidJSON takes a zero byte for the end of the text.
  if (text.find('\0') != std::string_view::npos) {
    error = "expected JSON, found a zero byte";
    return false;
  }
  value = JsonValue();
  TreeBuilder builder(value);
  rapidjson::Reader reader;
  rapidjson::MemoryStream stream(text.data(), text.size());
  if (reader.Parse<rapidjson::kParseIterativeFlag |
                   rapidjson::kParseValidateEncodingFlag>(stream, builder))
    return true;
  error = builder.error;
  if (error.empty())
    error = "expected JSON, found at byte " +
            std::to_string(reader.GetErrorOffset()) + ": " +
            rapidjson::GetParseError_En(reader.GetParseErrorCode());
  return false;
}

} // namespace moec::runtime
