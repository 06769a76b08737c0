// Large memory in huge pages, so that a walk over weights is not one over page
// tables.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOE_BENCH_MEMORY_H
#define MOEC_TOOLS_MOE_BENCH_MEMORY_H

#include <cstddef>
#include <cstdint>

namespace moec::bench {

/// Zeroed memory that begins at a cache line; room beyond it may be read.
class Memory {
public:
  Memory() = default;
  /// Throws std::bad_alloc when there is too little.
  explicit Memory(size_t bytes);
  Memory(Memory &&other) noexcept;
  Memory &operator=(Memory &&other) noexcept;
  ~Memory();

  uint8_t *bytes() const { return data; }
  float *floats() const { return reinterpret_cast<float *>(data); }
  size_t size() const { return length; }

private:
  uint8_t *data = nullptr;
  size_t length = 0;
  size_t mapped = 0;
};

} // namespace moec::bench

#endif // MOEC_TOOLS_MOE_BENCH_MEMORY_H
