// What moe-archive does, one function for each command.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_ARCHIVE_COMMANDS_H
#define MOEC_TOOLS_MOE_ARCHIVE_COMMANDS_H

#include "tools/moe-archive/Options.h"
#include "weights/Result.h"

namespace moec::archive {

weights::Status list(const Options &options);
weights::Status verify(const Options &options);
weights::Status unpack(const Options &options);
weights::Status repack(const Options &options);
weights::Status diff(const Options &options);
weights::Status splat(const Options &options);

} // namespace moec::archive

#endif // MOEC_TOOLS_MOE_ARCHIVE_COMMANDS_H
