// Matrices in the registers of a warp, as the PTX ISA draws them: which element
// each register of each lane holds, written out apart from the emulator.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_FRAGMENTS_H
#define MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_FRAGMENTS_H

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace moec::ptx {

struct Element {
  unsigned row, column;
};

/// Element `i` (0 to 7) of operand A of mma.m16n8k16 with 16-bit elements.
inline Element elementOfA16(unsigned lane, unsigned i) {
  bool upperRows = i == 2 || i == 3 || i == 6 || i == 7;
  return {lane / 4 + (upperRows ? 8 : 0),
          (lane % 4) * 2 + (i & 1) + (i >= 4 ? 8 : 0)};
}

/// Element `i` (0 to 3) of operand B of mma.m16n8k16: row is k.
inline Element elementOfB16(unsigned lane, unsigned i) {
  return {(lane % 4) * 2 + (i & 1) + (i >= 2 ? 8 : 0), lane / 4};
}

/// Element `i` (0 to 3) of the accumulators.
inline Element elementOfC(unsigned lane, unsigned i) {
  return {lane / 4 + (i >= 2 ? 8 : 0), (lane % 4) * 2 + (i & 1)};
}

/// Small integers, which every format here has exactly.
inline std::vector<float> smallIntegers(std::size_t count, unsigned seed) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = float(int((i * 7 + seed * 5 + i / 3) % 9) - 4);
  return values;
}

inline uint16_t bf16Of(float value) {
  return uint16_t(std::bit_cast<uint32_t>(value) >> 16);
}

} // namespace moec::ptx

#endif // MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_FRAGMENTS_H
