// What each instruction set gets: sizes of register tiles and blocks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CPU_SCHEDULE_H
#define MOEC_LOWERING_CPU_SCHEDULE_H

#include "lowering/ScheduleFields.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/TargetParser/Triple.h"

#include <cstdint>

namespace moec::lowering {

/// Sizes that a kernel is generated with. Rows are tokens (or pairs) of one
/// cluster, panels are 16 columns.
struct Schedule {
  /// Most rows of a register tile, and panels beside each other in it.
  int64_t tileRows, tilePanels;
  /// Panels beside each other for one row and for two: many streams of weights
  /// hide the latency of memory.
  int64_t panelsAt1, panelsAt2;
  /// Tile where the rows are read where they lie, not packed (shrink, expand):
  /// few, as each takes a pointer.
  int64_t looseRows, loosePanels;
  /// Rows of the reduction in a block that stays in the first cache.
  int64_t kBlock;
  /// Up to so many rows, weights stream once: panel > k block > tile. Above, k
  /// block > panel > tile.
  int64_t streamRows;
  /// From so many rows on, coded panels are decoded once per block and not once
  /// per tile.
  int64_t decodeRows;
  /// Rows that a task computes at a time, and the panels of one matrix.
  int64_t taskRows, taskPanels;
  /// Most tasks that the panels of a cluster are split into.
  int64_t splits;
  /// How many rows ahead weights are prefetched; 0: the machine does it.
  int64_t prefetchRows;
  /// Steps of the reduction in one turn of a loop.
  int64_t unroll;
  /// 1: rows rounded to bf16 are multiplied by vdpbf16ps; 0: as f32, which is
  /// faster where that instruction runs at half the rate.
  int64_t bf16Dot;
  /// From so many rows of a block on, rows of bf16 are multiplied in tile
  /// registers (AMX); 0: none are.
  int64_t amxRows;
  /// Rows of the reduction that are brought into scratch for them at a time.
  int64_t amxBlock;
  /// From so many rows of a block on, rows of int8 are multiplied in tile
  /// registers; 0: none are.
  int64_t amxInt8Rows;

  /// All of them, as IR calls them.
  static llvm::ArrayRef<ScheduleField<Schedule>> fields();
  /// The most rows times panels of a task, which lie on its stack.
  static constexpr int64_t mostOfTask = 8192;
};

/// An instruction set that kernels are made for.
struct InstructionSet {
  llvm::StringRef name;
  /// What LLVM calls the oldest CPU that has it; empty: any of the target.
  llvm::StringRef cpu;
  /// What another CPU must have to run such kernels, in LLVM's notation.
  llvm::StringRef features;
  /// Whether a·b + c is one instruction, and f16 to f32.
  bool hasFma, hasHalf;
  /// Bits of a vector register.
  int64_t vectorBits;
  /// Whether sums of products of int8, and of bf16, are one instruction.
  bool hasDot;
  /// Whether there are tile registers, and products of bf16 in them.
  bool hasTiles;
  Schedule schedule;
};

/// All there are, the plainest first.
llvm::ArrayRef<InstructionSet> instructionSets();
/// The one of that name, or null.
const InstructionSet *findInstructionSet(llvm::StringRef name);
/// The best that a CPU has, by LLVM's names of CPU and target; the plainest for
/// one that is empty or not known, and for targets without another.
const InstructionSet &bestInstructionSet(llvm::StringRef cpu,
                                         const llvm::Triple &target);

} // namespace moec::lowering

#endif // MOEC_LOWERING_CPU_SCHEDULE_H
