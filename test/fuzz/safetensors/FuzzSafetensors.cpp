// Fuzz entry of the safetensors reader: what it accepts must hold together.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Safetensors.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

using namespace moec::weights;

namespace {

void checkFile(std::span<const uint8_t> file) {
  Result<SafetensorsHeader> header = parseSafetensors("fuzz", file);
  if (!header) {
    if (header.error().empty())
      std::abort();
    return;
  }
  uint64_t next = 0;
  for (const TensorRecord &tensor : header->tensors) {
    if (tensor.begin != next || tensor.end < tensor.begin ||
        tensorBytes(tensor.type, tensor.shape) != tensor.end - tensor.begin)
      std::abort();
    next = tensor.end;
  }
  if (header->dataOffset + next != file.size())
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  checkFile({data, size});
  if (size <= 8)
    return 0;
  // Once more with a length that fits, so that mutations reach the header; the
  // first byte says how much data follows.
  std::vector<uint8_t> file(8);
  for (size_t i = 0; i < 8; ++i)
    file[i] = uint8_t((size - 8) >> (8 * i));
  file.insert(file.end(), data + 8, data + size);
  file.resize(file.size() + data[0] % 32);
  checkFile(file);
  return 0;
}
