// Which form the residuals of a product get, by what each costs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_RESIDUALFORMS_H
#define MOEC_LOWERING_CUDA_RESIDUALFORMS_H

#include "lowering/CUDA/Targets.h"
#include "lowering/CUDA/TileSchedule.h"

namespace moec::lowering {

/// The table of a product of tensors that has kernels, with the form for each
/// row of the table that costs least by the cost model (weights/CostModel.h),
/// or the `asked` one. A remark of `passName` has the numbers. Fails with a
/// diagnostic where residuals are asked for in a form that they do not fit.
mlir::FailureOr<llvm::SmallVector<TileSchedule>>
scheduleProduct(mlir::Operation *op, const GPUTarget &gpu,
                std::optional<ResidualForm> asked, llvm::StringRef passName);

/// The form that an option names; nothing for "auto". Fails with a diagnostic
/// at `loc` for what is none.
mlir::FailureOr<std::optional<ResidualForm>>
readResidualForm(mlir::Location loc, llvm::StringRef text);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_RESIDUALFORMS_H
