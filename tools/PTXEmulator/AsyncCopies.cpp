// cp.async: copies of 4 to 16 bytes from global to shared memory, performed as
// late as the waits of their thread allow. Until then nobody may touch what
// they write. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/AsyncCopies.h"

#include "tools/PTXEmulator/BulkCopies.h"
#include "tools/PTXEmulator/Decoder.h"
#include "tools/PTXEmulator/Lanes.h"
#include "tools/PTXEmulator/Mbarriers.h"
#include "tools/PTXEmulator/MemoryAccess.h"

namespace moec::ptx {

namespace {

/// Reads the source and writes the destination; false after a fault.
bool perform(Warp &warp, unsigned lane, const AsyncCopy &copy) {
  const Operation &operation = *copy.operation;
  uint8_t bytes[16] = {};
  if (copy.sourceBytes) {
    const uint8_t *from = warp.access(operation, lane, Space::Global, copy.from,
                                      copy.bytes, false, copy.sourceBytes);
    if (!from)
      return false;
    std::memcpy(bytes, from, copy.sourceBytes);
  }
  SharedPlace to{copy.cta, copy.to};
  std::memcpy(to.bytes(), bytes, copy.bytes);
  landShared(warp, lane, to, copy.bytes, false);
  ++warp.machine->effects;
  return true;
}

/// Performs the oldest groups of a lane until `keep` are left.
bool performGroups(Warp &warp, unsigned lane, size_t keep) {
  ThreadCopies &copies = warp.copies[lane];
  while (copies.groups.size() > keep) {
    for (const AsyncCopy &copy : copies.groups.front())
      if (!perform(warp, lane, copy))
        return false;
    copies.groups.pop_front();
  }
  return true;
}

/// How much of the source is read: slots[3] may say, as a number of bytes or as
/// a predicate to read nothing.
bool sourceBytes(Warp &warp, const Operation &operation, unsigned lane,
                 uint8_t &bytes) {
  bytes = operation.elementBytes;
  if (operation.mode == 0)
    return true;
  const Slot &slot = operation.slots[3];
  if (slot.laneBytes == 0) {
    if (readMask(warp, slot) >> lane & 1)
      bytes = 0;
    return true;
  }
  uint64_t found = readLane(warp, slot, lane);
  if (found > bytes)
    return warp.fault(FaultKind::LaunchFailed, operation, lane,
                      "expected a source of at most " + std::to_string(bytes) +
                          " bytes, found " + std::to_string(found));
  bytes = static_cast<uint8_t>(found);
  return true;
}

/// Where a copy writes, marked as being written.
SharedPlace findDestination(Warp &warp, const Operation &operation,
                            unsigned lane, uint64_t address) {
  unsigned bytes = operation.elementBytes;
  if (address % bytes != 0)
    warp.fault(FaultKind::MisalignedAddress, operation, lane,
               "expected a destination that is a multiple of " +
                   std::to_string(bytes));
  SharedPlace place =
      findShared(warp, operation, lane, Space::Shared, address, bytes);
  if (warp.machine->fault ||
      !touchShared(warp, operation, lane, place, bytes, Touch::BeginWrite))
    return {};
  return place;
}

/// slots: destination, source.
Mask runCopy(Warp &warp, const Operation &operation, Mask mask) {
  warp.copies.resize(warpSize);
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    AsyncCopy copy;
    copy.operation = &operation;
    copy.bytes = operation.elementBytes;
    copy.from = readLane(warp, operation.slots[1], lane) +
                static_cast<uint64_t>(operation.number);
    uint64_t to = readLane(warp, operation.slots[0], lane) +
                  static_cast<uint64_t>(operation.offset);
    if (failed || !sourceBytes(warp, operation, lane, copy.sourceBytes)) {
      failed = true;
      return;
    }
    SharedPlace place = findDestination(warp, operation, lane, to);
    failed = !place;
    if (failed)
      return;
    copy.cta = place.cta;
    copy.to = place.offset;
    warp.copies[lane].open.push_back(copy);
  });
  return failed ? 0 : mask;
}

Mask runCommit(Warp &warp, const Operation &, Mask mask) {
  warp.copies.resize(warpSize);
  forEachLane(mask, [&](unsigned lane) { warp.copies[lane].commit(); });
  return mask;
}

/// number: groups that may be left; -1: none, and what was not committed too.
Mask runWait(Warp &warp, const Operation &operation, Mask mask) {
  warp.copies.resize(warpSize);
  bool all = operation.number < 0;
  if (all)
    runCommit(warp, operation, mask);
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    failed = failed ||
             !performGroups(warp, lane,
                            all ? 0 : static_cast<size_t>(operation.number));
  });
  return failed ? 0 : mask;
}

