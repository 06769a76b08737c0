// Tiling of moe.grouped_matmul over columns, as an external model.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_INTERFACES_TILINGINTERFACE_H
#define MOEC_DIALECTS_MOE_INTERFACES_TILINGINTERFACE_H

namespace mlir {
class DialectRegistry;
}

namespace moec::moe {
/// Lets upstream tiling split moe.grouped_matmul along its result columns: for cores, or for ranks that hold a slice of a
/// base. Rows do not tile this way: a tile of them would need rebased offsets.
void registerTilingInterfaceExternalModels(mlir::DialectRegistry &registry);
} // namespace moec::moe

#endif // MOEC_DIALECTS_MOE_INTERFACES_TILINGINTERFACE_H
