// Descriptors of tensors in global memory for bulk copies.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/TensorMap.h"

#include <string>

using namespace moec::weights;

namespace moec::ptx {

uint32_t TensorMap::boxBytes() const {
  uint32_t bytes = elementBytes;
  for (unsigned i = 0; i < rank; ++i)
    bytes *= extent(i);
  return bytes;
}

uint8_t elementBytesOf(int type) {
  // In the order of the enumeration: u8, u16, u32, i32, u64, i64, f16, f32,
  // f64, bf16, f32 ftz, tf32, tf32 ftz.
  static constexpr uint8_t bytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
  return type >= 0 && type < int(std::size(bytes)) ? bytes[type] : 0;
}

Status checkTensorMap(const TensorMap &map) {
  auto expect = [](const std::string &what, uint64_t found) {
    return Error{"tensor map: expected " + what + ", found " +
                 std::to_string(found)};
  };
  if (map.rank < 1 || map.rank > 5)
    return expect("1 to 5 dimensions", map.rank);
  if (map.elementBytes == 0)
    return expect("a data type that the emulator knows", map.type);
  if (map.base % 16 != 0)
    return expect("an address that is a multiple of 16", map.base);
  for (unsigned i = 0; i < map.rank; ++i) {
    if (map.dimensions[i] == 0 || map.dimensions[i] > uint64_t(1) << 32)
      return expect("a dimension from 1 to 2^32", map.dimensions[i]);
    if (map.box[i] == 0 || map.box[i] > 256)
      return expect("an extent of the box from 1 to 256", map.box[i]);
    if (map.elementStrides[i] == 0 || map.elementStrides[i] > 8)
      return expect("an element stride from 1 to 8", map.elementStrides[i]);
    if (i + 1 < map.rank && (map.strides[i] % 16 != 0 || map.strides[i] == 0 ||
                             map.strides[i] >= uint64_t(1) << 40))
      return expect("a stride below 2^40 that is a multiple of 16",
                    map.strides[i]);
  }
  uint32_t innerBytes = map.box[0] * map.elementBytes;
  if (innerBytes % 16 != 0)
    return expect("an innermost extent of a multiple of 16 bytes", innerBytes);
  uint32_t span = map.swizzle == Swizzle::None
                      ? ~0u
                      : 16u << static_cast<unsigned>(map.swizzle);
  if (innerBytes > span)
    return expect("an innermost extent within the " + std::to_string(span) +
                      " bytes of the swizzle",
                  innerBytes);
  return success();
}

} // namespace moec::ptx
