// The state of a running grid: faults and memory accesses.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Warp.h"

#include "tools/PTXEmulator/SharedMemory.h"

#include <algorithm>
#include <cstdio>

namespace moec::ptx {

std::string inHex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx",
                static_cast<unsigned long long>(value));
  return text;
}

namespace {

std::string describeAccess(bool isWrite, unsigned bytes, const char *space,
                           uint64_t address) {
  return std::string(isWrite ? "write" : "read") + " of " +
         std::to_string(bytes) + " bytes at " + space + " address " +
         inHex(address);
}

std::string text(const Extent &place) {
  return "(" + std::to_string(place[0]) + ", " + std::to_string(place[1]) +
         ", " + std::to_string(place[2]) + ")";
}

/// An access of a lane, while it is being checked.
struct Access {
  Warp &warp;
  const Operation &operation;
  unsigned lane;
  uint64_t address;
  unsigned bytes;
  bool isWrite;

  uint8_t *fail(FaultKind kind, const char *space, const std::string &why) {
    warp.fault(kind, operation, lane,
               describeAccess(isWrite, bytes, space, address) + ": " + why);
    return nullptr;
  }

  uint8_t *global() {
    MachineState &machine = *warp.machine;
    if (!warp.cta->seesDevice())
      return fail(FaultKind::LaunchFailed, "global", missingGridWait);
    uint64_t within = address - machine.recent.begin;
    if (within >= machine.recent.bytes ||
        bytes > machine.recent.bytes - within) {
      const DeviceMemory::Allocation *found = machine.memory.find(address);
      if (!found || bytes > found->bytes - (address - found->begin))
        return fail(FaultKind::IllegalAddress, "global",
                    machine.memory.describe(address));
      machine.recent = *found;
    }
    return machine.memory.backing(address);
  }

  uint8_t *shared() {
    SharedPlace place =
        findShared(warp, operation, lane, Space::Shared, address, bytes);
    if (!place || !touchShared(warp, operation, lane, place, bytes,
                               isWrite ? Touch::Write : Touch::Read))
      return nullptr;
    return place.bytes();
  }

  uint8_t *local() {
    uint64_t size = warp.program->localBytes;
    if (address < localBase || address + bytes > size)
      return fail(FaultKind::IllegalAddress, "local",
                  "the thread has [" + inHex(localBase) + ", " + inHex(size) +
                      ")");
    ByteState *states = &warp.localStates[lane * size + address];
    if (isWrite)
      std::fill_n(states, bytes, ByteState::Written);
    else if (warp.machine->settings.reportUninitialized &&
             std::find(states, states + bytes, ByteState::Unwritten) !=
                 states + bytes)
      return fail(FaultKind::LaunchFailed, "local",
                  "nothing was written there");
    return &warp.local[lane * size + address];
  }

  uint8_t *parameter() {
    const std::vector<uint8_t> &parameters = warp.cta->grid->parameters;
    if (isWrite)
      return fail(FaultKind::IllegalAddress, "param",
                  "parameters of kernels are read-only");
    if (address + bytes > parameters.size())
      return fail(FaultKind::IllegalAddress, "param",
                  "the parameters have " + std::to_string(parameters.size()) +
                      " bytes");
    return const_cast<uint8_t *>(&parameters[address]);
  }
};

} // namespace

Mask Warp::fault(FaultKind kind, const Operation &operation, unsigned lane,
                 const std::string &message) {
  if (machine->fault)
    return 0;
  const Extent &block = cta->grid->block;
  std::string where = "kernel '" + program->name + "', " + cta->describe() +
                      ", thread " +
                      text(coordinatesOf(index * warpSize + lane, block));
  if (operation.statement)
    where += ", line " + std::to_string(operation.statement->line) + ": '" +
             operation.statement->text + "'";
  machine->fault = Fault{kind, where + ": " + message};
  return 0;
}

uint8_t *Warp::access(const Operation &operation, unsigned lane, Space space,
                      uint64_t address, unsigned bytes, bool isWrite,
                      unsigned used) {
  if (space == Space::Generic)
    space = resolveGeneric(address);
  Access access{*this, operation, lane, address, used ? used : bytes, isWrite};
  if (address % bytes != 0)
    return access.fail(FaultKind::MisalignedAddress, "an",
                       "it must be a multiple of " + std::to_string(bytes));
  switch (space) {
  case Space::Shared:
    return access.shared();
  case Space::Local:
    return access.local();
  case Space::Param:
    return access.parameter();
  default:
    return access.global();
  }
}

std::string Cta::describe() const { return "CTA " + text(place); }

} // namespace moec::ptx
