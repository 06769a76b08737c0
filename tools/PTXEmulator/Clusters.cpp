// What CTAs of a cluster do with each other's shared memory: mapa, getctarank,
// st.async, red.async.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Clusters.h"

#include "tools/PTXEmulator/Atomics.h"
#include "tools/PTXEmulator/Lanes.h"
#include "tools/PTXEmulator/Mbarriers.h"
#include "tools/PTXEmulator/MemoryAccess.h"

namespace moec::ptx {

namespace {

constexpr uint64_t offsetMask = (uint64_t(1) << sharedRankShift) - 1;

/// An address of shared memory without the window of generic ones.
uint64_t sharedAddress(const Operation &operation, uint64_t address) {
  return operation.space == Space::Generic ? address - sharedWindow : address;
}

/// The same place in the CTA of a rank. slots: result, address, rank.
Mask runMap(Warp &warp, const Operation &operation, Mask mask) {
  size_t count = warp.cta->cluster->ctas.size();
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    uint64_t address =
        sharedAddress(operation, readLane(warp, operation.slots[1], lane));
    uint64_t rank = readLane(warp, operation.slots[2], lane);
    if (rank >= count) {
      failed = !warp.fault(FaultKind::LaunchFailed, operation, lane,
                           "expected a rank below " + std::to_string(count) +
                               ", found " + std::to_string(rank));
      return;
    }
    uint64_t mapped = (address & offsetMask) | (rank + 1) << sharedRankShift;
    writeLane(warp, operation.slots[0], lane,
              operation.space == Space::Generic ? mapped + sharedWindow
                                                : mapped);
  });
  return failed ? 0 : mask;
}

void buildMap(Decoder &decoder) {
  Operation &operation = decoder.operation;
  operation.space = takeSpace(decoder);
  Type type = decoder.takeType();
  decoder.expectOperands(3, 3);
  operation.slots[0] = decoder.destination(0, type);
  operation.slots[1] = decoder.source(1, type);
  operation.slots[2] = decoder.source(2, Type::U32);
  operation.handler = runMap;
}

Mask runRank(Warp &warp, const Operation &operation, Mask mask) {
  forEachLane(mask, [&](unsigned lane) {
    uint64_t address =
        sharedAddress(operation, readLane(warp, operation.slots[1], lane));
    uint64_t rank = address >> sharedRankShift;
    writeLane(warp, operation.slots[0], lane, rank ? rank - 1 : warp.cta->rank);
  });
  return mask;
}

void buildRank(Decoder &decoder) {
  Operation &operation = decoder.operation;
  operation.space = takeSpace(decoder);
  decoder.takeType();
  decoder.expectOperands(2, 2);
  operation.slots[0] = decoder.destination(0, Type::U32);
  operation.slots[1] = decoder.source(
      1, operation.space == Space::Generic ? Type::U64 : Type::U32);
  operation.handler = runRank;
}

/// One lane's store: performed some time later, then its mbarrier learns of it.
bool storeLane(Warp &warp, const Operation &operation, unsigned lane) {
  uint32_t bytes = operation.elementBytes * operation.elementCount;
  uint64_t address = addressOf(warp, operation, lane);
  uint64_t mbarrier = readLane(warp, operation.slots[2], lane) +
                      static_cast<uint64_t>(int64_t(operation.offsets[2]));
  SharedPlace place =
      findShared(warp, operation, lane, Space::Shared, address, bytes);
  Touch touch = operation.reduces ? Touch::AsyncRead : Touch::BeginAsyncWrite;
  if (!place || !touchShared(warp, operation, lane, place, bytes, touch) ||
      !checkRemote(warp, operation, lane, Space::Shared, mbarrier))
    return false;
  std::vector<uint64_t> values;
  for (const Slot &slot : operation.list)
    values.push_back(readLane(warp, slot, lane));
  warp.cta->cluster->pending.push_back([=, &warp, &operation] {
    unsigned width = operation.elementBytes;
    for (size_t i = 0; i < values.size(); ++i) {
      uint64_t old = 0, value = values[i];
      std::memcpy(&old, place.bytes() + i * width, width);
      if (operation.reduces)
        value = changed(static_cast<Change>(operation.mode), operation.type,
                        old, value);
      std::memcpy(place.bytes() + i * width, &value, width);
    }
    landShared(warp, lane, place, bytes, true);
    Mbarrier *barrier =
        findMbarrier(warp, operation, lane, Space::Shared, mbarrier);
    if (barrier && checkFenced(warp, operation, lane, *barrier))
      addTransactions(warp, operation, lane, *barrier, -int64_t(bytes));
  });
  return true;
}

Mask runRemoteStore(Warp &warp, const Operation &operation, Mask mask) {
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    failed = failed || !storeLane(warp, operation, lane);
  });
  return failed ? 0 : mask;
}

constexpr BuilderRow rows[] = {{"mapa", buildMap}, {"getctarank", buildRank}};

} // namespace

void buildRemoteStore(Decoder &decoder, bool reduces) {
  Operation &operation = decoder.operation;
  decoder.takeMemoryHints();
  operation.space = takeSpace(decoder);
  decoder.require<bool>({{"mbarrier::complete_tx::bytes", true}});
  operation.reduces = reduces;
  if (reduces)
    operation.mode = static_cast<uint8_t>(
        decoder.require<Change>({{"add", Change::Add},
                                 {"and", Change::And},
                                 {"or", Change::Or},
                                 {"xor", Change::Xor},
                                 {"min", Change::Minimum},
                                 {"max", Change::Maximum},
                                 {"inc", Change::Increment},
                                 {"dec", Change::Decrement}}));
  operation.elementCount =
      decoder.takeOneOf<uint8_t>({{"v2", 2}, {"v4", 4}}).value_or(1);
  operation.type = decoder.takeType();
  operation.elementBytes = static_cast<uint8_t>(bytesOf(operation.type));
  decoder.expectOperands(3, 3);
  operation.slots[2] = decoder.address(decoder.operand(2));
  operation.offsets[2] = static_cast<int32_t>(operation.offset);
  const Operand &values = decoder.operand(1);
  if (values.kind == Operand::Kind::Vector)
    for (const Operand &value : values.parts)
      operation.list.push_back(decoder.source(value, operation.type));
  else
    operation.list.push_back(decoder.source(values, operation.type));
  if (operation.list.size() != operation.elementCount)
    decoder.fail("expected " + std::to_string(operation.elementCount) +
                 " elements, found " + std::to_string(operation.list.size()));
  operation.slots[1] = decoder.address(decoder.operand(0));
  operation.handler = runRemoteStore;
}

std::span<const BuilderRow> clusterBuilders() { return rows; }

} // namespace moec::ptx
