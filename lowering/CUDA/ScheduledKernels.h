// Scheduled operations on buffers of a GPU, as kernels.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_SCHEDULEDKERNELS_H
#define MOEC_LOWERING_CUDA_SCHEDULEDKERNELS_H

#include "dialects/MoE/IR/MoE.h"
#include "lowering/CUDA/KernelCode.h"
#include "lowering/CUDA/KernelTable.h"

#include <string>

namespace moec::lowering {

/// On a moe.scatter_combine: most rows that a token has. On operations with pairs: that they are those of a moe.group, by
/// row. moe-select-cuda-kernels says so, where it can be seen.
inline constexpr llvm::StringLiteral rowsPerTokenAttrName =
    "moe.rows_per_token";

/// On operations with an activation: that it is made of the GPU's instruction for tanh. moe-schedule-cuda-kernels says so where it
/// was asked to.
inline constexpr llvm::StringLiteral fastActivationsAttrName =
    "moe.fast_activations";

/// On a moe.grouped_up: that blocks add their parts of v to one sum, in any order. moe-schedule-cuda-kernels says so where it was asked to.
inline constexpr llvm::StringLiteral atomicSumsAttrName = "moe.atomic_sums";

/// Numbers that ids may have.
int64_t countExperts(mlir::Value ids);

/// Why an operation cannot be made of CUDA kernels; empty if it can. Works on tensors.
std::string reasonAgainstCUDAKernels(mlir::Operation *op);

/// A stored weight as kernels read it: matrices of IN x OUT floats, one behind the other.
struct MatrixPool {
  /// Its numbers as a list.
  mlir::Value list;
  /// Which place each entry is in, a list of i32; null: its own.
  mlir::Value slots;
  /// Entries of the weight, and places of the pool.
  int64_t entries, places;
  int64_t rows, columns;
  mlir::Type element;
  bool isIndexed;

  /// Where the matrix of an entry (an i32 that may be anything) begins, and whether there is one.
  std::pair<mlir::Value, mlir::Value> find(KernelCode &k,
                                           mlir::Value entry) const;
};

/// Tiles of rows, in the order of groups: lists of i32, and how many there may be.
struct TilePlan {
  mlir::Value count;
  /// The group of each, or -1; its first row; the row behind its last.
  mlir::Value group, firstRow, endRow;

  /// Lists for `count` tiles.
  void allocate(Code &host) {
    for (mlir::Value *list : {&group, &firstRow, &endRow})
      *list = host.allocate(count, host.i32());
  }
};

/// Pairs in the order of their experts, those of an expert in their own: lists
/// of i32.
struct PairsByExpert {
  /// At each place a pair, and its row.
  mlir::Value pair, row;
  /// Where the places of each expert begin.
  mlir::Value offsets;
  /// Of places.
  TilePlan tiles;
};

/// Experts of each group in a row, in the order of their numbers; one that a
/// row has twice is there twice. Lists of i32.
struct ExpertPlaces {
  /// For each pair its place in the row of its group.
  mlir::Value ofPair;
  /// The expert of each place; a group's row begins where its pairs do.
  mlir::Value expert;
  /// Places of each group.
  mlir::Value count;
};

struct TiledProduct;
struct TileSchedule;

/// A kernel `<entry>_<name>` in blocks of `threads` threads, launched at the host code's place with so much dynamic shared memory,
/// in clusters of so many blocks. Fails with a diagnostic where a value of the host cannot be handed over.
mlir::LogicalResult launchKernel(KernelTable &kernels, mlir::func::FuncOp entry,
                                 Code &host, llvm::StringRef name,
                                 mlir::Value blocks, int64_t threads,
                                 llvm::function_ref<void(KernelCode &)> body,
                                 int64_t sharedBytes = 0, int64_t cluster = 1);

/// Emits the kernels of one function's scheduled operations, and gpu.launch_func where they are to run.
class ScheduledKernels {
public:
  ScheduledKernels(mlir::func::FuncOp entry, KernelTable &kernels)
      : entry(entry), kernels(kernels) {}

