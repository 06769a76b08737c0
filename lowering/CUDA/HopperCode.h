// What kernels for Hopper are written in besides: barriers that count bytes, copies of boxes by tensor maps, products by
// warpgroups.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_HOPPERCODE_H
#define MOEC_LOWERING_CUDA_HOPPERCODE_H

#include "lowering/CUDA/KernelCode.h"

namespace moec::lowering {

/// Emits into the same kernel as the code that it is made of. All addresses in shared memory are !llvm.ptr<3>.
class HopperCode : public KernelCode {
public:
  static constexpr int64_t warpsOfGroup = 4;
  static constexpr int64_t threadsOfGroup = warpsOfGroup * warpSize;
  /// Bytes of a row of the swizzle's pattern, of the pattern, and what its begin is a multiple of.
  static constexpr int64_t swizzleBytes = 128;
  static constexpr int64_t patternBytes = 8 * swizzleBytes;

  explicit HopperCode(const KernelCode &k) : KernelCode(k) {}

  //===--- places ---===//
  /// i = first, first + step, … below `count`, where those of a cluster of blocks have the same i: its number, and steps of as many
  /// as there are clusters.
  Values stride(mlir::Value count, int64_t cluster, mlir::ValueRange inits,
                llvm::function_ref<Values(mlir::Value, mlir::ValueRange)> body);
  /// This block's number in its cluster, an i32.
  mlir::Value blockOfCluster();
  /// In one lane of a warp whose lanes all come here.
  void once(llvm::function_ref<void()> body);

  //===--- shared memory ---===//
  /// What the launch gives beyond lists of a known extent: bytes, at a multiple of patternBytes.
  mlir::Value dynamicShared();

  //===--- warps ---===//
  /// What lanes wrote to shared memory before, all lanes see afterwards.
  void syncWarp();
  /// Registers of each thread of this warpgroup from here on.
  void giveRegisters(int64_t count);
  void takeRegisters(int64_t count);

  //===--- barriers in shared memory ---===//
  /// A phase of it ends when `count` have arrived, and the bytes that they said have.
  void initBarrier(mlir::Value barrier, int64_t count);
  /// What was initialised is seen by copies as well.
  void fenceBarriers();
  void arrive(mlir::Value barrier);
  /// At the same barrier of a block of the cluster, an i32.
  void arriveAt(mlir::Value barrier, mlir::Value block);
  void arriveExpecting(mlir::Value barrier, int64_t bytes);
  /// Returns when the phase of that parity (an i32) has ended.
  void waitFor(mlir::Value barrier, mlir::Value parity);
  /// Returns when all threads of the cluster's blocks have come here.
  void clusterBarrier();

  //===--- tensor maps ---===//
  /// The map of a host's view, from which boxes of that shape are copied, whose rows are swizzleBytes: the kernel's argument.
  mlir::Value tensorMap(mlir::Value view, llvm::ArrayRef<int64_t> box);
  /// Brings the map near, before the first copy asks for it. It may stand in front of the wait for the kernel before: arguments do not change.
  void prefetchMap(mlir::Value map);
  /// Starts the copy of a box whose first element has those indices (i32), from the outermost dimension on; what is outside
  /// of the view becomes zero. Its bytes count towards the barrier's phase. With a cluster of several blocks each gets the box, at
  /// the same place, and its own barrier the bytes.
  void copyBox(mlir::Value to, mlir::Value map, llvm::ArrayRef<mlir::Value> at,
               mlir::Value barrier, int64_t cluster = 1);

  //===--- products of a warpgroup ---===//
  /// A matrix of rows of swizzleBytes from an address on: patterns below each other are `stride` bytes apart, patterns beside
  /// each other `leading` bytes.
  mlir::Value matrix(mlir::Value address, int64_t leading, int64_t stride);
  /// The matrix that begins so many bytes further.
  mlir::Value moved(mlir::Value matrix, int64_t bytes);
  /// Sums of 64 rows and so many columns, undefined: a struct of f32.
  mlir::Value sums(int64_t columns);
  /// Products from here on see what was written to registers before.
  void beginProducts();
  /// sums + a·b, or a·b, for a of 64 x 16 whose reduction is contiguous and b of 16 x columns whose columns are, later.
  mlir::Value addProduct(mlir::Type element, mlir::Value a, mlir::Value b,
                         mlir::Value sums, bool isFirst);
  void commitProducts();
  /// Returns when at most `pending` of the commits before are not done.
  void waitProducts(int64_t pending);
  /// The numbers of sums whose products are done. Thread t of the group has, for each 8 columns from c on, those of row t / 4
  /// (of its warp's 16) and columns c + 2(t % 4), c + 2(t % 4) + 1, and of the row 8 below.
  Values numbersOf(mlir::Value sums);

private:
  mlir::Type clusterPointer();
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_HOPPERCODE_H
