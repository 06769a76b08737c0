// Descriptors of tensors in global memory for bulk copies, in a form of our
// own. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_TENSORMAP_H
#define MOEC_TOOLS_PTXEMULATOR_TENSORMAP_H

#include "weights/Result.h"

#include <array>
#include <cstdint>
#include <span>

namespace moec::ptx {

/// Where 16-byte units of shared memory are exchanged: address bits 4 to 6 are
/// xored with bits 7 to 9, or fewer of them.
enum class Swizzle : uint8_t { None, Bytes32, Bytes64, Bytes128 };

/// The address of a byte after swizzling.
inline uint32_t swizzled(uint32_t address, Swizzle swizzle) {
  switch (swizzle) {
  case Swizzle::None:
    return address;
  case Swizzle::Bytes32:
    return address ^ (address >> 7 & 1) << 4;
  case Swizzle::Bytes64:
    return address ^ (address >> 7 & 3) << 4;
  case Swizzle::Bytes128:
    return address ^ (address >> 7 & 7) << 4;
  }
  return address;
}

/// What cuTensorMapEncodeTiled makes: the driver's layout of the 128 bytes is
/// its secret.
struct TensorMap {
  static constexpr uint32_t validMark = 0x70616D54;
  uint32_t mark = validMark;
  /// CUtensorMapDataType
  uint8_t type = 0;
  uint8_t elementBytes = 2;
  uint8_t rank = 1;
  Swizzle swizzle = Swizzle::None;
  uint64_t base = 0;
  /// Elements of each dimension, the innermost first.
  std::array<uint64_t, 5> dimensions = {};
  /// Bytes between elements of each dimension but the innermost.
  std::array<uint64_t, 4> strides = {};
  /// Elements of what one copy moves.
  std::array<uint16_t, 5> box = {};
  /// Every how many elements are moved.
  std::array<uint8_t, 5> elementStrides = {};

  /// Elements along a dimension of the box that are moved.
  uint32_t extent(unsigned dimension) const {
    return (box[dimension] + elementStrides[dimension] - 1u) /
           elementStrides[dimension];
  }
  /// Bytes that a copy moves.
  uint32_t boxBytes() const;
};
static_assert(sizeof(TensorMap) <= 128);

/// Bytes of an element of a CUtensorMapDataType; 0 if the emulator does not
/// know it.
uint8_t elementBytesOf(int type);

/// Checks what the driver's documentation demands.
weights::Status checkTensorMap(const TensorMap &map);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_TENSORMAP_H
