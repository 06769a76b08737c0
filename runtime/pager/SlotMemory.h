// Memory for equally long records, of which only what was written is resident.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_PAGER_SLOTMEMORY_H
#define MOEC_RUNTIME_PAGER_SLOTMEMORY_H

#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <vector>

namespace moec::pager {

/// Slots of whole pages side by side, at an address that begins a page. Reads
/// of slots that nobody wrote give zeros.
class SlotMemory {
public:
  /// Reserves addresses; memory comes as slots are written. `bytes` is a
  /// multiple of store::pageBytes.
  static weights::Result<SlotMemory> reserve(uint64_t bytes, uint32_t count);

  SlotMemory(SlotMemory &&other) noexcept;
  SlotMemory &operator=(SlotMemory &&) = delete;
  ~SlotMemory();

  uint8_t *data() const { return memory; }
  uint64_t slotBytes() const { return bytes; }
  uint32_t count() const { return uint32_t(isWritten.size()); }
  std::span<uint8_t> slot(uint32_t number) const {
    return {memory + number * bytes, size_t(bytes)};
  }

  /// Of slots that are written to and not given back since.
  uint64_t residentBytes() const { return written * bytes; }
  void noteWritten(uint32_t number, bool is);
  /// Gives a slot's memory back to the system; it may go on being read.
  void giveBack(uint32_t number) const;

private:
  SlotMemory(uint8_t *memory, uint64_t bytes, uint32_t count)
      : memory(memory), bytes(bytes), isWritten(count, false) {}

  uint8_t *memory;
  uint64_t bytes;
  std::vector<bool> isWritten;
  uint64_t written = 0;
};

} // namespace moec::pager

#endif // MOEC_RUNTIME_PAGER_SLOTMEMORY_H
