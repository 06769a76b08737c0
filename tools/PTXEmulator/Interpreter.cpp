// Running the operations of a warp.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Interpreter.h"

#include "tools/PTXEmulator/AsyncCopies.h"
#include "tools/PTXEmulator/BulkCopies.h"
#include "tools/PTXEmulator/Lanes.h"
#include "tools/PTXEmulator/WarpgroupProducts.h"

#include <map>

namespace moec::ptx {

namespace {

/// Lanes that go on together.
struct Group {
  Mask mask = 0;
  uint32_t pc = 0;
  /// Whether no other lane of the warp can go on.
  bool isAlone = false;
};

/// One place in so many is drawn, not the earliest: lanes of loops would never
/// meet otherwise.
constexpr unsigned drawnPlaces = 8;

unsigned nthLane(Mask mask, unsigned index) {
  for (; index; --index)
    mask &= mask - 1;
  return static_cast<unsigned>(std::countr_zero(mask));
}

Mask lanesAt(const Warp &warp, Mask among, uint32_t pc) {
  Mask mask = 0;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    mask |= Mask(warp.pc[lane] == pc) << lane;
  return mask & among;
}

Group selectGroup(Warp &warp) {
  Mask present = warp.alive & ~warp.blocked;
  Mask runnable = present & ~warp.waiting;
  if (!runnable)
    return {};
  uint32_t pc = warp.pc[static_cast<size_t>(std::countr_zero(runnable))];
  Mask mask = lanesAt(warp, present, pc);
  if (mask == present)
    return {mask, pc, true};
  if (warp.machine->below(drawnPlaces) == 0) {
    unsigned count = static_cast<unsigned>(std::popcount(runnable));
    pc = warp.pc[nthLane(runnable,
                         static_cast<unsigned>(warp.machine->below(count)))];
  } else {
    forEachLane(runnable,
                [&](unsigned lane) { pc = std::min(pc, warp.pc[lane]); });
  }
  return {lanesAt(warp, present, pc), pc, false};
}

void setPlace(Warp &warp, Mask mask, uint32_t pc) {
  forEachLane(mask, [&](unsigned lane) { warp.pc[lane] = pc; });
}

void exitLanes(Warp &warp, Mask mask) {
  finishCopies(warp, mask);
  finishBulkStores(warp, mask);
  checkProducts(warp, mask);
  warp.alive &= ~mask;
  ++warp.machine->effects;
}

void jumpIndexed(Warp &warp, const Operation &operation, Mask mask) {
  forEachLane(mask, [&](unsigned lane) {
    uint64_t index = readLane(warp, operation.slots[0], lane);
    if (index >= operation.targets.size()) {
      warp.fault(FaultKind::LaunchFailed, operation, lane,
                 "expected an index below " +
                     std::to_string(operation.targets.size()) + ", found " +
                     std::to_string(index));
      return;
    }
    warp.pc[lane] = operation.targets[index];
  });
}

void returnLanes(Warp &warp, Mask mask) {
  forEachLane(mask, [&](unsigned lane) {
    warp.pc[lane] = warp.calls[lane].back();
    warp.calls[lane].pop_back();
  });
}

void callLanes(Warp &warp, const Operation &operation, Mask mask, uint32_t pc) {
  operation.handler(warp, operation, mask);
  forEachLane(mask, [&](unsigned lane) {
    warp.calls[lane].push_back(pc + 1);
    warp.pc[lane] = operation.targets[0];
  });
}

/// Runs an operation that is no straight one. Lanes that are not active go on
/// behind it.
void runJump(Warp &warp, const Operation &operation, const Group &group,
             Mask active) {
  setPlace(warp, group.mask & ~active, group.pc + 1);
  switch (operation.flow) {
  case Flow::Branch:
    return setPlace(warp, active, operation.targets[0]);
  case Flow::IndexedBranch:
    return jumpIndexed(warp, operation, active);
  case Flow::Call:
    return callLanes(warp, operation, active, group.pc);
  case Flow::Return:
    return returnLanes(warp, active);
  case Flow::Exit:
    return exitLanes(warp, active);
  case Flow::Straight:
    break;
  }
}

/// Runs straight code and uniform branches of a group, until it splits, waits,
/// or may meet other lanes. Returns what is left of the quantum.
unsigned runGroup(Warp &warp, Group group, unsigned quantum) {
  const Operation *code = warp.program->code.data();
  warp.waiting &= ~group.mask;
  unsigned lanes = static_cast<unsigned>(std::popcount(group.mask));
  do {
    const Operation &operation = code[group.pc];
    --quantum;
    warp.machine->steps += lanes;
    Mask active = group.mask;
    if (operation.guarded)
      active &= readMask(warp, operation.guard);
    if (operation.flow != Flow::Straight) {
      bool isUniform = operation.flow == Flow::Branch &&
                       (active == group.mask || active == 0);
      if (!isUniform) {
        runJump(warp, operation, group, active);
        return quantum;
      }
      group.pc = active ? operation.targets[0] : group.pc + 1;
      continue;
    }
    if (!warp.registerStates.empty() && active)
      checkRegisters(warp, operation, active);
    Mask done = active ? operation.handler(warp, operation, active) : 0;
    if (done != active) {
      Mask left = active & ~done;
      setPlace(warp, group.mask & ~left, group.pc + 1);
      setPlace(warp, left, group.pc);
      warp.waiting |= left & ~warp.blocked;
      return quantum;
    }
    ++group.pc;
  } while (quantum && group.isAlone && !warp.yielded);
  setPlace(warp, group.mask, group.pc);
  return quantum;
}

} // namespace

void runWarp(Warp &warp, unsigned quantum) {
  warp.yielded = false;
  while (quantum && !warp.yielded && !warp.machine->fault) {
    Group group = selectGroup(warp);
    if (!group.mask)
      return;
    quantum = runGroup(warp, group, quantum);
  }
}

std::string describeLanes(const Warp &warp) {
  std::map<uint32_t, Mask> places;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    if (warp.alive >> lane & 1)
      places[warp.pc[lane]] |= Mask(1) << lane;
  std::string text;
  for (const auto &[pc, mask] : places) {
    const Statement *statement = warp.program->code[pc].statement;
    text += "\n  " + warp.cta->describe() + ", warp " +
            std::to_string(warp.index) + ", " +
            std::to_string(std::popcount(mask)) + " threads from lane " +
            std::to_string(std::countr_zero(mask)) +
            (mask & warp.blocked   ? " wait at a barrier"
             : mask & warp.waiting ? " wait for lanes"
                                   : "");
    if (statement)
      text += " at line " + std::to_string(statement->line) + ": '" +
              statement->text + "'";
  }
  return text;
}

} // namespace moec::ptx
