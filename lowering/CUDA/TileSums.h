// Long sums that are products of two matrices, as tiles on tensor cores.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_TILESUMS_H
#define MOEC_LOWERING_CUDA_TILESUMS_H

#include "lowering/CUDA/KernelTable.h"
#include "lowering/CUDA/LongSum.h"

namespace moec::lowering {

/// What a sum multiplies: x of rows x depth, w of depth x columns, buffers of one type of 16-bit floats.
struct TileFactors {
  mlir::Value x, w;
  int64_t depth, columns;
};

/// The factors of a sum that tensor cores take: none if numbers are not of 16 bits, lie otherwise, or are chosen term by term.
std::optional<TileFactors> findTileFactors(const LongSum &sum);

/// On the host: whether rows of both lie so that copies can bring eight numbers at once. Who calls may bring any strides.
mlir::Value canCopy(Code &host, const TileFactors &factors);

/// Adds the product to the sum's result. Sums are f32 in one order. Fails with a diagnostic where a value of the host cannot be
/// handed over.
mlir::LogicalResult launchTiles(KernelTable &kernels, mlir::func::FuncOp entry,
                                Code &host, const LongSum &sum,
                                const TileFactors &factors, mlir::Value rows);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_TILESUMS_H
