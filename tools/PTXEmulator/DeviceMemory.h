// The memory of the emulated device.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_DEVICEMEMORY_H
#define MOEC_TOOLS_PTXEMULATOR_DEVICEMEMORY_H

#include <cstdint>
#include <map>
#include <string>

namespace moec::ptx {

/// Device addresses are of a range that the host may not touch; the bytes are
/// kept elsewhere, so a host that takes one for its own faults.
class DeviceMemory {
public:
  struct Allocation {
    uint64_t begin = 0;
    uint64_t bytes = 0;
  };

  /// `limit`: bytes that may be allocated at a time.
  explicit DeviceMemory(uint64_t limit);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory &) = delete;
  DeviceMemory &operator=(const DeviceMemory &) = delete;

  /// Whether the address range could be had.
  bool valid() const { return addresses != nullptr; }

  /// The address of fresh memory, aligned to 256 bytes, or 0 if there is not as
  /// much. Every byte is 0xFF, so floats are NaN; gaps stand between
  /// allocations.
  uint64_t allocate(uint64_t bytes);

  /// False if nothing begins at the address.
  bool free(uint64_t address);

  /// The allocation that holds an address, or null.
  const Allocation *find(uint64_t address) const;

  /// The bytes [address, address + bytes) on the host; null if they are not
  /// within one allocation.
  uint8_t *translate(uint64_t address, uint64_t bytes) const;

  /// As translate, of an address known to be allocated.
  uint8_t *backing(uint64_t address) const {
    return bytes + (address - reinterpret_cast<uint64_t>(addresses));
  }

  /// Whether an address is of the device's range, allocated or not.
  bool contains(uint64_t address) const;

  uint64_t limit() const { return limitBytes; }
  uint64_t used() const { return usedBytes; }

  /// What is wrong with an access, for messages: which allocation is near.
  std::string describe(uint64_t address) const;

private:
  uint64_t findGap(uint64_t bytes) const;

  uint8_t *addresses = nullptr;
  uint8_t *bytes = nullptr;
  uint64_t limitBytes;
  uint64_t usedBytes = 0;
  /// Where the search for a gap begins: freed addresses return late.
  uint64_t cursor = 0;
  /// By their begin.
  std::map<uint64_t, Allocation> allocations;
};

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_DEVICEMEMORY_H
