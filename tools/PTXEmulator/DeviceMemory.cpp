// The memory of the emulated device.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/DeviceMemory.h"

#include <cstring>
#include <sys/mman.h>

namespace moec::ptx {

namespace {

/// Addresses cost nothing, so there are enough for freed ones to rest.
constexpr uint64_t rangeBytes = uint64_t(1) << 38;
/// Bytes after each allocation that belong to none.
constexpr uint64_t gapBytes = 4096;
constexpr uint64_t alignment = 256;

uint8_t *reserve(int protection) {
  void *range = mmap(nullptr, rangeBytes, protection,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return range == MAP_FAILED ? nullptr : static_cast<uint8_t *>(range);
}

uint64_t alignUp(uint64_t value, uint64_t to) {
  return (value + to - 1) / to * to;
}

} // namespace

DeviceMemory::DeviceMemory(uint64_t limit) : limitBytes(limit) {
  addresses = reserve(PROT_NONE);
  bytes = reserve(PROT_READ | PROT_WRITE);
  if (addresses && bytes)
    return;
  if (addresses)
    munmap(addresses, rangeBytes);
  addresses = nullptr;
}

DeviceMemory::~DeviceMemory() {
  if (addresses)
    munmap(addresses, rangeBytes);
  if (bytes)
    munmap(bytes, rangeBytes);
}

/// An address behind the cursor, or from the start of the range again, with
/// `wanted` bytes that touch no allocation; 0 if there is none.
uint64_t DeviceMemory::findGap(uint64_t wanted) const {
  uint64_t base = reinterpret_cast<uint64_t>(addresses);
  for (uint64_t start : {cursor, uint64_t(0)}) {
    uint64_t begin = base + gapBytes + start;
    auto next = allocations.lower_bound(begin);
    while (true) {
      uint64_t end =
          next == allocations.end() ? base + rangeBytes : next->first;
      if (begin + wanted + gapBytes <= end)
        return begin;
      if (next == allocations.end())
        break;
      begin = alignUp(next->first + next->second.bytes + gapBytes, alignment);
      ++next;
    }
  }
  return 0;
}

uint64_t DeviceMemory::allocate(uint64_t wanted) {
  if (!valid() || wanted == 0 || wanted > limitBytes - usedBytes)
    return 0;
  uint64_t begin = findGap(wanted);
  if (begin == 0)
    return 0;
  allocations[begin] = {begin, wanted};
  usedBytes += wanted;
  cursor = alignUp(begin + wanted, alignment) -
           reinterpret_cast<uint64_t>(addresses);
  std::memset(backing(begin), 0xFF, wanted);
  return begin;
}

bool DeviceMemory::free(uint64_t address) {
  auto found = allocations.find(address);
  if (found == allocations.end())
    return false;
  usedBytes -= found->second.bytes;
  // Whole pages that no neighbour shares go back; gaps are a page wide.
  uint64_t begin = alignUp(address, 4096);
  uint64_t end = alignUp(address + found->second.bytes, 4096);
  if (begin < end)
    madvise(backing(begin), end - begin, MADV_DONTNEED);
  allocations.erase(found);
  return true;
}

const DeviceMemory::Allocation *DeviceMemory::find(uint64_t address) const {
  auto next = allocations.upper_bound(address);
  if (next == allocations.begin())
    return nullptr;
  const Allocation &allocation = std::prev(next)->second;
  return address - allocation.begin < allocation.bytes ? &allocation : nullptr;
}

uint8_t *DeviceMemory::translate(uint64_t address, uint64_t wanted) const {
  const Allocation *allocation = find(address);
  if (!allocation || wanted > allocation->bytes - (address - allocation->begin))
    return nullptr;
  return backing(address);
}

bool DeviceMemory::contains(uint64_t address) const {
  return address - reinterpret_cast<uint64_t>(addresses) < rangeBytes;
}

std::string DeviceMemory::describe(uint64_t address) const {
  if (!contains(address))
    return "no address of the device's memory";
  auto next = allocations.upper_bound(address);
  if (next == allocations.begin())
    return "before every allocation";
  const Allocation &allocation = std::prev(next)->second;
  uint64_t offset = address - allocation.begin;
  std::string text =
      "of an allocation of " + std::to_string(allocation.bytes) + " bytes";
  if (offset < allocation.bytes)
    return "byte " + std::to_string(offset) + " " + text;
  return std::to_string(offset - allocation.bytes) + " bytes past the end " +
         text;
}

} // namespace moec::ptx
