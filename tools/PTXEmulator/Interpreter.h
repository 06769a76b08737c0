// Running the operations of a warp.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_INTERPRETER_H
#define MOEC_TOOLS_PTXEMULATOR_INTERPRETER_H

#include "tools/PTXEmulator/Warp.h"

namespace moec::ptx {

/// Runs up to `quantum` operations of a warp; less when it yields, when all its
/// lanes wait, or after a fault. Lanes have program counters of their own:
/// those that stand at the same place go on together, and which of several
/// places goes first is drawn at random, with a preference for the earliest.
void runWarp(Warp &warp, unsigned quantum);

/// Whether any lane can go on by itself.
inline bool isRunnable(const Warp &warp) {
  return (warp.alive & ~warp.waiting & ~warp.blocked) != 0;
}

/// Says where each group of a warp's lanes is: one line for each.
std::string describeLanes(const Warp &warp);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_INTERPRETER_H
