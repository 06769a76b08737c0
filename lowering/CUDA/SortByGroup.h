// Sorting items by their groups, by many blocks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CUDA_SORTBYGROUP_H
#define MOEC_LOWERING_CUDA_SORTBYGROUP_H

#include "lowering/CUDA/KernelCode.h"

namespace moec::lowering {

/// Items, and the groups that they are in.
struct GroupedItems {
  /// The group of each item, a list of i32: those that are none of `groups` are
  /// left out. How many items there are, an index.
  mlir::Value group, count;
  int64_t groups;
  /// Is written, `groups` + 1 i32: where the items of each group begin, one
  /// behind the other.
  mlir::Value offsets;
};

/// Most groups: a block counts the items of each warp, in shared memory, 40
/// bytes for each group and 32 more.
inline constexpr int64_t mostSortedGroups = 1024;

/// Threads of a block that sorts, each of which places one item.
inline constexpr int64_t sortThreads = 256;

/// Blocks that sort so many items, and one for none.
mlir::Value blocksOfSort(Code &host, mlir::Value count);

/// The body of a kernel of such blocks: items of a group come one behind the
/// other, in the order in which they were. What comes before a block's own it
/// counts for itself: that is one read of a short list, and no block waits for
/// another. `begin` is called for each item, an index; then `place` for each
/// that has a group, with its place, an index. Returns how many have one, an
/// i32.
mlir::Value
sortByGroup(KernelCode &k, const GroupedItems &items,
            llvm::function_ref<void(mlir::Value item)> begin,
            llvm::function_ref<void(mlir::Value item, mlir::Value at)> place);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CUDA_SORTBYGROUP_H
