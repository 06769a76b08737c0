// Barriers of a CTA and of a cluster: bar, barrier, barrier.cluster.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Barriers.h"

#include "tools/PTXEmulator/Collectives.h"
#include "tools/PTXEmulator/Elementwise.h"
#include "tools/PTXEmulator/SharedMemory.h"

namespace moec::ptx {

namespace {

enum class Reduction : uint8_t { None, And, Or, Count };

/// What a reduction says to a lane. Slots: result, predicate.
void writeResult(Warp &warp, const Operation &operation,
                 const NamedBarrier &barrier, Mask mask) {
  switch (static_cast<Reduction>(operation.mode)) {
  case Reduction::None:
    return;
  case Reduction::And:
    return writeMask(warp, operation.slots[0], barrier.allTrue ? allLanes : 0,
                     mask);
  case Reduction::Or:
    return writeMask(warp, operation.slots[0], barrier.anyTrue ? allLanes : 0,
                     mask);
  case Reduction::Count:
    forEachLane(mask, [&](unsigned lane) {
      writeLane(warp, operation.slots[0], lane, barrier.trueCount);
    });
  }
}

/// Lets all who wait at a barrier go on behind it.
void release(Cta &cta, unsigned index) {
  for (Warp &warp : cta.warps) {
    if (!warp.blocked || warp.barrier != index)
      continue;
    forEachLane(warp.blocked, [&](unsigned lane) {
      const Operation &operation = warp.program->code[warp.pc[lane]];
      writeResult(warp, operation, cta.barriers[index], Mask(1) << lane);
      ++warp.pc[lane];
    });
    warp.blocked = 0;
  }
}

/// Whether every thread that has not exited waits at a barrier, but those of
/// `arriving`, who are about to.
bool allHaveCome(const Cta &cta, unsigned index, const Warp *arriving,
                 Mask mask) {
  for (const Warp &warp : cta.warps) {
    Mask here = warp.barrier == index ? warp.blocked : 0;
    if (&warp == arriving)
      here |= mask;
    if (warp.alive & ~here)
      return false;
  }
  return true;
}

bool isComplete(const Cta &cta, unsigned index, const Warp *arriving,
                Mask mask) {
  const NamedBarrier &barrier = cta.barriers[index];
  return barrier.expected ? barrier.arrived >= barrier.expected
                          : allHaveCome(cta, index, arriving, mask);
}

void vote(Warp &warp, const Operation &operation, NamedBarrier &barrier,
          Mask mask) {
  if (static_cast<Reduction>(operation.mode) == Reduction::None)
    return;
  Mask values = readMask(warp, operation.slots[1]) & mask;
  barrier.allTrue &= values == mask;
  barrier.anyTrue |= values != 0;
  barrier.trueCount += static_cast<unsigned>(std::popcount(values));
}

/// Checks the barrier and the count that a group of lanes names.
bool checkArrival(Warp &warp, const Operation &operation, unsigned lane,
                  uint64_t index, uint64_t count) {
  if (index >= warp.cta->barriers.size())
    return warp.fault(FaultKind::LaunchFailed, operation, lane,
                      "expected a barrier below 16, found " +
                          std::to_string(index));
  const NamedBarrier &barrier = warp.cta->barriers[index];
  if (count % warpSize != 0)
    return warp.fault(FaultKind::LaunchFailed, operation, lane,
                      "expected a multiple of 32 threads, found " +
                          std::to_string(count));
  if (barrier.arrived && barrier.expected != count)
    return warp.fault(FaultKind::LaunchFailed, operation, lane,
                      "expected " + std::to_string(barrier.expected) +
                          " threads, as those that came before, found " +
                          std::to_string(count));
  if (warp.blocked && warp.barrier != index)
    return warp.fault(FaultKind::LaunchFailed, operation, lane,
                      "expected the lanes of a warp at one barrier");
  return true;
}

/// Slots: result, predicate, barrier, and the count if number is not zero.
Mask runBarrier(Warp &warp, const Operation &operation, Mask mask) {
  if (operation.aligned && !isWholeWarp(warp, mask))
    return 0;
  Cta &cta = *warp.cta;
  unsigned lane = static_cast<unsigned>(std::countr_zero(mask));
  uint64_t index = readLane(warp, operation.slots[2], lane);
  uint64_t count =
      operation.number ? readLane(warp, operation.slots[3], lane) : 0;
  if (!checkArrival(warp, operation, lane, index, count))
    return 0;
  NamedBarrier &barrier = cta.barriers[index];
  barrier.expected = static_cast<unsigned>(count);
  // A warp that is not full counts as one.
  barrier.arrived += isWholeWarp(warp, mask)
                         ? warpSize
                         : static_cast<unsigned>(std::popcount(mask));
  if (count && barrier.arrived > count)
    return warp.fault(FaultKind::LaunchFailed, operation, lane,
                      "expected " + std::to_string(count) +
                          " threads at the barrier, found " +
                          std::to_string(barrier.arrived));
  vote(warp, operation, barrier, mask);
  publishWrites(warp, mask);
  ++warp.machine->effects;
  bool waits = operation.waits;
  if (isComplete(cta, static_cast<unsigned>(index), &warp, waits ? mask : 0)) {
    release(cta, static_cast<unsigned>(index));
    writeResult(warp, operation, barrier, mask);
    barrier = {};
    return mask;
  }
  if (!waits)
    return mask;
  warp.barrier = static_cast<unsigned>(index);
  warp.blocked |= mask;
  return 0;
}

Mask runWarpBarrier(Warp &warp, const Operation &operation, Mask mask) {
  return forEachGroup(warp, operation, operation.slots[0], mask,
                      [&](Mask group) { publishWrites(warp, group); });
}

/// The form of bar.red: its result, and the predicate at the end.
void buildBarrierReduction(Decoder &decoder) {
  Operation &operation = decoder.operation;
  operation.mode = static_cast<uint8_t>(
      decoder.require<Reduction>({{"and", Reduction::And},
                                  {"or", Reduction::Or},
                                  {"popc", Reduction::Count}}));
  Type type = decoder.takeType();
  decoder.expectOperands(3, 4);
  operation.slots[0] = decoder.destination(0, type);
  operation.slots[1] = decoder.source(decoder.operandCount() - 1, Type::Pred);
  operation.slots[2] = decoder.source(1, Type::U32);
  operation.number = decoder.operandCount() == 4;
  if (operation.number)
    operation.slots[3] = decoder.source(2, Type::U32);
}

void buildNamedBarrier(Decoder &decoder, bool isAligned) {
  Operation &operation = decoder.operation;
  operation.handler = runBarrier;
  operation.aligned = isAligned;
  operation.waits = true;
  if (decoder.take("red"))
    return buildBarrierReduction(decoder);
  bool waits = decoder.require<bool>({{"sync", true}, {"arrive", false}});
  operation.waits = waits;
  decoder.expectOperands(waits ? 1 : 2, 2);
  operation.slots[2] = decoder.source(0, Type::U32);
  operation.number = decoder.operandCount() == 2;
  if (operation.number)
    operation.slots[3] = decoder.source(1, Type::U32);
}

/// A thread may come again only when the others have.
Mask runClusterArrive(Warp &warp, const Operation &operation, Mask mask) {
  if (operation.aligned && !isWholeWarp(warp, mask))
    return 0;
  if (Mask twice = warp.clusterArrived & mask)
    return warp.fault(FaultKind::LaunchFailed, operation,
                      static_cast<unsigned>(std::countr_zero(twice)),
                      "expected barrier.cluster.wait before the next arrive");
  publishWrites(warp, mask);
  warp.clusterArrived |= mask;
  ++warp.machine->effects;
  completeClusterBarrier(*warp.cta->cluster);
  return mask;
}

/// Those whose arrival is still pending wait.
Mask runClusterWait(Warp &warp, const Operation &operation, Mask mask) {
  if (operation.aligned && !isWholeWarp(warp, mask))
    return 0;
  return mask & ~warp.clusterArrived;
}

void buildClusterBarrier(Decoder &decoder) {
  Operation &operation = decoder.operation;
  bool arrives = decoder.require<bool>({{"arrive", true}, {"wait", false}});
  decoder.takeMemoryHints();
  operation.aligned = decoder.take("aligned");
  decoder.expectOperands(0, 0);
  operation.handler = arrives ? runClusterArrive : runClusterWait;
}

void buildBar(Decoder &decoder) {
  decoder.take("cta");
  if (decoder.take("warp")) {
    decoder.require<bool>({{"sync", true}});
    decoder.expectOperands(1, 1);
    decoder.operation.slots[0] = decoder.source(0, Type::B32);
    decoder.operation.handler = runWarpBarrier;
    return;
  }
  buildNamedBarrier(decoder, true);
}

void buildBarrier(Decoder &decoder) {
  if (decoder.take("cluster"))
    return buildClusterBarrier(decoder);
  decoder.take("cta");
  bool isAligned = decoder.take("aligned");
  buildNamedBarrier(decoder, isAligned);
}

constexpr BuilderRow rows[] = {{"bar", buildBar}, {"barrier", buildBarrier}};

} // namespace

void completeBarriers(Cta &cta) {
  for (unsigned index = 0; index < cta.barriers.size(); ++index) {
    NamedBarrier &barrier = cta.barriers[index];
    if (barrier.arrived == 0 || !isComplete(cta, index, nullptr, 0))
      continue;
    release(cta, index);
    barrier = {};
  }
}

void completeClusterBarrier(Cluster &cluster) {
  for (const std::unique_ptr<Cta> &cta : cluster.ctas)
    for (const Warp &warp : cta->warps)
      if (warp.alive & ~warp.clusterArrived)
        return;
  ++cluster.barriers;
  for (const std::unique_ptr<Cta> &cta : cluster.ctas)
    for (Warp &warp : cta->warps) {
      warp.clusterArrived = 0;
      // Those at the wait look again.
      warp.waiting = 0;
    }
}

std::span<const BuilderRow> barrierBuilders() { return rows; }

} // namespace moec::ptx
