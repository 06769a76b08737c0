// Fuzz entry of the safetensors reader: what it accepts must hold together.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Safetensors.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace moec::weights;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Result<SafetensorsHeader> header = parseSafetensors("fuzz", {data, size});
  if (!header) {
    if (header.error().empty())
      std::abort();
    return 0;
  }
  uint64_t next = 0;
  for (const TensorRecord &tensor : header->tensors) {
    if (tensor.begin != next || tensor.end < tensor.begin ||
        tensorBytes(tensor.type, tensor.shape) != tensor.end - tensor.begin)
      std::abort();
    next = tensor.end;
  }
  if (header->dataOffset + next != size)
    std::abort();
  return 0;
}
