// Large memory in huge pages.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Memory.h"

#include <new>
#include <sys/mman.h>
#include <utility>

namespace moec::bench {

Memory::Memory(size_t bytes) : length(bytes) {
  constexpr size_t hugePage = size_t(2) << 20, margin = 256;
  if (bytes > SIZE_MAX / 2)
    throw std::bad_alloc();
  mapped = bytes + margin;
  // Large ones begin at a huge page; what is before and behind is given back.
  bool isLarge = mapped >= hugePage;
  size_t asked = isLarge ? mapped + hugePage : mapped;
  void *place = ::mmap(nullptr, asked, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED)
    throw std::bad_alloc();
  data = static_cast<uint8_t *>(place);
  if (!isLarge)
    return;
  size_t before =
      (hugePage - reinterpret_cast<uintptr_t>(data) % hugePage) % hugePage;
  if (before > 0)
    ::munmap(data, before);
  data += before;
  mapped = asked - before;
  ::madvise(data, mapped, MADV_HUGEPAGE);
}

Memory::Memory(Memory &&other) noexcept { *this = std::move(other); }

Memory &Memory::operator=(Memory &&other) noexcept {
  std::swap(data, other.data);
  std::swap(length, other.length);
  std::swap(mapped, other.mapped);
  return *this;
}

Memory::~Memory() {
  if (data)
    ::munmap(data, mapped);
}

} // namespace moec::bench
