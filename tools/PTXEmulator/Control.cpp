// Where a thread goes next: branches, calls, exits; and what orders memory,
// which is always in order here.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Collectives.h"
#include "tools/PTXEmulator/Decoder.h"
#include "tools/PTXEmulator/Lanes.h"
#include "tools/PTXEmulator/Mbarriers.h"
#include "tools/PTXEmulator/MemoryAccess.h"
#include "tools/PTXEmulator/SharedMemory.h"

namespace moec::ptx {

namespace {

void buildBranch(Decoder &decoder) {
  decoder.take("uni");
  decoder.expectOperands(1, 1);
  decoder.operation.flow = Flow::Branch;
}

void buildIndexedBranch(Decoder &decoder) {
  decoder.require<bool>({{"idx", true}});
  decoder.take("uni");
  decoder.expectOperands(2, 2);
  decoder.operation.slots[0] = decoder.source(0, Type::U32);
  decoder.operation.flow = Flow::IndexedBranch;
}

/// Arguments and results are in local memory.
Mask runCopies(Warp &warp, const Operation &operation, Mask mask) {
  size_t size = warp.program->localBytes;
  forEachLane(mask, [&](unsigned lane) {
    for (const Operation::Copy &copy : operation.copies) {
      std::memcpy(&warp.local[lane * size + copy.to],
                  &warp.local[lane * size + copy.from], copy.bytes);
      std::memcpy(&warp.localStates[lane * size + copy.to],
                  &warp.localStates[lane * size + copy.from], copy.bytes);
    }
  });
  return mask;
}

void buildCall(Decoder &decoder) {
  decoder.take("uni");
  decoder.operation.handler = runCopies;
  decoder.operation.flow = Flow::Call;
}

void buildReturn(Decoder &decoder) {
  decoder.take("uni");
  decoder.expectOperands(0, 0);
  decoder.operation.flow = Flow::Return;
}

void buildExit(Decoder &decoder) {
  decoder.expectOperands(0, 0);
  decoder.operation.flow = Flow::Exit;
}

Mask runTrap(Warp &warp, const Operation &operation, Mask mask) {
  return warp.fault(FaultKind::LaunchFailed, operation,
                    static_cast<unsigned>(std::countr_zero(mask)),
                    "the thread trapped");
}

void buildTrap(Decoder &decoder) {
  decoder.expectOperands(0, 0);
  decoder.operation.handler = runTrap;
}

Mask runNothing(Warp &, const Operation &, Mask mask) { return mask; }

Mask runSleep(Warp &warp, const Operation &, Mask mask) {
  warp.yield();
  return mask;
}

void buildSleep(Decoder &decoder) {
  decoder.takeType();
  decoder.expectOperands(1, 1);
  decoder.source(0, Type::U32);
  decoder.operation.handler = runSleep;
}

Mask runProxyFence(Warp &warp, const Operation &, Mask mask) {
  fenceWrites(warp, mask);
  fenceMbarriers(warp, mask);
  return mask;
}

void buildProxyFence(Decoder &decoder) {
  bool isTensorMap = decoder.take("tensormap::generic");
  if (!isTensorMap)
    decoder.require<bool>({{"async", true}});
  takeSpace(decoder);
  decoder.takeMemoryHints();
  // Of a tensor map: its address and size.
  decoder.expectOperands(0, isTensorMap ? 2 : 0);
  decoder.operation.handler = runProxyFence;
}

Mask runMbarrierFence(Warp &warp, const Operation &, Mask mask) {
  fenceMbarriers(warp, mask);
  return mask;
}

/// Memory is accessed in the order of the schedule, so of other fences nothing
/// is left to do.
void buildFence(Decoder &decoder) {
  if (decoder.take("proxy"))
    return buildProxyFence(decoder);
  decoder.take("sc");
  bool isOfMbarriers = decoder.take("mbarrier_init");
  decoder.takeMemoryHints();
  decoder.take("gl");
  decoder.expectOperands(0, 0);
  decoder.operation.handler = isOfMbarriers ? runMbarrierFence : runNothing;
}

Mask runAligned(Warp &warp, const Operation &, Mask mask) {
  return isWholeWarp(warp, mask) ? mask : 0;
}

/// Registers are not counted.
void buildSetMaximumRegisters(Decoder &decoder) {
  decoder.require<bool>({{"inc", true}, {"dec", false}});
  decoder.require<bool>({{"sync", true}});
  decoder.take("aligned");
  decoder.takeType();
  decoder.expectOperands(1, 1);
  int64_t count = decoder.constant(0);
  if (count < 24 || count > 256 || count % 8 != 0)
    decoder.fail("expected a multiple of 8 from 24 to 256");
  decoder.operation.handler = runAligned;
}

/// Until the grid before this one is done.
Mask runGridWait(Warp &warp, const Operation &, Mask mask) {
  const GridProgress *previous = warp.cta->progress->previous;
  if (previous && previous->ctasNotDone)
    return 0;
  warp.cta->hasWaited = true;
  return mask;
}

Mask runLaunchDependents(Warp &warp, const Operation &, Mask mask) {
  warp.cta->trigger();
  ++warp.machine->effects;
  return mask;
}

void buildGridDependency(Decoder &decoder) {
  bool waits =
      decoder.require<bool>({{"wait", true}, {"launch_dependents", false}});
  decoder.expectOperands(0, 0);
  decoder.operation.handler = waits ? runGridWait : runLaunchDependents;
}

constexpr BuilderRow rows[] = {
    {"bra", buildBranch},
    {"brx", buildIndexedBranch},
    {"call", buildCall},
    {"ret", buildReturn},
    {"exit", buildExit},
    {"trap", buildTrap},
    {"nanosleep", buildSleep},
    {"fence", buildFence},
    {"membar", buildFence},
    {"setmaxnreg", buildSetMaximumRegisters},
    {"griddepcontrol", buildGridDependency},
};

} // namespace

std::span<const BuilderRow> controlBuilders() { return rows; }

} // namespace moec::ptx
