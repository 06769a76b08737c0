// How atomics and reductions change a value in memory.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_ATOMICS_H
#define MOEC_TOOLS_PTXEMULATOR_ATOMICS_H

#include "tools/PTXEmulator/Types.h"

#include <cstdint>

namespace moec::ptx {

enum class Change : uint8_t {
  Add,
  And,
  Or,
  Xor,
  Minimum,
  Maximum,
  Increment,
  Decrement,
  Exchange,
  CompareAndSwap
};

/// What a change other than CompareAndSwap makes of a value of a type.
uint64_t changed(Change change, Type type, uint64_t old, uint64_t value);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_ATOMICS_H
