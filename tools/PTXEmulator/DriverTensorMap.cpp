// The driver's function that makes tensor maps.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Driver.h"
#include "tools/PTXEmulator/TensorMap.h"

#include <cstdio>
#include <cstring>

using namespace moec::ptx;

/// Maps are 128 bytes at an address that is a multiple of 64.
constexpr size_t mapBytes = 128, mapAlignment = 64;

MOEC_DRIVER cuTensorMapEncodeTiled(void *result, int type, unsigned rank,
                                   void *base, const uint64_t *dimensions,
                                   const uint64_t *strides, const uint32_t *box,
                                   const uint32_t *elementStrides,
                                   int interleave, int swizzle, int, int fill) {
  if (!result || reinterpret_cast<uintptr_t>(result) % mapAlignment != 0 ||
      rank < 1 || rank > 5 || swizzle < 0 || swizzle > 3)
    return CUDA_ERROR_INVALID_VALUE;
  // Interleaved layouts and NaN for what is outside are not emulated.
  if (interleave != 0 || fill != 0)
    return CUDA_ERROR_NOT_SUPPORTED;
  TensorMap map;
  map.type = static_cast<uint8_t>(type);
  map.elementBytes = elementBytesOf(type);
  map.rank = static_cast<uint8_t>(rank);
  map.swizzle = static_cast<Swizzle>(swizzle);
  map.base = reinterpret_cast<uint64_t>(base);
  for (unsigned i = 0; i < rank; ++i) {
    map.dimensions[i] = dimensions[i];
    // What does not fit is wrong anyway.
    map.box[i] = static_cast<uint16_t>(box[i] > 256 ? 0 : box[i]);
    map.elementStrides[i] =
        static_cast<uint8_t>(elementStrides[i] > 8 ? 0 : elementStrides[i]);
    if (i + 1 < rank)
      map.strides[i] = strides[i];
  }
  if (moec::weights::Status status = checkTensorMap(map); !status) {
    std::fprintf(stderr, "emulated device: %s\n", status.error().c_str());
    return CUDA_ERROR_INVALID_VALUE;
  }
  std::memset(result, 0, mapBytes);
  std::memcpy(result, &map, sizeof map);
  return CUDA_SUCCESS;
}
