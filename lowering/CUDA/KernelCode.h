// What kernels are written in: index arithmetic, loops and memory as on CPUs, and what threads of a block do together.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_KERNELCODE_H
#define MOEC_LOWERING_CUDA_KERNELCODE_H

#include "lowering/Code/Code.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

#include <array>

namespace moec::lowering {

/// Emits one kernel of blocks of `threads` threads.
class KernelCode : public Code {
public:
  static constexpr int64_t warpSize = 32;

  KernelCode(mlir::OpBuilder &builder, mlir::gpu::GPUFuncOp kernel,
             int64_t threads)
      : Code(builder, kernel.getLoc()), threads(threads), kernel(kernel) {}

  const int64_t threads;

  //===--- places ---===//
  mlir::Value thread();
  mlir::Value block();
  mlir::Value blocks();
  /// This one's number among all of the grid.
  mlir::Value threadOfGrid() { return add(mul(block(), threads), thread()); }
  mlir::Value lane() { return rem(thread(), index(warpSize)); }
  mlir::Value warp() { return div(thread(), warpSize); }
  /// i = thread, thread + threads, … below `count`.
  void spread(mlir::Value count, llvm::function_ref<void(mlir::Value)> body);
  /// The same from `first` on, below `end`, by the threads of all blocks.
  void spreadOverGrid(mlir::Value first, mlir::Value end,
                      llvm::function_ref<void(mlir::Value)> body);

  /// So many blocks have room in a multiprocessor at once: threads may have the registers for that, and no fewer.
  void shareMultiprocessor(int64_t blocks);

  //===--- control ---===//
  /// On a loop: how often it is unrolled.
  static constexpr llvm::StringLiteral loopAnnotationAttrName =
      "llvm.loop_annotation";
  /// A loop of which `turns` stand beside each other: one where more would want too many registers, several where loads are to
  /// be on their way at once.
  Values
  unrolledLoop(mlir::Value from, mlir::Value to, int64_t step, int64_t turns,
               mlir::ValueRange inits,
               llvm::function_ref<Values(mlir::Value, mlir::ValueRange)> body);

  //===--- shared memory ---===//
  /// A list that the threads of a block share, of undefined contents; to be called at the kernel's begin.
  mlir::Value shared(int64_t elements, mlir::Type element);
  /// Shared bytes from `offset` on as a list.
  mlir::Value sharedView(mlir::Value bytes, int64_t offset, int64_t elements,
                         mlir::Type element);
  /// Where an element of a shared list is: !llvm.ptr<3>.
  mlir::Value sharedAddress(mlir::Value list, mlir::Value at);
  void barrier();
  /// list[at] += value by all threads at once, integers.
  void atomicAdd(mlir::Value value, mlir::Value list, mlir::Value at);
  /// list[at] += value by threads of any block at once, in any order: f32 in device memory.
  void atomicAddF(mlir::Value value, mlir::Value list, mlir::Value at);
  /// list[at] becomes the larger of itself and `value`, for all threads at
  /// once: signed integers.
  void atomicMax(mlir::Value value, mlir::Value list, mlir::Value at);

  //===--- warps ---===//
  /// What the lane `distance` before this one has, and whether there is one.
  std::pair<mlir::Value, mlir::Value> fromBefore(mlir::Value value,
                                                 int64_t distance);
  /// The sum over all lanes, or over those that are a multiple of `stride` apart, in all of them; always in the same order.
  mlir::Value sumOfLanes(mlir::Value value, int64_t stride = 1);
  /// A bit for each lane that has the same i32.
  mlir::Value lanesWith(mlir::Value i32);
  /// How many of the bits are set, and how many of them below this lane.
  mlir::Value countBits(mlir::Value i32);
  mlir::Value countBitsBefore(mlir::Value i32);
  /// The sum of i32 over threads before this one, and over all; `scratch` is shared, an i32 for each warp.
  std::pair<mlir::Value, mlir::Value> sumBefore(mlir::Value i32,
                                                mlir::Value scratch);

  /// What a lane (an i32) has.
  mlir::Value fromLane(mlir::Value value, mlir::Value lane);
  /// The least i32 of all lanes, in all lanes.
  mlir::Value leastOfLanes(mlir::Value i32);

  //===--- pairs of 16-bit floats in an i32, the first in its low half ---===//
  /// Two f32, rounded to the nearest.
  mlir::Value pack(mlir::Type element, mlir::Value first, mlir::Value second);
  std::array<mlir::Value, 2> unpack(mlir::Type element, mlir::Value pair);
  /// The first numbers of two pairs, or the second ones.
  mlir::Value firstOfBoth(mlir::Value a, mlir::Value b);
  mlir::Value secondOfBoth(mlir::Value a, mlir::Value b);
  /// Elements `at` and `at` + 1 of a list in device memory, for an even place.
  mlir::Value loadPair(mlir::Value list, mlir::Value at);
  void storePair(mlir::Value pair, mlir::Value list, mlir::Value at);

  //===--- floats ---===//
  mlir::Value addF(mlir::Value lhs, mlir::Value rhs);
  mlir::Value mulF(mlir::Value lhs, mlir::Value rhs);
  /// a·b + c, rounded once.
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);
  /// By the instruction, whose relative error is up to 2^-11.
  mlir::Value approximateTanh(mlir::Value x);

  //===--- tensor cores, sm_80 ---===//
  /// 16 bytes from device memory to shared memory, later; zeros where not `isInside`.
  void copyAsync(mlir::Value to, mlir::Value from, mlir::Value isInside);
  void commitCopies();
  /// Returns when at most `pending` of the commits before are not done.
  void waitCopies(int64_t pending);
  /// Four 8 x 8 matrices of 16-bit numbers, whose rows' addresses the lanes have: i32s.
  std::array<mlir::Value, 4> loadMatrices(mlir::Value address,
                                          bool isTransposed);
  /// sums + a·b for a of 16 x 16 (4 i32) and b of 16 x 8 (2 i32), of f16 or bf16.
  std::array<mlir::Value, 4> multiply(mlir::Type element,
                                      std::array<mlir::Value, 4> a,
                                      std::array<mlir::Value, 2> b,
                                      std::array<mlir::Value, 4> sums);

private:
  mlir::Value lanesBelow();
  mlir::Value globalAddress(mlir::Value list, mlir::Value at);
  /// One instruction without effects, whose result is $0.
  mlir::Value instruction(llvm::StringRef text, llvm::StringRef constraints,
                          mlir::ValueRange operands, mlir::Type result);

  mlir::gpu::GPUFuncOp kernel;
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_KERNELCODE_H
