// Names of tensors with placeholders for the layer and the expert.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_FRONTEND_NAMEPATTERN_H
#define MOEC_FRONTEND_NAMEPATTERN_H

#include "weights/Result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moec::frontend {

/// A name with placeholders {layer} and {expert}.
class NamePattern {
public:
  /// Each placeholder at most once, none beside another one.
  static weights::Result<NamePattern> parse(std::string_view text);

  /// Numbers that stood in a name for the placeholders; -1 without one.
  struct Match {
    int64_t layer = -1;
    int64_t expert = -1;
    /// Characters of the name that were matched.
    size_t length = 0;
  };

  /// Matches a whole name. Numbers have no leading zero and at most 9 digits.
  std::optional<Match> match(std::string_view name) const;
  /// Matches the beginning of a name.
  std::optional<Match> matchBeginning(std::string_view name) const;

  /// The name for these numbers.
  std::string name(int64_t layer, int64_t expert) const;

  bool hasLayer() const;
  bool hasExpert() const;
  /// As it was written.
  const std::string &text() const { return source; }

private:
  enum class Part { Literal, Layer, Expert };
  std::string source;
  std::vector<std::pair<Part, std::string>> parts;
};

} // namespace moec::frontend

#endif // MOEC_FRONTEND_NAMEPATTERN_H
