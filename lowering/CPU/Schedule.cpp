// What each instruction set gets.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CPU/Schedule.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"

using namespace moec::lowering;

// The most is what code and stacks stand.
static constexpr ScheduleField<Schedule> fields[] = {
    {"tile_rows", &Schedule::tileRows, 1, 32},
    {"tile_panels", &Schedule::tilePanels, 1, 4},
    {"panels_at_1", &Schedule::panelsAt1, 1, 16},
    {"panels_at_2", &Schedule::panelsAt2, 1, 8},
    {"loose_rows", &Schedule::looseRows, 1, 16},
    {"loose_panels", &Schedule::loosePanels, 1, 4},
    {"k_block", &Schedule::kBlock, 1, 1024},
    {"stream_rows", &Schedule::streamRows, 1, 4096},
    {"decode_rows", &Schedule::decodeRows, 1, 4096},
    {"task_rows", &Schedule::taskRows, 1, 512},
    {"task_panels", &Schedule::taskPanels, 1, 64},
    {"splits", &Schedule::splits, 1, 256},
    {"prefetch_rows", &Schedule::prefetchRows, 0, 4096},
    {"unroll", &Schedule::unroll, 1, 16},
    {"bf16_dot", &Schedule::bf16Dot, 0, 1},
    {"amx_rows", &Schedule::amxRows, 0, 4096},
    {"amx_block", &Schedule::amxBlock, 1, 4096},
    {"amx_int8_rows", &Schedule::amxInt8Rows, 0, 4096},
};

// A tile of R rows and P panels holds R·P·16 sums, P·16 weights and one
// activation in registers: on AVX2 6 x 1 (12 + 2 + 1 of 16), on AVX-512 12 x 2
// (24 + 2 + 1 of 32), on SSE2 2 x 1 (8 + 4 + 1 of 16).
static const InstructionSet sets[] = {
    {"portable",
     "",
     "",
     /*hasFma=*/false,
     /*hasHalf=*/false,
     128,
     /*hasDot=*/false,
     /*hasTiles=*/false,
     {/*tile*/ 2, 1, /*at 1, 2*/ 2, 1, /*loose*/ 2, 1, /*k*/ 256,
      /*stream, decode*/ 8, 8, /*task*/ 96, 8, /*splits*/ 16, /*prefetch*/ 0,
      /*unroll*/ 4, /*bf16 dot*/ 0, /*amx: rows, block, of int8*/ 0, 256, 0}},
    {"x86-64-v3",
     "x86-64-v3",
     "+avx2,+bmi2,+f16c,+fma",
     true,
     true,
     256,
     false,
     false,
     {6, 1, 4, 2, 6, 1, 256, 24, 48, 96, 8, 16, /*prefetch*/ 64, 4, 0, 0, 256,
      0}},
    {"x86-64-v4",
     "x86-64-v4",
     "+avx512bw,+avx512cd,+avx512dq,+avx512f,+avx512vl,+bmi2,+f16c,+fma",
     true,
     true,
     512,
     false,
     false,
     {12, 2, 4, 4, 6, 2, 256, 36, 48, 96, 16, 16, /*prefetch*/ 64, 4, 0, 0, 256,
      0}},
    {"sapphirerapids",
     "sapphirerapids",
     "+amx-bf16,+amx-int8,+amx-tile,+avx512bf16,+avx512bitalg,+avx512bw,"
     "+avx512cd,+avx512dq,+avx512f,+avx512fp16,+avx512ifma,+avx512vbmi,"
     "+avx512vbmi2,+avx512vl,+avx512vnni,+avx512vpopcntdq,+avxvnni,+bmi2,"
     "+f16c,+fma,+gfni",
     true,
     true,
     512,
     /*hasDot=*/true,
     /*hasTiles=*/true,
     {12, 2, 4, 4, 6, 2, 256, 36, 48, 192, 16, 16, /*prefetch*/ 64, 4, 0,
      /*amx: rows, block, of int8*/ 4, 256, 16}},
};

llvm::ArrayRef<InstructionSet> moec::lowering::instructionSets() {
  return sets;
}

const InstructionSet *moec::lowering::findInstructionSet(llvm::StringRef name) {
  for (const InstructionSet &set : sets)
    if (set.name == name)
      return &set;
  return nullptr;
}

const InstructionSet &
moec::lowering::bestInstructionSet(llvm::StringRef cpu,
                                   const llvm::Triple &target) {
  const InstructionSet *best = &sets[0];
  if (target.getArch() != llvm::Triple::x86_64)
    return *best;
  llvm::InitializeNativeTarget();
  std::string message;
  const llvm::Target *found =
      llvm::TargetRegistry::lookupTarget(target, message);
  if (!found)
    return *best;
  std::unique_ptr<llvm::MCSubtargetInfo> any(
      found->createMCSubtargetInfo(target, /*CPU=*/"", /*Features=*/""));
  if (cpu.empty() || !any->isCPUStringValid(cpu))
    return *best;
  std::unique_ptr<llvm::MCSubtargetInfo> asked(
      found->createMCSubtargetInfo(target, cpu, /*Features=*/""));
  for (const InstructionSet &set : llvm::drop_begin(sets))
    if (asked->checkFeatures(set.features))
      best = &set;
  return *best;
}

llvm::ArrayRef<ScheduleField<Schedule>> Schedule::fields() { return ::fields; }
