// JSON from outside as a tree of values, within bounds.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_JSON_H
#define MOEC_WEIGHTS_JSON_H

#include "weights/Result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moec::weights {

/// One value. A number is an integer if it is written as one and fits 64 bits
/// with sign; any other is a double.
struct JsonValue {
  enum class Kind { Null, Boolean, Integer, Real, String, Array, Object };

  Kind kind = Kind::Null;
  bool boolean = false;
  int64_t integer = 0;
  double real = 0;
  std::string string;
  /// Items of an array, values of an object.
  std::vector<JsonValue> items;
  /// Keys of an object, in the order of items.
  std::vector<std::string> keys;

  /// The value of a key, or null; null too when this is no object.
  const JsonValue *member(std::string_view key) const;
};

/// What stands in messages for a value: "the string 'silu'", "an object of 3".
std::string describe(const JsonValue &value);

/// A name from outside between quotes, cut and without control characters, for
/// messages.
std::string quote(std::string_view name);

/// Bounds on a text; what is beyond is refused, not cut.
struct JsonLimits {
  uint64_t bytes = 16 << 20;
  uint64_t values = 1 << 20;
  unsigned depth = 16;
};

/// Parses strictly: UTF-8, one value, no key twice in an object, no zero bytes.
/// `name` stands in messages.
Result<JsonValue> parseJson(const std::string &name,
                            std::string_view text,
                            const JsonLimits &limits = {});

} // namespace moec::weights

#endif // MOEC_WEIGHTS_JSON_H
