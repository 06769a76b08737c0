// Binding of scopes to whatever a user names, checkpoints included.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/BindSource.h"

#include <filesystem>
#include <string>
#include <system_error>

namespace moec::frontend {

using weights::Error;
using weights::Result;
using weights::Status;

Status bindSource(weights::WeightProvider &provider, std::string_view text,
                  const CheckpointOptions &options) {
  size_t equals = text.find('=');
  std::error_code code;
  if (equals == std::string_view::npos || equals == 0 ||
      !std::filesystem::is_directory(text.substr(equals + 1), code))
    return provider.bind(text);
  Result<Checkpoint> checkpoint =
      Checkpoint::open(std::string(text.substr(equals + 1)), options);
  if (!checkpoint)
    return Error{checkpoint.error()};
  return provider.bind(std::string(text.substr(0, equals)),
                       checkpoint->source());
}

} // namespace moec::frontend