  mlir::LogicalResult emit(moe::GroupOp op);
  mlir::LogicalResult emit(moe::ScatterCombineOp op);
  mlir::LogicalResult emit(moe::GroupedUpOp op);
  mlir::LogicalResult emit(moe::GroupedMatmulOp op);

private:
  using Body = llvm::function_ref<void(KernelCode &)>;

  mlir::LogicalResult launch(Code &host, llvm::StringRef name,
                             mlir::Value blocks, int64_t threads, Body body,
                             int64_t sharedBytes = 0, int64_t cluster = 1) {
    return launchKernel(kernels, entry, host, name, blocks, threads, body,
                        sharedBytes, cluster);
  }
  /// Numbers of a buffer one behind the other, as a list; copied together where a caller's strides may be wide.
  mlir::Value contiguous(Code &host, mlir::Value buffer);
  /// The same of a buffer that is written to: it is the entry's own.
  mlir::Value destination(Code &host, mlir::Value buffer);
  /// A compact buffer as a list, always the same.
  mlir::Value listOf(Code &host, mlir::Value buffer);
  /// Memory of the entry, filled: a list.
  mlir::Value allocateFilled(Code &host, mlir::Value count, mlir::Value value);
  MatrixPool poolOf(Code &host, mlir::Value weight);

  /// What both products have, and their stages: in MatmulKernels.cpp.
  template <typename Op>
  mlir::FailureOr<TiledProduct> productOf(Code &host, Op op,
                                          mlir::Value output);
  mlir::Value outputOf(Code &host, mlir::Operation *op, mlir::Value buffer,
                       mlir::Value count);
  void findRows(Code &host, mlir::Value input, TiledProduct &product);
  mlir::LogicalResult zeroUnused(Code &host, const TiledProduct &product);
  mlir::Value roundRows(Code &host, mlir::Value list, mlir::Value count,
                        mlir::Type element);
  mlir::LogicalResult planTiles(Code &host, TiledProduct &product);
  /// Tiles of `tileRows` rows of each group, in order; those behind the last
  /// have group -1.
  mlir::LogicalResult planTiles(Code &host, mlir::Value offsets, int64_t groups,
                                mlir::Value tileRows, const TilePlan &plan);
  mlir::LogicalResult findPairs(mlir::Operation *op, TiledProduct &product);
  /// Where the dense form may be taken; in ExpertPlaces.cpp.
  mlir::LogicalResult placeExperts(Code &host, TiledProduct &product);
  /// x·A of each pair; in ShrinkKernels.cpp.
  mlir::LogicalResult shrink(Code &host, TiledProduct &product);
  mlir::LogicalResult shrinkPairs(Code &host, const TiledProduct &product);
  mlir::LogicalResult shrinkTiles(Code &host, const TiledProduct &product,
                                  PairsByExpert pairs, int64_t tileRows);
  mlir::LogicalResult sortPairs(Code &host, const TiledProduct &product,
                                const PairsByExpert &pairs, int64_t tileRows);
  mlir::LogicalResult multiply(Code &host, const TiledProduct &product);
  mlir::LogicalResult multiplyByWarpgroups(Code &host,
                                           const TiledProduct &product,
                                           const TileSchedule &schedule,
                                           llvm::StringRef name);
  mlir::LogicalResult addParts(Code &host, const TiledProduct &product);

  mlir::func::FuncOp entry;
  KernelTable &kernels;
  llvm::DenseMap<mlir::Value, mlir::Value> lists;
  /// Products of one group share plans: by the list of offsets and the rows of tiles.
  llvm::DenseMap<std::pair<mlir::Value, mlir::Attribute>, TilePlan> tilePlans;
  /// Products of the same pairs share these: by the list of pairs' rows and
  /// what is dense.
  llvm::DenseMap<std::pair<mlir::Value, mlir::Attribute>, ExpertPlaces>
      expertPlaces;
  /// What products wrote rounded for all that read it, instead of the buffer.
  llvm::DenseMap<mlir::Value, mlir::Value> roundedRows;
  /// What groups worked out beside their results: by the list of pairs' rows
  /// the first pair of each row, and by that of rows' tokens the row of each
  /// place.
  llvm::DenseMap<mlir::Value, mlir::Value> firstPairs, rowsOfPlaces;
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_SCHEDULEDKERNELS_H
