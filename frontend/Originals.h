// The matrices of a checkpoint, for regrouping what was made from them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_FRONTEND_ORIGINALS_H
#define MOEC_FRONTEND_ORIGINALS_H

#include "frontend/Checkpoint.h"
#include "weights/Regrouping.h"
#include "weights/Result.h"

#include <string>

namespace moec::frontend {

/// Opens the checkpoint in `directory`. What it gives out keeps its files
/// mapped.
weights::Result<weights::OriginalMatrices>
openOriginals(const std::string &directory,
              const CheckpointOptions &options = {});

} // namespace moec::frontend

#endif // MOEC_FRONTEND_ORIGINALS_H