void buildCopy(Decoder &decoder) {
  Operation &operation = decoder.operation;
  bool isGlobalOnly = decoder.require<bool>({{"cg", true}, {"ca", false}});
  decoder.require<bool>({{"shared", true}, {"shared::cta", true}});
  decoder.require<bool>({{"global", true}});
  decoder.takeMemoryHints();
  bool hasPolicy = decoder.take("L2::cache_hint");
  size_t count = decoder.operandCount();
  decoder.expectOperands(3u + hasPolicy, 4u + hasPolicy);
  operation.mode = count == 4u + hasPolicy;
  // The address is noted in offset; of the source it is moved to number.
  operation.slots[1] = decoder.address(decoder.operand(1));
  operation.number = operation.offset;
  operation.slots[0] = decoder.address(decoder.operand(0));
  int64_t bytes = decoder.constant(2);
  if (bytes != 16 && (isGlobalOnly || (bytes != 4 && bytes != 8)))
    decoder.fail(isGlobalOnly ? "expected 16 bytes"
                              : "expected 4, 8 or 16 bytes");
  operation.elementBytes = static_cast<uint8_t>(bytes);
  if (operation.mode)
    operation.slots[3] = decoder.isPredicate(decoder.operand(3))
                             ? decoder.source(3, Type::Pred)
                             : decoder.source(3, Type::U32);
  operation.handler = runCopy;
}

void buildGroupWait(Decoder &decoder, bool all) {
  decoder.expectOperands(all ? 0 : 1, all ? 0 : 1);
  decoder.operation.number = all ? -1 : decoder.constant(0);
  decoder.operation.handler = runWait;
}

/// An arrival at an mbarrier once the copies that the lane has begun are
/// performed, which is some time later. mode: without it, the phase waits for
/// one arrival more.
Mask runArriveOnCopies(Warp &warp, const Operation &operation, Mask mask) {
  warp.copies.resize(warpSize);
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    uint64_t address = addressOf(warp, operation, lane);
    Mbarrier *barrier =
        failed ? nullptr
               : findMbarrier(warp, operation, lane, operation.space, address);
    failed = !barrier;
    if (failed)
      return;
    if (!operation.mode)
      ++barrier->pending;
    warp.cta->cluster->pending.push_back([&warp, &operation, lane, address] {
      finishCopies(warp, Mask(1) << lane);
      publishWrites(warp, Mask(1) << lane);
      if (warp.machine->fault)
        return;
      if (Mbarrier *barrier =
              findMbarrier(warp, operation, lane, operation.space, address))
        arrive(warp, operation, lane, *barrier, 1);
    });
  });
  return failed ? 0 : mask;
}

void buildArriveOnCopies(Decoder &decoder) {
  Operation &operation = decoder.operation;
  decoder.require<bool>({{"arrive", true}});
  operation.mode = decoder.take("noinc");
  operation.space = takeSpace(decoder);
  decoder.require<bool>({{"b64", true}});
  decoder.expectOperands(1, 1);
  operation.slots[1] = decoder.address(decoder.operand(0));
  operation.handler = runArriveOnCopies;
}

/// cp has a family of its own behind each of its modifiers.
void buildCp(Decoder &decoder) {
  bool reduces = decoder.take("reduce");
  decoder.require<bool>({{"async", true}});
  if (decoder.take("bulk"))
    return buildBulkCopy(decoder, reduces);
  if (decoder.take("mbarrier"))
    return buildArriveOnCopies(decoder);
  if (decoder.take("commit_group")) {
    decoder.expectOperands(0, 0);
    decoder.operation.handler = runCommit;
  } else if (decoder.take("wait_group")) {
    buildGroupWait(decoder, false);
  } else if (decoder.take("wait_all")) {
    buildGroupWait(decoder, true);
  } else {
    buildCopy(decoder);
  }
  if (reduces)
    decoder.fail("expected .bulk");
}

constexpr BuilderRow rows[] = {{"cp", buildCp}};

} // namespace

void finishCopies(Warp &warp, Mask lanes) {
  if (warp.copies.empty())
    return;
  forEachLane(lanes, [&](unsigned lane) {
    ThreadCopies &copies = warp.copies[lane];
    copies.groups.push_back(std::move(copies.open));
    copies.open.clear();
    performGroups(warp, lane, 0);
  });
}

std::span<const BuilderRow> asyncCopyBuilders() { return rows; }

} // namespace moec::ptx
