// Shared memory of CTAs and clusters: places, and who may touch what.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/SharedMemory.h"

#include <algorithm>

namespace moec::ptx {

namespace {

const char *nameOf(Touch touch) {
  switch (touch) {
  case Touch::Read:
    return "read";
  case Touch::Write:
    return "write";
  case Touch::AsyncRead:
    return "asynchronous read";
  case Touch::BeginWrite:
  case Touch::BeginAsyncWrite:
    return "asynchronous write";
  }
  return "";
}

bool isRead(Touch touch) {
  return touch == Touch::Read || touch == Touch::AsyncRead;
}

/// What is wrong with touching a byte; null if nothing is.
const char *objection(const Warp &warp, ByteState state, Touch touch) {
  switch (state) {
  case ByteState::InFlight:
    return "a copy that nobody waited for writes there";
  case ByteState::Barrier:
    return "an mbarrier is there";
  case ByteState::Unwritten:
    return isRead(touch) && warp.machine->settings.reportUninitialized
               ? "nothing was written there"
               : nullptr;
  case ByteState::Unfenced:
    return touch == Touch::AsyncRead
               ? "it was written without a fence.proxy.async"
               : nullptr;
  case ByteState::Written:
    return nullptr;
  }
  return nullptr;
}

bool isBeingRead(const Cta &cta, uint32_t offset, uint32_t bytes) {
  if (cta.asyncReaders.empty())
    return false;
  for (uint32_t granule = offset / 16; granule <= (offset + bytes - 1) / 16;
       ++granule)
    if (cta.asyncReaders[granule])
      return true;
  return false;
}

void noteWrite(Warp &warp, unsigned lane, SharedPlace place, uint32_t bytes) {
  ByteState *states = &place.cta->sharedStates[place.offset];
  if (!warp.program->usesAsyncProxy) {
    std::fill_n(states, bytes, ByteState::Written);
    return;
  }
  // What is noted already need not be again.
  bool isNoted = std::all_of(states, states + bytes, [](ByteState state) {
    return state == ByteState::Unfenced;
  });
  if (isNoted)
    return;
  std::fill_n(states, bytes, ByteState::Unfenced);
  warp.unfenced.push_back({lane, place.cta, place.offset, bytes});
}

void fence(const UnfencedWrite &write) {
  ByteState *states = &write.cta->sharedStates[write.offset];
  std::replace(states, states + write.bytes, ByteState::Unfenced,
               ByteState::Written);
}

} // namespace

Space resolveGeneric(uint64_t &address) {
  static constexpr std::pair<uint64_t, Space> windows[] = {
      {sharedWindow, Space::Shared},
      {localWindow, Space::Local},
      {paramWindow, Space::Param}};
  for (const auto &[window, space] : windows)
    if (address - window < windowBytes) {
      address -= window;
      return space;
    }
  return Space::Global;
}

SharedPlace findShared(Warp &warp, const Operation &operation, unsigned lane,
                       Space space, uint64_t address, uint64_t bytes) {
  auto fail = [&](const std::string &why) {
    warp.fault(FaultKind::IllegalAddress, operation, lane,
               "access to " + std::to_string(bytes) +
                   " bytes at shared address " + inHex(address) + ": " + why);
    return SharedPlace();
  };
  if (space == Space::Generic && resolveGeneric(address) != Space::Shared)
    return fail("it is no address of shared memory");
  Cta *cta = warp.cta;
  if (uint64_t rank = address >> sharedRankShift; rank > 0) {
    Cluster &cluster = *cta->cluster;
    if (rank > cluster.ctas.size())
      return fail("the cluster has " + std::to_string(cluster.ctas.size()) +
                  " CTAs");
    cta = cluster.ctas[rank - 1].get();
    if (cta->liveWarps == 0)
      return fail("the CTA it belongs to has exited");
  }
  uint64_t offset = address & ((uint64_t(1) << sharedRankShift) - 1);
  if (offset < sharedBase || offset + bytes > cta->shared.size())
    return fail("the CTA has [" + inHex(sharedBase) + ", " +
                inHex(cta->shared.size()) + ")");
  return {cta, static_cast<uint32_t>(offset)};
}

bool touchShared(Warp &warp, const Operation &operation, unsigned lane,
                 SharedPlace place, uint32_t bytes, Touch touch) {
  ByteState *states = &place.cta->sharedStates[place.offset];
  const char *problem = nullptr;
  for (uint32_t i = 0; i < bytes && !problem; ++i)
    if (states[i] != ByteState::Written)
      problem = objection(warp, states[i], touch);
  if (!problem && !isRead(touch) &&
      isBeingRead(*place.cta, place.offset, bytes))
    problem = "an asynchronous operation that nobody waited for reads there";
  if (problem)
    return warp.fault(FaultKind::LaunchFailed, operation, lane,
                      std::string(nameOf(touch)) + " of " +
                          std::to_string(bytes) + " bytes at shared address " +
                          inHex(place.offset) + ": " + problem);
  if (touch == Touch::Write)
    noteWrite(warp, lane, place, bytes);
  else if (!isRead(touch))
    std::fill_n(states, bytes, ByteState::InFlight);
  return true;
}

void landShared(Warp &warp, unsigned lane, SharedPlace place, uint32_t bytes,
                bool isAsyncProxy) {
  if (isAsyncProxy)
    std::fill_n(&place.cta->sharedStates[place.offset], bytes,
                ByteState::Written);
  else
    noteWrite(warp, lane, place, bytes);
}

void countAsyncReader(SharedPlace place, uint32_t bytes, int change) {
  std::vector<uint16_t> &readers = place.cta->asyncReaders;
  if (readers.empty())
    readers.resize((place.cta->shared.size() + 15) / 16);
  for (uint32_t granule = place.offset / 16;
       granule <= (place.offset + bytes - 1) / 16; ++granule)
    readers[granule] = static_cast<uint16_t>(readers[granule] + change);
}

void publishWrites(Warp &warp, Mask lanes) {
  std::vector<UnfencedWrite> &published = warp.cta->cluster->published;
  std::erase_if(warp.unfenced, [&](const UnfencedWrite &write) {
    if (lanes >> write.lane & 1)
      published.push_back(write);
    return lanes >> write.lane & 1;
  });
}

void fenceWrites(Warp &warp, Mask lanes) {
  publishWrites(warp, lanes);
  for (const UnfencedWrite &write : warp.cta->cluster->published)
    fence(write);
  warp.cta->cluster->published.clear();
}

} // namespace moec::ptx
