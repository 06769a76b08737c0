// Operations that work on each lane by itself, made from a function of values.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_ELEMENTWISE_H
#define MOEC_TOOLS_PTXEMULATOR_ELEMENTWISE_H

#include "tools/PTXEmulator/Decoder.h"
#include "tools/PTXEmulator/Lanes.h"

namespace moec::ptx {

// `Function` has a static apply. All lanes are computed, which compilers make
// vector code of; those not in the mask are not written.

template <typename Function, typename T, typename Result = T>
Mask runUnary(Warp &warp, const Operation &operation, Mask mask) {
  Lanes<T> a = read<T>(warp, operation.slots[1]);
  Lanes<Result> results;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    results[lane] = Function::apply(a[lane]);
  write(warp, operation.slots[0], results, mask);
  return mask;
}

template <typename Function, typename T, typename Result = T, typename B = T>
Mask runBinary(Warp &warp, const Operation &operation, Mask mask) {
  Lanes<T> a = read<T>(warp, operation.slots[1]);
  Lanes<B> b = read<B>(warp, operation.slots[2]);
  Lanes<Result> results;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    results[lane] = Function::apply(a[lane], b[lane]);
  write(warp, operation.slots[0], results, mask);
  return mask;
}

template <typename Function, typename T, typename Result = T, typename B = T,
          typename C = Result>
Mask runTernary(Warp &warp, const Operation &operation, Mask mask) {
  Lanes<T> a = read<T>(warp, operation.slots[1]);
  Lanes<B> b = read<B>(warp, operation.slots[2]);
  Lanes<C> c = read<C>(warp, operation.slots[3]);
  Lanes<Result> results;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    results[lane] = Function::apply(a[lane], b[lane], c[lane]);
  write(warp, operation.slots[0], results, mask);
  return mask;
}

/// Sets slots[0] to the destination and the following to the sources, all of
/// one type.
inline void setSlots(Decoder &decoder, Type type, size_t sources) {
  decoder.expectOperands(sources + 1, sources + 1);
  decoder.operation.type = type;
  decoder.operation.slots[0] = decoder.destination(0, type);
  for (size_t i = 1; i <= sources; ++i)
    decoder.operation.slots[i] = decoder.source(i, type);
}

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_ELEMENTWISE_H
