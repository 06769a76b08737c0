// mbarrier objects: phases that end when all have arrived and all bytes have.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Mbarriers.h"

#include "tools/PTXEmulator/Decoder.h"
#include "tools/PTXEmulator/Lanes.h"
#include "tools/PTXEmulator/MemoryAccess.h"

#include <algorithm>

namespace moec::ptx {

namespace {

constexpr uint32_t mbarrierBytes = 8;
/// Counts have 20 bits.
constexpr uint32_t maxCount = (1u << 20) - 1;

/// Ends the phase if nothing is missing.
void completePhase(Warp &warp, Mbarrier &barrier) {
  if (barrier.pending != 0 || barrier.transactions != 0)
    return;
  ++barrier.phase;
  barrier.pending = barrier.expected;
  ++warp.machine->effects;
}

SharedPlace placeOf(Warp &warp, const Operation &operation, unsigned lane) {
  uint64_t address = addressOf(warp, operation, lane);
  if (address % mbarrierBytes != 0) {
    warp.fault(FaultKind::MisalignedAddress, operation, lane,
               "expected the address of an mbarrier to be a multiple of 8");
    return {};
  }
  return findShared(warp, operation, lane, operation.space, address,
                    mbarrierBytes);
}

/// slots: unused, address, count.
Mask runInitialize(Warp &warp, const Operation &operation, Mask mask) {
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    if (failed)
      return;
    SharedPlace place = placeOf(warp, operation, lane);
    uint64_t count = readLane(warp, operation.slots[2], lane);
    if (!place || !touchShared(warp, operation, lane, place, mbarrierBytes,
                               Touch::Write)) {
      failed = true;
      return;
    }
    if (count == 0 || count > maxCount) {
      failed = !warp.fault(FaultKind::LaunchFailed, operation, lane,
                           "expected a count from 1 to 1048575, found " +
                               std::to_string(count));
      return;
    }
    std::fill_n(&place.cta->sharedStates[place.offset], mbarrierBytes,
                ByteState::Barrier);
    uint32_t expected = static_cast<uint32_t>(count);
    place.cta->mbarriers[place.offset] = {.expected = expected,
                                          .pending = expected};
    warp.unfencedMbarriers.push_back({lane, place.cta, place.offset});
  });
  ++warp.machine->effects;
  return failed ? 0 : mask;
}

Mask runInvalidate(Warp &warp, const Operation &operation, Mask mask) {
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    if (failed || !findMbarrier(warp, operation, lane, operation.space,
                                addressOf(warp, operation, lane))) {
      failed = true;
      return;
    }
    SharedPlace place = placeOf(warp, operation, lane);
    place.cta->mbarriers.erase(place.offset);
    std::fill_n(&place.cta->sharedStates[place.offset], mbarrierBytes,
                ByteState::Unwritten);
  });
  return failed ? 0 : mask;
}

/// What an arrival does beyond arriving, in Operation::mode.
enum Arrival : uint8_t { ExpectsBytes = 1, Drops = 2, OnlyBytes = 4 };

/// One arrival. slots: state, address, count or bytes.
bool arriveLane(Warp &warp, const Operation &operation, unsigned lane) {
  uint64_t address = addressOf(warp, operation, lane);
  Mbarrier *barrier =
      findMbarrier(warp, operation, lane, operation.space, address);
  if (!barrier || !checkRemote(warp, operation, lane, operation.space, address))
    return false;
  int64_t number =
      operation.number ? int64_t(readLane(warp, operation.slots[2], lane)) : 1;
  bool countsBytes = operation.mode & (ExpectsBytes | OnlyBytes);
  if (operation.waits)
    writeLane(warp, operation.slots[0], lane, barrier->phase);
  if (countsBytes && !addTransactions(warp, operation, lane, *barrier,
                                      static_cast<int32_t>(number)))
    return false;
  if (operation.mode & OnlyBytes)
    return true;
  uint32_t count = countsBytes ? 1 : static_cast<uint32_t>(number);
  if (operation.mode & Drops)
    barrier->expected -= std::min(count, barrier->expected);
  publishWrites(warp, Mask(1) << lane);
  return arrive(warp, operation, lane, *barrier, count);
}

