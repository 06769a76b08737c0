// The kernels of a module: device functions, and what their launches look like on the host.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_KERNELTABLE_H
#define MOEC_LOWERING_CUDA_KERNELTABLE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

#include <string>

namespace moec::lowering {

/// On the private function that stands for a launch: the kernel's number, in a module's order.
inline constexpr llvm::StringLiteral kernelNumberAttrName = "moec.kernel";
/// On the same: threads of a block, and bytes of dynamic shared memory.
inline constexpr llvm::StringLiteral blockAttrName = "moec.block";
inline constexpr llvm::StringLiteral sharedBytesAttrName = "moec.shared_bytes";
/// On the same: blocks of a cluster, where they are several; and that a kernel may begin before the one in front of it has ended.
inline constexpr llvm::StringLiteral clusterAttrName = "moec.cluster";
inline constexpr llvm::StringLiteral isDependentAttrName = "moec.is_dependent";
/// On device functions and on what stands for their launches: for each tensor map DLPack's `code` and `bits` of its elements,
/// and the `box`. The views that they are of are the first arguments.
inline constexpr llvm::StringLiteral tensorMapsAttrName = "moec.tensor_maps";
/// Bytes of a tensor map, and what its address is a multiple of.
inline constexpr int64_t tensorMapBytes = 128, tensorMapAlignment = 64;
/// On a cast of a view to a pointer, in a kernel: that to the tensor map of the view, for boxes of that shape.
inline constexpr llvm::StringLiteral tensorMapAttrName = "moec.tensor_map";
/// The gpu.module that all kernels of a module are in.
inline constexpr llvm::StringLiteral kernelsModuleName = "moec_kernels";
/// What names of launch functions start with; the kernel's follows.
inline constexpr llvm::StringLiteral launchPrefix = "moec.launch.";

/// A device function, and what it is to be launched with, in the order of its arguments.
struct Kernel {
  mlir::gpu::GPUFuncOp function;
  llvm::SmallVector<mlir::Value> captures;
};

/// Adds kernels to a module. For each there is a private function without a body, `@moec.launch.<kernel>(context, blocks,
/// arguments...)`, whose call is a launch: the lowering to LLVM takes buffers apart in the same way on both sides, and
/// moe-define-launches gives it a body then.
class KernelTable {
public:
  /// Emits a kernel's body at the builder's place. It may use values of the host: they become arguments, or are made again if
  /// they are constants.
  using Body =
      llvm::function_ref<void(mlir::OpBuilder &, mlir::gpu::GPUFuncOp)>;

  explicit KernelTable(mlir::ModuleOp module);

  /// A kernel for blocks of `threads` threads, launched with `sharedBytes` of dynamic shared memory in clusters of `cluster`
  /// blocks. Fails with a diagnostic where a value of the host cannot be handed over.
  mlir::FailureOr<Kernel> add(mlir::Location loc, llvm::StringRef name,
                              int64_t threads, Body body,
                              int64_t sharedBytes = 0, int64_t cluster = 1);

  /// A launch of so many blocks.
  void launch(mlir::OpBuilder &builder, mlir::Location loc,
              llvm::StringRef kernel, mlir::Value context, mlir::Value blocks,
              mlir::ValueRange arguments);

private:
  mlir::gpu::GPUModuleOp kernels();
  mlir::LogicalResult capture(Kernel &kernel);
  void shareGlobal(mlir::FlatSymbolRefAttr name);
  void declareLaunch(mlir::gpu::GPUFuncOp kernel, int64_t threads,
                     int64_t sharedBytes, int64_t cluster);

  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  mlir::gpu::GPUModuleOp device;
  int64_t count = 0;
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_KERNELTABLE_H
