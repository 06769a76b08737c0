// Sorting items by their groups: blocks count all items and those before their own, warps their lanes of one group together.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/SortByGroup.h"

using namespace mlir;
using namespace moec::lowering;

static constexpr int64_t sortWarps = sortThreads / KernelCode::warpSize;

Value moec::lowering::blocksOfSort(Code &host, Value count) {
  return host.add(host.div(count, sortThreads), 1);
}

/// Offsets of the groups, which block 0 stores; `next` gets the first place of
/// each group that is this block's. Returns how many items have a group.
static Value emitOffsets(KernelCode &k, const GroupedItems &items, Value next,
                         Value scratch) {
  Value zero = k.number(0, k.i32()), one = k.number(1, k.i32());
  Value groups = k.index(items.groups);
  Value counts = k.shared(items.groups, k.i32());
  for (Value list : {counts, next})
    k.spread(groups, [&](Value i) { k.store(zero, list, i); });
  k.barrier();
  Value first = k.mul(k.block(), sortThreads);
  k.spread(items.count, [&](Value i) {
    Value group = k.load(items.group, i);
    k.when(k.isWithin(group, groups), [&] {
      k.atomicAdd(one, counts, k.toIndex(group));
      k.when(k.isBelow(i, first),
             [&] { k.atomicAdd(one, next, k.toIndex(group)); });
    });
  });
  k.barrier();
  Value isFirstBlock = k.isEqual(k.block(), k.index(0));
  auto store = [&](Value offset, Value at) {
    k.when(isFirstBlock, [&] { k.store(offset, items.offsets, at); });
  };
  Value total =
      k.loop(k.index(0), groups, sortThreads, {zero},
             [&](Value run, ValueRange before) {
               Value group = k.add(run, k.thread());
               Value isGroup = k.isBelow(group, groups);
               Value safe = k.select(isGroup, group, k.index(0));
               Value count = k.select(isGroup, k.load(counts, safe), zero);
               auto [ahead, all] = k.sumBefore(count, scratch);
               Value offset = k.add(before[0], ahead);
               k.when(isGroup, [&] {
                 store(offset, group);
                 k.store(k.add(k.load(next, group), offset), next, group);
               });
               return Code::Values{k.add(before[0], all)};
             })[0];
  k.when(k.isEqual(k.thread(), k.index(0)), [&] { store(total, groups); });
  k.barrier();
  return total;
}

/// Each warp counts its items by group, and those of earlier warps come first.
/// `next` has the next place of each group.
static void emitPlaces(KernelCode &k, const GroupedItems &items, Value next,
                       Value perWarp, llvm::function_ref<void(Value)> begin,
                       llvm::function_ref<void(Value item, Value at)> place) {
  Value none = k.number(-1, k.i32()), groups = k.index(items.groups);
  Value item = k.threadOfGrid();
  Value isItem = k.isBelow(item, items.count);
  Value group = k.choose(
      isItem, k.i32(), [&] { return Code::Values{k.load(items.group, item)}; },
      [&] { return Code::Values{none}; })[0];
  Value isPlaced = k.isWithin(group, groups);
  group = k.select(isPlaced, group, none);
  k.spread(k.index(sortWarps * items.groups),
           [&](Value i) { k.store(k.number(0, k.i32()), perWarp, i); });
  k.barrier();
  Value same = k.lanesWith(group), rank = k.countBitsBefore(same);
  Value own = k.add(k.mul(k.warp(), groups), k.toIndex(group));
  Value isFirst = k.isEqual(rank, k.number(0, k.i32()));
  k.when(k.both(isPlaced, isFirst),
         [&] { k.store(k.countBits(same), perWarp, own); });
  k.barrier();
  k.spread(groups, [&](Value group) {
    k.loop(k.index(0), k.index(sortWarps), 1, {k.load(next, group)},
           [&](Value warp, ValueRange before) {
             Value at = k.add(k.mul(warp, groups), group);
             Value count = k.load(perWarp, at);
             k.store(before[0], perWarp, at);
             return Code::Values{k.add(before[0], count)};
           });
  });
  k.barrier();
  k.when(isItem, [&] { begin(item); });
  k.when(isPlaced,
         [&] { place(item, k.toIndex(k.add(k.load(perWarp, own), rank))); });
}

Value moec::lowering::sortByGroup(
    KernelCode &k, const GroupedItems &items,
    llvm::function_ref<void(Value)> begin,
    llvm::function_ref<void(Value item, Value at)> place) {
  Value next = k.shared(items.groups, k.i32());
  Value perWarp = k.shared(sortWarps * items.groups, k.i32());
  Value total = emitOffsets(k, items, next, k.shared(sortWarps, k.i32()));
  emitPlaces(k, items, next, perWarp, begin, place);
  return total;
}
