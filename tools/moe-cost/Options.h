// What moe-cost's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_COST_OPTIONS_H
#define MOEC_TOOLS_MOE_COST_OPTIONS_H

#include "weights/CostModel.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace moec::cost {

struct Options {
  bool help = false, version = false;
  /// What stands over the table: a name, or "layer".
  std::string name;
  weights::ExpertLayerShape shape;
  std::vector<int64_t> tokens = {1, 32, 512, 4096};
  /// A built-in target or a file.
  std::string target = "h200";
  /// What rows are rounded to before weights multiply them, or nothing.
  std::optional<weights::Format> activations;
  /// The checkpoint's encoding.
  weights::Encoding stored;
  int64_t group = 64;
  /// Share of the weights' squared norm that bases have.
  double baseShare = 0.8;
  /// Relative error that rounding may add.
  double addedError = 0.1;
  /// Name of a built-in target whose text is wanted.
  std::string printTarget;
};

extern const char *const helpText;

weights::Result<Options> parseOptions(std::span<char *const> arguments);

} // namespace moec::cost

#endif // MOEC_TOOLS_MOE_COST_OPTIONS_H
