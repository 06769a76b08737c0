// PTX as machine code.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_ASSEMBLE_H
#define MOEC_LOWERING_CUDA_ASSEMBLE_H

#include "mlir/IR/Location.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace moec::lowering {

/// What the program `ptxas` makes of PTX: a cubin. What it complains about becomes an error at `loc`.
mlir::FailureOr<std::string> assemblePTX(mlir::Location loc,
                                         llvm::StringRef ptxas,
                                         llvm::StringRef target,
                                         llvm::StringRef ptx);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_ASSEMBLE_H
