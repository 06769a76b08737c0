// A placement file of any bytes is refused or gives ranks that there are.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/comm/Placement.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto placement = moec::comm::parsePlacement(
      "fuzz", {reinterpret_cast<const char *>(data), size});
  if (!placement)
    return 0;
  for (const auto &[name, layer] : placement->layers)
    for (int32_t cluster = 0; layer.knows(cluster); ++cluster) {
      int32_t before = -1;
      for (int32_t rank : layer.owners(cluster)) {
        if (rank <= before || rank >= placement->ranks)
          std::abort();
        before = rank;
      }
      if (before < 0)
        std::abort();
    }
  return 0;
}