Mask runArrive(Warp &warp, const Operation &operation, Mask mask) {
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    failed = failed || !arriveLane(warp, operation, lane);
  });
  return failed ? 0 : mask;
}

/// Whether the phase of a token, or the last one of a parity, has ended. mode:
/// whether a parity is given. slots: result, address, token or parity.
Mask runWait(Warp &warp, const Operation &operation, Mask mask) {
  Mask results = 0;
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    if (failed)
      return;
    SharedPlace place = placeOf(warp, operation, lane);
    Mbarrier *barrier =
        place ? findMbarrier(warp, operation, lane, operation.space,
                             addressOf(warp, operation, lane))
              : nullptr;
    if (!barrier) {
      failed = true;
      return;
    }
    if (place.cta != warp.cta) {
      failed = !warp.fault(FaultKind::LaunchFailed, operation, lane,
                           "expected an mbarrier of the own CTA");
      return;
    }
    uint64_t token = readLane(warp, operation.slots[2], lane);
    bool done = operation.mode ? (barrier->phase & 1) != (token & 1)
                               : barrier->phase > token;
    results |= Mask(done) << lane;
  });
  if (failed)
    return 0;
  writeMask(warp, operation.slots[0], results, mask);
  if (results != mask)
    warp.yield();
  return mask;
}

/// How many arrivals a token's phase waited for: what tokens hold here is the
/// phase, so nothing uses it.
void buildPendingCount(Decoder &decoder) {
  decoder.fail("the emulator does not know pending counts");
}

void buildWait(Decoder &decoder) {
  Operation &operation = decoder.operation;
  operation.mode = decoder.take("parity");
  decoder.takeMemoryHints();
  operation.space = takeSpace(decoder);
  decoder.require<bool>({{"b64", true}});
  decoder.expectOperands(3, 4);
  operation.slots[0] = decoder.destination(0, Type::Pred);
  operation.slots[1] = decoder.address(decoder.operand(1));
  operation.slots[2] =
      decoder.source(2, operation.mode ? Type::B32 : Type::B64);
  operation.handler = runWait;
}

void setArrival(Decoder &decoder, bool returnsState) {
  Operation &operation = decoder.operation;
  decoder.takeMemoryHints();
  decoder.take("noComplete");
  operation.space = takeSpace(decoder);
  decoder.require<bool>({{"b64", true}});
  // Of barriers of other CTAs there is no state: the operand is a sink.
  size_t first = returnsState ? 1 : 0;
  decoder.expectOperands(first + 1, first + 2);
  operation.waits = returnsState;
  if (returnsState)
    operation.slots[0] = decoder.destination(0, Type::B64);
  operation.slots[1] = decoder.address(decoder.operand(first));
  operation.number = decoder.operandCount() > first + 1;
  if (operation.number)
    operation.slots[2] = decoder.source(first + 1, Type::U32);
  operation.handler = runArrive;
}

void buildMbarrier(Decoder &decoder) {
  Operation &operation = decoder.operation;
  if (decoder.take("test_wait") || decoder.take("try_wait"))
    return buildWait(decoder);
  if (decoder.take("pending_count"))
    return buildPendingCount(decoder);
  if (decoder.take("arrive") || decoder.take("arrive_drop")) {
    const std::string &kind = operation.statement->opcode[1];
    operation.mode = kind == "arrive_drop" ? Drops : 0;
    if (decoder.take("expect_tx"))
      operation.mode |= ExpectsBytes;
    return setArrival(decoder, decoder.operandCount() > 1);
  }
  if (decoder.take("expect_tx")) {
    operation.mode = OnlyBytes;
    return setArrival(decoder, false);
  }
  bool initializes = decoder.require<bool>({{"init", true}, {"inval", false}});
  operation.space = takeSpace(decoder);
  decoder.require<bool>({{"b64", true}});
  decoder.expectOperands(initializes ? 2 : 1, initializes ? 2 : 1);
  operation.slots[1] = decoder.address(decoder.operand(0));
  if (initializes)
    operation.slots[2] = decoder.source(1, Type::U32);
  operation.handler = initializes ? runInitialize : runInvalidate;
}

