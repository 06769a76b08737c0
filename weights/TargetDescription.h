// What plans of weights need to know of a machine: rates, memory, links.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// docs/precision.md has the format and says where the built-in figures are
// from.
#ifndef MOEC_WEIGHTS_TARGETDESCRIPTION_H
#define MOEC_WEIGHTS_TARGETDESCRIPTION_H

#include "weights/Encoding.h"
#include "weights/Result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moec::weights {

/// Products of operands of one type.
struct ArithmeticRate {
  /// A multiply-add counts as two.
  double flopsPerSecond = 0;
  double joulesPerFlop = 0;
};

/// A memory that weights may live in.
struct MemoryTier {
  std::string name;
  double bytes = 0;
  double bytesPerSecond = 0;
  double joulesPerByte = 0;
  /// Whether products can be made where the weights lie, so that rows cross the
  /// link in place of weights.
  bool nearMemoryCompute = false;
};

/// What carries bytes from a tier to another, or to "peer", another device of
/// this kind. One direction.
struct MemoryLink {
  std::string name;
  std::string from;
  std::string to;
  double bytesPerSecond = 0;
  double joulesPerByte = 0;
  double latencySeconds = 0;
};

struct TargetDescription {
  std::string name;
  /// Where the figures are from, in words.
  std::string source;
  /// The type that rows have when weights multiply them; one of `arithmetic`.
  Format operands = Format::F32;
  std::map<Format, ArithmeticRate> arithmetic;
  /// What rows are rounded to before that, where it was asked for: bf16 or
  /// int8, one of `arithmetic`. Not in the file.
  std::optional<Format> rounded;
  /// Values per second that products can take from weights of a format, where
  /// turning codes into operands takes time that arithmetic then lacks; formats
  /// that are not named cost nothing.
  std::map<Format, double> decode;
  /// The first one is what arithmetic reads.
  std::vector<MemoryTier> memory;
  std::vector<MemoryLink> links;

  /// A tier by name, or null.
  const MemoryTier *tier(std::string_view wanted) const;
};

/// Largest text, and most tiers and links, of a description.
inline constexpr uint64_t targetMaxBytes = 1 << 16;
inline constexpr size_t targetMaxTiers = 16;
inline constexpr size_t targetMaxLinks = 64;

/// Rows are rounded to `rows` before weights multiply them. Fails where the
/// target has no arithmetic for that.
Status roundRows(TargetDescription &target, Format rows);

/// Reads a description: JSON, every figure positive and finite, unknown and
/// missing keys refused. `name` stands in messages.
Result<TargetDescription> targetFromText(const std::string &name,
                                         std::string_view text);

/// The same from a file.
Result<TargetDescription> readTarget(const std::string &path);

/// Names of the built-in descriptions, and their texts; empty for other names.
std::vector<std::string_view> builtInTargets();
std::string_view builtInTargetText(std::string_view name);

/// A built-in description by name, else the file of that path.
Result<TargetDescription> findTarget(const std::string &nameOrPath);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_TARGETDESCRIPTION_H
