// Matrices in the registers of a warp.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_MATRIXFRAGMENTS_H
#define MOEC_TOOLS_PTXEMULATOR_MATRIXFRAGMENTS_H

#include "tools/PTXEmulator/Decoder.h"
#include "tools/PTXEmulator/Warp.h"

namespace moec::ptx {

// Fragments. Lane l has group g = l / 4 and place t = l % 4. A register holds
// `e` elements of 32 / e bits. Register i of A is of row g + 8 (i mod 2) and of
// columns from e t + 4 e (i / 2); register i of B is of column g and of rows
// from e t + 4 e i; accumulators 2 i and 2 i + 1 are of row g + 8 i and of
// columns 2 t and 2 t + 1.

/// Types of factors that the emulator knows: .f16, .bf16, .tf32, .e4m3, .e5m2.
bool isFactorType(Type type);

/// Element `index` of a register of elements of a type.
float elementOf(uint32_t value, Type type, unsigned index);

/// A of 16 rows and `depth` columns, row-major.
void loadA(const Warp &warp, const std::vector<Slot> &slots, Type type,
           unsigned depth, float *a);

/// Whether all 32 lanes of the warp have come; a warp that has fewer is a
/// fault.
bool isReady(Warp &warp, const Operation &operation, Mask mask);

/// The registers of a vector operand, which must have `count`.
std::vector<Slot> vectorOf(Decoder &decoder, size_t index, size_t count,
                           bool isDestination);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_MATRIXFRAGMENTS_H