constexpr BuilderRow rows[] = {{"mbarrier", buildMbarrier}};

} // namespace

Mbarrier *findMbarrier(Warp &warp, const Operation &operation, unsigned lane,
                       Space space, uint64_t address) {
  SharedPlace place =
      findShared(warp, operation, lane, space, address, mbarrierBytes);
  if (!place)
    return nullptr;
  auto found = place.cta->mbarriers.find(place.offset);
  if (found != place.cta->mbarriers.end())
    return &found->second;
  warp.fault(FaultKind::LaunchFailed, operation, lane,
             "expected an mbarrier that was initialised");
  return nullptr;
}

bool checkFenced(Warp &warp, const Operation &operation, unsigned lane,
                 const Mbarrier &barrier) {
  return barrier.isFenced ||
         warp.fault(FaultKind::LaunchFailed, operation, lane,
                    "expected a fence.mbarrier_init or fence.proxy.async "
                    "behind the initialisation of the mbarrier");
}

bool checkRemote(Warp &warp, const Operation &operation, unsigned lane,
                 Space space, uint64_t address) {
  uint64_t within = space == Space::Generic ? address - sharedWindow : address;
  uint64_t rank = within >> sharedRankShift;
  if (!rank || rank - 1 == warp.cta->rank)
    return true;
  const Mbarrier *barrier = findMbarrier(warp, operation, lane, space, address);
  if (!barrier || !checkFenced(warp, operation, lane, *barrier))
    return false;
  return barrier->fencedBehind < warp.cta->cluster->barriers ||
         warp.fault(FaultKind::LaunchFailed, operation, lane,
                    "expected a barrier.cluster behind the initialisation of "
                    "another CTA's mbarrier");
}

void fenceMbarriers(Warp &warp, Mask lanes) {
  std::erase_if(warp.unfencedMbarriers, [&](const UnfencedMbarrier &each) {
    if (!(lanes >> each.lane & 1))
      return false;
    auto found = each.cta->mbarriers.find(each.offset);
    if (found != each.cta->mbarriers.end()) {
      found->second.isFenced = true;
      found->second.fencedBehind = each.cta->cluster->barriers;
    }
    return true;
  });
}

bool arrive(Warp &warp, const Operation &operation, unsigned lane,
            Mbarrier &barrier, uint32_t count) {
  if (count == 0 || count > barrier.pending)
    return warp.fault(
        FaultKind::LaunchFailed, operation, lane,
        "expected at most " + std::to_string(barrier.pending) +
            " more arrivals in the phase of the mbarrier, found " +
            std::to_string(count));
  barrier.pending -= count;
  ++warp.machine->effects;
  completePhase(warp, barrier);
  return true;
}

bool addTransactions(Warp &warp, const Operation &operation, unsigned lane,
                     Mbarrier &barrier, int64_t bytes) {
  barrier.transactions += bytes;
  if (barrier.transactions > maxCount ||
      barrier.transactions < -int64_t(maxCount))
    return warp.fault(FaultKind::LaunchFailed, operation, lane,
                      "expected fewer than 1048576 bytes pending at the "
                      "mbarrier, found " +
                          std::to_string(barrier.transactions));
  ++warp.machine->effects;
  completePhase(warp, barrier);
  return true;
}

std::span<const BuilderRow> mbarrierBuilders() { return rows; }

} // namespace moec::ptx
