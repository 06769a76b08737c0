// Memory for equally long records, of which only what was written is resident.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/pager/SlotMemory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

using namespace moec::pager;
using namespace moec::weights;

Result<SlotMemory> SlotMemory::reserve(uint64_t bytes, uint32_t count) {
  void *memory = ::mmap(nullptr, bytes * count, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return Error{std::to_string(count) + " slots of " + std::to_string(bytes) +
                 " bytes: " + std::strerror(errno)};
  return SlotMemory(static_cast<uint8_t *>(memory), bytes, count);
}

SlotMemory::SlotMemory(SlotMemory &&other) noexcept
    : memory(std::exchange(other.memory, nullptr)), bytes(other.bytes),
      isWritten(std::move(other.isWritten)), written(other.written) {}

SlotMemory::~SlotMemory() {
  if (memory)
    ::munmap(memory, bytes * count());
}

void SlotMemory::noteWritten(uint32_t number, bool is) {
  written += is;
  written -= isWritten[number];
  isWritten[number] = is;
}

void SlotMemory::giveBack(uint32_t number) const {
  // Private pages that nobody else has: this cannot fail.
  ::madvise(slot(number).data(), bytes, MADV_DONTNEED);
}
