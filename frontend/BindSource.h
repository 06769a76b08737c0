// Binding of scopes to whatever a user names, checkpoints included.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_FRONTEND_BINDSOURCE_H
#define MOEC_FRONTEND_BINDSOURCE_H

#include "frontend/Checkpoint.h"
#include "weights/WeightProvider.h"

#include <string_view>

namespace moec::frontend {

/// As WeightProvider::bind, and `scope=DIRECTORY` binds the weights of a
/// checkpoint by the keys of Checkpoint::source.
weights::Status bindSource(weights::WeightProvider &provider,
                           std::string_view text,
                           const CheckpointOptions &options = {});

} // namespace moec::frontend

#endif // MOEC_FRONTEND_BINDSOURCE_H
