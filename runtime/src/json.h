// JSON text as a tree of values.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_JSON_H
#define MOEC_RUNTIME_JSON_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moec::runtime {

/// One value. Fractions, numbers beyond 63 bits, booleans and null are kept as
/// Other: no manifest field has them.
struct JsonValue {
  enum class Kind { Other, Integer, String, Array, Object };

  Kind kind = Kind::Other;
  int64_t integer = 0;
  std::string string;
  /// Items of an array, values of an object.
  std::vector<JsonValue> items;
  /// Keys of an object, in the order of items.
  std::vector<std::string> keys;

  /// The value of a key, or null; null too when this is no object.
  const JsonValue *member(std::string_view key) const;
};

/// Deepest nesting of a text that is accepted.
inline constexpr unsigned jsonMaxDepth = 16;

/// Parses strictly: UTF-8, one value, no key twice in an object, no zero bytes,
/// at most jsonMaxDepth deep. Returns false and the error otherwise.
bool parseJson(std::string_view text, JsonValue &value, std::string &error);

} // namespace moec::runtime

#endif // MOEC_RUNTIME_JSON_H
