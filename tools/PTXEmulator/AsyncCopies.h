// Copies that a thread begins and waits for later.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_ASYNCCOPIES_H
#define MOEC_TOOLS_PTXEMULATOR_ASYNCCOPIES_H

#include "tools/PTXEmulator/Warp.h"

namespace moec::ptx {

/// Performs whatever copies lanes that exit have begun.
void finishCopies(Warp &warp, Mask lanes);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_ASYNCCOPIES_H
